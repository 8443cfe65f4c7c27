//! Series of every kind, and their samples.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Histogram, IntegerHistogram, Labels, Span, Timestamp};
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Columns, Durability, HistogramSample, Sample,
    SeriesExemplars, SeriesKey,
};
use tsdb::Tsdb;

const STEP_MS: i64 = 15_000;
const SAMPLES: i64 = 40;

/// What is sent with one request.
#[derive(Clone)]
pub(crate) struct Sent {
    numbers: Vec<i32>,
    from_ms: i64,
    positions: Range<i64>,
}

pub(crate) fn labels(series: i32) -> Labels {
    let (name, number) = (format!("m{}", series % 7), series.to_string());
    let filler = format!("{:x}", mixed(series, 0));
    let pairs = [
        (model::METRIC_NAME, name.as_str()),
        ("filler", filler.as_str()),
        ("series", number.as_str()),
    ];
    Labels::from_pairs(pairs).unwrap()
}

fn mixed(series: i32, at: i64) -> u64 {
    let number = at ^ i64::from(series);
    number.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The value of a series of floats.
pub(crate) fn value(series: i32, at: i64) -> f64 {
    let short = f64::from(u32::try_from(mixed(series, at) >> 40).unwrap());
    match series % 3 {
        0 => short.sqrt(),
        _ => short / 100.0,
    }
}

const fn has_histograms(series: i32) -> bool {
    series % 10 == 9
}

/// Since when a series counts, 0 where that is not known.
fn start_ms(series: i32, from_ms: i64) -> i64 {
    match series % 10 {
        8 => from_ms - 1,
        _ => 0,
    }
}

const fn comes_late(series: i32) -> bool {
    series % 10 == 7
}

fn histogram(series: i32, at: i64) -> Histogram {
    let more = mixed(series, at) >> 54;
    Histogram::Integer(Arc::new(IntegerHistogram {
        schema: 2,
        count: 3 + more,
        sum: value(series, at),
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        positive_deltas: vec![1, 1 + more.cast_signed()],
        ..IntegerHistogram::default()
    }))
}

/// A number for all that a sample says.
fn code(value: f64, histogram: Option<&FloatHistogram>, start_ms: i64) -> u64 {
    let value = match histogram {
        None => value.to_bits(),
        Some(histogram) => {
            let told = (histogram.schema, histogram.count, histogram.sum);
            let buckets = (&histogram.positive_spans, &histogram.positive_buckets);
            let mut hasher = DefaultHasher::new();
            format!("{told:?} {buckets:?}").hash(&mut hasher);
            hasher.finish()
        }
    };
    value ^ start_ms.unsigned_abs().rotate_left(20)
}

/// The same for a sample that was read.
pub(crate) fn code_at(columns: &Columns, position: usize) -> u64 {
    let start_ms = columns.start_timestamps.get(position).copied().unwrap_or(0);
    let histogram = columns.histogram(position).map(|histogram| &**histogram);
    code(columns.values[position], histogram, start_ms)
}

/// The code of a float.
pub(crate) fn code_of(value: f64) -> u64 {
    code(value, None, 0)
}

pub(crate) fn exemplar(series: i32, at_ms: i64) -> SeriesExemplars {
    let trace = format!("{:x}", mixed(series, at_ms));
    SeriesExemplars {
        series: labels(series),
        exemplars: vec![Exemplar {
            labels: Labels::from_pairs([("trace_id", trace.as_str())]).unwrap(),
            value: value(series, at_ms),
            timestamp: Timestamp::from_millis(at_ms),
        }],
    }
}

impl Sent {
    pub(crate) fn new(numbers: impl Iterator<Item = i32>, from_ms: i64) -> Self {
        Self {
            numbers: numbers.collect(),
            from_ms,
            positions: 0..SAMPLES,
        }
    }

    /// The series that come late send the second half of their samples first.
    pub(crate) fn in_order_of_arrival(&self) -> [Self; 3] {
        let part = |late: bool, positions: Range<i64>| Self {
            numbers: {
                let numbers = self.numbers.iter().copied();
                numbers
                    .filter(|series| comes_late(*series) == late)
                    .collect()
            },
            from_ms: self.from_ms,
            positions,
        };
        [
            part(false, 0..SAMPLES),
            part(true, SAMPLES / 2..SAMPLES),
            part(true, 0..SAMPLES / 2),
        ]
    }

    fn times(&self, series: i32) -> impl Iterator<Item = i64> {
        let first = self.from_ms + i64::from(series % 5);
        self.positions.clone().map(move |k| first + k * STEP_MS)
    }

    /// Times and codes of the samples of each series.
    pub(crate) fn codes(&self) -> impl Iterator<Item = (Labels, Vec<(i64, u64)>)> {
        self.numbers.iter().map(|series| {
            let start_ms = start_ms(*series, self.from_ms);
            let of = |at| match has_histograms(*series) {
                true => code(0.0, Some(&histogram(*series, at).to_float()), start_ms),
                false => code(value(*series, at), None, start_ms),
            };
            let codes = self.times(*series).map(|at| (at, of(at)));
            (labels(*series), codes.collect())
        })
    }

    pub(crate) fn append(&self, tsdb: &Tsdb) -> Result<(), String> {
        let all: Vec<Labels> = self.numbers.iter().map(|series| labels(*series)).collect();
        let mut request = AppendRequest::default();
        for (series, labels) in self.numbers.iter().zip(&all) {
            let start_ms = start_ms(*series, self.from_ms);
            let times = self.times(*series).map(Timestamp::from_millis);
            if has_histograms(*series) {
                request.push(SeriesKey::Labels(labels), []);
                request.push_histograms(times.map(|timestamp| HistogramSample {
                    timestamp,
                    histogram: histogram(*series, timestamp.as_millis()),
                }));
                request
                    .histogram_start_timestamps
                    .resize(request.histograms.len(), start_ms);
            } else {
                request.push(
                    SeriesKey::Labels(labels),
                    times.map(|timestamp| Sample {
                        timestamp,
                        value: value(*series, timestamp.as_millis()),
                    }),
                );
                request
                    .start_timestamps
                    .resize(request.samples.len(), start_ms);
            }
        }
        send(tsdb, &request)
    }
}

pub(crate) fn send(tsdb: &Tsdb, request: &AppendRequest<'_>) -> Result<(), String> {
    let pending = tsdb.append(request, AppendPolicy::RollBack, Durability::Acknowledged);
    let outcome = pending.and_then(storage::PendingAppend::wait_blocking);
    outcome.map(|_| ()).map_err(|error| base::report(&error))
}
