//! Tests of the engine: its contracts, restarts, retention, and a random walk beside a model.

mod early_writes;
mod formats;
mod giving_back;
mod model_walk;
mod order_walk;
mod recovery;
mod restless;
mod rewriting;
mod stop_rounds;
mod stopped_walk;

use std::path::Path;
use std::sync::Arc;

use base::metrics::Registry;
use base::{Clock as _, ManualClock};
use kv::{KvOptions, WalSync};
use model::{Labels, Matcher, PromDuration, TimeRange, Timestamp};
use storage::{
    AppendError, AppendOutcome, AppendPolicy, AppendRequest, Appender as _, Columns, Durability,
    Queryable as _, Sample, SelectHints, SeriesKey, StatusSource as _, contract,
};

use crate::{Background, Tsdb, TsdbOptions};

pub(crate) const DAY: PromDuration = PromDuration::from_secs(24 * 3600);
/// Of an engine that keeps little.
const RETENTION: PromDuration = PromDuration::from_secs(5 * 24 * 3600);
/// Noon of some day, in milliseconds.
pub(crate) const START_MS: i64 = 1_700_000_000_000 / 86_400_000 * 86_400_000 + 43_200_000;

/// An engine without upkeep of its own, and the clock it goes by.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tsdb: Tsdb,
    settings: Settings,
}

/// What tests choose.
#[derive(Clone, Copy)]
struct Settings {
    window: PromDuration,
    retention: PromDuration,
    max_exemplars: usize,
    /// The replay waits until it is released.
    is_held: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: PromDuration::ZERO,
            retention: PromDuration::from_secs(15 * 24 * 3600),
            max_exemplars: 0,
            is_held: false,
        }
    }
}

fn open(path: &Path, clock: &Arc<ManualClock>, settings: Settings) -> Tsdb {
    let options = TsdbOptions {
        out_of_order_window: settings.window,
        retention: Some(settings.retention),
        max_exemplars: settings.max_exemplars,
        background: Background::Manual,
        hold_replay: settings.is_held,
        kv: KvOptions {
            wal_sync: WalSync::Os,
            ..KvOptions::default()
        },
        ..TsdbOptions::new(path.to_owned())
    };
    let clock: Arc<ManualClock> = Arc::clone(clock);
    Tsdb::open(options, clock, &Registry::new()).unwrap()
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::prepared(Settings::default(), |_| ())
    }

    /// An engine that takes samples out of order.
    pub(crate) fn with_window(window: PromDuration) -> Self {
        let settings = Settings {
            window,
            ..Settings::default()
        };
        Self::prepared(settings, |_| ())
    }

    /// An engine that keeps samples for [`RETENTION`].
    pub(crate) fn with_retention() -> Self {
        let settings = Settings {
            retention: RETENTION,
            ..Settings::default()
        };
        Self::prepared(settings, |_| ())
    }

    fn prepared(settings: Settings, prepare: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        prepare(directory.path());
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START_MS)));
        let tsdb = open(directory.path(), &clock, settings);
        Self {
            directory,
            clock,
            tsdb,
            settings,
        }
    }

    /// Opens again; `clean` closes first, otherwise the log has to bring everything back.
    pub(crate) fn reopen(self, clean: bool) -> Self {
        self.reopen_prepared(clean, |_| ())
    }

    /// As [`Bench::reopen`], with something done to the folder in between.
    fn reopen_prepared(self, clean: bool, prepare: impl FnOnce(&Path)) -> Self {
        let Self {
            directory,
            clock,
            tsdb,
            settings,
        } = self;
        if clean {
            tsdb.engine().replayed.release();
            tsdb.close().unwrap();
        }
        drop(tsdb);
        prepare(directory.path());
        let tsdb = open(directory.path(), &clock, settings);
        Self {
            directory,
            clock,
            tsdb,
            settings,
        }
    }

    /// Changes the room for exemplars as a reload does; it stays when the engine is opened again.
    pub(crate) fn set_max_exemplars(&mut self, max: usize) {
        self.settings.max_exemplars = max;
        self.tsdb.set_max_exemplars(max).unwrap();
    }

    /// Changes the window as a reload does; it stays when the engine is opened again.
    pub(crate) fn set_window(&mut self, window: PromDuration) {
        self.settings.window = window;
        self.tsdb.set_out_of_order_window(window);
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millis()
    }

    pub(crate) fn append(
        &self,
        labels: &Labels,
        points: &[(i64, f64)],
    ) -> Result<AppendOutcome, AppendError> {
        let mut request = AppendRequest::default();
        let samples = points.iter().map(|(at, value)| Sample {
            timestamp: Timestamp::from_millis(*at),
            value: *value,
        });
        request.push(SeriesKey::Labels(labels), samples);
        let pending =
            self.tsdb
                .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)?;
        pending.wait_blocking()
    }

    pub(crate) fn read(&self, name: &str) -> Vec<(Labels, Vec<(i64, u64)>)> {
        let querier = self.tsdb.querier(TimeRange::ALL).unwrap();
        let matchers = [Matcher::equal(model::METRIC_NAME, name)];
        let set = querier.select(&matchers, SelectHints::default()).unwrap();
        let mut columns = Columns::default();
        let mut series = Vec::new();
        for index in 0..set.len() {
            set.read(index, &mut columns).unwrap();
            let bits = columns.values.iter().map(|value| value.to_bits());
            let points = columns.timestamps.iter().copied().zip(bits).collect();
            series.push((set.labels(index), points));
        }
        series
    }

    /// The engine of another folder, at the same time.
    pub(crate) fn beside(&self, path: &Path) -> Self {
        let clock = Arc::clone(&self.clock);
        let tsdb = open(path, &clock, self.settings);
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock,
            tsdb,
            settings: self.settings,
        }
    }

    pub(crate) fn points(&self, name: &str) -> Vec<(i64, u64)> {
        let series = self.read(name);
        assert!(series.len() <= 1, "one series expected: {series:?}");
        series
            .into_iter()
            .next()
            .map(|(_, points)| points)
            .unwrap_or_default()
    }
}

