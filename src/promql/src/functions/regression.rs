//! Trends: linear regression and double exponential smoothing. Source: upstream
//! `promql/functions.go`.

use super::floats::without_histograms;
use super::window::{RangeContext, Windows};
use super::{Implementation, RangeTrait, Table};
use crate::error::{EngineError, FunctionError};
use crate::kahan::KahanSum;
use crate::numeric::count;
use crate::operators::seconds;
use crate::slice::SeriesSlice;

pub(super) const TABLE: Table = &[
    (
        "deriv",
        Implementation::Range(RangeTrait::FloatsOnly, deriv),
    ),
    (
        "double_exponential_smoothing",
        Implementation::Range(RangeTrait::Plain, double_exponential_smoothing),
    ),
    (
        "predict_linear",
        Implementation::Range(RangeTrait::FloatsOnly, predict_linear),
    ),
];

fn deriv(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        if end - first >= 2 {
            // A time near those of the samples keeps the products small and so exact.
            let line = least_squares(windows, first..end, windows.timestamps[first]);
            out.set(step, line.slope);
        }
    }
    Ok(())
}

fn predict_linear(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        if end - first >= 2 {
            let line = least_squares(windows, first..end, windows.grid.at(step));
            out.set(step, line.slope * context.scalar(0, step) + line.intercept);
        }
    }
    Ok(())
}

/// `intercept + slope · seconds since the origin`
struct Line {
    slope: f64,
    intercept: f64,
}

/// The line with the least squared distances from the samples.
fn least_squares(windows: &Windows<'_>, positions: std::ops::Range<usize>, origin_ms: i64) -> Line {
    let zero = KahanSum::EMPTY;
    let (mut sum_x, mut sum_y, mut sum_xy, mut sum_xx) = (zero, zero, zero, zero);
    let samples = count(positions.len());
    let initial = windows.values[positions.start];
    let mut is_constant = true;
    for index in positions {
        let y = windows.values[index];
        let x = seconds(windows.timestamps[index] - origin_ms);
        is_constant &= y == initial;
        sum_x.add(x);
        sum_y.add(y);
        sum_xy.add(x * y);
        sum_xx.add(x * x);
    }
    if is_constant {
        return if initial.is_infinite() {
            Line {
                slope: f64::NAN,
                intercept: f64::NAN,
            }
        } else {
            Line {
                slope: 0.0,
                intercept: initial,
            }
        };
    }
    let (sum_x, sum_y) = (sum_x.total(), sum_y.total());
    let covariance = sum_xy.total() - sum_x * sum_y / samples;
    let variance = sum_xx.total() - sum_x * sum_x / samples;
    let slope = covariance / variance;
    Line {
        slope,
        intercept: sum_y / samples - slope * sum_x / samples,
    }
}

fn double_exponential_smoothing(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    // Windows of histograms only have their factors checked too.
    for (step, _, _) in windows.filled() {
        let (smoothing, trend) = (context.scalar(0, step), context.scalar(1, step));
        if smoothing <= 0.0 || smoothing >= 1.0 {
            return Err(FunctionError::SmoothingFactor(smoothing).into());
        }
        if trend <= 0.0 || trend >= 1.0 {
            return Err(FunctionError::TrendFactor(trend).into());
        }
    }
    without_histograms(windows, context, out, smooth_each)
}

fn smooth_each(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        let (smoothing, trend) = (context.scalar(0, step), context.scalar(1, step));
        if let Some(value) = smooth(&windows.values[first..end], smoothing, trend) {
            out.set(step, value);
        }
    }
    Ok(())
}

/// The last smoothed value; needs two values at least.
fn smooth(values: &[f64], smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = values else {
        return None;
    };
    let (mut previous, mut current) = (0.0, *first);
    let mut slope = second - first;
    for (index, value) in values[1..].iter().enumerate() {
        if index > 0 {
            slope = trend * (current - previous) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (current + slope);
        (previous, current) = (current, next);
    }
    Some(current)
}
