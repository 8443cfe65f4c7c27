//! A random walk: appends, upkeep, time, stops and kills, beside a map that forgets nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    FloatHistogram, Histogram, IntegerHistogram, Labels, Matcher, PromDuration, Span, Timestamp,
};
use proptest::prelude::*;
use storage::{
    AppendPolicy, AppendRequest, Appender, Columns, Durability, HistogramSample, Queryable as _,
    Sample, SelectHints, SeriesKey,
};

use super::Bench;
use crate::rewrite::{RewriteStep, Unpaced};

/// What the samples of an append are.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Float { bits: u64 },
    Integer { buckets: u8 },
    FloatHistogram { buckets: u8 },
    Stale,
}

#[derive(Clone, Debug)]
enum Step {
    /// Appends to a series, this many milliseconds after its newest sample: so many of the one
    /// kind, then so many of the other, and so on.
    Append {
        series: u8,
        gap_ms: i64,
        count: u8,
        kinds: (Kind, Kind),
        turn: u8,
        start_ms: i64,
    },
    Maintain,
    /// Rewrites all partitions that have small chunks, or ends on the way.
    Rewrite {
        end: Option<RewriteStep>,
    },
    Advance {
        minutes: i64,
    },
    Reopen {
        clean: bool,
    },
    /// Kills, and lets the replay wait for what needs it.
    ReopenHeld,
}

