//! Writes while the log is replayed: the replay is held at its first commit until a test lets it
//! go on.

use std::sync::atomic::{AtomicUsize, Ordering};

use storage::exemplars::{ExemplarStore as _, SeriesExemplars};
use storage::{
    AppendError, AppendPolicy, AppendRequest, Appender, Durability, PendingAppend, Sample,
    SeriesKey,
};

use model::{Exemplar, Labels, PromDuration, Timestamp};

use super::{Bench, DAY, START_MS, Settings, bits, every_15s, metric};
use crate::Tsdb;

impl Bench {
    /// Opens again as after a kill. The replay waits until it is released.
    pub(crate) fn reopen_held(self) -> Self {
        let settings = self.settings;
        let held = Settings {
            is_held: true,
            ..settings
        };
        let mut bench = Self {
            settings: held,
            ..self
        }
        .reopen(false);
        bench.settings = settings;
        bench
    }

    /// Whether the replay may wait to be released.
    pub(crate) fn is_held(&self) -> bool {
        !self.tsdb.engine().replayed.is_done()
    }

    /// The engine, with its replay let go.
    pub(crate) fn released(&self) -> &Tsdb {
        self.tsdb.engine().replayed.release();
        &self.tsdb
    }

    /// Appends while the replay is held; `None` if the request waits for its end.
    fn append_early(&self, series: &[(Labels, &[(i64, f64)])]) -> Option<u64> {
        let mut request = AppendRequest::default();
        for (labels, points) in series {
            let samples = points.iter().map(|(at, value)| Sample {
                timestamp: Timestamp::from_millis(*at),
                value: *value,
            });
            request.push(SeriesKey::Labels(labels), samples);
        }
        let engine = self.tsdb.engine();
        let pending = engine.append_early(&request, Durability::Acknowledged);
        let outcome = pending.unwrap()?.wait_blocking().unwrap();
        Some(outcome.appended)
    }
}

/// Requests that wait for the replay let it go on.
impl Appender for Bench {
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        let engine = self.tsdb.engine();
        match engine.append_early(request, durability)? {
            Some(pending) => Ok(pending),
            None => self.released().append(request, policy, durability),
        }
    }
}

#[test]
fn the_next_samples_of_series_are_taken_before_the_replay_and_survive_kills() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 500);
    // Less than an hour, or the other series would stop.
    bench.append(&metric("a"), &points[..200]).unwrap();
    bench.append(&metric("b"), &points[..1]).unwrap();
    bench.tsdb.maintain().unwrap();
    bench.append(&metric("a"), &points[200..400]).unwrap();
    let mut commit = bench.tsdb.engine().committer.last_committed();
    for slice in points[400..490].chunks(30) {
        bench = bench.reopen_held();
        assert_eq!(bench.append_early(&[(metric("a"), slice)]), Some(30));
        assert!(bench.is_held());
        // Its number is no other's, whether the one before was replayed or not.
        commit += 1;
        let committer = &bench.tsdb.engine().committer;
        assert_eq!(committer.last_committed(), commit);
    }
    let both = [
        (metric("a"), &points[490..495]),
        (metric("b"), &points[5..7]),
    ];
    assert_eq!(bench.append_early(&both), Some(7));
    bench.released();
    bench.append(&metric("a"), &points[495..]).unwrap();
    for _ in 0..2 {
        assert_eq!(bench.points("a"), bits(&points));
        let b = [&points[..1], &points[5..7]].concat();
        assert_eq!(bench.points("b"), bits(&b));
        bench = bench.reopen(false);
    }
}

