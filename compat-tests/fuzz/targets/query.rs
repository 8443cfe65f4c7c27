//! Any query is planned, optimised, explained and run on a small store, or fails; its limits hold
//! it.
#![no_main]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use model::histogram::{CounterResetHint, FloatHistogram, Histogram, Span};
use model::{Labels, PromDuration, Timestamp};
use promql::{
    Engine, EngineOptions, EvaluationTimes, QueryContext, QueryRange, StopCheck, StopReason,
};
use promql_syntax::ParserOptions;
use storage::append::{
    AppendPolicy, AppendRequest, Appender, Durability, HistogramSample, Sample, SeriesKey,
};
use storage::memory::MemoryStorage;

const MINUTE_MS: i64 = 60_000;
const SAMPLES: i64 = 20;

static STORE: LazyLock<MemoryStorage> = LazyLock::new(small_store);
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(EngineOptions {
        max_samples: 20_000,
        max_query_bytes: 16 << 20,
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    })
});

fuzz_target!(|text: &str| {
    let Ok(query) = ENGINE.parse(text) else {
        return;
    };
    let range = QueryRange {
        start: Timestamp::from_millis(-MINUTE_MS),
        end: Timestamp::from_millis((SAMPLES + 2) * MINUTE_MS),
        step: PromDuration::from_millis(90_000),
    };
    let instant = Timestamp::from_millis(SAMPLES / 2 * MINUTE_MS);
    for times in [
        EvaluationTimes::Instant(instant),
        EvaluationTimes::Range(range),
    ] {
        if let Ok(Some(trace)) = ENGINE.explain(&query, times, &context()) {
            assert!(!trace.steps.to_string().is_empty());
        }
    }
    let _value_or_error = ENGINE.instant_parsed(&*STORE, &query, instant, context());
    let _value_or_error = ENGINE.range_parsed(&*STORE, &query, range, context());
});

/// Stops a query that does much, without a clock.
fn context() -> QueryContext {
    let questions = AtomicU32::new(0);
    let stop: StopCheck = Arc::new(move || {
        let asked = questions.fetch_add(1, Ordering::Relaxed);
        (asked > 2_000).then_some(StopReason::Timeout)
    });
    QueryContext {
        stop: Some(stop),
        ..QueryContext::default()
    }
}

/// Series of every kind that functions treat differently.
fn small_store() -> MemoryStorage {
    let floats: [(&[(&str, &str)], f64); 8] = [
        (&[("__name__", "a")], 1.0),
        (&[("__name__", "up"), ("job", "x"), ("instance", "1")], 0.0),
        (&[("__name__", "up"), ("job", "x"), ("instance", "2")], -1.5),
        (&[("__name__", "b_total"), ("job", "x")], 7.0),
        (&[("__name__", "c_bucket"), ("le", "1")], 1.0),
        (&[("__name__", "c_bucket"), ("le", "+Inf")], 2.0),
        (&[("__name__", "n"), ("q", "ü")], f64::NAN),
        (
            &[
                ("__name__", "target_info"),
                ("job", "x"),
                ("instance", "1"),
                ("v", "2"),
            ],
            1.0,
        ),
    ];
    let store = MemoryStorage::new();
    for (pairs, slope) in floats {
        let minutes = (0..SAMPLES).filter(|minute| minute % 7 != 5);
        let samples = minutes.map(|minute| Sample {
            timestamp: Timestamp::from_millis(minute * MINUTE_MS),
            value: slope * minute as f64,
        });
        append(&store, pairs, samples.collect(), Vec::new());
    }
    for (name, hint) in [
        ("h", CounterResetHint::Unknown),
        ("g", CounterResetHint::Gauge),
    ] {
        let samples = (0..SAMPLES).map(|minute| HistogramSample {
            timestamp: Timestamp::from_millis(minute * MINUTE_MS),
            histogram: Histogram::Float(Arc::new(histogram(minute as f64, hint))),
        });
        append(
            &store,
            &[("__name__", name), ("job", "x")],
            Vec::new(),
            samples.collect(),
        );
    }
    store
}

fn append(
    store: &MemoryStorage,
    pairs: &[(&str, &str)],
    floats: Vec<Sample>,
    histograms: Vec<HistogramSample>,
) {
    let labels = Labels::from_pairs(pairs.iter().copied()).expect("valid labels");
    let mut request = AppendRequest::default();
    request.push(SeriesKey::Labels(&labels), floats);
    request.push_histograms(histograms);
    store
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .expect("in order");
}

fn histogram(count: f64, hint: CounterResetHint) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: hint,
        count: 3.0 * count,
        sum: 5.0 * count,
        positive_spans: vec![Span {
            offset: -1,
            length: 2,
        }],
        positive_buckets: vec![count, 2.0 * count],
        ..FloatHistogram::default()
    }
}
