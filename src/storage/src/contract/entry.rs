//! What checks of histograms and start timestamps work with: samples of either kind, shorthand for
//! requests, comparison of answers.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{
    CounterResetHint, FloatHistogram, Histogram, IntegerHistogram, Matcher, Span, TimeRange,
    stale_nan,
};

use super::fixture::{Fixture, Violation, expect_equal, expect_that, labels};
use crate::append::{
    AppendOutcome, AppendPolicy, AppendRequest, HistogramSample, Sample, SeriesKey,
};
use crate::error::AppendError;
use crate::read::{Columns, SelectHints};

/// A sample of either kind.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Milliseconds after the fixture's start.
    pub(super) at: i64,
    pub(super) value: Value,
    /// As `at`; `None` where no start timestamp is known.
    pub(super) started: Option<i64>,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Float(f64),
    Histogram(Histogram),
}

/// A sample as read back: time after the start, bits of the value, histogram, start timestamp in
/// milliseconds since the epoch.
pub(super) type ReadEntry = (i64, u64, Option<Arc<FloatHistogram>>, i64);

pub(super) fn float(at: i64, value: f64) -> Entry {
    Entry {
        at,
        value: Value::Float(value),
        started: None,
    }
}

pub(super) fn histogram(at: i64, histogram: Histogram) -> Entry {
    Entry {
        at,
        value: Value::Histogram(histogram),
        started: None,
    }
}

impl Entry {
    pub(super) fn started(self, at: i64) -> Self {
        Self {
            started: Some(at),
            ..self
        }
    }
}

pub(super) fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

/// A plausible integer histogram that grows with `n`.
pub(super) fn counts(n: u32) -> Histogram {
    let n = i64::from(n);
    Histogram::Integer(Arc::new(IntegerHistogram {
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: n.unsigned_abs(),
        count: 12 + 8 * n.unsigned_abs(),
        sum: 0.1 + f64::from(i32::try_from(n).unwrap_or(0)),
        positive_spans: vec![span(-2, 2), span(3, 1)],
        negative_spans: vec![span(0, 1)],
        positive_deltas: vec![1 + n, 2, n - 1],
        negative_deltas: vec![3 + n],
        ..IntegerHistogram::default()
    }))
}

/// The same with float counts.
pub(super) fn float_counts(n: u32) -> Histogram {
    Histogram::Float(counts(n).to_float())
}

pub(super) fn custom(n: u32, bounds: &[f64]) -> Histogram {
    let buckets = u32::try_from(bounds.len() + 1).unwrap_or(1);
    Histogram::Float(Arc::new(FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: f64::from(n) * f64::from(buckets),
        sum: f64::from(n) / 3.0,
        positive_spans: vec![span(0, buckets)],
        positive_buckets: vec![f64::from(n); bounds.len() + 1],
        custom_values: bounds.into(),
        ..FloatHistogram::default()
    }))
}

/// Values whose bits are easily lost.
pub(super) fn odd_histograms() -> Vec<Histogram> {
    let largest = IntegerHistogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: -4,
        zero_threshold: f64::MIN_POSITIVE / 8.0,
        zero_count: u64::MAX,
        count: u64::MAX - 1,
        sum: f64::from_bits(0xfff8_dead_beef_0001),
        positive_spans: vec![span(i32::MIN, 1), span(0, 0), span(i32::MAX, 2)],
        positive_deltas: vec![i64::MAX, i64::MIN, (1 << 53) + 1],
        ..IntegerHistogram::default()
    };
    let odd = FloatHistogram {
        counter_reset_hint: CounterResetHint::CounterReset,
        schema: 8,
        zero_threshold: -0.0,
        zero_count: f64::from_bits(0x7ff8_0000_0000_1234),
        count: f64::NAN,
        sum: f64::NEG_INFINITY,
        negative_spans: vec![span(5, 3)],
        negative_buckets: vec![-0.0, stale_nan(), 5e-324],
        ..FloatHistogram::default()
    };
    let gauge = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        ..FloatHistogram::default()
    };
    vec![
        Histogram::Integer(Arc::new(largest)),
        Histogram::Float(Arc::new(odd)),
        Histogram::Integer(Arc::default()),
        Histogram::Float(Arc::new(gauge)),
        custom(3, &[-1.0, 0.0, 2.5]),
        custom(4, &[-1.0, 0.0, 2.5]),
        custom(4, &[]),
        counts(7),
        float_counts(7),
    ]
}

pub(super) fn stale() -> Histogram {
    Histogram::Float(Arc::new(FloatHistogram::stale()))
}

