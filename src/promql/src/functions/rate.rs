//! Rates, increases and differences of a window's samples. Source: upstream `extrapolatedRate` and
//! `instantValue` in `promql/functions.go`.

use model::{CounterResetHint, FloatHistogram, PromDuration};
use promql_syntax::ast::WindowEdges;

use super::extended::{Extended, Kind};
use super::floats::by_kind;
use super::window::{RangeContext, WindowNote, Windows};
use super::{Implementation, RangeTrait, Table, histogram_rate, start};
use crate::annotations::HistogramOperation;
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
    difference(windows, context, out, (Kind::Counter, Some(range_seconds)))
}

fn increase(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    difference(windows, context, out, (Kind::Counter, None))
}

fn delta(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    difference(windows, context, out, (Kind::Gauge, None))
}

/// The difference over each window, extrapolated to its edges, by second of the range if that is
/// given.
fn difference(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    (kind, range_seconds): (Kind, Option<f64>),
) -> Result<(), EngineError> {
    by_kind(
        windows,
        context,
        out,
        |windows, context, out| match (windows.edges, kind) {
            (WindowEdges::Plain, Kind::Counter) => {
                counter_increase(windows, context, range_seconds, out);
            }
            (WindowEdges::Plain, Kind::Gauge) => gauge_difference(windows, out),
            _ => extended_difference(windows, kind, range_seconds.unwrap_or(1.0), out),
        },
        |windows, context, out| histogram_rate::each(windows, context, out, (kind, range_seconds)),
    )
}

fn gauge_difference(windows: &Windows<'_>, out: &mut SeriesSlice) {
    for (step, first, end) in windows.filled() {
        if windows.samples(first, end) < 2 {
            continue;
        }
        let difference = windows.values[end - 1] - windows.values[first];
        let origin = Origin::Unknown {
            to_zero: f64::INFINITY,
        };
        let factor = extrapolation(windows, (step, first, end), origin);
        out.set(step, difference * factor);
    }
}

/// Looks at the first and last sample of each window and at the few resets between.
fn counter_increase(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    range_seconds: Option<f64>,
    out: &mut SeriesSlice,
) {
    let values = windows.values;
    let mut resets = std::mem::take(&mut context.scratch.positions);
    resets.clear();
    let drops = |index: &usize| values[*index] < values[index - 1];
    if windows.start_timestamps.is_empty() {
        resets.extend((1..values.len()).filter(drops));
    } else {
        let is_reset = |index: &usize| drops(index) || windows.starts_anew(*index);
        resets.extend((1..values.len()).filter(is_reset));
    }
    let overlaps = start::overlapping(windows);
    // The resets before the current window.
    let mut passed = 0;
    for (step, first, end) in windows.filled() {
        let started = start::inside(windows, step, first);
        if windows.samples(first, end) < 2 && started.is_none() {
            continue;
        }
        if start::any_between(&overlaps, first, end) {
            context.note(WindowNote::StartOverlap);
        }
        let mut increase = values[end - 1] - values[first];
        while resets.get(passed).is_some_and(|reset| *reset <= first) {
            passed += 1;
        }
        for reset in resets[passed..].iter().take_while(|reset| **reset < end) {
            increase += values[reset - 1];
        }
        let origin = match started {
            Some(start_ms) => {
                increase += values[first];
                Origin::Started(start_ms)
            }
            None => Origin::before(windows, (first, end), (values[first], increase)),
        };
        let mut factor = extrapolation(windows, (step, first, end), origin);
        if let Some(range_seconds) = range_seconds {
            factor /= range_seconds;
        }
        out.set(step, increase * factor);
    }
    context.scratch.positions = resets;
}

/// The difference between each window's settled edges, by `divisor`. Nothing is extrapolated.
fn extended_difference(windows: &Windows<'_>, kind: Kind, divisor: f64, out: &mut SeriesSlice) {
    for window in windows.filled() {
        if let Some(difference) = Extended::of(windows, window).difference(kind) {
            out.set(window.0, difference / divisor);
        }
    }
}

/// Where the values of a window come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// Not known; a counter was zero no later than this many seconds before the first sample.
    Unknown { to_zero: f64 },
    /// Zero at this time.
    Started(i64),
}

