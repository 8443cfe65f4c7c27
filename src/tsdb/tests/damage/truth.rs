//! What was written and what was deleted, and what a damaged folder gives back of it.

use std::collections::BTreeMap;

use model::{Labels, Matcher, TimeRange, Timestamp};
use storage::{
    AppendRequest, Columns, ExemplarStore, Queryable as _, Sample, SelectHints, SeriesExemplars,
    SeriesKey, SeriesSet, StateStore as _,
};
use tsdb::Tsdb;

use crate::folder::{NAMESPACE, NOW_MS, STATE_KEYS, STOPPED};
use crate::samples::{Sent, code_at, code_of, labels, send, value};

/// Samples that are added to a damaged folder.
const LATER_MS: [i64; 2] = [NOW_MS - 1000, NOW_MS];
const LATER_SERIES: i32 = 50;

/// Codes of samples by time.
type Codes = BTreeMap<i64, u64>;

/// Every sample by series and time, and all else that was written.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    series: BTreeMap<Labels, Codes>,
    deleted: BTreeMap<Labels, Codes>,
    pub(crate) exemplars: Vec<SeriesExemplars>,
}

/// What reading found.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// Samples, exemplars and small state that could be read, and are not there.
    pub(crate) missing: usize,
    /// Deleted samples that are there again.
    pub(crate) undeleted: usize,
    /// Of what could not be read.
    pub(crate) errors: Vec<String>,
}

impl Truth {
    pub(crate) fn add(&mut self, sent: &Sent) {
        for (labels, codes) in sent.codes() {
            self.series.entry(labels).or_default().extend(codes);
        }
    }

    pub(crate) fn delete(&mut self, labels: &Labels, range: TimeRange) {
        let Some(codes) = self.series.get_mut(labels) else {
            return;
        };
        let times = range.start.as_millis()..=range.end.as_millis();
        let gone: Codes = codes.range(times).map(|(at, code)| (*at, *code)).collect();
        codes.retain(|at, _| !gone.contains_key(at));
        let deleted = self.deleted.entry(labels.clone()).or_default();
        deleted.extend(gone);
    }

    /// Compares all that the engine gives back. What is there was written, and is there once.
    pub(crate) fn read(&self, tsdb: &Tsdb, what: &str) -> Read {
        let mut read = Read::default();
        let everything = Matcher::new(model::MatchOp::Regex, model::METRIC_NAME, "m.*").unwrap();
        if self
            .read_matching(tsdb, (&everything, what), &mut read)
            .is_err()
        {
            // An index that is damaged for one metric need not be so for the others.
            read = Read::default();
            for metric in 0..7 {
                let metric = Matcher::equal(model::METRIC_NAME, &format!("m{metric}"));
                if let Err(error) = self.read_matching(tsdb, (&metric, what), &mut read) {
                    read.errors.push(error);
                }
            }
        }
        self.read_exemplars(tsdb, what, &mut read);
        read_state(tsdb, what, &mut read);
        read
    }

    fn read_matching(
        &self,
        tsdb: &Tsdb,
        (matcher, what): (&Matcher, &str),
        read: &mut Read,
    ) -> Result<(), String> {
        let querier = tsdb.querier(TimeRange::ALL).unwrap();
        let set = querier.select(std::slice::from_ref(matcher), SelectHints::default());
        let set = set.map_err(|error| base::report(&error))?;
        let mut found: BTreeMap<Labels, usize> = BTreeMap::new();
        for index in 0..set.len() {
            let labels = set.labels(index);
            let samples = self.read_series(&*set, index, what, read);
            let before = found.insert(labels.clone(), samples);
            assert_eq!(before, None, "{what}: {labels} is there twice");
        }
        for (labels, codes) in &self.series {
            if matcher.matches(labels.metric_name().unwrap()) {
                read.missing += codes.len() - found.get(labels).copied().unwrap_or(0);
            }
        }
        Ok(())
    }

    /// How many samples of a series are there, or could not be read.
    fn read_series(&self, set: &dyn SeriesSet, index: usize, what: &str, read: &mut Read) -> usize {
        let labels = set.labels(index);
        let known = self.series.get(&labels);
        let known = known.unwrap_or_else(|| panic!("{what}: {labels} was never written"));
        let mut columns = Columns::default();
        if let Err(error) = set.read(index, &mut columns) {
            read.errors.push(base::report(&error));
            return known.len();
        }
        let (mut before, mut found) = (i64::MIN, 0);
        for (position, at) in columns.timestamps.iter().enumerate() {
            assert!(*at > before, "{what}: {labels} has {at} behind {before}");
            before = *at;
            let code = Some(code_at(&columns, position));
            let number: i32 = labels.get("series").unwrap().parse().unwrap();
            if known.get(at).copied() == code {
                found += 1;
            } else if let Some(later) = LATER_MS.iter().position(|later| later == at) {
                let want = value(number, i64::try_from(later).unwrap());
                assert_eq!(code, Some(code_of(want)), "{what}: {labels} at {at}");
            } else {
                let deleted = self.deleted.get(&labels).and_then(|codes| codes.get(at));
                assert_eq!(code, deleted.copied(), "{what}: {labels} at {at}");
                read.undeleted += 1;
            }
        }
        found
    }

