//! The index of an engine with a million series: adding some, and finding some.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::ManualClock;
use base::metrics::Registry;
use criterion::{Criterion, criterion_group, criterion_main};
use model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Durability, Queryable as _, Sample, SelectHints,
    SeriesKey, StatusSource as _,
};
use tsdb::{Background, Tsdb, TsdbOptions};

const SERIES: u32 = 1_000_000;
const SERIES_PER_TARGET: u32 = 1000;
const SERIES_PER_REQUEST: u32 = 5000;
const NOW_MS: i64 = 1_700_000_000_000;

/// Ten labels: those of the target, those of its place, and those that tell its series apart.
fn labels(id: u32) -> Labels {
    let (target, series) = (id / SERIES_PER_TARGET, id % SERIES_PER_TARGET);
    let pairs = [
        ("__name__", format!("node_metric_{}_total", series / 4)),
        ("cpu", format!("{}", series % 4)),
        ("cluster", format!("cluster-{}", target / 250)),
        ("datacenter", format!("eu-{}", target / 500)),
        ("device", format!("dev{}", series % 10)),
        ("instance", format!("host-node-{target}:9100")),
        ("job", "node_exporter".to_owned()),
        ("mode", format!("mode-{}", series % 8)),
        ("rack", format!("rack-{}", target / 20)),
        ("team", format!("team-{}", target % 30)),
    ];
    Labels::from_pairs(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap()
}

/// Adds one sample to each of some series; returns how long the engine took.
fn add(tsdb: &Tsdb, ids: std::ops::Range<u32>) -> Duration {
    let labels: Vec<Labels> = ids.map(labels).collect();
    let mut took = Duration::ZERO;
    for labels in labels.chunks(SERIES_PER_REQUEST as usize) {
        let mut request = AppendRequest::default();
        for labels in labels {
            let timestamp = Timestamp::from_millis(NOW_MS);
            let sample = Sample {
                timestamp,
                value: 1.0,
            };
            request.push(SeriesKey::Labels(labels), [sample]);
        }
        let started = Instant::now();
        tsdb.append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .unwrap()
            .wait_blocking()
            .unwrap();
        took += started.elapsed();
    }
    took
}

fn cases() -> Vec<(&'static str, Vec<Matcher>)> {
    let matcher = |op, name, value| Matcher::new(op, name, value).unwrap();
    let metric = matcher(MatchOp::Equal, "__name__", "node_metric_7_total");
    let and = |other| vec![metric.clone(), other];
    vec![
        ("a metric", vec![metric.clone()]),
        (
            "a metric of one target",
            and(matcher(MatchOp::Equal, "instance", "host-node-77:9100")),
        ),
        (
            "a metric and a regex",
            and(matcher(MatchOp::Regex, "instance", ".*99:9100")),
        ),
        (
            "a metric and a set",
            and(matcher(MatchOp::Regex, "mode", "mode-1|mode-2")),
        ),
        (
            "a metric and not",
            and(matcher(MatchOp::NotEqual, "mode", "mode-1")),
        ),
        (
            "a prefix and digits",
            vec![
                matcher(MatchOp::Regex, "instance", "host-node-[0-9]{2}:9100"),
                matcher(MatchOp::Equal, "mode", "mode-3"),
                matcher(MatchOp::Equal, "cpu", "3"),
            ],
        ),
    ]
}

fn select(criterion: &mut Criterion, tsdb: &Tsdb) {
    let range = TimeRange::new(
        Timestamp::from_millis(NOW_MS - 3_600_000),
        Timestamp::from_millis(NOW_MS),
    );
    let querier = tsdb.querier(range).unwrap();
    let mut group = criterion.benchmark_group("index, 1M series");
    for (name, matchers) in cases() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let matchers = black_box(&matchers);
                let set = querier.select(matchers, SelectHints::default());
                set.unwrap().len()
            });
        });
    }
    group.bench_function("label names", |bencher| {
        bencher.iter(|| querier.label_names(&[]).unwrap());
    });
    group.bench_function("label values", |bencher| {
        bencher.iter(|| querier.label_values("instance", &[]).unwrap());
    });
    group.bench_function("status", |bencher| bencher.iter(|| tsdb.head_status(10)));
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let options = TsdbOptions {
        background: Background::Manual,
        ..TsdbOptions::new(directory.path().to_owned())
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)));
    let tsdb = Tsdb::open(options, clock, &Registry::new()).unwrap();
    let mut series = 0..SERIES;
    add(&tsdb, series.clone());
    let mut group = criterion.benchmark_group("index");
    group.sample_size(10);
    group.bench_function("5000 new series beside 1M", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            for _ in 0..times {
                series = series.end..series.end + SERIES_PER_REQUEST;
                took += add(&tsdb, series.clone());
            }
            took
        });
    });
    group.finish();
    select(criterion, &tsdb);
}

criterion_group!(index_benches, benches);
criterion_main!(index_benches);