impl Origin {
    /// From the first value of a counter and its increase, both in whatever unit.
    pub(super) fn before(
        windows: &Windows<'_>,
        (first, end): (usize, usize),
        (value, increase): (f64, f64),
    ) -> Self {
        let to_zero = if increase > 0.0 && value >= 0.0 {
            let sampled = seconds(windows.timestamps[end - 1] - windows.timestamps[first]);
            sampled * (value / increase)
        } else {
            f64::INFINITY
        };
        Self::Unknown { to_zero }
    }
}

/// By what the difference of a window's last and first sample is multiplied to cover the window:
/// up to an edge when that is near, half the mean distance beyond otherwise, and never further back
/// than where a counter was zero. A window of one sample needs a start.
pub(super) fn extrapolation(
    windows: &Windows<'_>,
    (step, first, end): (usize, usize, usize),
    origin: Origin,
) -> f64 {
    let right_ms = windows.reference.at(step);
    let (first_ms, last_ms) = (windows.timestamps[first], windows.timestamps[end - 1]);
    let mut to_start = seconds(first_ms - windows.left_ms(step));
    let mut to_end = seconds(right_ms - last_ms);
    let mut sampled = seconds(last_ms - first_ms);
    let mean_distance = sampled / count((windows.samples(first, end) - 1).max(1));
    let threshold = mean_distance * 1.1;
    match origin {
        Origin::Started(start_ms) => {
            to_start = 0.0;
            sampled = seconds(last_ms - start_ms);
        }
        Origin::Unknown { to_zero } => {
            if to_start >= threshold {
                to_start = mean_distance / 2.0;
            }
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
    }
    if to_end >= threshold {
        to_end = mean_distance / 2.0;
    }
    (sampled + to_start + to_end) / sampled
}

fn irate(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    last_two(windows, context, out, Kind::Counter)
}

fn idelta(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    last_two(windows, context, out, Kind::Gauge)
}

/// The difference of the last two samples of each window; of a counter by second.
fn last_two(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    kind: Kind,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        if end - first < 2 {
            continue;
        }
        let newest = end - 1;
        match (windows.histogram(newest - 1), windows.histogram(newest)) {
            (None, None) => out.set(step, last_two_floats(windows, newest, kind)),
            (Some(older), Some(newer)) => {
                let is_reset = windows.starts_anew(newest);
                let result = last_two_histograms(context, (older, newer), kind, is_reset);
                if let Some(mut result) = result {
                    if kind == Kind::Counter {
                        result.divide(distance(windows, newest));
                    }
                    context.set_histogram(out, step, result)?;
                }
            }
            (Some(_), None) | (None, Some(_)) => context.note(WindowNote::Mixed),
        }
    }
    Ok(())
}

/// Seconds between a sample and the one before it.
fn distance(windows: &Windows<'_>, index: usize) -> f64 {
    seconds(windows.timestamps[index] - windows.timestamps[index - 1])
}

fn last_two_floats(windows: &Windows<'_>, newest: usize, kind: Kind) -> f64 {
    let (older, newer) = (windows.values[newest - 1], windows.values[newest]);
    match kind {
        Kind::Gauge => newer - older,
        // After a reset the counter started from zero.
        Kind::Counter if newer < older || windows.starts_anew(newest) => {
            newer / distance(windows, newest)
        }
        Kind::Counter => (newer - older) / distance(windows, newest),
    }
}

fn last_two_histograms(
    context: &mut RangeContext<'_>,
    (older, newer): (&FloatHistogram, &FloatHistogram),
    kind: Kind,
    starts_anew: bool,
) -> Option<FloatHistogram> {
    let gauges = [older, newer].map(|it| it.counter_reset_hint == CounterResetHint::Gauge);
    match (kind, gauges) {
        (Kind::Counter, [false, false]) | (Kind::Gauge, [true, true]) => {}
        (Kind::Counter, _) => context.note(WindowNote::NotCounter),
        (Kind::Gauge, _) => context.note(WindowNote::NotGauge),
    }
    let mut result = newer.clone();
    let is_reset = kind == Kind::Counter && (starts_anew || newer.is_reset_of(older));
    if !is_reset {
        match result.sub(older) {
            Ok(combination) if combination.bounds_reconciled => {
                context.note(WindowNote::MismatchedBounds(
                    HistogramOperation::Subtraction,
                ));
            }
            Ok(_) => {}
            Err(_) => {
                context.note(WindowNote::MixedBuckets);
                return None;
            }
        }
    }
    result.counter_reset_hint = CounterResetHint::Gauge;
    result.compact(0);
    Some(result)
}
