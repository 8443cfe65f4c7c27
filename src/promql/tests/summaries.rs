//! Chunks that tell facts about their values: functions over windows that skip decoding them give the
//! same bits, annotations and costs as those that decode everything.

use std::collections::BTreeMap;

use model::{FloatHistogram, Histogram, Labels, PromDuration, Timestamp, stale_nan};
use promql::{
    Engine, EngineOptions, QueryContext, QueryRange, QueryResult, SampleValue, Series, Value,
};
use promql_syntax::ParserOptions;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use storage::memory::{MemoryChunks, MemoryStorage};
use storage::{
    AppendPolicy, AppendRequest, Appender, Durability, HistogramSample, Sample, SeriesKey,
};

const INTERVAL_MS: i64 = 15_000;
const SAMPLES: i64 = 160;

/// Functions that use summaries.
const CONDENSED: [&str; 14] = [
    "avg_over_time",
    "changes",
    "count_over_time",
    "delta",
    "first_over_time",
    "increase",
    "last_over_time",
    "max_over_time",
    "min_over_time",
    "present_over_time",
    "rate",
    "resets",
    "sum_over_time",
    "ts_of_last_over_time",
];

/// Functions that need all samples, or of which only one is asked below.
const OTHERS: [&str; 6] = [
    "absent_over_time",
    "irate",
    "mad_over_time",
    "stddev_over_time",
    "ts_of_first_over_time",
    "ts_of_max_over_time",
];

/// What a series looks like; a number makes it one of its kind.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Counter,
    CounterWithResets,
    Whole,
    Huge,
    Fractions,
    Constant,
    Odd,
    WithStaleMarkers,
    WithHistograms,
}

const SHAPES: [Shape; 9] = [
    Shape::Counter,
    Shape::CounterWithResets,
    Shape::Whole,
    Shape::Huge,
    Shape::Fractions,
    Shape::Constant,
    Shape::Odd,
    Shape::WithStaleMarkers,
    Shape::WithHistograms,
];

impl Shape {
    /// The sample at `index`; `None` for a histogram.
    fn value(self, seed: i64, index: i64) -> Option<f64> {
        let noise = (index.wrapping_mul(7_919) ^ seed.wrapping_mul(104_729)).rem_euclid(1_009);
        let kind = usize::try_from(noise / 16).unwrap_or(0);
        let (index, noise) = (index as f64, noise as f64);
        let odd = [
            f64::NAN,
            f64::INFINITY,
            -0.0,
            0.0,
            f64::NEG_INFINITY,
            5.0,
            -0.0,
            0.5,
        ];
        Some(match self {
            Self::Counter => index * 1000.0 + noise,
            Self::CounterWithResets if noise < 30.0 => noise,
            Self::CounterWithResets => (index % 61.0) * 1000.0,
            Self::Whole => noise - 500.0,
            Self::Huge => 2_f64.powi(48) + noise,
            Self::Fractions => noise * 0.1,
            Self::Constant if noise < 20.0 => -0.0,
            Self::Constant => 0.0,
            Self::Odd => odd[kind % odd.len()],
            Self::WithStaleMarkers if noise < 40.0 => stale_nan(),
            Self::WithStaleMarkers => (index / 20.0).floor(),
            Self::WithHistograms if index > 70.0 && index < 90.0 => return None,
            Self::WithHistograms => index,
        })
    }
}

fn storage(seed: i64, chunks: MemoryChunks) -> MemoryStorage {
    let storage = MemoryStorage::with_chunks(chunks);
    let labels: Vec<Labels> = SHAPES
        .iter()
        .map(|shape| {
            let shape = format!("{shape:?}");
            Labels::from_pairs([("__name__", "m_total"), ("shape", &shape)]).expect("valid")
        })
        .collect();
    let mut request = AppendRequest::default();
    for (shape, labels) in SHAPES.iter().zip(&labels) {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for index in 0..SAMPLES {
            let jitter = (index * 31 + seed).rem_euclid(5) - 2;
            let timestamp = Timestamp::from_millis(index * INTERVAL_MS + jitter);
            match shape.value(seed, index) {
                Some(value) => floats.push(Sample { timestamp, value }),
                None => histograms.push(HistogramSample {
                    timestamp,
                    histogram: Histogram::Float(FloatHistogram::default().into()),
                }),
            }
        }
        request.push(SeriesKey::Labels(labels), floats);
        request.push_histograms(histograms);
    }
    let policy = AppendPolicy::RollBack;
    storage
        .append(&request, policy, Durability::Acknowledged)
        .expect("valid");
    storage
}

/// A query's times, and the length of chunks.
#[derive(Clone, Debug)]
struct Times {
    chunk: usize,
    start_ms: i64,
    steps: i64,
    step_ms: i64,
    window_ms: i64,
    modifier: &'static str,
}

