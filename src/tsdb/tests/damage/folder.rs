//! A folder with everything that the engine stores, and what must be in it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base::ManualClock;
use base::metrics::Registry;
use model::{Labels, Matcher, TimeRange, Timestamp};
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Columns, Durability, Queryable as _, Sample,
    SelectHints, SeriesKey,
};
use tsdb::{Background, KvOptions, Tsdb, TsdbError, TsdbOptions, WalSync};

/// Noon of some day.
const NOW_MS: i64 = 1_700_000_000_000 / 86_400_000 * 86_400_000 + 43_200_000;
const DAY_MS: i64 = 86_400_000;
const SERIES: i32 = 300;

/// Every sample by series and time.
pub(crate) struct Truth {
    series: BTreeMap<Labels, BTreeMap<i64, u64>>,
}

/// What reading found.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Samples of series that could be read.
    pub(crate) missing: usize,
    /// Of series that could not be read.
    pub(crate) errors: Vec<String>,
}

/// Samples that were added to a damaged folder.
pub(crate) struct Later {
    series: Vec<Labels>,
}

pub(crate) fn open(folder: &Path) -> Result<Tsdb, TsdbError> {
    let options = TsdbOptions {
        background: Background::Manual,
        kv: KvOptions {
            wal_sync: WalSync::Os,
            ..KvOptions::default()
        },
        ..TsdbOptions::new(folder.to_owned())
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)));
    Tsdb::open(options, clock, &Registry::new())
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn labels(series: i32) -> Labels {
    let (name, number) = (format!("m{}", series % 7), series.to_string());
    let filler = format!(
        "{:x}",
        u64::from(series.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    );
    let pairs = [
        (model::METRIC_NAME, name.as_str()),
        ("filler", filler.as_str()),
        ("series", number.as_str()),
    ];
    Labels::from_pairs(pairs).unwrap()
}

fn value(series: i32, at: i64) -> f64 {
    let mixed = (at ^ i64::from(series))
        .unsigned_abs()
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let short = f64::from(u32::try_from(mixed >> 40).unwrap());
    if series % 3 == 0 {
        short.sqrt()
    } else {
        short / 100.0
    }
}

fn append(tsdb: &Tsdb, series: &[Labels], points: &[Vec<(i64, f64)>]) -> Result<(), String> {
    let mut request = AppendRequest::default();
    for (labels, points) in series.iter().zip(points) {
        let samples = points.iter().map(|(at, value)| Sample {
            timestamp: Timestamp::from_millis(*at),
            value: *value,
        });
        request.push(SeriesKey::Labels(labels), samples);
    }
    let pending = tsdb.append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
    let outcome = pending.and_then(storage::PendingAppend::wait_blocking);
    outcome.map(|_| ()).map_err(|error| base::report(&error))
}

impl Truth {
    /// Three days, clean stops and kills between them, so that chunks, seals and commits lie in
    /// files of several ages and in the log.
    pub(crate) fn write(folder: &Path) -> Self {
        let mut truth = Self {
            series: BTreeMap::new(),
        };
        for day in 0..3 {
            for part in 0..3 {
                let tsdb = open(folder).unwrap();
                let from_ms = NOW_MS - (3 - day) * DAY_MS + part * 7_200_000;
                for request in 0..6 {
                    truth.fill(&tsdb, from_ms + request * 600_000, (day, request));
                }
                match part {
                    0 => tsdb.close().unwrap(),
                    1 => tsdb.maintain().unwrap(),
                    _ => {}
                }
            }
        }
        truth
    }

    fn fill(&mut self, tsdb: &Tsdb, from_ms: i64, (day, request): (i64, i64)) {
        let first = if request % 2 == 0 { 0 } else { SERIES / 2 };
        // Some series are new each day.
        let extra = i32::try_from(day).unwrap() * 20;
        let numbers: Vec<i32> = (first..SERIES + extra).collect();
        let all: Vec<Labels> = numbers.iter().map(|series| labels(*series)).collect();
        let points: Vec<Vec<(i64, f64)>> = numbers
            .iter()
            .map(|series| {
                let times = (0..40).map(|k| from_ms + k * 15_000 + i64::from(*series % 5));
                times.map(|at| (at, value(*series, at))).collect()
            })
            .collect();
        append(tsdb, &all, &points).unwrap();
        for (labels, points) in all.into_iter().zip(points) {
            let known = self.series.entry(labels).or_default();
            known.extend(points.iter().map(|(at, value)| (*at, value.to_bits())));
        }
    }

    /// Compares all that the engine gives back. What is there was written, and is there once.
    pub(crate) fn read(&self, tsdb: &Tsdb, what: &str) -> Read {
        let querier = tsdb.querier(TimeRange::ALL).unwrap();
        let matchers = [Matcher::new(model::MatchOp::Regex, model::METRIC_NAME, "m.*").unwrap()];
        let set = querier.select(&matchers, SelectHints::default()).unwrap();
        let mut columns = Columns::default();
        let mut read = Read::default();
        let mut found = 0;
        for index in 0..set.len() {
            let labels = set.labels(index);
            let known = &self.series.get(&labels);
            let known = known.unwrap_or_else(|| panic!("{what}: {labels} was never written"));
            if let Err(error) = set.read(index, &mut columns) {
                read.errors.push(base::report(&error));
                found += known.len();
                continue;
            }
            let mut before = i64::MIN;
            for (at, value) in columns.timestamps.iter().zip(&columns.values) {
                assert!(*at > before, "{what}: {labels} has {at} behind {before}");
                let bits = known.get(at).copied();
                assert_eq!(bits, Some(value.to_bits()), "{what}: {labels} at {at}");
                before = *at;
            }
            found += columns.len();
        }
        let all: usize = self.series.values().map(BTreeMap::len).sum();
        read.missing = all - found;
        read
    }

    /// Adds samples to known and new series.
    #[expect(clippy::unused_self, reason = "it belongs to what was written before")]
    pub(crate) fn append_later(&self, tsdb: &Tsdb, what: &str) -> Later {
        let name = |name: &str, number: i32| {
            let number = number.to_string();
            Labels::from_pairs([(model::METRIC_NAME, name), ("number", number.as_str())]).unwrap()
        };
        let series: Vec<Labels> = (0..50).map(|number| name("later", number)).collect();
        let points: Vec<Vec<(i64, f64)>> = (0..50)
            .map(|number| {
                vec![
                    (NOW_MS - 1000, value(number, 0)),
                    (NOW_MS, value(number, 1)),
                ]
            })
            .collect();
        append(tsdb, &series, &points).unwrap_or_else(|error| panic!("{what}: {error}"));
        Later { series }
    }
}

impl Later {
    pub(crate) fn check(&self, tsdb: &Tsdb, file: &str, what: &str) {
        let querier = tsdb.querier(TimeRange::ALL).unwrap();
        let matchers = [Matcher::equal(model::METRIC_NAME, "later")];
        let set = querier.select(&matchers, SelectHints::default()).unwrap();
        assert_eq!(set.len(), self.series.len(), "{what}");
        let mut columns = Columns::default();
        for index in 0..set.len() {
            let labels = set.labels(index);
            let number: i32 = labels.get("number").unwrap().parse().unwrap();
            if let Err(error) = set.read(index, &mut columns) {
                // Its neighbours in the store are damaged, or what leads to them.
                let error = base::report(&error);
                assert!(error.contains(file), "{what}: {error}");
                continue;
            }
            assert_eq!(
                columns.timestamps,
                [NOW_MS - 1000, NOW_MS],
                "{what}: {labels}"
            );
            assert_eq!(
                columns.values,
                [value(number, 0), value(number, 1)],
                "{what}: {labels}"
            );
        }
    }
}
