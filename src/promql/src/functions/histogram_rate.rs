//! Differences of native histograms over windows. Source: upstream `histogramRate` and
//! `extrapolatedRate` in `promql/functions.go`.

use std::sync::Arc;

use model::{Combination, CounterResetHint, FloatHistogram, HistogramError};
use promql_syntax::ast::WindowEdges;

use super::extended::Kind;
use super::floats::histogram_windows;
use super::rate::{Origin, extrapolation};
use super::window::{RangeContext, WindowNote, Windows};
use super::{extended_histogram, start};
use crate::annotations::HistogramOperation;
use crate::error::EngineError;
use crate::slice::SeriesSlice;

/// Sets the windows that hold histograms only to their difference, by second of the range if that
/// is given.
pub(super) fn each(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    (kind, range_seconds): (Kind, Option<f64>),
) -> Result<(), EngineError> {
    if windows.edges != WindowEdges::Plain {
        return extended_histogram::each(windows, context, out, (kind, range_seconds));
    }
    let histograms = Histograms::of(windows, kind);
    let mut notes = Vec::new();
    for window in histogram_windows(windows) {
        context.spend(histograms.looked_at(window))?;
        let result = histograms.extrapolated(window, range_seconds, &mut notes);
        notes.drain(..).for_each(|note| context.note(note));
        if let Some(result) = result {
            context.set_histogram(out, window.0, result)?;
        }
    }
    Ok(())
}

/// What is found out once for all windows of a series.
struct Histograms<'a> {
    windows: &'a Windows<'a>,
    kind: Kind,
    /// Positions of samples between which and the one before there was a reset.
    resets: Vec<usize>,
    /// Positions of samples whose start lies before the sample before.
    overlaps: Vec<usize>,
    /// For each sample how often the schema has changed up to it.
    layouts: Vec<u32>,
    /// Positions of gauges.
    gauges: Vec<usize>,
}

impl<'a> Histograms<'a> {
    fn of(windows: &'a Windows<'a>, kind: Kind) -> Self {
        let mut this = Self {
            windows,
            kind,
            resets: Vec::new(),
            overlaps: start::overlapping(windows),
            layouts: Vec::with_capacity(windows.timestamps.len()),
            gauges: Vec::new(),
        };
        if kind == Kind::Gauge {
            return this;
        }
        let mut previous: Option<&FloatHistogram> = None;
        let mut layout = 0_u32;
        for index in 0..windows.timestamps.len() {
            let current = windows.histogram(index).map(|histogram| &**histogram);
            if let (Some(previous), Some(current)) = (previous, current)
                && (windows.starts_anew(index) || current.is_reset_of(previous))
            {
                this.resets.push(index);
            }
            let schema = |histogram: Option<&FloatHistogram>| histogram.map(|it| it.schema);
            if schema(current) != schema(previous) {
                layout = layout.wrapping_add(1);
            }
            this.layouts.push(layout);
            if current.is_some_and(is_gauge) {
                this.gauges.push(index);
            }
            previous = current;
        }
        this
    }

