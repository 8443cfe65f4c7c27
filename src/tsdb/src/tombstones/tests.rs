//! Intervals, records, and what deletes do to the engine.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Histogram, Labels, Matcher, PromDuration};
use proptest::prelude::*;
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Columns, Durability, HistogramSample,
    Maintenance as _, Queryable as _, SelectHints, SeriesKey, SnapshotHead,
};

use super::*;
use crate::rewrite::Unpaced;
use crate::tests::{Bench, DAY, START_MS, metric};

fn range(start: i64, end: i64) -> TimeRange {
    TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end))
}

proptest! {
    #[test]
    fn intervals_are_a_set_of_times(
        ranges in prop::collection::vec((0..60_i64, 0..9_i64), 0..12),
        probe in (0..70_i64, 0..9_i64),
    ) {
        let mut intervals = Intervals::default();
        let mut times = [false; 80];
        for (start, length) in ranges {
            intervals.insert(range(start, start + length));
            for at in start..=start + length {
                times[usize::try_from(at).unwrap()] = true;
            }
        }
        for (at, is_deleted) in (0..).zip(times) {
            prop_assert_eq!(intervals.contains(at), is_deleted);
        }
        let sorted = intervals.0.windows(2).all(|pair| pair[0].end < pair[1].start);
        prop_assert!(sorted, "{:?}", intervals);
        let (start, length) = probe;
        let span = range(start, start + length);
        let probed = &times[usize::try_from(start).unwrap()..][..usize::try_from(length + 1).unwrap()];
        prop_assert_eq!(intervals.overlaps(span), probed.contains(&true));
        prop_assert!(!intervals.covers(span) || !probed.contains(&false));
    }

    #[test]
    fn records_round_trip(
        groups in prop::collection::vec((any::<i64>(), any::<i64>(), prop::collection::vec(any::<u32>(), 0..9)), 0..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|(start, end, series)| (range(start, end), series.into_iter().collect()))
            .collect();
        let record = encode(&groups).unwrap();
        prop_assert_eq!(decode(&record).unwrap(), groups);
        prop_assert!(decode(&record[..cut.index(record.len())]).is_err());
    }

    #[test]
    fn records_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = take_groups(&mut bytes.as_slice());
    }
}

fn every_minute(count: i32) -> Vec<(i64, f64)> {
    let minutes = (0..count).map(|k| (START_MS + i64::from(k) * 60_000, f64::from(k)));
    minutes.collect()
}

fn bits(points: &[(i64, f64)]) -> Vec<(i64, u64)> {
    let bits = points.iter().map(|(at, value)| (*at, value.to_bits()));
    bits.collect()
}

fn delete(bench: &Bench, name: &str, range: TimeRange) {
    let matchers = [Matcher::equal(model::METRIC_NAME, name)];
    bench.tsdb.delete(range, &matchers).unwrap();
}

/// Names that a label has, and series that a selection of all finds.
fn listed(bench: &Bench) -> (Vec<String>, usize) {
    let querier = bench.tsdb.querier(TimeRange::ALL).unwrap();
    let values = querier.label_values(model::METRIC_NAME, &[]).unwrap();
    let all = [Matcher::new(model::MatchOp::Regex, model::METRIC_NAME, ".+").unwrap()];
    let found = querier.select(&all, SelectHints::default()).unwrap().len();
    (values, found)
}

