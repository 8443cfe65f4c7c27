//! Native histograms under `anchored` and `smoothed`. Source: upstream `extendedHistogramRate` and
//! `smoothSeries`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};
use promql_syntax::ast::WindowEdges;

use super::extended::{Extended, Kind};
use super::floats::histogram_windows;
use super::histogram_rate::is_gauge;
use super::window::{RangeContext, WindowNote, Windows};
use crate::annotations::HistogramOperation;
use crate::error::EngineError;
use crate::slice::SeriesSlice;

/// Sets the windows that hold histograms only to the difference between their settled edges, by
/// second of the range if that is given. Nothing is extrapolated.
pub(super) fn each(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    (kind, range_seconds): (Kind, Option<f64>),
) -> Result<(), EngineError> {
    let mut notes = Vec::new();
    for window in histogram_windows(windows) {
        let (_, first, end) = window;
        context.spend(end - first)?;
        let samples = ExtendedHistograms {
            edges: Extended::of(windows, window),
            histograms: &windows.histograms[first..end],
        };
        let result = samples.difference(kind, &mut notes);
        notes.drain(..).for_each(|note| context.note(note));
        if let Some(mut result) = result {
            if let Some(range_seconds) = range_seconds {
                result.divide(range_seconds);
            }
            result.counter_reset_hint = CounterResetHint::Gauge;
            result.compact(0);
            context.set_histogram(out, window.0, result)?;
        }
    }
    Ok(())
}

/// Histograms in and around a window.
pub(crate) struct ExtendedHistograms<'a> {
    /// Their times and the window's edges. The values mean nothing.
    pub(crate) edges: Extended<'a>,
    /// The histograms; none is missing.
    pub(crate) histograms: &'a [Option<Arc<FloatHistogram>>],
}

