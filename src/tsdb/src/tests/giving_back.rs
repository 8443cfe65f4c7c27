//! Memory that upkeep gives back, and that nothing is lost or wrong behind it.

use model::{Matcher, PromDuration, TimeRange};
use storage::{Queryable as _, SelectHints};

use super::Bench;
use super::stop_rounds::append_pods;

const PODS: u32 = 60_000;

#[test]
fn memtables_go_to_files_when_writes_rest() {
    let bench = Bench::new();
    let second = PromDuration::from_secs(1);
    append_pods(&bench, 0..PODS, bench.now_ms());
    let held = bench.tsdb.memory_use().memtables;
    assert!(held > 4 << 20, "{held}");
    for _ in 0..60 {
        bench.tsdb.maintain().unwrap();
        bench.clock.advance(second);
    }
    assert!(bench.tsdb.memory_use().memtables >= held);
    bench.tsdb.maintain().unwrap();
    let held = bench.tsdb.memory_use().memtables;
    assert!(held < 1 << 20, "{held}");
    // What was flushed and what came behind it are both there after a kill.
    append_pods(&bench, 0..10, bench.now_ms());
    let bench = bench.reopen(false);
    let points = bench.read("m").into_iter().map(|(_, points)| points.len());
    assert_eq!(points.sum::<usize>(), PODS as usize + 10);
}

#[test]
fn compressed_sets_take_new_series() {
    let bench = Bench::new();
    let count = |matchers: &[Matcher]| {
        let querier = bench.tsdb.querier(TimeRange::ALL).unwrap();
        let found = querier.select(matchers, SelectHints::default());
        found.unwrap().len()
    };
    let name = Matcher::equal(model::METRIC_NAME, "m");
    let seven = Matcher::equal("pod", "pod-7");
    for pods in [0..5000, 5000..5001, 5001..20_000, 20_000..20_010] {
        let all = pods.end as usize;
        append_pods(&bench, pods, bench.now_ms());
        bench.tsdb.maintain().unwrap();
        assert_eq!(count(std::slice::from_ref(&name)), all);
        assert_eq!(count(&[name.clone(), seven.clone()]), 1);
    }
}