#[test]
fn deleted_samples_stay_deleted_whatever_happens() {
    let points = every_minute(300);
    let kept: Vec<_> = [&points[..50], &points[200..]].concat();
    for (rewrite_first, seal_first) in [(false, false), (false, true), (true, true)] {
        for clean in [false, true] {
            let mut bench = Bench::new();
            bench.clock.advance(DAY);
            bench.append(&metric("a"), &points).unwrap();
            bench.append(&metric("b"), &points).unwrap();
            if seal_first {
                bench.tsdb.engine().seal_everything().unwrap();
            }
            if rewrite_first {
                bench.tsdb.engine().rewrite_all(&mut Unpaced).unwrap();
            }
            let before = bench.tsdb.write_generation();
            delete(&bench, "a", range(points[50].0, points[199].0));
            assert_ne!(bench.tsdb.write_generation(), before);
            assert_eq!(bench.points("a"), bits(&kept));
            for close in [false, true, false] {
                bench = bench.reopen(close);
                assert_eq!(bench.points("a"), bits(&kept));
                if clean {
                    bench.tsdb.clean_tombstones().unwrap();
                    assert!(bench.tsdb.engine().tombstones.load().is_empty());
                } else {
                    bench.tsdb.engine().seal_everything().unwrap();
                }
                if close {
                    bench.tsdb.engine().rewrite_all(&mut Unpaced).unwrap();
                }
                assert_eq!(bench.points("a"), bits(&kept));
                assert_eq!(bench.points("b"), bits(&points));
            }
        }
    }
}

#[test]
fn what_comes_after_a_delete_is_kept() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_minute(10);
    bench.append(&metric("a"), &points[..5]).unwrap();
    delete(&bench, "a", TimeRange::ALL);
    assert_eq!(bench.points("a"), []);
    bench.append(&metric("a"), &points[5..8]).unwrap();
    bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&points[5..8]));
    bench.tsdb.clean_tombstones().unwrap();
    bench.append(&metric("a"), &points[8..]).unwrap();
    bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&points[5..]));
}

#[test]
fn late_samples_come_back_only_after_cleaning_up() {
    let mut bench = Bench::with_window(PromDuration::from_secs(3600));
    bench.clock.advance(DAY);
    let points = every_minute(20);
    bench
        .append(&metric("a"), &[points[2], points[19]])
        .unwrap();
    bench.append(&metric("a"), &points[5..8]).unwrap();
    delete(&bench, "a", range(START_MS, points[10].0));
    assert_eq!(bench.points("a"), bits(&points[19..]));
    bench.append(&metric("a"), &points[6..7]).unwrap();
    assert_eq!(bench.points("a"), bits(&points[19..]));
    bench.tsdb.clean_tombstones().unwrap();
    assert_eq!(bench.points("a"), bits(&points[19..]));
    // The same samples again, right behind the records that say they are in chunks.
    bench.append(&metric("a"), &points[5..8]).unwrap();
    let want = bits(&[&points[5..8], &points[19..]].concat());
    assert_eq!(bench.points("a"), want);
    bench = bench.reopen(false);
    assert_eq!(bench.points("a"), want);
}

#[test]
fn series_without_samples_are_gone_after_cleaning_up() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    bench.append(&metric("a"), &every_minute(5)).unwrap();
    bench.append(&metric("b"), &every_minute(5)).unwrap();
    bench.tsdb.compact().unwrap();
    delete(&bench, "a", TimeRange::ALL);
    // As upstream: labels are listed until the samples are removed, series are not.
    assert_eq!(listed(&bench), (vec!["a".to_owned(), "b".to_owned()], 1));
    bench = bench.reopen(true);
    assert_eq!(listed(&bench), (vec!["a".to_owned(), "b".to_owned()], 1));
    bench.tsdb.clean_tombstones().unwrap();
    assert_eq!(listed(&bench), (vec!["b".to_owned()], 1));
    assert_eq!(bench.tsdb.head_stats().series, 1);
    bench = bench.reopen(false);
    assert_eq!(listed(&bench), (vec!["b".to_owned()], 1));
    bench.append(&metric("a"), &every_minute(3)).unwrap();
    assert_eq!(bench.points("a"), bits(&every_minute(3)));
}