#[test]
fn everything_else_waits_for_the_replay_and_leaves_nothing_behind() {
    let bench = Bench::with_window(PromDuration::from_secs(3600));
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 100);
    bench.append(&metric("a"), &points[..50]).unwrap();
    bench.append(&metric("b"), &points[..50]).unwrap();
    let bench = bench.reopen_held();
    let next = &points[50..60];
    let in_a_year = [(START_MS + 365 * 86_400_000, 1.0)];
    let waiting: [&[(i64, f64)]; 4] = [
        &points[49..51],
        &points[20..21],
        &[(points[49].0, 7.0)],
        &in_a_year,
    ];
    for second in waiting {
        assert_eq!(
            bench.append_early(&[(metric("a"), next), (metric("b"), second)]),
            None
        );
    }
    assert_eq!(
        bench.append_early(&[(metric("a"), next), (metric("c"), next)]),
        None
    );
    let twice = [(metric("a"), next), (metric("a"), next)];
    assert_eq!(bench.append_early(&twice), None);
    assert_eq!(bench.append_early(&[(metric("a"), next)]), Some(10));
    assert_eq!(bench.append_early(&[(metric("a"), next)]), None);
    bench.released();
    let repeated = bench.append(&metric("a"), next).unwrap();
    assert_eq!(repeated.appended, 10);
    let other = bench.append(&metric("a"), &[(points[59].0, 7.0)]);
    assert!(matches!(
        other,
        Err(AppendError::DuplicateForTimestamp { .. })
    ));
    assert_eq!(bench.points("a"), bits(&points[..60]));
    assert_eq!(bench.points("b"), bits(&points[..50]));
    assert_eq!(bench.points("c"), []);
}

/// Requests that were held against samples which do not exist must not decide about later ones.
#[test]
fn after_a_failed_commit_writes_wait_for_the_replay() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 20);
    bench.append(&metric("a"), &points[..10]).unwrap();
    let bench = bench.reopen_held();
    let engine = bench.tsdb.engine();
    engine.commit_fault.store(true, Ordering::Release);
    let mut request = AppendRequest::default();
    let labels = metric("a");
    let (at, value) = points[15];
    let timestamp = Timestamp::from_millis(at);
    request.push(SeriesKey::Labels(&labels), [Sample { timestamp, value }]);
    let pending = engine.append_early(&request, Durability::Acknowledged);
    let failed = pending.unwrap().unwrap().wait_blocking();
    assert!(matches!(failed, Err(AppendError::Commit(_))), "{failed:?}");
    assert_eq!(bench.append_early(&[(metric("a"), &points[16..17])]), None);
    bench.released();
    bench.append(&metric("a"), &points[10..]).unwrap();
    let bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&points));
}

#[test]
fn a_damaged_end_of_the_log_keeps_writes_waiting() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 50);
    for slice in points[..40].chunks(10) {
        bench.append(&metric("a"), slice).unwrap();
    }
    let kv = &bench.tsdb.engine().kv;
    let mut batch = kv.batch();
    batch.put(kv::Family::Log, &crate::keys::commit(4), b"damaged");
    kv.write(batch).unwrap();
    let bench = bench.reopen_held();
    assert_eq!(bench.append_early(&[(metric("a"), &points[40..])]), None);
    bench.released();
    bench.append(&metric("a"), &points[30..35]).unwrap();
    let bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&points[..35]));
}

#[test]
fn exemplars_are_taken_before_the_replay() {
    let mut bench = Bench::new();
    bench.set_max_exemplars(8);
    bench.append(&metric("a"), &every_15s(START_MS, 1)).unwrap();
    let bench = bench.reopen_held();
    let exemplar = Exemplar {
        labels: metric("trace"),
        value: 1.0,
        timestamp: Timestamp::from_millis(START_MS),
    };
    let exemplars = [SeriesExemplars {
        series: metric("a"),
        exemplars: vec![exemplar],
    }];
    assert_eq!(bench.tsdb.add(&exemplars).unwrap(), 0);
    assert!(bench.is_held());
}

/// Somebody writes all the time: before, during and after the replay, and while it hands over.
#[test]
fn no_write_is_lost_or_doubled_when_the_replay_catches_up() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 3000);
    bench.append(&metric("a"), &points[..600]).unwrap();
    let mut first = 600;
    for _ in 0..4 {
        bench = bench.reopen_held();
        let written = AtomicUsize::new(0);
        let end = first + 600;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for point in &points[first..end] {
                    bench.append(&metric("a"), &[*point]).unwrap();
                    written.fetch_add(1, Ordering::Release);
                }
            });
            while written.load(Ordering::Acquire) < 100 {
                std::thread::yield_now();
            }
            bench.released();
            let read = bench.points("a");
            assert!(read.len() >= first + 100);
            assert_eq!(read, bits(&points[..read.len()]));
        });
        assert_eq!(bench.points("a"), bits(&points[..end]));
        first = end;
    }
    let bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&points));
}
