//! Sums of histograms without rounding errors. Source: upstream `KahanAdd` in
//! `model/histogram/float_histogram.go`.
//!
//! What rounding takes away is kept in a second histogram, the compensation, with the layout of the
//! sum.

use std::sync::Arc;

use super::layout::Cells;
use super::operand::{Operand, Sign};
use super::{Combination, FloatHistogram, HistogramError, Span};
use crate::kahan::{self, KahanSum};

impl FloatHistogram {
    /// Adds `other` as [`FloatHistogram::add`] does and keeps in `compensation` what rounding took
    /// away. It is `None` before the first addition, and belongs to this histogram from then on.
    /// [`FloatHistogram::apply_compensation`] ends the sum.
    ///
    /// # Errors
    ///
    /// As [`FloatHistogram::add`]; the histogram and its compensation are then as before.
    pub fn add_compensated(
        &mut self,
        other: &Self,
        compensation: &mut Option<Box<Self>>,
    ) -> Result<Combination, HistogramError> {
        let counter_reset_collision = self.start_combining(other)?;
        let lost = compensation.get_or_insert_with(|| Box::new(self.emptied()));
        add_to(&mut self.count, &mut lost.count, other.count);
        add_to(&mut self.sum, &mut lost.sum, other.sum);
        let mut bounds_reconciled = false;
        if self.takes_in_place(other) && self.is_laid_out_as(lost) {
            add_to(&mut self.zero_count, &mut lost.zero_count, other.zero_count);
            add_each(
                &mut self.positive_buckets,
                &mut lost.positive_buckets,
                &other.positive_buckets,
            );
            add_each(
                &mut self.negative_buckets,
                &mut lost.negative_buckets,
                &other.negative_buckets,
            );
        } else {
            let mut operand = Operand::take_compensated(self, lost);
            bounds_reconciled = operand.add(other, Sign::Plus);
            operand.put_compensated(self, lost);
        }
        Ok(Combination {
            counter_reset_collision,
            bounds_reconciled,
        })
    }

    /// Adds the compensation of the sum that this histogram is.
    pub fn apply_compensation(&mut self, compensation: &Self) {
        // They have the same kind of buckets, so this does not fail.
        let _ = self.add(compensation);
    }

    /// The same layout and hint, and no observations.
    fn emptied(&self) -> Self {
        Self {
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive_buckets: vec![0.0; self.positive_buckets.len()],
            negative_buckets: vec![0.0; self.negative_buckets.len()],
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            custom_values: Arc::clone(&self.custom_values),
            ..*self
        }
    }

    fn is_laid_out_as(&self, other: &Self) -> bool {
        self.positive_buckets.len() == other.positive_buckets.len()
            && self.negative_buckets.len() == other.negative_buckets.len()
    }
}

fn add_to(sum: &mut f64, lost: &mut f64, value: f64) {
    (*sum, *lost) = kahan::add(*sum, *lost, value);
}

fn add_each(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    for ((sum, lost), value) in sums.iter_mut().zip(lost).zip(values) {
        add_to(sum, lost, *value);
    }
}

impl Operand<KahanSum> {
    /// The buckets of a sum and its compensation, which are both left without.
    fn take_compensated(sum: &mut FloatHistogram, lost: &mut FloatHistogram) -> Self {
        Self {
            schema: sum.schema,
            zero_threshold: sum.zero_threshold,
            zero_count: KahanSum {
                sum: sum.zero_count,
                compensation: lost.zero_count,
            },
            positive: zipped(
                &mut sum.positive_spans,
                &sum.positive_buckets,
                &lost.positive_buckets,
            ),
            negative: zipped(
                &mut sum.negative_spans,
                &sum.negative_buckets,
                &lost.negative_buckets,
            ),
            custom_values: std::mem::take(&mut sum.custom_values),
        }
    }

    fn put_compensated(self, sum: &mut FloatHistogram, lost: &mut FloatHistogram) {
        sum.zero_count = self.zero_count.sum;
        lost.zero_count = self.zero_count.compensation;
        unzip(
            &self.positive.counts,
            &mut sum.positive_buckets,
            &mut lost.positive_buckets,
        );
        unzip(
            &self.negative.counts,
            &mut sum.negative_buckets,
            &mut lost.negative_buckets,
        );
        lost.positive_spans.clone_from(&self.positive.spans);
        lost.negative_spans.clone_from(&self.negative.spans);
        sum.positive_spans = self.positive.spans;
        sum.negative_spans = self.negative.spans;
        lost.custom_values = Arc::clone(&self.custom_values);
        sum.custom_values = self.custom_values;
        (sum.schema, lost.schema) = (self.schema, self.schema);
        (sum.zero_threshold, lost.zero_threshold) = (self.zero_threshold, self.zero_threshold);
    }
}

fn zipped(spans: &mut Vec<Span>, sums: &[f64], lost: &[f64]) -> Cells<KahanSum> {
    let lost = lost.iter().copied().chain(std::iter::repeat(0.0));
    let pairs = sums.iter().zip(lost);
    let counts = pairs.map(|(&sum, compensation)| KahanSum { sum, compensation });
    Cells {
        spans: std::mem::take(spans),
        counts: counts.collect(),
    }
}

fn unzip(counts: &[KahanSum], sums: &mut Vec<f64>, lost: &mut Vec<f64>) {
    sums.clear();
    lost.clear();
    sums.extend(counts.iter().map(|count| count.sum));
    lost.extend(counts.iter().map(|count| count.compensation));
}