#[test]
fn histograms_forget_what_they_said_of_deleted_ones() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let labels: Labels = metric("h");
    let mut request = AppendRequest::default();
    request.push(SeriesKey::Labels(&labels), []);
    request.push_histograms((0..40).map(|k| HistogramSample {
        timestamp: Timestamp::from_millis(START_MS + k * 1000),
        histogram: Histogram::Float(Arc::new(FloatHistogram {
            counter_reset_hint: CounterResetHint::NotCounterReset,
            ..FloatHistogram::default()
        })),
    }));
    let pending = bench
        .tsdb
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
    pending.unwrap().wait_blocking().unwrap();
    delete(&bench, "h", range(START_MS + 5_000, START_MS + 9_000));
    for _ in 0..2 {
        let querier = bench.tsdb.querier(TimeRange::ALL).unwrap();
        let matchers = [Matcher::equal(model::METRIC_NAME, "h")];
        let set = querier.select(&matchers, SelectHints::default()).unwrap();
        let mut columns = Columns::default();
        set.read(0, &mut columns).unwrap();
        assert_eq!(columns.len(), 35);
        for at in 0..columns.len() {
            let hint = columns.histogram(at).unwrap().counter_reset_hint;
            let want = match at {
                5 => CounterResetHint::Unknown,
                _ => CounterResetHint::NotCounterReset,
            };
            assert_eq!(hint, want, "{at}");
        }
        bench.tsdb.clean_tombstones().unwrap();
    }
}

#[test]
fn snapshots_open_as_data_folders() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_minute(300);
    bench.append(&metric("a"), &points[..200]).unwrap();
    delete(&bench, "a", range(START_MS, points[9].0));
    bench.tsdb.engine().seal_everything().unwrap();
    bench.append(&metric("a"), &points[200..]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (head, end) in [(SnapshotHead::Include, 300), (SnapshotHead::Skip, 200)] {
        let path = folder.path().join(format!("{head:?}"));
        bench.tsdb.snapshot(&path, head).unwrap();
        assert!(
            bench.tsdb.snapshot(&path, head).is_err(),
            "the folder exists"
        );
        let copy = bench.beside(&path);
        assert_eq!(copy.points("a"), bits(&points[10..end]));
        let more = every_minute(301);
        copy.append(&metric("a"), &more[300..]).unwrap();
    }
    assert_eq!(bench.points("a"), bits(&points[10..]));
}

#[test]
fn tombstones_go_with_the_partitions_that_they_are_about() {
    let mut bench = Bench::with_retention();
    bench.clock.advance(DAY);
    let points = every_minute(10);
    bench.append(&metric("a"), &points).unwrap();
    delete(&bench, "a", range(START_MS, points[4].0));
    delete(&bench, "a", range(START_MS, points[6].0));
    for _ in 0..8 {
        bench.clock.advance(DAY);
    }
    let later_ms = 8 * 86_400_000;
    let later: Vec<_> = points.iter().map(|(at, v)| (at + later_ms, *v)).collect();
    bench.append(&metric("a"), &later).unwrap();
    delete(&bench, "a", range(later[0].0, later[2].0));
    let stored = |bench: &Bench| {
        let tombstones = &bench.tsdb.engine().tombstones;
        let ends = tombstones.records.lock().ends.len();
        (ends, tombstones.load().of(0).map(|known| known.0.len()))
    };
    assert_eq!(stored(&bench), (3, Some(2)));
    // The old samples are in the head alone: their partition is not known to be gone.
    bench.tsdb.maintain().unwrap();
    bench.tsdb.engine().seal_everything().unwrap();
    bench.tsdb.maintain().unwrap();
    for close in [false, true, false] {
        assert_eq!(stored(&bench), (1, Some(1)));
        assert_eq!(bench.points("a"), bits(&later[3..]));
        bench = bench.reopen(close);
    }
    bench.tsdb.clean_tombstones().unwrap();
    assert_eq!(stored(&bench), (0, None));
    assert_eq!(bench.points("a"), bits(&later[3..]));
}
