//! Adding, subtracting, scaling. Source: upstream `model/histogram/float_histogram.go`.

use std::sync::Arc;

use super::layout::{Cells, coarsened, is_compact, walk};
use super::operand::{Operand, Sign};
use super::{CounterResetHint, FloatHistogram, HistogramError, Span, bounds, same_bounds};

/// What had to be reconciled to combine two histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combination {
    /// One is marked as a counter reset, the other as none.
    pub counter_reset_collision: bool,
    /// The custom bounds differed, and only those of both are left.
    pub bounds_reconciled: bool,
}

impl FloatHistogram {
    /// Adds `other`, as upstream `Add`: at the coarser schema, with a zero bucket that holds both
    /// zero buckets and ends where no populated bucket of either lies, or at the custom bounds that
    /// both have. The result may have empty buckets: see [`FloatHistogram::compact`].
    ///
    /// # Errors
    ///
    /// If only one of both has custom buckets. The histogram is then as before.
    pub fn add(&mut self, other: &Self) -> Result<Combination, HistogramError> {
        self.combine(other, Sign::Plus)
    }

    /// Subtracts `other`, as [`FloatHistogram::add`] adds it. The hint is that of an addition: who
    /// evaluates the operator `-` marks the result as a gauge.
    ///
    /// # Errors
    ///
    /// As [`FloatHistogram::add`].
    pub fn sub(&mut self, other: &Self) -> Result<Combination, HistogramError> {
        self.combine(other, Sign::Minus)
    }

    fn combine(&mut self, other: &Self, sign: Sign) -> Result<Combination, HistogramError> {
        let counter_reset_collision = self.start_combining(other)?;
        self.count += sign.of(other.count);
        self.sum += sign.of(other.sum);
        let mut bounds_reconciled = false;
        if self.takes_in_place(other) {
            self.zero_count += sign.of(other.zero_count);
            for (own, others) in [
                (&mut self.positive_buckets, &other.positive_buckets),
                (&mut self.negative_buckets, &other.negative_buckets),
            ] {
                match sign {
                    Sign::Plus => own.iter_mut().zip(others).for_each(|(a, b)| *a += b),
                    Sign::Minus => own.iter_mut().zip(others).for_each(|(a, b)| *a -= b),
                }
            }
        } else {
            let mut operand = Operand::take(self);
            bounds_reconciled = operand.add(other, sign);
            operand.put(self);
        }
        Ok(Combination {
            counter_reset_collision,
            bounds_reconciled,
        })
    }

    /// Checks that the histograms can be combined and sets the hint of the result. Whether the
    /// hints contradict each other.
    pub(super) fn start_combining(&mut self, other: &Self) -> Result<bool, HistogramError> {
        if self.has_custom_buckets() != other.has_custom_buckets() {
            return Err(HistogramError::IncompatibleSchema);
        }
        let hint = self.counter_reset_hint;
        self.counter_reset_hint = combined_hint(hint, other.counter_reset_hint);
        Ok(matches!(
            (hint, other.counter_reset_hint),
            (
                CounterResetHint::CounterReset,
                CounterResetHint::NotCounterReset
            ) | (
                CounterResetHint::NotCounterReset,
                CounterResetHint::CounterReset
            )
        ))
    }

    /// Whether each bucket of `other` adds to the one at the same place.
    pub(super) fn takes_in_place(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.positive_buckets.len() == other.positive_buckets.len()
            && self.negative_buckets.len() == other.negative_buckets.len()
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && (!self.has_custom_buckets()
                || same_bounds(&self.custom_values, &other.custom_values))
            && self.buckets_lie_outside_zero()
    }

    fn buckets_lie_outside_zero(&self) -> bool {
        let threshold = self.zero_threshold;
        let outside = |first: Option<(i32, f64)>| {
            first.is_none_or(|(index, _)| bounds::exponential_bound(index, self.schema) > threshold)
        };
        threshold == 0.0
            || self.has_custom_buckets()
            || (outside(walk(&self.positive_spans, &self.positive_buckets).next())
                && outside(walk(&self.negative_spans, &self.negative_buckets).next()))
    }

    /// Multiplies all counts and the sum, as upstream `Mul`: a negative factor makes a gauge.
    pub fn scale(&mut self, factor: f64) {
        self.for_each_amount(|amount| *amount *= factor);
        if factor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum, as upstream `Div`: a negative divisor makes a gauge, and 0
    /// removes the buckets other than the zero bucket.
    pub fn divide(&mut self, divisor: f64) {
        if divisor == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
        self.for_each_amount(|amount| *amount /= divisor);
        if divisor < 0.0 {
            self.counter_reset_hint = CounterResetHint::Gauge;
        }
    }

    fn for_each_amount(&mut self, mut change: impl FnMut(&mut f64)) {
        change(&mut self.zero_count);
        change(&mut self.count);
        change(&mut self.sum);
        self.positive_buckets.iter_mut().for_each(&mut change);
        self.negative_buckets.iter_mut().for_each(&mut change);
    }

    /// Whether a count, the sum or a bound is infinite, as upstream `HasOverflow`.
    #[must_use]
    pub fn has_overflow(&self) -> bool {
        [self.zero_count, self.count, self.sum]
            .iter()
            .chain(&self.positive_buckets)
            .chain(&self.negative_buckets)
            .chain(self.custom_values.iter())
            .any(|amount| amount.is_infinite())
    }

    /// Drops empty buckets at the edges of spans and splits spans at more than `max_empty_buckets`
    /// empty ones; joins spans that are no further apart. Source: upstream `Compact`.
    ///
    /// Joining takes memory for the buckets between, so `max_empty_buckets` is to be small where
    /// histograms come from outside.
    pub fn compact(&mut self, max_empty_buckets: usize) {
        let max = max_empty_buckets;
        compact_side(&mut self.positive_spans, &mut self.positive_buckets, max);
        compact_side(&mut self.negative_spans, &mut self.negative_buckets, max);
    }

    /// A copy at a coarser schema, its hint unknown, as upstream `CopyToSchema`. A plain copy if the
    /// schema is the same or finer, or if there are custom buckets on one side.
    #[must_use]
    pub fn to_schema(&self, schema: i32) -> Self {
        let custom = super::CUSTOM_BUCKETS_SCHEMA;
        if schema >= self.schema || self.schema == custom || schema == custom {
            return self.clone();
        }
        let by = self.schema.abs_diff(schema);
        let positive = coarsened(walk(&self.positive_spans, &self.positive_buckets), by);
        let negative = coarsened(walk(&self.negative_spans, &self.negative_buckets), by);
        Self {
            counter_reset_hint: CounterResetHint::Unknown,
            schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: positive.spans,
            negative_spans: negative.spans,
            positive_buckets: positive.counts,
            negative_buckets: negative.counts,
            custom_values: Arc::default(),
        }
    }
}

fn compact_side(spans: &mut Vec<Span>, counts: &mut Vec<f64>, max_empty: usize) {
    if is_compact(spans, counts, max_empty) {
        return;
    }
    let cells = Cells {
        spans: std::mem::take(spans),
        counts: std::mem::take(counts),
    };
    let compacted = cells.compacted(max_empty);
    (*spans, *counts) = (compacted.spans, compacted.counts);
}

/// The hint of a sum or difference: a gauge wins, then the unknown; a contradiction is unknown.
/// Source: upstream `adjustCounterReset`.
fn combined_hint(a: CounterResetHint, b: CounterResetHint) -> CounterResetHint {
    match (a, b) {
        (a, b) if a == b => a,
        (CounterResetHint::Gauge, _) | (_, CounterResetHint::Gauge) => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}
