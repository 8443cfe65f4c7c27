//! Queries on several threads: same query, same data, same bits, and nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::CpuPool;
use model::{Labels, PromDuration, Timestamp};
use promql::{
    Engine, EngineError, EngineOptions, EvaluationTimes, Optimiser, QueryContext, QueryRange,
    QueryResult, SampleValue, StopReason, Value,
};
use storage::memory::MemoryStorage;
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

const SERIES: u32 = 700;
const SAMPLES: u32 = 60;
const RUNS: usize = 50;

/// Counters and gauges whose sums depend on the order of additions.
fn storage() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let labels: Vec<Labels> = (0..SERIES)
        .map(|number| {
            let name = ["a_total", "a_total", "b", "c"][number as usize % 4];
            let (x, y) = ((number % 13).to_string(), number.to_string());
            Labels::from_pairs([("__name__", name), ("x", x.as_str()), ("y", y.as_str())])
                .expect("valid labels")
        })
        .collect();
    let mut request = AppendRequest::default();
    for (number, labels) in (0..SERIES).zip(&labels) {
        let samples = (0..SAMPLES).map(|step| Sample {
            timestamp: Timestamp::from_millis(i64::from(step) * 15_000),
            value: f64::from(step * (number % 17 + 1)) * 1.1 + 1e9 / f64::from(number + step + 1),
        });
        request.push(SeriesKey::Labels(labels), samples);
    }
    storage
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .expect("in order");
    storage
}

fn range() -> QueryRange {
    QueryRange {
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(900_000),
        step: PromDuration::from_secs(2),
    }
}

fn engine(workers: Option<&CpuPool>) -> Engine {
    Engine::new(EngineOptions {
        workers: workers.cloned(),
        ..EngineOptions::default()
    })
}

fn run(engine: &Engine, storage: &MemoryStorage, query: &str) -> Result<QueryResult, EngineError> {
    let query = engine.parse(query)?;
    engine.range_parsed(storage, &query, range(), QueryContext::default())
}

/// A result as text, each value by its bits.
fn bits(result: Result<QueryResult, EngineError>) -> String {
    let result = match result {
        Ok(result) => result,
        Err(error) => return error.to_string(),
    };
    let mut text = format!("{:?}\n", result.annotations);
    match result.value {
        Value::Matrix(series) => {
            for series in series {
                let points = series.points.iter();
                let points: Vec<_> = points.map(|(at, value)| (at, value.to_bits())).collect();
                text += &format!("{} {points:?}\n", series.labels);
            }
        }
        Value::Vector(samples) => {
            for sample in samples {
                let value = match sample.value {
                    SampleValue::Float(value) => value.to_bits().to_string(),
                    SampleValue::Histogram(histogram) => histogram.to_string(),
                };
                text += &format!("{} {value}\n", sample.labels);
            }
        }
        other => text += &format!("{other:?}"),
    }
    text
}

/// Sums, functions, joins, sets, errors, annotations of series that different threads read.
const QUERIES: [&str; 9] = [
    "sum(rate(a_total[1m]))",
    "avg by (x) (-b * 1.1)",
    "sum by (x) (rate({__name__=~\"b|c\",x=~\"[0-9]\"}[1m]))",
    "stddev without (y) (a_total)",
    "topk(3, rate(a_total[2m]))",
    "count(max_over_time(rate(a_total[1m])[2m:30s]))",
    "b / on (x) group_left () sum by (x) (c)",
    "label_replace(b, \"z\", \"$1\", \"y\", \"(.*)\") unless on (x) c{x=\"3\"}",
    "rate({__name__=~\"b|c|a_total\"}[1m])",
];

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let storage = storage();
    for query in QUERIES {
        let want = bits(run(&engine(None), &storage, query));
        for threads in [1, 2] {
            let pool = CpuPool::start("test", threads, 8).expect("threads");
            let engine = engine(Some(&pool));
            for _ in 0..RUNS / QUERIES.len() + 1 {
                let got = bits(run(&engine, &storage, query));
                assert!(got == want, "{query} on {threads} threads");
            }
            pool.stop();
        }
    }
}

