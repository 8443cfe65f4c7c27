//! Functions of a window's samples that need no arithmetic, and those that need all samples of a
//! window in order of value.

use std::sync::Arc;

use promql_syntax::ast::WindowEdges;

use super::extended::Extended;
use super::quantile::{median, quantile};
use super::window::{RangeContext, Windows};
use super::{Implementation, RangeTrait, Table};
use crate::error::EngineError;
use crate::numeric::count;
use crate::operators::seconds;
use crate::slice::SeriesSlice;

pub(super) const TABLE: Table = &[
    ("changes", Implementation::Range(RangeTrait::Plain, changes)),
    (
        "count_over_time",
        Implementation::Range(RangeTrait::Plain, count_over_time),
    ),
    (
        "first_over_time",
        Implementation::Range(RangeTrait::KeepsName, first_over_time),
    ),
    (
        "last_over_time",
        Implementation::Range(RangeTrait::KeepsName, last_over_time),
    ),
    (
        "mad_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, mad_over_time),
    ),
    (
        "present_over_time",
        Implementation::Range(RangeTrait::Plain, present_over_time),
    ),
    (
        "quantile_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, quantile_over_time),
    ),
    ("resets", Implementation::Range(RangeTrait::Plain, resets)),
    (
        "ts_of_first_over_time",
        Implementation::Range(RangeTrait::Plain, ts_of_first),
    ),
    (
        "ts_of_last_over_time",
        Implementation::Range(RangeTrait::Plain, ts_of_last),
    ),
];

/// Sets each filled window's point to what its first and last position give.
fn each(windows: &Windows<'_>, out: &mut SeriesSlice, value: impl Fn(usize, usize) -> f64) {
    for (step, first, end) in windows.filled() {
        out.set(step, value(first, end));
    }
}

/// Sets a window's point to one of the samples.
fn set_sample(windows: &Windows<'_>, out: &mut SeriesSlice, step: usize, sample: usize) {
    match windows.histogram(sample) {
        Some(histogram) => out.set_histogram(step, Arc::clone(histogram)),
        None => out.set(step, windows.values[sample]),
    }
}

fn count_over_time(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, out, |first, end| {
        count(windows.samples(first, end))
    });
    Ok(())
}

fn present_over_time(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, out, |_, _| 1.0);
    Ok(())
}

fn first_over_time(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, _) in windows.filled() {
        set_sample(windows, out, step, first);
    }
    Ok(())
}

fn last_over_time(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, _, end) in windows.filled() {
        set_sample(windows, out, step, end - 1);
    }
    Ok(())
}

fn ts_of_first(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, out, |first, _| seconds(windows.timestamps[first]));
    Ok(())
}

fn ts_of_last(
    windows: &Windows<'_>,
    _context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, out, |_, end| seconds(windows.timestamps[end - 1]));
    Ok(())
}

fn resets(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    let counts = &mut context.scratch.counts;
    let values = windows.values;
    if windows.has_histograms() || !windows.start_timestamps.is_empty() {
        count_events(windows, counts, out, |newer| is_reset(windows, newer));
    } else {
        count_events(windows, counts, out, |newer| {
            values[newer] < values[newer - 1]
        });
    }
    Ok(())
}

/// Whether there was a reset between a sample and the one before it; turning into a histogram or
/// into a float is one.
fn is_reset(windows: &Windows<'_>, newer: usize) -> bool {
    if windows.starts_anew(newer) {
        return true;
    }
    match (windows.histogram(newer - 1), windows.histogram(newer)) {
        (None, None) => windows.values[newer] < windows.values[newer - 1],
        (Some(older), Some(newer)) => newer.is_reset_of(older),
        (Some(_), None) | (None, Some(_)) => true,
    }
}

fn changes(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    let counts = &mut context.scratch.counts;
    let floats_differ = |newer: usize| {
        let (older, newer) = (windows.values[newer - 1], windows.values[newer]);
        older != newer && !(older.is_nan() && newer.is_nan())
    };
    if !windows.has_histograms() {
        count_events(windows, counts, out, floats_differ);
        return Ok(());
    }
    count_events(windows, counts, out, |newer| {
        match (windows.histogram(newer - 1), windows.histogram(newer)) {
            (None, None) => floats_differ(newer),
            (Some(older), Some(newer)) => !newer.means_same(older),
            (Some(_), None) | (None, Some(_)) => true,
        }
    });
    Ok(())
}

/// Counts the samples in each window behind its first for which `is_event` is true, by differences
/// of a running count.
fn count_events(
    windows: &Windows<'_>,
    running: &mut Vec<u32>,
    out: &mut SeriesSlice,
    is_event: impl Fn(usize) -> bool,
) {
    running.clear();
    let mut events = 0_u32;
    for index in 0..windows.timestamps.len() {
        if index > 0 && is_event(index) {
            events = events.wrapping_add(1);
        }
        running.push(events);
    }
    let between =
        |first: usize, end: usize| f64::from(running[end - 1].wrapping_sub(running[first]));
    if windows.edges == WindowEdges::Plain {
        each(windows, out, between);
        return;
    }
    for (step, first, end) in windows.filled() {
        if let Some(anchor) = Extended::of(windows, (step, first, end)).anchor() {
            out.set(step, between(first + anchor, end));
        }
    }
}

fn quantile_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        let phi = context.scalar(0, step);
        context.check_quantile(phi);
        context.spend(end - first)?;
        let sorted = &mut context.scratch.values;
        sorted.clear();
        sorted.extend_from_slice(&windows.values[first..end]);
        out.set(step, quantile(phi, sorted));
    }
    Ok(())
}

/// Median of the absolute deviations from the median; NaN as soon as one sample is.
fn mad_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        let sorted = &mut context.scratch.values;
        let values = &windows.values[first..end];
        if values.iter().any(|value| value.is_nan()) {
            out.set(step, f64::NAN);
            continue;
        }
        sorted.clear();
        sorted.extend_from_slice(values);
        let centre = median(sorted);
        for value in sorted.iter_mut() {
            *value = (*value - centre).abs();
        }
        out.set(step, median(sorted));
    }
    Ok(())
}
