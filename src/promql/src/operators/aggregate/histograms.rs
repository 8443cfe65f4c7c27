//! The sum and the mean of a group's histograms. Kept beside the accumulator of its floats, and only
//! where there are any. Source: upstream `aggregation`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, HistogramError};
use promql_syntax::ast::PosRange;

use crate::annotations::{Annotation, HistogramOperation, Notes};
use crate::slice::{Bitmap, SeriesSlice};

/// Bytes that a histogram counts as for each sample that it counts as.
const BYTES_PER_SAMPLE: usize = 16;

/// What the histograms fold into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HistogramFold {
    Sum,
    Mean,
}

/// Where annotations go.
pub(super) struct Report<'a> {
    pub(super) notes: &'a Notes,
    pub(super) pos: PosRange,
}

/// The histograms of a group at all steps.
pub(super) struct Histograms {
    fold: HistogramFold,
    /// The steps at which there was a float, a histogram.
    with_floats: Bitmap,
    with_histograms: Bitmap,
    /// For each step what its histograms fold into; not where a float came first.
    running: Vec<Option<Box<Running>>>,
    /// How many samples all of it counts as.
    size: usize,
}

/// Histograms folded so far.
struct Running {
    /// Their sum, or their mean.
    value: FloatHistogram,
    /// What rounding took away from the value.
    compensation: Option<Box<FloatHistogram>>,
    count: f64,
    /// Whether the sum would have overflowed and has become a mean.
    is_mean: bool,
    /// Whether histograms came that cannot be added.
    is_broken: bool,
    /// Whether there was a histogram after a reset, and one that says there was none.
    resets: bool,
    goes_on: bool,
}

impl Report<'_> {
    fn add(&self, annotation: &Annotation<'_>) {
        self.notes.add(annotation, self.pos);
    }
}

impl Histograms {
    /// A group without histograms, and with floats at some steps.
    pub(super) fn new(fold: HistogramFold, with_floats: &Bitmap, steps: usize) -> Self {
        let mut running = Vec::new();
        running.resize_with(steps, || None);
        Self {
            fold,
            with_floats: with_floats.clone(),
            with_histograms: Bitmap::none(steps),
            running,
            size: 0,
        }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.running
            .len()
            .saturating_mul(size_of::<Option<Box<Running>>>())
            .saturating_add(self.size.saturating_mul(BYTES_PER_SAMPLE))
    }

    /// How many samples the histograms count as.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Adds the points of a series of a metric; its floats are only noted.
    pub(super) fn fold(&mut self, slice: &SeriesSlice, metric: &str, report: &Report<'_>) {
        for (step, _) in slice.floats() {
            let is_broken = self.running[step]
                .as_ref()
                .is_some_and(|running| running.is_broken);
            if !is_broken {
                self.with_floats.set(step);
            }
        }
        for (step, histogram) in slice.histogram_points() {
            self.with_histograms.set(step);
            match &mut self.running[step] {
                Some(running) => {
                    let before = running.size();
                    if !running.is_broken {
                        running.fold(self.fold, histogram, metric, report);
                    }
                    self.size = (self.size + running.size()).saturating_sub(before);
                }
                // With a float before it there is no result anyway.
                None if self.with_floats.get(step) => {}
                running @ None => {
                    let first = Box::new(Running::new(histogram));
                    self.size += first.size();
                    *running = Some(first);
                }
            }
        }
    }

    /// Gives out the results and removes the points that have none. `out` has the floats' results.
    pub(super) fn finish(self, out: &mut SeriesSlice, report: &Report<'_>) {
        let mut is_mixed = false;
        let mut collides = false;
        for (step, running) in self.running.into_iter().enumerate() {
            if !self.with_histograms.get(step) {
                continue;
            }
            out.present.unset(step);
            if self.with_floats.get(step) {
                is_mixed = true;
                continue;
            }
            if let Some(running) = running.filter(|running| !running.is_broken) {
                collides |= running.resets && running.goes_on;
                out.set_histogram(step, Arc::new(running.result(self.fold)));
            }
        }
        if is_mixed {
            report.add(&Annotation::MixedAggregation);
        }
        if collides {
            let aggregation = HistogramOperation::Aggregation;
            report.add(&Annotation::CounterResetCollision(aggregation));
        }
    }
}