fn kind() -> impl Strategy<Value = Kind> {
    let bits = prop_oneof![
        any::<u64>(),
        (0..1000_i32).prop_map(|whole| f64::from(whole).to_bits()),
        Just(model::STALE_NAN_BITS),
    ];
    prop_oneof![
        4 => bits.prop_map(|bits| Kind::Float { bits }),
        1 => (0..9_u8).prop_map(|buckets| Kind::Integer { buckets }),
        1 => (0..9_u8).prop_map(|buckets| Kind::FloatHistogram { buckets }),
        1 => Just(Kind::Stale),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let start = prop_oneof![3 => Just(0), 1 => Just(1_699_999_999_000), 1 => any::<i64>()];
    let shape = ((kind(), kind()), 1..150_u8, start);
    let append = (0..4_u8, 1..40_000_000_i64, 1..200_u8, shape).prop_map(
        |(series, gap_ms, count, (kinds, turn, start_ms))| Step::Append {
            series,
            gap_ms,
            count,
            kinds,
            turn,
            start_ms,
        },
    );
    prop_oneof![
        6 => append,
        2 => Just(Step::Maintain),
        2 => prop::option::of(prop::sample::select(&RewriteStep::ALL[..]))
            .prop_map(|end| Step::Rewrite { end }),
        2 => (1..120_i64).prop_map(|minutes| Step::Advance { minutes }),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
        1 => Just(Step::ReopenHeld),
    ]
}

/// Time, bits of the value, histogram and start timestamp.
type Point = (i64, u64, Option<Arc<FloatHistogram>>, i64);

/// A sample as it is sent, as number `k` of its append.
fn value(kind: Kind, k: u64) -> Result<f64, Histogram> {
    let histogram = |buckets: u8| {
        let bucket = i64::from(buckets).wrapping_mul(k.cast_signed());
        Histogram::Integer(Arc::new(IntegerHistogram {
            schema: 2,
            count: k * 7,
            zero_count: u64::MAX - k,
            sum: f64::from(buckets) / 3.0,
            positive_spans: vec![Span {
                offset: 4,
                length: buckets.into(),
            }],
            positive_deltas: vec![bucket; buckets.into()],
            ..IntegerHistogram::default()
        }))
    };
    match kind {
        Kind::Float { bits } => Ok(f64::from_bits(bits.wrapping_add(k / 3))),
        Kind::Integer { buckets } => Err(histogram(buckets)),
        Kind::FloatHistogram { buckets } => Err(Histogram::Float(histogram(buckets).to_float())),
        Kind::Stale => Err(Histogram::Float(Arc::new(FloatHistogram::stale()))),
    }
}

/// Adds a sample to a request and to what the engine must give back.
fn push(
    request: &mut AppendRequest<'_>,
    known: &mut Vec<Point>,
    (at, start_ms): (i64, i64),
    value: Result<f64, Histogram>,
) {
    let timestamp = Timestamp::from_millis(at);
    match value {
        Ok(value) => {
            known.push((at, value.to_bits(), None, start_ms));
            request.samples.push(Sample { timestamp, value });
            request.start_timestamps.push(start_ms);
        }
        Err(histogram) => {
            let read = histogram.to_float();
            known.push(if histogram.is_stale() {
                (at, model::STALE_NAN_BITS, None, start_ms)
            } else {
                (at, model::sample::NORMAL_NAN_BITS, Some(read), start_ms)
            });
            request.push_histograms([HistogramSample {
                timestamp,
                histogram,
            }]);
            request.histogram_start_timestamps.push(start_ms);
        }
    }
}

fn read(bench: &Bench) -> Model {
    let querier = bench.tsdb.querier(model::TimeRange::ALL).unwrap();
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = querier.select(&matchers, SelectHints::default()).unwrap();
    let mut columns = Columns::default();
    let mut series = Model::new();
    for index in 0..set.len() {
        set.read(index, &mut columns).unwrap();
        let points = (0..columns.len()).map(|at| {
            (
                columns.timestamps[at],
                columns.values[at].to_bits(),
                columns.histogram(at).cloned(),
                columns.start_timestamps.get(at).copied().unwrap_or(0),
            )
        });
        series.insert(set.labels(index), points.collect());
    }
    series
}

fn labels(series: u8) -> Labels {
    let series = series.to_string();
    Labels::from_pairs([(model::METRIC_NAME, "m"), ("series", series.as_str())]).unwrap()
}

/// All that the engine must give back; retention is longer than any walk.
type Model = BTreeMap<Labels, Vec<Point>>;

fn apply(bench: Bench, step: &Step, model: &mut Model) -> Bench {
    match step {
        Step::Append {
            series,
            gap_ms,
            count,
            kinds,
            turn,
            start_ms,
        } => {
            let labels = labels(*series);
            let known = model.entry(labels.clone()).or_default();
            let now = bench.now_ms();
            let newest = known.last().map_or(now - 86_400_000, |(at, ..)| *at);
            let first = newest + gap_ms % 3_600_000 + 1;
            let mut request = AppendRequest::default();
            request.push(SeriesKey::Labels(&labels), []);
            for k in 0..u64::from(*count) {
                let at = first + k.cast_signed() * 500;
                let kind = if k / u64::from(*turn) % 2 == 0 {
                    kinds.0
                } else {
                    kinds.1
                };
                if at <= now {
                    push(&mut request, known, (at, *start_ms), value(kind, k));
                }
            }
            request.series[0].samples.end = u32::try_from(request.samples.len()).unwrap();
            let (policy, durability) = (AppendPolicy::RollBack, Durability::Acknowledged);
            let appended = Appender::append(&bench, &request, policy, durability);
            appended.unwrap().wait_blocking().unwrap();
            bench
        }
        Step::Maintain => {
            bench.released().maintain().unwrap();
            bench
        }
        Step::Rewrite { end } => {
            let engine = bench.released().engine();
            *engine.rewrite_fault.lock() = *end;
            let rewritten = engine.rewrite_all(&mut Unpaced);
            assert!(rewritten.is_ok() || end.is_some(), "{rewritten:?}");
            *engine.rewrite_fault.lock() = None;
            bench
        }
        Step::Advance { minutes } => {
            bench.clock.advance(PromDuration::from_secs(minutes * 60));
            bench
        }
        Step::Reopen { clean } => bench.reopen(*clean),
        Step::ReopenHeld => bench.reopen_held(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_gives_back_what_the_model_has(steps in prop::collection::vec(step(), 1..40)) {
        let mut bench = Bench::new();
        let mut model = Model::new();
        for step in &steps {
            bench = apply(bench, step, &mut model);
        }
        bench = bench.reopen(false);
        model.retain(|_, points| !points.is_empty());
        let mut read = read(&bench);
        read.retain(|_, points| !points.is_empty());
        prop_assert_eq!(read, model);
    }
}