pub(crate) fn metric(name: &str) -> Labels {
    Labels::from_pairs([(model::METRIC_NAME, name)]).unwrap()
}

fn every_15s(start_ms: i64, count: i32) -> Vec<(i64, f64)> {
    (0..count)
        .map(|k| (start_ms + i64::from(k) * 15_000, f64::from(k) * 0.5))
        .collect()
}

fn bits(points: &[(i64, f64)]) -> Vec<(i64, u64)> {
    points
        .iter()
        .map(|(at, value)| (*at, value.to_bits()))
        .collect()
}

#[test]
fn keeps_the_contracts_of_storage() {
    for (name, check) in contract::CHECKS.iter().chain(contract::HISTOGRAM_CHECKS) {
        let bench = Bench::new();
        bench.clock.advance(DAY);
        let start = Timestamp::from_millis(START_MS);
        let fixture = contract::Fixture {
            appender: &bench.tsdb,
            queryable: &bench.tsdb,
            start,
        };
        check(&fixture).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
    for (name, check) in contract::OUT_OF_ORDER_CHECKS {
        let bench = Bench::with_window(PromDuration::from_secs(3600));
        bench.clock.advance(DAY);
        let fixture = contract::Fixture {
            appender: &bench.tsdb,
            queryable: &bench.tsdb,
            start: Timestamp::from_millis(START_MS),
        };
        check(&fixture).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
    for (name, check) in contract::STATE_CHECKS {
        check(&Bench::new().tsdb).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

#[test]
fn acknowledged_samples_survive_a_kill_and_a_clean_stop() {
    for clean in [false, true] {
        let mut bench = Bench::new();
        let points = every_15s(START_MS - 3_600_000, 300);
        bench.clock.advance(DAY);
        bench.append(&metric("a"), &points[..200]).unwrap();
        bench = bench.reopen(clean);
        assert_eq!(bench.points("a"), bits(&points[..200]));
        bench.append(&metric("a"), &points[200..]).unwrap();
        bench = bench.reopen(clean).reopen(!clean);
        assert_eq!(bench.points("a"), bits(&points));
    }
}

#[test]
fn sealed_chunks_are_not_replayed_twice() {
    let mut bench = Bench::new();
    let points = every_15s(START_MS, 1000);
    bench.clock.advance(DAY);
    for (round, slice) in points.chunks(100).enumerate() {
        bench.append(&metric("a"), slice).unwrap();
        bench.append(&metric("slow"), &slice[..1]).unwrap();
        if round % 3 == 1 {
            bench.tsdb.maintain().unwrap();
        }
        if round % 4 == 2 {
            bench = bench.reopen(false);
        }
        assert_eq!(bench.points("a"), bits(&points[..(round + 1) * 100]));
    }
    let slow: Vec<_> = points.chunks(100).map(|slice| slice[0]).collect();
    assert_eq!(bench.reopen(false).points("slow"), bits(&slow));
}

#[test]
fn order_is_remembered_across_restarts() {
    for clean in [false, true] {
        let bench = Bench::new();
        bench.append(&metric("a"), &[(START_MS, 1.0)]).unwrap();
        let bench = bench.reopen(clean);
        let repeated = bench.append(&metric("a"), &[(START_MS, 1.0)]).unwrap();
        assert_eq!(repeated.appended, 1);
        let changed = bench.append(&metric("a"), &[(START_MS, 2.0)]);
        assert!(
            matches!(changed, Err(AppendError::DuplicateForTimestamp { .. })),
            "{changed:?}"
        );
        let older = bench.append(&metric("a"), &[(START_MS - 1, 1.0)]);
        assert!(
            matches!(older, Err(AppendError::OutOfOrder { .. })),
            "{older:?}"
        );
        assert_eq!(bench.points("a"), bits(&[(START_MS, 1.0)]));
    }
}

#[test]
fn samples_outside_retention_and_future_are_out_of_bounds() {
    let bench = Bench::new();
    let ten_minutes = 600_000;
    let fifteen_days = 15 * DAY.as_millis();
    for (offset, accepted) in [
        (ten_minutes, true),
        (ten_minutes + 1, false),
        (-fifteen_days, true),
        (-fifteen_days - 1, false),
    ] {
        let name = format!("at{offset}").replace('-', "_");
        let outcome = bench.append(&metric(&name), &[(START_MS + offset, 1.0)]);
        match outcome {
            Ok(_) => assert!(accepted, "{offset}"),
            Err(error) => {
                assert!(!accepted, "{offset}");
                assert!(
                    matches!(error, AppendError::OutOfBounds { .. }),
                    "{error:?}"
                );
            }
        }
    }
}

#[test]
fn refused_requests_leave_no_series_behind() {
    let bench = Bench::new();
    bench.append(&metric("kept"), &[(START_MS, 1.0)]).unwrap();
    for k in 0..100 {
        let refused = bench.append(&metric(&format!("refused_{k}")), &[(START_MS * 2, 1.0)]);
        assert!(
            matches!(refused, Err(AppendError::OutOfBounds { .. })),
            "{refused:?}"
        );
    }
    bench.tsdb.maintain().unwrap();
    assert_eq!(bench.tsdb.head_stats().series, 1);
    bench
        .append(&metric("refused_7"), &[(START_MS, 1.0)])
        .unwrap();
    let bench = bench.reopen(false);
    assert_eq!(bench.points("refused_7"), bits(&[(START_MS, 1.0)]));
    assert_eq!(bench.tsdb.head_stats().series, 2);
}

#[test]
fn old_chunks_are_sealed_and_the_log_behind_them_goes() {
    let bench = Bench::new();
    bench.append(&metric("idle"), &[(START_MS, 1.0)]).unwrap();
    bench.tsdb.maintain().unwrap();
    assert_eq!(bench.tsdb.head_stats().chunks, 1);
    bench.clock.advance(PromDuration::from_secs(31 * 60));
    bench.tsdb.maintain().unwrap();
    assert_eq!(bench.tsdb.head_stats().chunks, 0);
    assert_eq!(bench.tsdb.engine().upkeep.lock().replay_from, 2);
    assert_eq!(bench.points("idle"), bits(&[(START_MS, 1.0)]));
    let bench = bench.reopen(false);
    assert_eq!(bench.points("idle"), bits(&[(START_MS, 1.0)]));
}

#[test]
fn retention_drops_partitions_and_then_series() {
    let mut bench = Bench::new();
    bench.append(&metric("old"), &[(START_MS, 1.0)]).unwrap();
    bench.append(&metric("kept"), &[(START_MS, 1.0)]).unwrap();
    for _ in 0..16 {
        bench.clock.advance(DAY);
        let now = bench.now_ms();
        bench.append(&metric("kept"), &[(now, 2.0)]).unwrap();
        bench.tsdb.maintain().unwrap();
    }
    assert_eq!(bench.points("old"), []);
    // The first partition ended more than fifteen days ago, the second one not yet.
    assert_eq!(bench.points("kept").len(), 16);
    assert_eq!(bench.tsdb.head_stats().series, 1);
    bench = bench.reopen(true);
    assert_eq!(bench.tsdb.head_stats().series, 1);
    let now = bench.now_ms();
    bench.append(&metric("old"), &[(now, 3.0)]).unwrap();
    assert_eq!(bench.points("old"), bits(&[(now, 3.0)]));
    assert_eq!(bench.points("kept").len(), 16);
}

#[test]
fn deferred_samples_keep_their_order_behind_acknowledged_ones() {
    let bench = Bench::new();
    let labels = metric("a");
    let mut waiting = Vec::new();
    for k in 0..1000 {
        let mut request = AppendRequest::default();
        let timestamp = Timestamp::from_millis(START_MS - 2_000_000 + i64::from(k) * 1000);
        let sample = Sample {
            timestamp,
            value: f64::from(k),
        };
        request.push(SeriesKey::Labels(&labels), [sample]);
        let durability = if k % 3 == 0 {
            Durability::Acknowledged
        } else {
            Durability::Deferred
        };
        waiting.push(
            bench
                .tsdb
                .append(&request, AppendPolicy::RollBack, durability)
                .unwrap(),
        );
    }
    for pending in waiting {
        pending.wait_blocking().unwrap();
    }
    let bench = bench.reopen(false);
    let points = bench.points("a");
    assert_eq!(points.len(), 1000);
    assert!(points.is_sorted());
}

#[test]
fn concurrent_writers_lose_nothing() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                for k in 0..200_i32 {
                    let mut request = AppendRequest::default();
                    let labels: Vec<Labels> = (0..20)
                        .map(|series| {
                            let series = format!("{writer}-{series}");
                            let pairs = [(model::METRIC_NAME, "m"), ("series", series.as_str())];
                            Labels::from_pairs(pairs).unwrap()
                        })
                        .collect();
                    let at = Timestamp::from_millis(START_MS + i64::from(k) * 1000);
                    for labels in &labels {
                        let sample = Sample {
                            timestamp: at,
                            value: f64::from(k),
                        };
                        request.push(SeriesKey::Labels(labels), [sample]);
                    }
                    let append = bench.tsdb.append(
                        &request,
                        AppendPolicy::RollBack,
                        Durability::Acknowledged,
                    );
                    append.unwrap().wait_blocking().unwrap();
                    if k % 50 == 0 && writer == 0 {
                        bench.tsdb.maintain().unwrap();
                    }
                }
            });
        }
    });
    for bench in [bench.reopen(false)] {
        let series = bench.read("m");
        assert_eq!(series.len(), 80);
        for (labels, points) in series {
            assert_eq!(points.len(), 200, "{labels}");
        }
    }
}

#[test]
fn the_head_tells_its_figures() {
    let bench = Bench::new();
    assert_eq!(bench.tsdb.head_status(10), storage::HeadStatus::default());
    bench
        .append(&metric("a"), &every_15s(START_MS - 60_000, 4))
        .unwrap();
    bench
        .append(&metric("b"), &every_15s(START_MS - 45_000, 2))
        .unwrap();
    let status = bench.tsdb.head_status(1);
    assert_eq!((status.cardinality.series, status.chunks), (2, 2));
    let at = |millis| Timestamp::from_millis(START_MS + millis);
    assert_eq!(status.time, Some(TimeRange::new(at(-60_000), at(-15_000))));
    assert_eq!(status.cardinality.series_by_metric.len(), 1);
}
