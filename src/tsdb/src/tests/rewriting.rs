//! Rewrites: the same samples before and after, at every instant, however it ends.

use std::sync::atomic::{AtomicBool, Ordering};

use model::{Labels, Matcher, TimeRange, Timestamp, ValueSummary};
use storage::{
    AppendError, AppendPolicy, AppendRequest, Appender as _, Columns, Durability, Queryable as _,
    Sample, SelectHints, SeriesKey, SeriesSet,
};

use super::{Bench, DAY, START_MS};
use crate::RetentionLimits;
use crate::error::TsdbError;
use crate::partition::{PARTITION_MS, Partition};
use crate::rewrite::{Pace, RewriteStep, Unpaced};

/// Series of a target: constant, counter, gauge, and one with stale markers.
const SERIES: u8 = 8;

fn labels(series: u8) -> Labels {
    let series = series.to_string();
    Labels::from_pairs([(model::METRIC_NAME, "m"), ("series", series.as_str())]).unwrap()
}

/// Scrapes with a little jitter; every second target goes by another clock.
fn at(series: u8, step: i64) -> i64 {
    let target = i64::from(series % 2);
    START_MS + step * 15_000 + target * 700 + (step * step * 7 + target) % 5
}

fn value(series: u8, step: i64) -> f64 {
    match series % 4 {
        0 => 7.0,
        1 => f64::from(i32::try_from(step * 17 + step % 3).unwrap()),
        2 => f64::from(i32::try_from(step * step % 977).unwrap()) / 100.0,
        _ if step % 50 == 49 => model::sample::stale_nan(),
        _ => f64::from(i32::try_from(step % 13).unwrap()).sqrt(),
    }
}

/// Appends steps of all series, some of each at a time, as scrapes do.
fn scrape(bench: &Bench, steps: std::ops::Range<i64>) {
    for first in steps.clone().step_by(100) {
        let steps = first..steps.end.min(first + 100);
        let all: Vec<Labels> = (0..SERIES).map(labels).collect();
        let mut request = AppendRequest::default();
        for (series, labels) in (0..).zip(&all) {
            let samples = steps.clone().map(|step| Sample {
                timestamp: Timestamp::from_millis(at(series, step)),
                value: value(series, step),
            });
            request.push(SeriesKey::Labels(labels), samples);
        }
        let appended =
            bench
                .tsdb
                .append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
        appended.unwrap().wait_blocking().unwrap();
    }
}

type Points = Vec<(i64, u64)>;

fn points_of(set: &dyn SeriesSet) -> Vec<Points> {
    let mut columns = Columns::default();
    let read = |index| {
        set.read(index, &mut columns).unwrap();
        let bits = columns.values.iter().map(|value| value.to_bits());
        columns.timestamps.iter().copied().zip(bits).collect()
    };
    (0..set.len()).map(read).collect()
}

fn select(bench: &Bench, range: TimeRange) -> Box<dyn SeriesSet> {
    let querier = bench.tsdb.querier(range).unwrap();
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    querier.select(&matchers, SelectHints::default()).unwrap()
}

fn want(steps: i64) -> Vec<Points> {
    let of = |series: u8| {
        (0..steps)
            .map(|step| (at(series, step), value(series, step).to_bits()))
            .collect()
    };
    (0..SERIES).map(of).collect()
}

#[track_caller]
fn check(bench: &Bench, steps: i64) {
    let read = points_of(&*select(bench, TimeRange::ALL));
    assert!(read == want(steps), "samples differ after {steps} steps");
    // Ranges that begin and end anywhere in a chunk.
    for (from, to) in [(0, 1), (100, 1500), (1023, 1026), (steps - 3, steps + 5)] {
        let range = TimeRange::new(
            Timestamp::from_millis(START_MS + from * 15_000),
            Timestamp::from_millis(START_MS + to * 15_000),
        );
        let mut within = want(steps);
        for points in &mut within {
            points.retain(|(at, _)| range.contains(Timestamp::from_millis(*at)));
        }
        let read = points_of(&*select(bench, range));
        assert!(read == within, "samples differ in {from}..{to} of {steps}");
    }
}