impl Running {
    fn new(histogram: &FloatHistogram) -> Self {
        let mut running = Self {
            value: histogram.clone(),
            compensation: None,
            count: 1.0,
            is_mean: false,
            is_broken: false,
            resets: false,
            goes_on: false,
        };
        running.note_hint(histogram);
        running
    }

    fn note_hint(&mut self, histogram: &FloatHistogram) {
        match histogram.counter_reset_hint {
            CounterResetHint::CounterReset => self.resets = true,
            CounterResetHint::NotCounterReset => self.goes_on = true,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
    }

    /// How many samples it counts as.
    fn size(&self) -> usize {
        let compensation = self.compensation.as_ref();
        self.value.size_in_samples() + compensation.map_or(0, |lost| lost.size_in_samples())
    }

    fn fold(
        &mut self,
        fold: HistogramFold,
        histogram: &FloatHistogram,
        metric: &str,
        report: &Report<'_>,
    ) {
        self.note_hint(histogram);
        self.count += 1.0;
        let is_reconciled = match fold {
            HistogramFold::Sum => add(&mut self.value, histogram, &mut self.compensation),
            HistogramFold::Mean => self.add_to_mean(histogram),
        };
        match is_reconciled {
            Ok(false) => {}
            Ok(true) => report.add(&Annotation::MismatchedBounds(
                HistogramOperation::Aggregation,
            )),
            Err(_) => {
                self.is_broken = true;
                report.add(&Annotation::MixedBuckets(metric));
            }
        }
    }

    /// Adds to the sum, unless it would overflow; from there on the value is a running mean.
    fn add_to_mean(&mut self, histogram: &FloatHistogram) -> Result<bool, HistogramError> {
        let mut is_reconciled = false;
        if !self.is_mean {
            let (mut sum, mut compensation) = (self.value.clone(), self.compensation.clone());
            is_reconciled = add(&mut sum, histogram, &mut compensation)?;
            if !sum.has_overflow() {
                (self.value, self.compensation) = (sum, compensation);
                return Ok(is_reconciled);
            }
            self.is_mean = true;
            self.value.divide(self.count - 1.0);
            if let Some(compensation) = &mut self.compensation {
                compensation.divide(self.count - 1.0);
            }
        }
        let weight = (self.count - 1.0) / self.count;
        if let Some(compensation) = &mut self.compensation {
            compensation.scale(weight);
        }
        self.value.scale(weight);
        let mut part = histogram.clone();
        part.divide(self.count);
        is_reconciled |= add(&mut self.value, &part, &mut self.compensation)?;
        Ok(is_reconciled)
    }

    fn result(self, fold: HistogramFold) -> FloatHistogram {
        let Self {
            mut value,
            mut compensation,
            ..
        } = self;
        if fold == HistogramFold::Mean && !self.is_mean {
            value.divide(self.count);
            if let Some(compensation) = &mut compensation {
                compensation.divide(self.count);
            }
        }
        if let Some(compensation) = compensation {
            value.apply_compensation(&compensation);
        }
        value.compact(0);
        value
    }
}

/// Adds a histogram to a compensated sum; says whether custom bounds had to be reconciled.
fn add(
    sum: &mut FloatHistogram,
    histogram: &FloatHistogram,
    compensation: &mut Option<Box<FloatHistogram>>,
) -> Result<bool, HistogramError> {
    let combination = sum.add_compensated(histogram, compensation)?;
    Ok(combination.bounds_reconciled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(sum: f64) -> FloatHistogram {
        FloatHistogram {
            count: 4.0,
            sum,
            zero_count: 4.0,
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn means_do_not_overflow_and_sums_are_exact() {
        let notes = Notes::new("");
        let report = Report {
            notes: &notes,
            pos: PosRange::new(0, 1),
        };
        for (fold, sums, want) in [
            (HistogramFold::Mean, [1.5e308, 1.5e308, 1.5e308], 1.5e308),
            (HistogramFold::Mean, [1e100, 3.0, -1e100], 1.0),
            (HistogramFold::Sum, [1e100, 3.0, -1e100], 3.0),
        ] {
            let [first, rest @ ..] = sums;
            let mut running = Running::new(&histogram(first));
            for sum in rest {
                running.fold(fold, &histogram(sum), "m", &report);
            }
            assert_eq!(running.result(fold).sum, want, "{fold:?} of {sums:?}");
        }
        assert!(notes.take().is_empty());
    }
}
