//! Sums and means of native histograms over windows. Source: upstream `funcSumOverTime` and
//! `funcAvgOverTime`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, HistogramError};

use super::floats::histogram_windows;
use super::window::{RangeContext, WindowNote, Windows};
use crate::annotations::HistogramOperation;
use crate::error::EngineError;
use crate::numeric::count;
use crate::slice::SeriesSlice;

/// Sets the windows that hold histograms only to their sum.
pub(super) fn sums(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, context, out, sum)
}

/// Sets the windows that hold histograms only to their mean.
pub(super) fn means(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    each(windows, context, out, mean)
}

type Samples<'a> = &'a [Option<Arc<FloatHistogram>>];

/// Computes each window from its histograms; the function also says whether bounds were reconciled.
fn each(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    function: fn(Samples<'_>) -> Result<(FloatHistogram, bool), HistogramError>,
) -> Result<(), EngineError> {
    for (step, first, end) in histogram_windows(windows) {
        let samples = &windows.histograms[first..end];
        context.spend(cost(samples))?;
        match function(samples) {
            Ok((result, bounds_reconciled)) => {
                if resets_collide(samples) {
                    context.note(WindowNote::ResetCollision);
                }
                if bounds_reconciled {
                    context.note(WindowNote::MismatchedBounds(
                        HistogramOperation::Aggregation,
                    ));
                }
                context.set_histogram(out, step, result)?;
            }
            Err(_) => context.note(WindowNote::MixedBuckets),
        }
    }
    Ok(())
}

/// As how many floats histograms count that are added.
fn cost(samples: Samples<'_>) -> usize {
    let buckets = samples
        .iter()
        .flatten()
        .map(|histogram| histogram.size_in_samples());
    buckets.fold(0, usize::saturating_add)
}

/// Whether one histogram stands behind a reset and another says that there was none.
fn resets_collide(samples: Samples<'_>) -> bool {
    let any = |hint| {
        samples
            .iter()
            .flatten()
            .any(|histogram| histogram.counter_reset_hint == hint)
    };
    any(CounterResetHint::CounterReset) && any(CounterResetHint::NotCounterReset)
}

fn split_first(samples: Samples<'_>) -> (FloatHistogram, impl Iterator<Item = &FloatHistogram>) {
    let mut histograms = samples.iter().filter_map(Option::as_deref);
    let first = histograms.next().cloned().unwrap_or_default();
    (first, histograms)
}

/// A sum and what has to be added to it, as for floats.
struct Sum {
    sum: FloatHistogram,
    compensation: Option<Box<FloatHistogram>>,
    bounds_reconciled: bool,
}

impl Sum {
    fn add(&mut self, histogram: &FloatHistogram) -> Result<(), HistogramError> {
        let combination = self
            .sum
            .add_compensated(histogram, &mut self.compensation)?;
        self.bounds_reconciled |= combination.bounds_reconciled;
        Ok(())
    }

    /// The total and whether bounds were reconciled.
    fn total(mut self) -> (FloatHistogram, bool) {
        if let Some(compensation) = &self.compensation {
            self.sum.apply_compensation(compensation);
        }
        (self.sum, self.bounds_reconciled)
    }

    fn of(samples: Samples<'_>) -> Result<Self, HistogramError> {
        let (first, rest) = split_first(samples);
        let mut this = Self {
            sum: first,
            compensation: None,
            bounds_reconciled: false,
        };
        for histogram in rest {
            this.add(histogram)?;
        }
        Ok(this)
    }

    fn divide(&mut self, divisor: f64) {
        self.sum.divide(divisor);
        if let Some(compensation) = &mut self.compensation {
            compensation.divide(divisor);
        }
    }

    fn scale(&mut self, factor: f64) {
        self.sum.scale(factor);
        if let Some(compensation) = &mut self.compensation {
            compensation.scale(factor);
        }
    }
}

fn sum(samples: Samples<'_>) -> Result<(FloatHistogram, bool), HistogramError> {
    Ok(Sum::of(samples)?.total())
}

fn mean(samples: Samples<'_>) -> Result<(FloatHistogram, bool), HistogramError> {
    let mut sum = Sum::of(samples)?;
    if is_finite(&sum.sum) {
        sum.divide(count(samples.len()));
        return Ok(sum.total());
    }
    running_mean(samples)
}

/// The mean, going on from mean to mean as soon as the sum overflows.
fn running_mean(samples: Samples<'_>) -> Result<(FloatHistogram, bool), HistogramError> {
    let (first, rest) = split_first(samples);
    let mut state = Sum {
        sum: first,
        compensation: None,
        bounds_reconciled: false,
    };
    let mut is_mean = false;
    for (index, histogram) in rest.enumerate() {
        let seen = count(index + 2);
        if !is_mean {
            let mut next = Sum {
                sum: state.sum.clone(),
                compensation: state.compensation.clone(),
                bounds_reconciled: state.bounds_reconciled,
            };
            next.add(histogram)?;
            state.bounds_reconciled = next.bounds_reconciled;
            if !overflows(&next.sum) {
                state = next;
                continue;
            }
            is_mean = true;
            state.divide(seen - 1.0);
        }
        state.scale((seen - 1.0) / seen);
        let mut share = histogram.clone();
        share.divide(seen);
        state.add(&share)?;
    }
    if !is_mean {
        state.divide(count(samples.len()));
    }
    Ok(state.total())
}

fn numbers(histogram: &FloatHistogram) -> impl Iterator<Item = f64> + '_ {
    let single = [histogram.zero_count, histogram.count, histogram.sum];
    single
        .into_iter()
        .chain(histogram.positive_buckets.iter().copied())
        .chain(histogram.negative_buckets.iter().copied())
}

/// Whether a count or the sum is infinite. Source: upstream `HasOverflow`.
fn overflows(histogram: &FloatHistogram) -> bool {
    numbers(histogram).any(f64::is_infinite)
}

/// Whether no sum on the way can have been infinite: neither infinity nor what comes of two of them
/// becomes finite again.
fn is_finite(histogram: &FloatHistogram) -> bool {
    numbers(histogram).all(f64::is_finite)
}
