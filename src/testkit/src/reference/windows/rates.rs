//! `rate`, `increase`, `delta`, `irate`, `idelta` over plain windows.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};
use promql::SampleValue;

use super::Input;

/// A change between the first and the last sample.
enum Change {
    Float(f64),
    Histogram(FloatHistogram),
}

/// `rate`, `increase`, `delta`: the change inside the window, extrapolated to its edges.
pub(super) fn extrapolated(input: &Input<'_>) -> Option<SampleValue> {
    let points = input.points;
    if input.is_mixed() || points.is_empty() {
        return None;
    }
    let is_counter = input.name != "delta";
    let (first_ms, last_ms) = (points.first()?.at_ms, points.last()?.at_ms);
    let mut change = match &points[0].value {
        SampleValue::Float(_) => Some(Change::Float(float_change(input, is_counter))),
        SampleValue::Histogram(_) if points.len() > 1 => {
            Some(Change::Histogram(histogram_change(input, is_counter)?))
        }
        SampleValue::Histogram(_) => None,
    };
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let mut sampled = seconds(last_ms - first_ms);
    let mut to_start = seconds(first_ms - input.left_ms);
    let mut to_end = seconds(input.right_ms - last_ms);
    let spacing = match points.len() {
        1 => 0.0,
        length => sampled / (length - 1) as f64,
    };
    let threshold = spacing * 1.1;
    let start = input.start(0);
    if is_counter && start != 0 && start > input.left_ms && start < first_ms {
        // The counter began inside the window, with zero.
        to_start = 0.0;
        sampled = seconds(last_ms - start);
        change = Some(with_first(change, &points[0].value)?);
    } else if points.len() == 1 {
        return None;
    } else {
        if to_start >= threshold {
            to_start = spacing / 2.0;
        }
        if is_counter && let Some(to_zero) = time_from_zero(&change, &points[0].value, sampled) {
            to_start = to_start.min(to_zero);
        }
    }
    if to_end >= threshold {
        to_end = spacing / 2.0;
    }
    let mut factor = 1.0;
    if sampled != 0.0 {
        factor = (sampled + to_start + to_end) / sampled;
    }
    if input.name == "rate" {
        factor /= input.range_seconds();
    }
    match change? {
        Change::Float(change) => Some(SampleValue::Float(change * factor)),
        Change::Histogram(mut change) => {
            change.scale(factor);
            Some(SampleValue::Histogram(Arc::new(change)))
        }
    }
}

fn float_change(input: &Input<'_>, is_counter: bool) -> f64 {
    let floats = input.floats();
    let mut change = floats[floats.len() - 1].1 - floats[0].1;
    if is_counter {
        for index in 1..floats.len() {
            if floats[index].1 < floats[index - 1].1 || input.started_anew(index) {
                change += floats[index - 1].1;
            }
        }
    }
    change
}

fn histogram_change(input: &Input<'_>, is_counter: bool) -> Option<FloatHistogram> {
    let histograms: Vec<&FloatHistogram> = input
        .histograms()
        .into_iter()
        .map(|(_, histogram)| histogram)
        .collect();
    let last = *histograms.last()?;
    let is_reset = |index: usize, previous: &FloatHistogram| {
        input.started_anew(index) || histograms[index].is_reset_of(previous)
    };
    let mut first = histograms[0].clone();
    if is_counter && is_reset(1, &first) {
        // The layout of the first sample does not matter, since a reset follows it.
        first = FloatHistogram {
            schema: histograms[1].schema,
            custom_values: Arc::clone(&histograms[1].custom_values),
            ..FloatHistogram::default()
        };
    }
    let is_custom = first.has_custom_buckets();
    if last.has_custom_buckets() != is_custom {
        return None;
    }
    let mut schema = last.schema.min(first.schema);
    if is_counter {
        for histogram in &histograms[1..histograms.len() - 1] {
            if histogram.has_custom_buckets() != is_custom {
                return None;
            }
            schema = schema.min(histogram.schema);
        }
    }
    let mut change = last.to_schema(schema);
    change.sub(&first).ok()?;
    if is_counter {
        let mut previous = &first;
        for (index, histogram) in histograms.iter().enumerate().skip(1) {
            if is_reset(index, previous) {
                change.add(previous).ok()?;
            }
            previous = histogram;
        }
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact(0);
    Some(change)
}

fn with_first(change: Option<Change>, first: &SampleValue) -> Option<Change> {
    Some(match (change, first) {
        (Some(Change::Float(change)), SampleValue::Float(first)) => Change::Float(change + first),
        (Some(Change::Histogram(mut change)), SampleValue::Histogram(first)) => {
            change.add(first).ok()?;
            Change::Histogram(change)
        }
        (None, SampleValue::Histogram(first)) => Change::Histogram((**first).clone()),
        _ => return None,
    })
}

/// How long ago the counter was zero, if it went up as it did inside the window.
fn time_from_zero(change: &Option<Change>, first: &SampleValue, sampled: f64) -> Option<f64> {
    let (change, first) = match (change.as_ref()?, first) {
        (Change::Float(change), SampleValue::Float(first)) => (*change, *first),
        (Change::Histogram(change), SampleValue::Histogram(first)) => (change.count, first.count),
        _ => return None,
    };
    (change > 0.0 && first >= 0.0).then(|| sampled * (first / change))
}

/// `irate`, `idelta`: the change between the last two samples.
pub(super) fn instant(input: &Input<'_>) -> Option<SampleValue> {
    let last = input.points.len().checked_sub(1)?;
    let (before, after) = (&input.points[last.checked_sub(1)?], &input.points[last]);
    let is_rate = input.name == "irate";
    let seconds = (after.at_ms - before.at_ms) as f64 / 1000.0;
    match (&before.value, &after.value) {
        (SampleValue::Float(before), SampleValue::Float(after)) => {
            let is_reset = is_rate && (after < before || input.started_anew(last));
            let change = if is_reset { *after } else { after - before };
            let change = if is_rate { change / seconds } else { change };
            Some(SampleValue::Float(change))
        }
        (SampleValue::Histogram(before), SampleValue::Histogram(after)) => {
            let mut change = (**after).clone();
            if !is_rate || !(input.started_anew(last) || after.is_reset_of(before)) {
                change.sub(before).ok()?;
            }
            change.counter_reset_hint = CounterResetHint::Gauge;
            change.compact(0);
            if is_rate {
                change.divide(seconds);
            }
            Some(SampleValue::Histogram(Arc::new(change)))
        }
        _ => None,
    }
}