impl ExtendedHistograms<'_> {
    fn at(&self, index: usize) -> Option<&FloatHistogram> {
        self.histograms.get(index)?.as_deref()
    }

    /// The difference between the edges, with the resets of a counter between them made up for.
    fn difference(&self, kind: Kind, notes: &mut Vec<WindowNote>) -> Option<FloatHistogram> {
        let (first, last) = self.edges.outermost()?;
        self.check_kinds(first, last, kind, notes)?;
        let times = self.edges.timestamps;
        let is_smoothed = self.edges.edges == WindowEdges::Smoothed;
        let left = if is_smoothed && times[first] < self.edges.left_ms {
            self.interpolate(first, self.edges.left_ms, kind, notes)?
        } else {
            self.at(first)?.clone()
        };
        let right = if is_smoothed && last > 0 && times[last] > self.edges.right_ms {
            self.interpolate(last - 1, self.edges.right_ms, kind, notes)?
        } else {
            self.at(last)?.clone()
        };
        if kind == Kind::Gauge && !(is_gauge(&left) && is_gauge(&right)) {
            notes.push(WindowNote::NotGauge);
        }
        let mut result = right.clone();
        subtract(&mut result, &left, notes)?;
        if kind == Kind::Counter
            && let Some(lost) = self.lost((first, &left), (last, &right), notes)?
        {
            add(&mut result, &lost, notes)?;
        }
        Some(result)
    }

    /// Refuses exponential together with custom buckets, and warns of gauges where counters are
    /// wanted.
    fn check_kinds(
        &self,
        first: usize,
        last: usize,
        kind: Kind,
        notes: &mut Vec<WindowNote>,
    ) -> Option<()> {
        let has_custom_buckets = self.at(first)?.has_custom_buckets();
        for index in first..=last {
            let histogram = self.at(index)?;
            if histogram.has_custom_buckets() != has_custom_buckets {
                notes.push(WindowNote::MixedBuckets);
                return None;
            }
            if kind == Kind::Counter && is_gauge(histogram) {
                notes.push(WindowNote::NotCounter);
            }
        }
        Some(())
    }

    /// What a counter lost at the resets between the edges.
    #[expect(
        clippy::option_option,
        reason = "whether histograms fit together, and whether there was a reset"
    )]
    fn lost(
        &self,
        (first, left): (usize, &FloatHistogram),
        (last, right): (usize, &FloatHistogram),
        notes: &mut Vec<WindowNote>,
    ) -> Option<Option<FloatHistogram>> {
        let mut next = first + 1;
        let mut previous = left;
        let is_interpolated = self.edges.edges == WindowEdges::Smoothed
            && self.edges.timestamps[first] < self.edges.left_ms;
        if is_interpolated && self.at(first + 1)?.is_reset_of(self.at(first)?) {
            // The left edge lies behind this reset already.
            previous = self.at(first + 1)?;
            next += 1;
        }
        if next > last {
            return Some(None);
        }
        let mut lost: Option<FloatHistogram> = None;
        // The last sample is at the right edge, or was interpolated for it.
        let inner = (next..last).map(|index| self.at(index));
        for current in inner.chain([Some(right)]) {
            let current = current?;
            if current.is_reset_of(previous) {
                match &mut lost {
                    None => lost = Some(previous.clone()),
                    Some(lost) => add(lost, previous, notes)?,
                }
            }
            previous = current;
        }
        Some(lost)
    }

    /// The histogram between sample `index` and the next one. A counter that has been reset between
    /// them counted from zero.
    fn interpolate(
        &self,
        index: usize,
        at_ms: i64,
        kind: Kind,
        notes: &mut Vec<WindowNote>,
    ) -> Option<FloatHistogram> {
        let (from, to) = (self.at(index)?, self.at(index + 1)?);
        let (start, end) = (
            self.edges.timestamps[index],
            self.edges.timestamps[index + 1],
        );
        if at_ms == start {
            return Some(from.clone());
        }
        if at_ms == end {
            return Some(to.clone());
        }
        let fraction = (at_ms - start) as f64 / (end - start) as f64;
        let mut result = to.clone();
        if kind == Kind::Counter && to.is_reset_of(from) {
            result.scale(fraction);
            return Some(result);
        }
        subtract(&mut result, from, notes)?;
        result.scale(fraction);
        add(&mut result, from, notes)?;
        Some(result)
    }

    /// The histogram at an instant: that of a sample, or between two, or of the last one before.
    pub(crate) fn value_at(
        &self,
        at_ms: i64,
        notes: &mut Vec<WindowNote>,
    ) -> Option<FloatHistogram> {
        let times = self.edges.timestamps;
        let next = times.partition_point(|timestamp| *timestamp < at_ms);
        if times.get(next) == Some(&at_ms) {
            return self.at(next).cloned();
        }
        let previous = next.checked_sub(1)?;
        let Some(newer) = self.at(next) else {
            let mut held = self.at(previous)?.clone();
            // What it said of the sample before it does not hold of this instant.
            held.counter_reset_hint = CounterResetHint::Unknown;
            return Some(held);
        };
        let older = self.at(previous)?;
        if older.has_custom_buckets() != newer.has_custom_buckets() {
            notes.push(WindowNote::MixedBuckets);
            return None;
        }
        let kind = if is_gauge(older) && is_gauge(newer) {
            Kind::Gauge
        } else {
            Kind::Counter
        };
        self.interpolate(previous, at_ms, kind, notes)
    }
}

fn add(
    sum: &mut FloatHistogram,
    other: &FloatHistogram,
    notes: &mut Vec<WindowNote>,
) -> Option<()> {
    let Ok(combination) = sum.add(other) else {
        notes.push(WindowNote::MixedBuckets);
        return None;
    };
    if combination.bounds_reconciled {
        notes.push(WindowNote::MismatchedBounds(HistogramOperation::Addition));
    }
    Some(())
}

fn subtract(
    difference: &mut FloatHistogram,
    other: &FloatHistogram,
    notes: &mut Vec<WindowNote>,
) -> Option<()> {
    let Ok(combination) = difference.sub(other) else {
        notes.push(WindowNote::MixedBuckets);
        return None;
    };
    if combination.bounds_reconciled {
        notes.push(WindowNote::MismatchedBounds(
            HistogramOperation::Subtraction,
        ));
    }
    Some(())
}