/// An engine with two days of which the first is past: noon to noon.
fn scraped(steps: i64) -> Bench {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    bench.clock.advance(DAY);
    scrape(&bench, 0..steps);
    bench.tsdb.engine().seal_everything().unwrap();
    bench
}

fn rewrite(bench: &Bench) -> Result<(), TsdbError> {
    bench.tsdb.engine().rewrite_all(&mut Unpaced)
}

/// Versions of the partition of the first sample that lie in the store.
fn versions(bench: &Bench) -> Vec<u32> {
    let mut scan = bench.tsdb.engine().kv.scan(kv::Family::Cold, None);
    scan.seek(&[]);
    let mut versions = Vec::new();
    while let Some((key, _)) = scan.current().unwrap() {
        versions.extend(crate::cold::keys::version_of(key).map(|(_, version)| version));
        versions.dedup();
        scan.advance();
    }
    versions
}

fn first_partition() -> Partition {
    Partition::of(Timestamp::from_millis(START_MS)).unwrap()
}

#[test]
fn rewritten_days_read_as_before() {
    let mut bench = scraped(4000);
    rewrite(&bench).unwrap();
    check(&bench, 4000);
    assert!(
        !bench
            .tsdb
            .engine()
            .has_small_chunks(first_partition())
            .unwrap()
    );
    bench = bench.reopen(false);
    check(&bench, 4000);
    // The second day goes on, and is rewritten again with what came since.
    scrape(&bench, 4000..5000);
    check(&bench, 5000);
    bench.tsdb.engine().seal_everything().unwrap();
    check(&bench, 5000);
    rewrite(&bench).unwrap();
    check(&bench, 5000);
    let bench = bench.reopen(true);
    check(&bench, 5000);
    assert_eq!(versions(&bench).len(), 2);
}

#[test]
fn large_chunks_tell_facts_about_their_values() {
    let bench = scraped(2880);
    rewrite(&bench).unwrap();
    let set = select(&bench, TimeRange::ALL);
    let mut columns = Columns::default();
    for index in 0..set.len() {
        let mut cursor = set.chunks(index).unwrap();
        let summary = cursor.summary().unwrap().unwrap();
        columns.clear();
        cursor.decode(&mut columns).unwrap();
        assert_eq!(summary.samples as usize, columns.len());
        assert_eq!(summary.values, ValueSummary::of(&columns.values));
        assert!(summary.values.is_some() && columns.len() == 2880);
        assert_eq!(cursor.summary().unwrap(), None);
    }
}

#[test]
fn an_end_at_any_step_loses_and_doubles_nothing() {
    for step in RewriteStep::ALL {
        for earlier in [false, true] {
            let mut bench = scraped(3000);
            if earlier {
                rewrite(&bench).unwrap();
                scrape(&bench, 3000..3100);
                bench.tsdb.engine().seal_everything().unwrap();
            }
            let steps = if earlier { 3100 } else { 3000 };
            *bench.tsdb.engine().rewrite_fault.lock() = Some(step);
            let ended = rewrite(&bench);
            assert!(
                matches!(ended, Err(TsdbError::Stopped)),
                "{step:?}: {ended:?}"
            );
            check(&bench, steps);
            bench = bench.reopen(false);
            check(&bench, steps);
            assert!(versions(&bench).len() <= 2, "{step:?}: leftovers stay");
            rewrite(&bench).unwrap();
            check(&bench, steps);
            bench = bench.reopen(false);
            check(&bench, steps);
            assert_eq!(versions(&bench).len(), 2, "{step:?}");
        }
    }
}

