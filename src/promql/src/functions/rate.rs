//! Rates, increases and differences of a window's samples. Source: upstream `extrapolatedRate` and
//! `instantValue` in `promql/functions.go`.

use model::PromDuration;
use promql_syntax::ast::WindowEdges;

use super::extended::{Extended, Kind};
use super::window::{RangeContext, Windows};
use super::{Implementation, RangeTrait, Table};
use crate::error::EngineError;
use crate::numeric::count;
use crate::operators::seconds;
use crate::slice::SeriesSlice;

pub(super) const TABLE: Table = &[
    ("delta", Implementation::Range(RangeTrait::Plain, delta)),
    ("idelta", Implementation::Range(RangeTrait::Plain, idelta)),
    (
        "increase",
        Implementation::Range(RangeTrait::ForCounters, increase),
    ),
    ("irate", Implementation::Range(RangeTrait::Plain, irate)),
    ("rate", Implementation::Range(RangeTrait::ForCounters, rate)),
];

fn rate(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    let range_seconds = PromDuration::from_millis(windows.range_ms).as_seconds();
    counter_increase(
        windows,
        &mut context.scratch.positions,
        Some(range_seconds),
        out,
    );
    Ok(())
}

fn increase(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    counter_increase(windows, &mut context.scratch.positions, None, out);
    Ok(())
}

fn delta(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    if windows.edges != WindowEdges::Plain {
        extended_difference(windows, Kind::Gauge, 1.0, out);
        return Ok(());
    }
    for (step, first, end) in windows.filled() {
        if end - first < 2 {
            continue;
        }
        let difference = windows.values[end - 1] - windows.values[first];
        let factor = extrapolation(windows, (step, first, end), f64::INFINITY);
        out.set(step, difference * factor);
    }
    Ok(())
}

/// The increase of a counter over each window, extrapolated to its edges, by second of the range if
/// that is given. Looks at the first and last sample of each window and at the few resets between.
fn counter_increase(
    windows: &Windows<'_>,
    resets: &mut Vec<usize>,
    range_seconds: Option<f64>,
    out: &mut SeriesSlice,
) {
    if windows.edges != WindowEdges::Plain {
        extended_difference(windows, Kind::Counter, range_seconds.unwrap_or(1.0), out);
        return;
    }
    let values = windows.values;
    resets.clear();
    resets.extend((1..values.len()).filter(|index| values[*index] < values[index - 1]));
    // The resets before the current window.
    let mut passed = 0;
    for (step, first, end) in windows.filled() {
        if end - first < 2 {
            continue;
        }
        let mut increase = values[end - 1] - values[first];
        while resets.get(passed).is_some_and(|reset| *reset <= first) {
            passed += 1;
        }
        for reset in resets[passed..].iter().take_while(|reset| **reset < end) {
            increase += values[reset - 1];
        }
        let to_zero = if increase > 0.0 && values[first] >= 0.0 {
            let sampled = seconds(windows.timestamps[end - 1] - windows.timestamps[first]);
            sampled * (values[first] / increase)
        } else {
            f64::INFINITY
        };
        let mut factor = extrapolation(windows, (step, first, end), to_zero);
        if let Some(range_seconds) = range_seconds {
            factor /= range_seconds;
        }
        out.set(step, increase * factor);
    }
}

/// The difference between each window's settled edges, by `divisor`. Nothing is extrapolated.
fn extended_difference(windows: &Windows<'_>, kind: Kind, divisor: f64, out: &mut SeriesSlice) {
    for window in windows.filled() {
        if let Some(difference) = Extended::of(windows, window).difference(kind) {
            out.set(window.0, difference / divisor);
        }
    }
}

/// By what the difference of a window's last and first sample is multiplied to cover the window:
/// up to an edge when that is near, half the mean distance beyond otherwise, and never further back
/// than `to_zero` seconds, where a counter would have been zero.
fn extrapolation(
    windows: &Windows<'_>,
    (step, first, end): (usize, usize, usize),
    to_zero: f64,
) -> f64 {
    let right_ms = windows.reference.at(step);
    let (first_ms, last_ms) = (windows.timestamps[first], windows.timestamps[end - 1]);
    let mut to_start = seconds(first_ms - right_ms.saturating_sub(windows.range_ms));
    let mut to_end = seconds(right_ms - last_ms);
    let sampled = seconds(last_ms - first_ms);
    let mean_distance = sampled / count(end - first - 1);
    let threshold = mean_distance * 1.1;
    if to_start >= threshold {
        to_start = mean_distance / 2.0;
    }
    if to_zero < to_start {
        to_start = to_zero;
    }
    if to_end >= threshold {
        to_end = mean_distance / 2.0;
    }
    (sampled + to_start + to_end) / sampled
}

fn irate(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    last_two(windows, out, |older, newer, distance| {
        // After a reset the counter started from zero.
        let increase = if newer < older { newer } else { newer - older };
        increase / distance
    });
    Ok(())
}

fn idelta(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    last_two(windows, out, |older, newer, _| newer - older);
    Ok(())
}

/// Combines the last two values of each window and their distance in seconds.
fn last_two(windows: &Windows<'_>, out: &mut SeriesSlice, combine: impl Fn(f64, f64, f64) -> f64) {
    for (step, first, end) in windows.filled() {
        if end - first >= 2 {
            let distance = seconds(windows.timestamps[end - 1] - windows.timestamps[end - 2]);
            let (older, newer) = (windows.values[end - 2], windows.values[end - 1]);
            out.set(step, combine(older, newer, distance));
        }
    }
}
