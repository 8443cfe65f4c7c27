//! The receiving side of an addition whose layout differs from the other one's: zero buckets,
//! schemas and custom bounds are reconciled here, for plain and for compensated counts.

use std::cmp::Ordering;
use std::sync::Arc;

use super::layout::{Amount, Cells, Walk, coarsened, walk};
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, bounds, same_bounds};
use crate::kahan::KahanSum;

/// An amount that float counts are added to.
pub(super) trait Count: Amount {
    /// Of a number without a remainder.
    fn of(value: f64) -> Self;
    /// The number.
    fn value(self) -> f64;
    /// The negative.
    fn negated(self) -> Self;
}

impl Count for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn value(self) -> f64 {
        self
    }

    fn negated(self) -> Self {
        -self
    }
}

impl Count for KahanSum {
    fn of(value: f64) -> Self {
        Self {
            sum: value,
            compensation: 0.0,
        }
    }

    fn value(self) -> f64 {
        self.sum
    }

    fn negated(self) -> Self {
        Self {
            sum: -self.sum,
            compensation: -self.compensation,
        }
    }
}

/// Whether buckets are added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl Sign {
    /// `amount` as the sign has it.
    pub(super) fn of<C: Count>(self, amount: C) -> C {
        match self {
            Self::Plus => amount,
            Self::Minus => amount.negated(),
        }
    }
}

/// The buckets of the histogram that others are added to.
#[derive(Debug)]
pub(super) struct Operand<C> {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: C,
    pub(super) positive: Cells<C>,
    pub(super) negative: Cells<C>,
    pub(super) custom_values: Arc<[f64]>,
}

impl Operand<f64> {
    /// The buckets of `histogram`, which is left without.
    pub(super) fn take(histogram: &mut FloatHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: histogram.zero_count,
            positive: Cells {
                spans: std::mem::take(&mut histogram.positive_spans),
                counts: std::mem::take(&mut histogram.positive_buckets),
            },
            negative: Cells {
                spans: std::mem::take(&mut histogram.negative_spans),
                counts: std::mem::take(&mut histogram.negative_buckets),
            },
            custom_values: std::mem::take(&mut histogram.custom_values),
        }
    }

    /// Gives `histogram` the buckets.
    pub(super) fn put(self, histogram: &mut FloatHistogram) {
        histogram.schema = self.schema;
        histogram.zero_threshold = self.zero_threshold;
        histogram.zero_count = self.zero_count;
        histogram.positive_spans = self.positive.spans;
        histogram.positive_buckets = self.positive.counts;
        histogram.negative_spans = self.negative.spans;
        histogram.negative_buckets = self.negative.counts;
        histogram.custom_values = self.custom_values;
    }
}

impl<C: Count> Operand<C> {
    /// Adds or subtracts the buckets of `other`. Whether custom bounds had to be reconciled.
    pub(super) fn add(&mut self, other: &FloatHistogram, sign: Sign) -> bool {
        if self.schema != CUSTOM_BUCKETS_SCHEMA {
            self.add_exponential(other, sign);
            return false;
        }
        let others = walk(&other.positive_spans, &other.positive_buckets);
        let others = others.map(|(index, count)| (index, sign.of(C::of(count))));
        if same_bounds(&self.custom_values, &other.custom_values) {
            self.positive = self.positive.merged(others);
            return false;
        }
        let common = common_bounds(&self.custom_values, &other.custom_values);
        let mut counts = vec![C::ZERO; common.len() + 1];
        add_onto_bounds(
            &mut counts,
            &common,
            self.positive.walk(),
            &self.custom_values,
        );
        add_onto_bounds(&mut counts, &common, others, &other.custom_values);
        let indexes = 0_i32..;
        self.positive = Cells::of(indexes.zip(counts).filter(|(_, count)| !count.is_zero()));
        self.custom_values = common;
        true
    }

    fn add_exponential(&mut self, other: &FloatHistogram, sign: Sign) {
        let zero_count = self.reconcile_zero_buckets(other);
        self.zero_count = self.zero_count.plus(sign.of(zero_count));
        let schema = self.schema.min(other.schema);
        let own_steps = self.schema.abs_diff(schema);
        let other_steps = other.schema.abs_diff(schema);
        self.schema = schema;
        let threshold = self.zero_threshold;
        for (own, spans, counts) in [
            (
                &mut self.positive,
                &other.positive_spans,
                &other.positive_buckets,
            ),
            (
                &mut self.negative,
                &other.negative_spans,
                &other.negative_buckets,
            ),
        ] {
            if own_steps > 0 {
                *own = coarsened(own.walk(), own_steps);
            }
            let others = beyond(threshold, walk(spans, counts), other.schema)
                .map(|(index, count)| (index, sign.of(C::of(count))));
            *own = if other_steps > 0 {
                own.merged(coarsened(others, other_steps).walk())
            } else {
                own.merged(others)
            };
        }
    }