#[test]
fn an_engine_that_goes_on_after_a_failure_rewrites_later() {
    for step in RewriteStep::ALL {
        let bench = scraped(3000);
        *bench.tsdb.engine().rewrite_fault.lock() = Some(step);
        assert!(rewrite(&bench).is_err());
        *bench.tsdb.engine().rewrite_fault.lock() = None;
        scrape(&bench, 3000..3200);
        bench.tsdb.engine().seal_everything().unwrap();
        rewrite(&bench).unwrap();
        check(&bench, 3200);
        check(&bench.reopen(false), 3200);
    }
}

#[test]
fn queries_that_have_begun_read_what_was_there() {
    let bench = scraped(4000);
    let before = select(&bench, TimeRange::ALL);
    let half_read = select(&bench, TimeRange::ALL);
    let mut cursor = half_read.chunks(0).unwrap();
    let mut columns = Columns::default();
    cursor.decode(&mut columns).unwrap();
    rewrite(&bench).unwrap();
    while cursor.summary().unwrap().is_some() {
        cursor.decode(&mut columns).unwrap();
    }
    assert_eq!(columns.len(), 4000);
    assert!(points_of(&*before) == want(4000));
    drop(cursor);
    assert!(points_of(&*half_read) == want(4000));
    // And once more, from large chunks to other large chunks.
    scrape(&bench, 4000..4100);
    let before = select(&bench, TimeRange::ALL);
    bench.tsdb.engine().seal_everything().unwrap();
    rewrite(&bench).unwrap();
    assert!(points_of(&*before) == want(4100));
}

/// Scrapes and seals while a rewrite is under way.
struct Meanwhile<'a> {
    bench: &'a Bench,
    steps: Option<std::ops::Range<i64>>,
}

impl Pace for Meanwhile<'_> {
    fn pause_after(&mut self, _samples: usize) -> Result<(), TsdbError> {
        if let Some(steps) = self.steps.take() {
            scrape(self.bench, steps);
            self.bench.tsdb.engine().seal_everything()?;
        }
        Ok(())
    }
}

#[test]
fn chunks_sealed_during_a_rewrite_are_read_beside_it() {
    let bench = scraped(2000);
    let partition = first_partition();
    let mut pace = Meanwhile {
        bench: &bench,
        steps: Some(2000..2500),
    };
    bench.tsdb.engine().rewrite(partition, &mut pace).unwrap();
    assert!(bench.tsdb.engine().has_small_chunks(partition).unwrap());
    check(&bench, 2500);
    let bench = bench.reopen(false);
    check(&bench, 2500);
    rewrite(&bench).unwrap();
    check(&bench, 2500);
    assert!(!bench.tsdb.engine().has_small_chunks(partition).unwrap());
}

#[test]
fn order_is_remembered_of_rewritten_series() {
    let bench = scraped(3000);
    rewrite(&bench).unwrap();
    let bench = bench.reopen(true);
    for series in 0..SERIES {
        let newest = (at(series, 2999), value(series, 2999));
        let repeated = bench.append(&labels(series), &[newest]).unwrap();
        assert_eq!(repeated.appended, 1);
        let older = bench.append(&labels(series), &[(newest.0 - 1, 1.0)]);
        assert!(
            matches!(older, Err(AppendError::OutOfOrder { .. })),
            "{older:?}"
        );
    }
    check(&bench, 3000);
}

#[test]
fn rewrites_wait_until_a_day_has_ended_and_is_quiet() {
    let bench = scraped(2880);
    let engine = bench.tsdb.engine();
    let (partition, end) = (first_partition(), first_partition().range().end);
    let hours = |count: i64| model::PromDuration::from_secs(count * 3600);
    assert!(!engine.is_due(partition, end));
    assert!(!engine.is_due(partition, end.saturating_add(hours(1))));
    // Sealed at noon of the day after; an hour of settling and at most six of jitter are over then.
    let sealed = Timestamp::from_millis(START_MS + 2 * PARTITION_MS);
    assert!(!engine.is_due(partition, sealed));
    assert!(engine.is_due(partition, sealed.saturating_add(hours(1))));
    engine
        .rewrite_due(sealed.saturating_add(hours(1)), &mut Unpaced)
        .unwrap();
    assert!(!engine.has_small_chunks(partition).unwrap());
    assert!(!engine.is_due(partition, sealed.saturating_add(hours(2))));
    assert!(engine.is_due(partition, sealed.saturating_add(hours(12))));
    check(&bench, 2880);
}