    fn read_exemplars(&self, tsdb: &Tsdb, what: &str, read: &mut Read) {
        let everything = Matcher::new(model::MatchOp::Regex, model::METRIC_NAME, "m.*").unwrap();
        let found = ExemplarStore::select(tsdb, TimeRange::ALL, &[vec![everything]]);
        let mut count = 0;
        for SeriesExemplars { series, exemplars } in found {
            for exemplar in exemplars {
                let is_same = |known: &&SeriesExemplars| {
                    known.series == series && known.exemplars[0] == exemplar
                };
                assert!(
                    self.exemplars.iter().any(|known| is_same(&known)),
                    "{what}: {exemplar:?}"
                );
                count += 1;
            }
        }
        read.missing += self.exemplars.len() - count;
    }
}

fn read_state(tsdb: &Tsdb, what: &str, read: &mut Read) {
    for key in 0..STATE_KEYS {
        match tsdb.get(NAMESPACE, &key.to_be_bytes()) {
            Ok(Some(found)) => assert_eq!(found, format!("value of {key}").as_bytes(), "{what}"),
            Ok(None) => read.missing += 1,
            Err(error) => read.errors.push(base::report(&error)),
        }
    }
}

fn later_labels(number: i32) -> Labels {
    let number = number.to_string();
    Labels::from_pairs([(model::METRIC_NAME, "later"), ("number", &number)]).unwrap()
}

/// Adds samples to new series, and to series that have stopped long ago.
pub(crate) fn append_later(tsdb: &Tsdb, what: &str) {
    let all: Vec<(i32, Labels)> = (0..LATER_SERIES)
        .map(|number| (number, later_labels(number)))
        .chain(STOPPED.map(|number| (number, labels(number))))
        .collect();
    let mut request = AppendRequest::default();
    for (number, labels) in &all {
        let samples = (0..).zip(LATER_MS).map(|(later, at_ms)| Sample {
            timestamp: Timestamp::from_millis(at_ms),
            value: value(*number, later),
        });
        request.push(SeriesKey::Labels(labels), samples);
    }
    send(tsdb, &request).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// What [`append_later`] has added is there, unless what surrounds it in the store is damaged.
pub(crate) fn check_later(tsdb: &Tsdb, file: &str, what: &str) {
    let is_of_damage = |error: &String| error.contains(file) || error.contains("corrupt");
    let querier = tsdb.querier(TimeRange::ALL).unwrap();
    let of_stopped: Vec<String> = STOPPED.map(|number| number.to_string()).collect();
    for (matcher, count) in [
        (Matcher::equal(model::METRIC_NAME, "later"), LATER_SERIES),
        (
            Matcher::new(model::MatchOp::Regex, "series", &of_stopped.join("|")).unwrap(),
            STOPPED.end - STOPPED.start,
        ),
    ] {
        let set = match querier.select(&[matcher], SelectHints::default()) {
            Ok(set) => set,
            Err(error) => {
                let error = base::report(&error);
                assert!(is_of_damage(&error), "{what}: {error}");
                continue;
            }
        };
        assert_eq!(set.len(), usize::try_from(count).unwrap(), "{what}");
        let mut columns = Columns::default();
        for index in 0..set.len() {
            let labels = set.labels(index);
            let number = labels.get("number").or(labels.get("series")).unwrap();
            let number: i32 = number.parse().unwrap();
            if let Err(error) = set.read(index, &mut columns) {
                let error = base::report(&error);
                assert!(is_of_damage(&error), "{what}: {error}");
                continue;
            }
            let behind = columns.timestamps.len().checked_sub(LATER_MS.len());
            let behind = behind.unwrap_or_else(|| panic!("{what}: {labels}"));
            assert_eq!(columns.timestamps[behind..], LATER_MS, "{what}: {labels}");
            let want = [value(number, 0), value(number, 1)];
            assert_eq!(columns.values[behind..], want, "{what}: {labels}");
        }
    }
}
