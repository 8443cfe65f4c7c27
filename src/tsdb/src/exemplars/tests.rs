//! Exemplars on disk: they come back, no more than there is room for.

use proptest::prelude::*;

use super::*;
use crate::tests::{Bench, metric};

fn exemplar(at: i64, trace: &str) -> Exemplar {
    Exemplar {
        labels: Labels::from_pairs([("trace_id", trace)]).unwrap(),
        value: f64::from_bits(0x7ff8_dead_beef_0001_u64.wrapping_add(at.cast_unsigned())),
        timestamp: Timestamp::from_millis(at),
    }
}

fn add(bench: &Bench, name: &str, times: std::ops::Range<i64>) {
    let exemplars = SeriesExemplars {
        series: metric(name),
        exemplars: times.map(|at| exemplar(at, "t")).collect(),
    };
    bench.tsdb.add(&[exemplars]).unwrap();
}

/// Times and bits of all values of a series.
fn read(bench: &Bench, name: &str) -> Vec<(i64, u64)> {
    let matchers = vec![vec![Matcher::equal(model::METRIC_NAME, name)]];
    let found = bench.tsdb.select(TimeRange::ALL, &matchers);
    let exemplars = found.iter().flat_map(|found| &found.exemplars);
    let points = exemplars.map(|it| (it.timestamp.as_millis(), it.value.to_bits()));
    points.collect()
}

fn want(times: std::ops::Range<i64>) -> Vec<(i64, u64)> {
    let points = times.map(|at| (at, exemplar(at, "t").value.to_bits()));
    points.collect()
}

#[test]
fn exemplars_survive_kills_as_far_as_there_is_room() {
    let mut bench = Bench::new();
    assert!(!bench.tsdb.is_enabled());
    add(&bench, "a", 0..3);
    assert_eq!(read(&bench, "a"), []);
    bench.set_max_exemplars(5);
    add(&bench, "a", 0..3);
    add(&bench, "b", 0..1);
    for clean in [false, true, false] {
        bench = bench.reopen(clean);
        assert_eq!(read(&bench, "a"), want(0..3));
        assert_eq!(read(&bench, "b"), want(0..1));
    }
    add(&bench, "b", 1..4);
    bench = bench.reopen(false);
    assert_eq!(read(&bench, "a"), want(2..3));
    assert_eq!(read(&bench, "b"), want(0..4));
    // More at once than there is room for.
    add(&bench, "c", 0..20);
    bench = bench.reopen(false);
    assert_eq!(read(&bench, "c"), want(15..20));
    bench.set_max_exemplars(2);
    bench = bench.reopen(false);
    assert_eq!(read(&bench, "c"), want(18..20));
    let stored = StateStore::scan(&bench.tsdb.engine().kv, NAMESPACE, &[]).unwrap();
    assert_eq!(stored.len(), 2);
}

#[test]
fn holes_in_the_numbers_close() {
    let key = || 2_u64.to_be_bytes().to_vec();
    let damaged = StateChange::Put {
        key: key(),
        value: b"?".to_vec(),
    };
    for change in [StateChange::Delete { key: key() }, damaged] {
        let mut bench = Bench::new();
        bench.set_max_exemplars(10);
        add(&bench, "a", 0..6);
        bench.tsdb.engine().kv.apply(NAMESPACE, &[change]).unwrap();
        let left = [want(0..2), want(3..6)].concat();
        for _ in 0..2 {
            bench = bench.reopen(false);
            assert_eq!(read(&bench, "a"), left);
        }
        add(&bench, "a", 6..20);
        bench = bench.reopen(false);
        assert_eq!(read(&bench, "a"), want(10..20));
    }
}

#[test]
fn damaged_entries_at_either_end_are_deleted() {
    for number in [0_u64, 5] {
        let mut bench = Bench::new();
        bench.set_max_exemplars(10);
        add(&bench, "a", 0..6);
        let damaged = StateChange::Put {
            key: number.to_be_bytes().to_vec(),
            value: Vec::new(),
        };
        bench.tsdb.engine().kv.apply(NAMESPACE, &[damaged]).unwrap();
        bench = bench.reopen(false);
        let left = if number == 0 { 1..6 } else { 0..5 };
        assert_eq!(read(&bench, "a"), want(left));
        let stored = StateStore::scan(&bench.tsdb.engine().kv, NAMESPACE, &[]).unwrap();
        assert_eq!(stored.len(), 5);
    }
}

proptest! {
    #[test]
    fn entries_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode(&bytes);
    }
}