#[test]
fn fifty_runs_of_one_query_give_the_same_bits() {
    let storage = storage();
    let query = "sum by (x) (rate(a_total[1m])) / on (x) avg by (x) (b)";
    let want = bits(run(&engine(None), &storage, query));
    for threads in [1, 2] {
        let pool = CpuPool::start("test", threads, 8).expect("threads");
        let engine = engine(Some(&pool));
        for number in 0..RUNS {
            let got = bits(run(&engine, &storage, query));
            assert!(got == want, "run {number} on {threads} threads");
        }
        pool.stop();
    }
}

#[test]
fn a_common_part_that_is_too_large_to_hold_is_computed_again() {
    let storage = storage();
    let query = "sum by (x) ({__name__=~\"b|c\"}) / on (x) group_right () {__name__=~\"b|c\"}";
    let many_steps = QueryRange {
        step: PromDuration::from_millis(60),
        ..range()
    };
    let run = |optimiser| {
        let engine = Engine::new(EngineOptions {
            optimiser,
            ..EngineOptions::default()
        });
        let query = engine.parse(query).expect("valid");
        let result = engine.range_parsed(&storage, &query, many_steps, QueryContext::default());
        let samples = result
            .as_ref()
            .map_or(0, |result| result.stats.samples_read);
        (bits(result), samples)
    };
    let ((on, read_on), (off, read_off)) = (run(Optimiser::On), run(Optimiser::Off));
    assert!(on == off);
    assert_eq!(read_off, 2 * u64::from(SERIES / 2 * SAMPLES));
    // The reader that goes ahead starts again by itself; the other one reads what was held.
    assert_eq!(read_on, read_off);
}

#[test]
fn helpers_do_some_of_the_work() {
    let storage = storage();
    let pool = CpuPool::start("helpers", 2, 8).expect("threads");
    let helped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&helped);
    let stop: promql::StopCheck = Arc::new(move || {
        let thread = std::thread::current();
        if thread
            .name()
            .is_some_and(|name| name.starts_with("helpers"))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        None
    });
    let engine = engine(Some(&pool));
    let query = engine.parse("sum(rate(a_total[1m]))").expect("valid");
    // A single run may be over before a thread wakes up.
    for _ in 0..100 {
        let context = QueryContext {
            stop: Some(Arc::clone(&stop)),
            ..QueryContext::default()
        };
        engine
            .range_parsed(&storage, &query, range(), context)
            .expect("valid");
        if helped.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    pool.stop();
    assert!(helped.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn queries_on_the_pool_that_helps_them_end() {
    let storage = Arc::new(storage());
    // One thread, a queue of one: there is never a helper to be had.
    let pool = CpuPool::start("test", 1, 1).expect("a thread");
    let want = bits(run(&engine(None), &storage, QUERIES[6]));
    let engine = engine(Some(&pool));
    let got = pool
        .run(move || bits(run(&engine, &storage, QUERIES[6])))
        .await
        .expect("a free thread");
    assert!(got == want);
}

#[test]
fn a_query_stops_on_all_threads() {
    let storage = storage();
    let pool = CpuPool::start("test", 2, 8).expect("threads");
    let engine = engine(Some(&pool));
    let query = engine.parse("sum(rate(a_total[1m]))").expect("valid");
    let asked = AtomicUsize::new(0);
    let context = QueryContext {
        stop: Some(Arc::new(move || {
            (asked.fetch_add(1, Ordering::Relaxed) > 4).then_some(StopReason::Canceled)
        })),
        ..QueryContext::default()
    };
    let error = engine
        .range_parsed(&storage, &query, range(), context)
        .expect_err("told to stop");
    assert!(matches!(error, EngineError::Canceled(_)));
    // Returns only when no thread works on the query any more.
    pool.stop();
}

#[test]
fn an_analysis_counts_what_all_threads_did() {
    let storage = storage();
    let pool = CpuPool::start("test", 2, 8).expect("threads");
    let engine = engine(Some(&pool));
    let query = engine.parse("sum(b)").expect("valid");
    let analysis = engine
        .analyze(
            &storage,
            &query,
            EvaluationTimes::Range(range()),
            QueryContext::default(),
            Arc::new(base::ManualStopwatch::ticking(1)),
        )
        .expect("valid");
    let trace = analysis.trace.expect("some steps");
    let selector = trace.optimised.inputs[0].usage.expect("measured");
    assert_eq!(selector.series, u64::from(SERIES / 4));
    assert_eq!(selector.samples, u64::from(SERIES / 4) * 451);
    pool.stop();
}