fn times() -> impl Strategy<Value = Times> {
    let window = prop_oneof![
        Just(INTERVAL_MS),
        1_000..700_000_i64,
        700_000..3_000_000_i64
    ];
    let step = prop_oneof![Just(INTERVAL_MS), 1_000..900_000_i64];
    let modifier = prop::sample::select(vec!["", "", "", " offset 3m", " @ 1500", " @ end()"]);
    (
        2_usize..40,
        -100_000..2_500_000_i64,
        0..12_i64,
        step,
        window,
        modifier,
    )
        .prop_map(
            |(chunk, start_ms, steps, step_ms, window_ms, modifier)| Times {
                chunk,
                start_ms,
                steps,
                step_ms,
                window_ms,
                modifier,
            },
        )
}

fn run(storage: &MemoryStorage, times: &Times, query: &str) -> QueryResult {
    let engine = Engine::new(EngineOptions {
        per_step_stats: true,
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    });
    let context = QueryContext {
        per_step_stats: true,
        ..QueryContext::default()
    };
    let range = QueryRange {
        start: Timestamp::from_millis(times.start_ms),
        end: Timestamp::from_millis(times.start_ms + times.steps * times.step_ms),
        step: PromDuration::from_millis(times.step_ms),
    };
    let query = engine.parse(query).expect("valid");
    if times.steps == 0 {
        return engine
            .instant_parsed(storage, &query, range.start, context)
            .expect("valid");
    }
    engine
        .range_parsed(storage, &query, range, context)
        .expect("valid")
}

/// A result as text, numbers by their bits; without what depends on how much was held at a time.
fn shown(result: &QueryResult) -> String {
    let value = match &result.value {
        Value::Matrix(series) => series.iter().map(shown_series).collect::<Vec<_>>(),
        Value::Vector(samples) => samples
            .iter()
            .map(|sample| match &sample.value {
                SampleValue::Float(value) => format!("{} {:x}", sample.labels, value.to_bits()),
                SampleValue::Histogram(histogram) => format!("{} {histogram}", sample.labels),
            })
            .collect(),
        other => vec![format!("{other:?}")],
    };
    let (queryable, read) = (result.stats.queryable_samples, result.stats.samples_read);
    format!(
        "{value:#?} {:?} {queryable} {read} {:?}",
        result.annotations, result.step_stats
    )
}

fn shown_series(series: &Series) -> String {
    let points = series.points.iter();
    let points: Vec<_> = points
        .map(|(at, value)| format!("{at}={:x}", value.to_bits()))
        .collect();
    format!("{} {points:?} {:?}", series.labels, series.histograms)
}

#[test]
fn summaries_change_no_bits() {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(400)
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let used = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    runner
        .run(
            &(0..1_000_i64, times(), prop::sample::select(&SHAPES[..])),
            |(seed, times, shape)| {
                let with_summaries = |summaries| {
                    let samples = times.chunk;
                    storage(seed, MemoryChunks { samples, summaries })
                };
                let (telling, silent) = (with_summaries(true), with_summaries(false));
                for function in CONDENSED.iter().chain(&OTHERS) {
                    let Times {
                        window_ms,
                        modifier,
                        ..
                    } = times;
                    let selector = format!("m_total{{shape=\"{shape:?}\"}}");
                    let query = format!("{function}({selector}[{window_ms}ms]{modifier})");
                    let (with, without) =
                        (run(&telling, &times, &query), run(&silent, &times, &query));
                    prop_assert!(
                        shown(&with) == shown(&without),
                        "{query}\nwith {}\nwithout {}",
                        shown(&with),
                        shown(&without)
                    );
                    if with.stats.peak_samples < without.stats.peak_samples {
                        *used.borrow_mut().entry(function).or_default() += 1;
                    }
                }
                Ok(())
            },
        )
        .expect("valid");
    for function in CONDENSED {
        let used = used.borrow().get(function).copied().unwrap_or(0);
        assert!(used > 5, "{function} used summaries {used} times only");
    }
}

#[test]
fn long_windows_hold_few_samples() {
    let storage = storage(
        1,
        MemoryChunks {
            samples: 8,
            summaries: true,
        },
    );
    let times = Times {
        chunk: 8,
        start_ms: SAMPLES * INTERVAL_MS,
        steps: 0,
        step_ms: INTERVAL_MS,
        window_ms: SAMPLES * INTERVAL_MS,
        modifier: "",
    };
    for (function, at_most) in [("max_over_time", 40), ("increase", 60), ("deriv", 400)] {
        let query = format!(
            "{function}(m_total{{shape=\"Counter\"}}[{}ms])",
            times.window_ms
        );
        let stats = run(&storage, &times, &query).stats;
        assert!(stats.peak_samples < at_most, "{query}: {stats:?}");
        assert!(
            stats.samples_read >= SAMPLES as u64 - 1,
            "{query}: {stats:?}"
        );
    }
}