pub(super) type Answer = Result<AppendOutcome, AppendError>;

pub(super) fn try_append(
    fixture: &Fixture<'_>,
    policy: AppendPolicy,
    series: &[(&str, &[Entry])],
) -> Result<Answer, Violation> {
    let mut keys = Vec::with_capacity(series.len());
    for (text, _) in series {
        keys.push(labels(text)?);
    }
    let start_of = |entry: &Entry| entry.started.map_or(0, |at| fixture.at(at).as_millis());
    let any_start = series
        .iter()
        .any(|(_, entries)| entries.iter().any(|entry| entry.started.is_some()));
    let mut request = AppendRequest::default();
    for (labels, (_, entries)) in keys.iter().zip(series) {
        request.push(SeriesKey::Labels(labels), []);
        for entry in *entries {
            let timestamp = fixture.at(entry.at);
            match &entry.value {
                Value::Float(value) => {
                    let value = *value;
                    request.samples.push(Sample { timestamp, value });
                    if any_start {
                        request.start_timestamps.push(start_of(entry));
                    }
                }
                Value::Histogram(histogram) => {
                    let histogram = histogram.clone();
                    request.push_histograms([HistogramSample {
                        timestamp,
                        histogram,
                    }]);
                    if any_start {
                        request.histogram_start_timestamps.push(start_of(entry));
                    }
                }
            }
        }
        if let Some(series) = request.series.last_mut() {
            series.samples.end = u32::try_from(request.samples.len())?;
        }
    }
    Ok(fixture.send(&request, policy))
}

/// Sends one series that must be accepted whole.
pub(super) fn append(
    fixture: &Fixture<'_>,
    name: &str,
    entries: &[Entry],
) -> Result<AppendOutcome, Violation> {
    Ok(try_append(
        fixture,
        AppendPolicy::RollBack,
        &[(name, entries)],
    )??)
}

pub(super) fn expected(fixture: &Fixture<'_>, entry: &Entry) -> ReadEntry {
    let start = entry.started.map_or(0, |at| fixture.at(at).as_millis());
    let (bits, histogram) = match &entry.value {
        Value::Float(value) => (value.to_bits(), None),
        Value::Histogram(histogram) if histogram.is_stale() => (model::STALE_NAN_BITS, None),
        Value::Histogram(histogram) => (model::sample::NORMAL_NAN_BITS, Some(histogram.to_float())),
    };
    (entry.at, bits, histogram, start)
}

pub(super) fn read(
    fixture: &Fixture<'_>,
    range: TimeRange,
    name: &str,
) -> Result<(Columns, Vec<ReadEntry>), Violation> {
    let matchers = [Matcher::equal(model::METRIC_NAME, name)];
    let set = fixture
        .querier(range)?
        .select(&matchers, SelectHints::default())?;
    let mut columns = Columns::default();
    if !set.is_empty() {
        expect_equal("selected series", set.len(), 1)?;
        set.read(0, &mut columns)?;
    }
    let count = columns.len();
    for optional in [columns.histograms.len(), columns.start_timestamps.len()] {
        let full = optional == 0 || optional == count;
        let why = format!("{optional} entries for {count} samples");
        expect_that("an optional column", if full { Ok(()) } else { Err(why) })?;
    }
    expect_equal("length of the values", columns.values.len(), count)?;
    let start = fixture.start.as_millis();
    let entries = (0..count).map(|index| {
        (
            columns.timestamps[index] - start,
            columns.values[index].to_bits(),
            columns.histogram(index).cloned(),
            columns.start_timestamps.get(index).copied().unwrap_or(0),
        )
    });
    let entries = entries.collect();
    Ok((columns, entries))
}

/// Refuses anything but exactly `want` under the metric `name`.
pub(super) fn expect_stored(
    fixture: &Fixture<'_>,
    name: &str,
    want: &[Entry],
) -> Result<Columns, Violation> {
    let (columns, got) = read(fixture, fixture.whole_range(), name)?;
    let want: Vec<ReadEntry> = want.iter().map(|entry| expected(fixture, entry)).collect();
    expect_equal(&format!("samples of {name}"), got, want)?;
    Ok(columns)
}

pub(super) fn is_out_of_order(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::OutOfOrder { .. }) => Ok(()),
        other => Err(format!("want out of order, got {other:?}")),
    }
}

pub(super) fn is_duplicate(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::DuplicateForTimestamp { .. }) => Ok(()),
        other => Err(format!("want duplicate for timestamp, got {other:?}")),
    }
}
