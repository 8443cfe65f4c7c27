//! When series leave memory: rounds that a burst of new series begins, and the first one after
//! opening.

use model::{Labels, Timestamp};
use storage::{AppendPolicy, AppendRequest, Appender as _, Durability, Sample, SeriesKey};

use super::Bench;
use super::stopped_walk::rest;

/// One sample for each of many pods.
pub(super) fn append_pods(bench: &Bench, pods: std::ops::Range<u32>, at: i64) {
    let pods: Vec<Labels> = pods
        .map(|pod| {
            let pod = format!("pod-{pod}");
            Labels::from_pairs([("__name__", "m"), ("pod", &pod)]).unwrap()
        })
        .collect();
    let mut request = AppendRequest::default();
    let timestamp = Timestamp::from_millis(at);
    for labels in &pods {
        let sample = Sample {
            timestamp,
            value: 1.0,
        };
        request.push(SeriesKey::Labels(labels), [sample]);
    }
    bench
        .tsdb
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .and_then(storage::PendingAppend::wait_blocking)
        .unwrap();
}

#[test]
fn a_burst_of_new_series_makes_room_at_once() {
    const HOUR_MS: i64 = 3_600_000;
    let bench = Bench::with_retention();
    let known = |bench: &Bench| bench.tsdb.engine().catalog.len();
    bench.tsdb.maintain().unwrap();
    let now = bench.now_ms();
    // Series of the past, loaded in seconds: hours go by for the data alone.
    append_pods(&bench, 0..40_000, now - 9 * HOUR_MS);
    append_pods(&bench, 40_000..40_100, now - 7 * HOUR_MS);
    bench.tsdb.maintain().unwrap();
    assert_eq!(known(&bench), 40_100, "no round is due");
    append_pods(&bench, 40_100..65_600, now - 7 * HOUR_MS);
    bench.tsdb.maintain().unwrap();
    // The others are old as well by the clock, and new by that of the data.
    assert_eq!(known(&bench), 25_600);
    append_pods(&bench, 0..10, now);
    bench.tsdb.maintain().unwrap();
    assert_eq!(known(&bench), 25_610, "returning series are no burst");
    let bench = bench.reopen(false);
    assert_eq!(bench.read("m").len(), 65_600);
    let points = bench.read("m").into_iter().map(|(_, points)| points.len());
    assert_eq!(points.sum::<usize>(), 65_610);
}

#[test]
fn series_of_days_before_do_not_wait_for_an_hour_after_opening() {
    let bench = Bench::with_retention();
    append_pods(&bench, 0..20, bench.now_ms());
    bench.clock.advance(super::DAY);
    append_pods(&bench, 20..50, bench.now_ms());
    let bench = bench.reopen(true);
    let known = |bench: &Bench| bench.tsdb.engine().catalog.len();
    assert_eq!(known(&bench), 50);
    bench.tsdb.maintain().unwrap();
    // Whether the others are about to be heard of again is not known yet.
    assert_eq!(known(&bench), 30);
    rest(&bench);
    assert_eq!(known(&bench), 0);
    assert_eq!(bench.reopen(false).read("m").len(), 50);
}
