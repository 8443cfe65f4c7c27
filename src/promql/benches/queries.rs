//! What it saves that long windows are answered from summaries of chunks, and refreshes of a dashboard
//! from cached results. The engine is the one in memory, where decoding is copying: what is saved on
//! disk is more.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use model::{Labels, PromDuration, Timestamp};
use promql::{Engine, EngineOptions, QueryContext, QueryRange, ResultCache};
use storage::memory::{MemoryChunks, MemoryStorage};
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

const SERIES: u32 = 50;
const INTERVAL_MS: i64 = 15_000;
const DAY_MS: i64 = 24 * 3_600_000;
const DAYS: i64 = 7;

/// A week of a counter and a gauge, in chunks as a daily rewrite makes them.
fn storage(summaries: bool) -> MemoryStorage {
    let samples = 2_048;
    let storage = MemoryStorage::with_chunks(MemoryChunks { samples, summaries });
    let labels: Vec<Labels> = (0..SERIES)
        .map(|number| {
            let name = ["requests_total", "temperature"][number as usize % 2];
            let number = number.to_string();
            Labels::from_pairs([("__name__", name), ("number", &number)]).expect("valid")
        })
        .collect();
    let mut request = AppendRequest::default();
    for (number, labels) in (0_i64..).zip(&labels) {
        let samples = (0..DAYS * DAY_MS / INTERVAL_MS).map(|index| Sample {
            timestamp: Timestamp::from_millis(index * INTERVAL_MS),
            value: match number % 2 {
                0 => (index * (number + 3)) as f64,
                _ => ((index * 7_919 + number) % 400) as f64 * 0.1,
            },
        });
        request.push(SeriesKey::Labels(labels), samples);
    }
    storage
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .expect("in order");
    storage
}

fn long_windows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("long windows");
    group.sample_size(20);
    let engine = Engine::new(EngineOptions::default());
    let last_ms = DAYS * DAY_MS;
    for (name, summaries) in [("decoded", false), ("summaries", true)] {
        let storage = storage(summaries);
        for query in [
            "max_over_time(temperature[7d])",
            "sum_over_time(temperature[7d])",
            "sum_over_time(requests_total[7d])",
            "increase(requests_total[7d])",
        ] {
            let parsed = engine.parse(query).expect("valid");
            group.bench_function(format!("instant {query} {name}"), |bencher| {
                bencher.iter(|| {
                    let at = Timestamp::from_millis(last_ms);
                    let context = QueryContext::default();
                    black_box(engine.instant_parsed(&storage, &parsed, at, context)).expect("runs")
                });
            });
        }
        for (query, step_ms) in [
            ("max_over_time(temperature[6d])", 300_000),
            ("max_over_time(temperature[5m])", 60_000),
            ("sum_over_time(requests_total[5m])", 60_000),
        ] {
            let parsed = engine.parse(query).expect("valid");
            let range = QueryRange {
                start: Timestamp::from_millis(last_ms - DAY_MS),
                end: Timestamp::from_millis(last_ms),
                step: PromDuration::from_millis(step_ms),
            };
            group.bench_function(format!("range of a day {query} {name}"), |bencher| {
                bencher.iter(|| {
                    let context = QueryContext::default();
                    black_box(engine.range_parsed(&storage, &parsed, range, context)).expect("runs")
                });
            });
        }
    }
}

/// A dashboard of six hours that moves by one step with each refresh.
fn refreshes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("refresh of six hours");
    group.sample_size(20);
    let storage = storage(false);
    for (name, max_bytes) in [("evaluated", 0), ("cached", 64 << 20)] {
        let engine = Engine::new(EngineOptions {
            result_cache: (max_bytes > 0).then(|| Arc::new(ResultCache::new(max_bytes))),
            ..EngineOptions::default()
        });
        for query in [
            "sum(rate(requests_total[5m]))",
            "rate(requests_total[5m])",
            "avg_over_time(temperature[1h])",
        ] {
            let parsed = engine.parse(query).expect("valid");
            let mut end_ms = 2 * DAY_MS;
            group.bench_function(format!("{query} {name}"), |bencher| {
                bencher.iter(|| {
                    // Begins again at the end of the data.
                    end_ms = if end_ms < DAYS * DAY_MS {
                        end_ms + 60_000
                    } else {
                        2 * DAY_MS
                    };
                    let range = QueryRange {
                        start: Timestamp::from_millis(end_ms - DAY_MS / 4),
                        end: Timestamp::from_millis(end_ms),
                        step: PromDuration::from_secs(60),
                    };
                    let context = QueryContext::default();
                    black_box(engine.range_parsed(&storage, &parsed, range, context)).expect("runs")
                });
            });
        }
    }
}

criterion_group!(benches, long_windows, refreshes);
criterion_main!(benches);