#[test]
fn retention_drops_rewritten_days() {
    let mut bench = scraped(3000);
    rewrite(&bench).unwrap();
    for _ in 0..16 {
        bench.clock.advance(DAY);
    }
    bench.append(&labels(0), &[(bench.now_ms(), 1.0)]).unwrap();
    bench.tsdb.maintain().unwrap();
    assert_eq!(versions(&bench), []);
    bench = bench.reopen(false);
    let read = points_of(&*select(&bench, TimeRange::ALL));
    assert_eq!(read, [vec![(bench.now_ms(), 1.0_f64.to_bits())]]);
}

#[test]
fn the_oldest_days_go_until_the_rest_fits() {
    let bench = Bench::new();
    for _ in 0..6 {
        bench.clock.advance(DAY);
    }
    for (day, first) in (0_i64..).zip((0..5 * 5760).step_by(5760)) {
        // Noise, so that days take space.
        for series in 0..4 {
            let noise = |step: i64| step.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let points: Vec<(i64, f64)> = (first..first + 2000)
                .map(|step| (START_MS + step * 15_000, noise(step + series * 31) as f64))
                .collect();
            for points in points.chunks(100) {
                bench
                    .append(&labels(u8::try_from(series).unwrap()), points)
                    .unwrap();
            }
        }
        bench.tsdb.engine().seal_everything().unwrap();
        if day % 2 == 0 {
            rewrite(&bench).unwrap();
        }
        bench.tsdb.engine().kv.flush(kv::Family::Chunks).unwrap();
    }
    let engine = bench.tsdb.engine();
    let days = || {
        let index = engine.index.read();
        index.partitions(TimeRange::ALL).count()
    };
    let limit = |max_bytes| {
        let limits = RetentionLimits {
            time: None,
            max_bytes,
            disk_basis_points: None,
        };
        bench.tsdb.set_retention(limits);
        bench.tsdb.maintain().unwrap();
    };
    let all = days();
    limit(None);
    limit(Some(1 << 30));
    assert_eq!((days(), engine.retention.by_size.get()), (all, 0));
    // What the log and the index take counts, too.
    let bytes = |family| engine.kv.table_bytes(family);
    let chunks = bytes(kv::Family::Chunks) + bytes(kv::Family::Cold);
    let whole: u64 = kv::Family::ALL.into_iter().map(bytes).sum();
    limit(Some(whole + engine.kv.write_ahead_log_bytes() - chunks / 4));
    let left = days();
    assert!(left < all && left > 1, "{left} of {all}");
    assert_eq!(engine.retention.by_size.get(), 1);
    limit(Some(1));
    assert_eq!(days(), 1);
    let read = points_of(&*select(&bench, TimeRange::ALL));
    let newest = START_MS + (4 * 5760 + 1999) * 15_000;
    assert!(
        read.iter()
            .all(|points| points.last().map(|(at, _)| *at) == Some(newest))
    );
}

#[test]
fn readers_see_every_sample_once_while_rewrites_go_on() {
    let bench = scraped(3000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let read = points_of(&*select(&bench, TimeRange::ALL));
                    for (series, (read, want)) in read.iter().zip(want(4000)).enumerate() {
                        // What is acknowledged before the look is in it, and nothing twice.
                        assert!(read.len() >= 3000, "series {series} lost samples");
                        assert!(read[..] == want[..read.len()], "series {series} differs");
                    }
                }
            });
        }
        for first in (3000..4000).step_by(200) {
            scrape(&bench, first..first + 200);
            bench.tsdb.engine().seal_everything().unwrap();
            rewrite(&bench).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    check(&bench, 4000);
}