    /// Widens the zero bucket until it holds those of both and ends where neither has a populated
    /// bucket. The zero count that `other` then has.
    fn reconcile_zero_buckets(&mut self, other: &FloatHistogram) -> C {
        let mut threshold = other.zero_threshold;
        let mut count = C::of(other.zero_count);
        loop {
            if self.zero_threshold > threshold {
                (count, threshold) = widened_zero_count(other, self.zero_threshold);
            }
            if threshold > self.zero_threshold {
                self.widen_zero_bucket(threshold);
            }
            // NaN is equal to nothing: such a threshold is left alone.
            if self.zero_threshold.partial_cmp(&threshold) != Some(Ordering::Greater) {
                return count;
            }
        }
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        let sides = [self.positive.walk(), self.negative.walk()];
        let zero_count = self.zero_count;
        (self.zero_count, self.zero_threshold) = widened(zero_count, sides, self.schema, threshold);
        for side in [&mut self.positive, &mut self.negative] {
            let inside = |index: i32| lower_bound(index, self.schema) < self.zero_threshold;
            let within = side.walk().take_while(|(index, _)| inside(*index)).count();
            for count in side.counts.iter_mut().take(within) {
                *count = C::ZERO;
            }
            *side = side.compacted(0);
        }
    }
}

/// The zero count that `histogram` has with the larger threshold, which is raised to the end of a
/// populated bucket if it lies inside one, and the threshold. Source: upstream
/// `zeroCountForLargerThreshold`.
pub(super) fn widened_zero_count<C: Count>(histogram: &FloatHistogram, threshold: f64) -> (C, f64) {
    let positive = walk(&histogram.positive_spans, &histogram.positive_buckets);
    let negative = walk(&histogram.negative_spans, &histogram.negative_buckets);
    let sides = [positive, negative].map(|side| side.map(|(index, count)| (index, C::of(count))));
    let zero_count = C::of(histogram.zero_count);
    widened(zero_count, sides, histogram.schema, threshold)
}

fn widened<C: Count>(
    zero_count: C,
    sides: [impl Iterator<Item = (i32, C)> + Clone; 2],
    schema: i32,
    mut threshold: f64,
) -> (C, f64) {
    loop {
        let mut count = zero_count;
        let before = threshold;
        for side in sides.clone() {
            for (index, amount) in side {
                if lower_bound(index, schema) >= threshold {
                    break;
                }
                count = count.plus(amount);
                let upper = bounds::exponential_bound(index, schema);
                if upper > threshold {
                    if amount.value() != 0.0 {
                        threshold = upper;
                    }
                    break;
                }
            }
        }
        // A side that was counted with the smaller threshold is counted again.
        if threshold.partial_cmp(&before) != Some(Ordering::Greater) {
            return (count, threshold);
        }
    }
}

fn lower_bound(index: i32, schema: i32) -> f64 {
    bounds::exponential_bound(index.saturating_sub(1), schema)
}

/// The buckets of `items` that do not lie in the zero bucket.
pub(super) fn beyond(
    threshold: f64,
    items: Walk<'_, f64>,
    schema: i32,
) -> impl Iterator<Item = (i32, f64)> + '_ {
    items.skip_while(move |(index, _)| {
        threshold > 0.0 && bounds::exponential_bound(*index, schema) <= threshold
    })
}

/// The bounds that are in both lists.
pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Arc<[f64]> {
    let mut b = b.iter().peekable();
    let common = a.iter().copied().filter(|bound| {
        while b.next_if(|other| **other < *bound).is_some() {}
        b.peek().is_some_and(|other| **other == *bound)
    });
    common.collect()
}

/// Adds custom buckets to those of coarser bounds, which are all among theirs.
pub(super) fn add_onto_bounds<C: Count>(
    counts: &mut [C],
    common: &[f64],
    items: impl Iterator<Item = (i32, C)>,
    bounds: &[f64],
) {
    let last = counts.len().saturating_sub(1);
    for (index, count) in items {
        let bound = bounds::upper_bound(index, CUSTOM_BUCKETS_SCHEMA, bounds);
        let at = common.partition_point(|common| *common < bound).min(last);
        if let Some(target) = counts.get_mut(at) {
            *target = target.plus(count);
        }
    }
}
