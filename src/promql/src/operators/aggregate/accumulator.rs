//! What a group's series fold into. Loops run over steps, which are independent of each other, so
//! that they become vector code; within a step the order is that of the series.

use std::sync::Arc;

use super::histograms::HistogramFold;
use super::quantile::QuantileAccumulator;
use crate::kahan;
use crate::slice::{Bitmap, SeriesSlice};

/// How series fold.
#[derive(Clone, Debug)]
pub(crate) enum FoldKind {
    Avg,
    Count,
    Group,
    Max,
    Min,
    /// The φ of each step.
    Quantile(Arc<[f64]>),
    Stddev,
    Stdvar,
    Sum,
}

impl FoldKind {
    /// The aggregation's name if it leaves histograms out.
    pub(super) fn ignores_histograms(&self) -> Option<&'static str> {
        match self {
            Self::Max => Some("max"),
            Self::Min => Some("min"),
            Self::Quantile(_) => Some("quantile"),
            Self::Stddev => Some("stddev"),
            Self::Stdvar => Some("stdvar"),
            Self::Avg | Self::Count | Self::Group | Self::Sum => None,
        }
    }

    /// How histograms fold, if they do not just count.
    pub(super) fn histogram_fold(&self) -> Option<HistogramFold> {
        match self {
            Self::Avg => Some(HistogramFold::Mean),
            Self::Sum => Some(HistogramFold::Sum),
            _ => None,
        }
    }
}

/// A group being folded. The steps at which it has a point are kept beside it.
pub(super) trait Accumulator: Send {
    /// Adds a series. Only where points just count may there be histograms among them.
    fn fold(&mut self, slice: &SeriesSlice);

    /// Bytes that it holds.
    fn bytes(&self) -> usize;

    /// Sets the values of the result at the steps of `present`, those at which any series had a
    /// point.
    fn finish(&mut self, present: &Bitmap, values: &mut [f64]);
}

/// An empty group.
pub(super) fn accumulator(kind: &FoldKind, steps: usize) -> Box<dyn Accumulator> {
    match kind {
        FoldKind::Avg => Box::new(Mean::new(steps)),
        FoldKind::Count => Box::new(Count::new(steps)),
        FoldKind::Group => Box::new(Presence),
        FoldKind::Max => Box::new(Extreme::new(steps, |new, old| new > old)),
        FoldKind::Min => Box::new(Extreme::new(steps, |new, old| new < old)),
        FoldKind::Quantile(phis) => Box::new(QuantileAccumulator::new(Arc::clone(phis))),
        FoldKind::Stddev => Box::new(Deviation::new(steps, f64::sqrt)),
        FoldKind::Stdvar => Box::new(Deviation::new(steps, |variance| variance)),
        FoldKind::Sum => Box::new(Sum::new(steps)),
    }
}

/// Bytes of some columns of floats.
fn column_bytes(columns: usize, steps: usize) -> usize {
    steps.saturating_mul(columns * size_of::<f64>())
}

/// Calls `visit` for every step with a point.
#[inline]
fn each_step(slice: &SeriesSlice, mut visit: impl FnMut(usize)) {
    if slice.present.is_full() {
        (0..slice.values.len()).for_each(visit);
    } else {
        slice.present.iter().for_each(&mut visit);
    }
}

struct Sum {
    sums: Vec<f64>,
    compensations: Vec<f64>,
}

impl Sum {
    fn new(steps: usize) -> Self {
        Self {
            sums: vec![0.0; steps],
            compensations: vec![0.0; steps],
        }
    }
}

impl Accumulator for Sum {
    fn fold(&mut self, slice: &SeriesSlice) {
        if slice.present.is_full() {
            let columns = self
                .sums
                .iter_mut()
                .zip(&mut self.compensations)
                .zip(&slice.values);
            for ((sum, compensation), value) in columns {
                (*sum, *compensation) = kahan::add(*sum, *compensation, *value);
            }
            return;
        }
        for (step, value) in slice.floats() {
            (self.sums[step], self.compensations[step]) =
                kahan::add(self.sums[step], self.compensations[step], value);
        }
    }

    fn bytes(&self) -> usize {
        column_bytes(2, self.sums.len())
    }

    fn finish(&mut self, _present: &Bitmap, values: &mut [f64]) {
        for (value, (sum, compensation)) in values
            .iter_mut()
            .zip(self.sums.iter().zip(&self.compensations))
        {
            *value = sum + compensation;
        }
    }
}

/// The sum, until it would overflow; from there on a running mean. Source: upstream `aggregation`.
struct Mean {
    sums: Vec<f64>,
    compensations: Vec<f64>,
    counts: Vec<f64>,
    /// The steps whose sum has become a mean.
    is_mean: Bitmap,
}

