//! `…_over_time` and the other functions that look at each sample of a window.

use std::sync::Arc;

use model::FloatHistogram;
use promql::SampleValue;
use promql_syntax::ast::WindowEdges;

use super::Input;
use crate::reference::aggregate::{Sum, average, quantile, sum};
use crate::reference::{Outcome, ReferenceError};

/// `resets`, `changes`.
pub(super) fn transitions(input: &Input<'_>) -> Option<SampleValue> {
    let mut first = 0;
    if input.edges == WindowEdges::Anchored {
        // The last sample at or before the left edge stands there.
        let is_before = |point: &super::DataPoint| point.at_ms <= input.left_ms;
        if input.points.iter().all(is_before) {
            return None;
        }
        first = input.points.iter().rposition(is_before).unwrap_or(0);
    }
    let mut count = 0.0;
    for index in first + 1..input.points.len() {
        let (before, after) = (&input.points[index - 1].value, &input.points[index].value);
        let counts = match (input.name, before, after) {
            ("resets", SampleValue::Float(before), SampleValue::Float(after)) => {
                after < before || input.started_anew(index)
            }
            ("resets", SampleValue::Histogram(before), SampleValue::Histogram(after)) => {
                input.started_anew(index) || after.is_reset_of(before)
            }
            (_, SampleValue::Float(before), SampleValue::Float(after)) => {
                before != after && !(before.is_nan() && after.is_nan())
            }
            (_, SampleValue::Histogram(before), SampleValue::Histogram(after)) => {
                !after.means_same(before)
            }
            _ => true,
        };
        count += f64::from(u8::from(counts));
    }
    Some(SampleValue::Float(count))
}

pub(super) fn over_time(input: &Input<'_>) -> Outcome<Option<SampleValue>> {
    let points = input.points;
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Ok(None);
    };
    let seconds = |millis: i64| millis as f64 / 1000.0;
    let float = match input.name {
        "first_over_time" => return Ok(Some(first.value.clone())),
        "last_over_time" => return Ok(Some(last.value.clone())),
        "count_over_time" => points.len() as f64,
        "present_over_time" => 1.0,
        "ts_of_first_over_time" => seconds(first.at_ms),
        "ts_of_last_over_time" => seconds(last.at_ms),
        "sum_over_time" | "avg_over_time" => {
            if input.is_mixed() {
                return Ok(None);
            }
            let histograms = input.histograms();
            if !histograms.is_empty() {
                let all: Vec<&FloatHistogram> = histograms.into_iter().map(|(_, it)| it).collect();
                return Ok(total(&all, input.name == "avg_over_time"));
            }
            let values = values_of(input);
            if input.name == "sum_over_time" {
                sum(&values)
            } else {
                average(&values)
            }
        }
        _ => return floats_only(input),
    };
    Ok(Some(SampleValue::Float(float)))
}

/// The sum or mean of histograms; `None` where their layouts do not fit.
pub(in crate::reference) fn total(all: &[&FloatHistogram], is_mean: bool) -> Option<SampleValue> {
    let (first, others) = all.split_first()?;
    let mut sum = (*first).clone();
    let mut compensation = None;
    for histogram in others {
        sum.add_compensated(histogram, &mut compensation).ok()?;
    }
    if let Some(compensation) = &compensation {
        sum.apply_compensation(compensation);
    }
    if is_mean {
        sum.divide(all.len() as f64);
    }
    Some(SampleValue::Histogram(Arc::new(sum)))
}

fn values_of(input: &Input<'_>) -> Vec<f64> {
    input.floats().into_iter().map(|(_, value)| value).collect()
}

/// Functions that leave histograms out.
fn floats_only(input: &Input<'_>) -> Outcome<Option<SampleValue>> {
    let floats = input.floats();
    let values = values_of(input);
    if input.name == "double_exponential_smoothing" {
        let is_inside = |factor: f64| factor > 0.0 && factor < 1.0;
        if !input
            .scalars
            .iter()
            .all(|factor| is_inside(*factor) || factor.is_nan())
        {
            return Err(ReferenceError::Argument);
        }
    }
    if floats.is_empty() {
        return Ok(None);
    }
    let needs_two = matches!(
        input.name,
        "deriv" | "predict_linear" | "double_exponential_smoothing"
    );
    if needs_two && floats.len() < 2 {
        return Ok(None);
    }
    let seconds = |at_ms: i64| at_ms as f64 / 1000.0;
    Ok(Some(SampleValue::Float(match input.name {
        "min_over_time" => extreme(&floats, |new, old| new < old).1,
        "max_over_time" => extreme(&floats, |new, old| new > old).1,
        "ts_of_min_over_time" => seconds(extreme(&floats, |new, old| new <= old).0),
        "ts_of_max_over_time" => seconds(extreme(&floats, |new, old| new >= old).0),
        "stdvar_over_time" => compensated_variance(&values),
        "stddev_over_time" => compensated_variance(&values).sqrt(),
        "quantile_over_time" => quantile(input.scalars[0], &values),
        "mad_over_time" if values.iter().any(|value| value.is_nan()) => f64::NAN,
        "mad_over_time" => {
            let median = quantile(0.5, &values);
            let deviations: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
            quantile(0.5, &deviations)
        }
        "deriv" => line(&floats, floats[0].0).0,
        "predict_linear" => {
            let (slope, now) = line(&floats, input.at_ms);
            slope * input.scalars[0] + now
        }
        "double_exponential_smoothing" => smoothed(&values, input.scalars[0], input.scalars[1]),
        _ => return Err(ReferenceError::Undetermined("unknown function")),
    })))
}

/// The population variance after Welford, so that comparisons see the same last digits.
fn compensated_variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    let mut count = 0.0;
    for value in values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count
}

fn extreme(floats: &[(i64, f64)], is_better: fn(f64, f64) -> bool) -> (i64, f64) {
    let mut best = floats[0];
    for point in floats {
        if best.1.is_nan() || is_better(point.1, best.1) {
            best = *point;
        }
    }
    best
}

/// Slope of the least-squares line, and its value at a time.
fn line(floats: &[(i64, f64)], at_ms: i64) -> (f64, f64) {
    let first = floats[0].1;
    if floats.iter().all(|(_, value)| *value == first) {
        if first.is_infinite() {
            return (f64::NAN, f64::NAN);
        }
        return (0.0, first);
    }
    let n = floats.len() as f64;
    let x = |time: i64| (time - at_ms) as f64 / 1000.0;
    let of = |term: &dyn Fn(f64, f64) -> f64| {
        sum(&floats
            .iter()
            .map(|(time, value)| term(x(*time), *value))
            .collect::<Vec<_>>())
    };
    let (sum_x, sum_y) = (of(&|x, _| x), of(&|_, y| y));
    let (sum_xy, sum_x2) = (of(&|x, y| x * y), of(&|x, _| x * x));
    let slope = (sum_xy - sum_x * sum_y / n) / (sum_x2 - sum_x * sum_x / n);
    (slope, sum_y / n - slope * sum_x / n)
}

fn smoothed(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    let mut level = values[0];
    let mut before = 0.0;
    let mut trend = values[1] - values[0];
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        before = level;
        level = smoothing * value + (1.0 - smoothing) * (level + trend);
    }
    level
}