    fn at(&self, index: usize) -> Option<&'a FloatHistogram> {
        self.windows.histogram(index).map(|histogram| &**histogram)
    }

    /// How many samples a window's difference looks at: its ends and the resets inside, and all
    /// where layouts differ.
    fn looked_at(&self, (_, first, end): (usize, usize, usize)) -> usize {
        let is_uniform = self.layouts.get(first) == self.layouts.get(end - 1);
        if is_uniform { 2 } else { end - first }
    }

    /// The difference over a window, extrapolated to its edges.
    fn extrapolated(
        &self,
        (step, first, end): (usize, usize, usize),
        range_seconds: Option<f64>,
        notes: &mut Vec<WindowNote>,
    ) -> Option<FloatHistogram> {
        let started = match self.kind {
            Kind::Counter => start::inside(self.windows, step, first),
            Kind::Gauge => None,
        };
        let oldest = self.at(first)?;
        let (mut result, origin) = match started {
            Some(start_ms) => (
                self.since_start(first, end, notes)?,
                Origin::Started(start_ms),
            ),
            None if end - first < 2 => return None,
            None => {
                let result = self.difference(first, end, notes)?;
                let origin = match self.kind {
                    Kind::Counter => {
                        let counts = (oldest.count, result.count);
                        Origin::before(self.windows, (first, end), counts)
                    }
                    Kind::Gauge => Origin::Unknown {
                        to_zero: f64::INFINITY,
                    },
                };
                (result, origin)
            }
        };
        let mut factor = extrapolation(self.windows, (step, first, end), origin);
        if let Some(range_seconds) = range_seconds {
            factor /= range_seconds;
        }
        result.scale(factor);
        Some(result)
    }

    /// The increase of a counter that was zero before the first sample, but inside the window.
    fn since_start(
        &self,
        first: usize,
        end: usize,
        notes: &mut Vec<WindowNote>,
    ) -> Option<FloatHistogram> {
        let oldest = self.at(first)?;
        if end - first < 2 {
            return Some(oldest.clone());
        }
        let mut result = self.difference(first, end, notes)?;
        match result.add(oldest) {
            Ok(combination) => {
                if combination.bounds_reconciled {
                    notes.push(WindowNote::MismatchedBounds(HistogramOperation::Addition));
                }
                Some(result)
            }
            Err(_) => {
                notes.push(WindowNote::MixedBuckets);
                None
            }
        }
    }

    /// Last minus first of two samples or more; of a counter with the resets between them made up
    /// for.
    fn difference(
        &self,
        first: usize,
        end: usize,
        notes: &mut Vec<WindowNote>,
    ) -> Option<FloatHistogram> {
        let is_counter = self.kind == Kind::Counter;
        let (oldest, newest) = (self.at(first)?, self.at(end - 1)?);
        if is_counter && (is_gauge(oldest) || is_gauge(newest)) {
            notes.push(WindowNote::NotCounter);
        }
        // The layout of a first sample that a reset follows does not matter.
        let second = self.at(first + 1)?;
        let is_void = is_counter && self.resets.binary_search(&(first + 1)).is_ok();
        let void;
        let base = if is_void {
            void = empty_like(second);
            &void
        } else {
            oldest
        };
        if base.has_custom_buckets() != newest.has_custom_buckets() {
            notes.push(WindowNote::MixedBuckets);
            return None;
        }
        let mut schema = newest.schema.min(base.schema);
        if is_counter {
            schema = schema.min(self.inner_schema(first, end, newest, notes)?);
        }
        let mut result = newest.to_schema(schema);
        let subtracted = result.sub(base);
        combined(subtracted, HistogramOperation::Subtraction, notes)?;
        if is_counter {
            self.make_up(first, end, is_void.then_some(base), &mut result, notes)?;
        } else if !(is_gauge(oldest) && is_gauge(newest)) {
            notes.push(WindowNote::NotGauge);
        }
        result.counter_reset_hint = CounterResetHint::Gauge;
        result.compact(0);
        Some(result)
    }

    /// The smallest schema of the samples strictly inside, or that of `newest`.
    fn inner_schema(
        &self,
        first: usize,
        end: usize,
        newest: &FloatHistogram,
        notes: &mut Vec<WindowNote>,
    ) -> Option<i32> {
        let inner = first + 1..end - 1;
        let gauge = self
            .gauges
            .partition_point(|position| *position < inner.start);
        if self
            .gauges
            .get(gauge)
            .is_some_and(|gauge| *gauge < inner.end)
        {
            notes.push(WindowNote::NotCounter);
        }
        if self.layouts[first + 1] == self.layouts[end - 1] {
            return Some(newest.schema);
        }
        let mut schema = newest.schema;
        for index in inner {
            let histogram = self.at(index)?;
            if histogram.has_custom_buckets() != newest.has_custom_buckets() {
                notes.clear();
                notes.push(WindowNote::MixedBuckets);
                return None;
            }
            schema = schema.min(histogram.schema);
        }
        Some(schema)
    }

    /// Adds what was lost at resets. `void` stands for the first sample where a reset follows it.
    fn make_up(
        &self,
        first: usize,
        end: usize,
        void: Option<&FloatHistogram>,
        result: &mut FloatHistogram,
        notes: &mut Vec<WindowNote>,
    ) -> Option<()> {
        if start::any_between(&self.overlaps, first, end) {
            notes.push(WindowNote::StartOverlap);
        }
        let from = self.resets.partition_point(|reset| *reset <= first);
        for reset in self.resets[from..].iter().take_while(|reset| **reset < end) {
            let lost = match void {
                Some(void) if *reset == first + 1 => {
                    let is_reset =
                        self.windows.starts_anew(*reset) || self.at(*reset)?.is_reset_of(void);
                    if !is_reset {
                        continue;
                    }
                    void
                }
                _ => self.at(reset - 1)?,
            };
            combined(result.add(lost), HistogramOperation::Addition, notes)?;
        }
        Some(())
    }
}

pub(super) fn is_gauge(histogram: &FloatHistogram) -> bool {
    histogram.counter_reset_hint == CounterResetHint::Gauge
}

/// A histogram without observations that has this one's buckets.
fn empty_like(histogram: &FloatHistogram) -> FloatHistogram {
    FloatHistogram {
        schema: histogram.schema,
        custom_values: Arc::clone(&histogram.custom_values),
        ..FloatHistogram::default()
    }
}

/// Notes how histograms were combined; `None` when they could not be, which is then all there is to
/// say.
fn combined(
    outcome: Result<Combination, HistogramError>,
    operation: HistogramOperation,
    notes: &mut Vec<WindowNote>,
) -> Option<()> {
    match outcome {
        Ok(combination) => {
            if combination.bounds_reconciled {
                notes.push(WindowNote::MismatchedBounds(operation));
            }
            Some(())
        }
        Err(_) => {
            notes.clear();
            notes.push(WindowNote::MixedBuckets);
            None
        }
    }
}