impl Mean {
    fn new(steps: usize) -> Self {
        Self {
            sums: vec![0.0; steps],
            compensations: vec![0.0; steps],
            counts: vec![0.0; steps],
            is_mean: Bitmap::none(steps),
        }
    }

    fn add(&mut self, step: usize, value: f64) {
        self.counts[step] += 1.0;
        let count = self.counts[step];
        let (sum, compensation) = (&mut self.sums[step], &mut self.compensations[step]);
        if !self.is_mean.get(step) {
            let (next, lost) = kahan::add(*sum, *compensation, value);
            // A first value that is infinite is a sum like any other.
            if !next.is_infinite() || count == 1.0 {
                (*sum, *compensation) = (next, lost);
                return;
            }
            self.is_mean.set(step);
            *sum /= count - 1.0;
            *compensation /= count - 1.0;
        }
        let weight = (count - 1.0) / count;
        (*sum, *compensation) = kahan::add(weight * *sum, weight * *compensation, value / count);
    }
}

impl Accumulator for Mean {
    fn fold(&mut self, slice: &SeriesSlice) {
        each_step(slice, |step| self.add(step, slice.values[step]));
    }

    fn bytes(&self) -> usize {
        column_bytes(3, self.sums.len())
    }

    fn finish(&mut self, present: &Bitmap, values: &mut [f64]) {
        for step in present.iter() {
            let divisor = if self.is_mean.get(step) {
                1.0
            } else {
                self.counts[step]
            };
            values[step] = self.sums[step] / divisor + self.compensations[step] / divisor;
        }
    }
}

struct Count {
    counts: Vec<f64>,
}

impl Count {
    fn new(steps: usize) -> Self {
        Self {
            counts: vec![0.0; steps],
        }
    }
}

impl Accumulator for Count {
    fn fold(&mut self, slice: &SeriesSlice) {
        each_step(slice, |step| self.counts[step] += 1.0);
    }

    fn bytes(&self) -> usize {
        column_bytes(1, self.counts.len())
    }

    fn finish(&mut self, _present: &Bitmap, values: &mut [f64]) {
        values.copy_from_slice(&self.counts);
    }
}

/// Only whether there is a series at all.
struct Presence;

impl Accumulator for Presence {
    fn fold(&mut self, _slice: &SeriesSlice) {}

    fn bytes(&self) -> usize {
        0
    }

    fn finish(&mut self, _present: &Bitmap, values: &mut [f64]) {
        values.fill(1.0);
    }
}

/// The most extreme value; NaN counts only where there is nothing else.
struct Extreme<F> {
    best: Vec<f64>,
    is_better: F,
}

impl<F: Fn(f64, f64) -> bool> Extreme<F> {
    fn new(steps: usize, is_better: F) -> Self {
        Self {
            best: vec![f64::NAN; steps],
            is_better,
        }
    }
}

impl<F: Fn(f64, f64) -> bool + Send> Accumulator for Extreme<F> {
    fn fold(&mut self, slice: &SeriesSlice) {
        each_step(slice, |step| {
            let (new, old) = (slice.values[step], self.best[step]);
            let replaces = (self.is_better)(new, old) || old.is_nan();
            self.best[step] = if replaces { new } else { old };
        });
    }

    fn bytes(&self) -> usize {
        column_bytes(1, self.best.len())
    }

    fn finish(&mut self, _present: &Bitmap, values: &mut [f64]) {
        values.copy_from_slice(&self.best);
    }
}

/// Variance after Welford.
struct Deviation {
    means: Vec<f64>,
    squares: Vec<f64>,
    counts: Vec<f64>,
    result: fn(f64) -> f64,
}

impl Deviation {
    fn new(steps: usize, result: fn(f64) -> f64) -> Self {
        Self {
            means: vec![0.0; steps],
            squares: vec![0.0; steps],
            counts: vec![0.0; steps],
            result,
        }
    }
}

impl Accumulator for Deviation {
    fn fold(&mut self, slice: &SeriesSlice) {
        each_step(slice, |step| {
            let value = slice.values[step];
            self.counts[step] += 1.0;
            let delta = value - self.means[step];
            self.means[step] += delta / self.counts[step];
            self.squares[step] += delta * (value - self.means[step]);
        });
    }

    fn bytes(&self) -> usize {
        column_bytes(3, self.means.len())
    }

    fn finish(&mut self, present: &Bitmap, values: &mut [f64]) {
        for step in present.iter() {
            values[step] = (self.result)(self.squares[step] / self.counts[step]);
        }
    }
}
