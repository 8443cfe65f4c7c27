//! Buckets with their bounds, in both directions.

use super::layout::{walk, walk_back};
use super::{FloatHistogram, bounds};

/// A bucket of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Its lower bound.
    pub lower: f64,
    /// Its upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to it.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to it.
    pub upper_inclusive: bool,
    /// Observations in it.
    pub count: f64,
    /// Its index within the schema, by absolute value; of the zero bucket 0.
    pub index: i32,
}

impl FloatHistogram {
    /// The positive buckets, or the custom ones, from the lowest up.
    pub fn positive_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        walk(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.positive_bucket(index, count))
    }

    /// The positive buckets, or the custom ones, from the highest down.
    pub fn positive_buckets_descending(&self) -> impl Iterator<Item = Bucket> + '_ {
        walk_back(&self.positive_spans, &self.positive_buckets)
            .map(|(index, count)| self.positive_bucket(index, count))
    }

    /// The negative buckets, from the lowest up to the one next to zero.
    pub fn negative_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        walk_back(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| self.negative_bucket(index, count))
    }

    /// The negative buckets, from the one next to zero down.
    pub fn negative_buckets_descending(&self) -> impl Iterator<Item = Bucket> + '_ {
        walk(&self.negative_spans, &self.negative_buckets)
            .map(|(index, count)| self.negative_bucket(index, count))
    }

    /// All buckets from the lowest up; the zero bucket only if it is populated. Those that overlap
    /// with the zero bucket are cut at its bounds. Source: upstream `AllBucketIterator`.
    pub fn all_buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let negative = self.negative_buckets();
        let zero = self.zero_bucket().filter(|bucket| bucket.count > 0.0);
        negative
            .map(|bucket| self.cut_at_zero(bucket))
            .chain(zero)
            .chain(
                self.positive_buckets()
                    .map(|bucket| self.cut_at_zero(bucket)),
            )
    }

    /// As [`FloatHistogram::all_buckets`], from the highest down.
    pub fn all_buckets_reverse(&self) -> impl Iterator<Item = Bucket> + '_ {
        let positive = self.positive_buckets_descending();
        let zero = self.zero_bucket().filter(|bucket| bucket.count > 0.0);
        let negative = self.negative_buckets_descending();
        positive
            .map(|bucket| self.cut_at_zero(bucket))
            .chain(zero)
            .chain(negative.map(|bucket| self.cut_at_zero(bucket)))
    }

    /// The zero bucket, populated or not; `None` of custom buckets.
    #[must_use]
    pub fn zero_bucket(&self) -> Option<Bucket> {
        (!self.has_custom_buckets()).then_some(Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
            index: 0,
        })
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        let lower = bounds::upper_bound(index.saturating_sub(1), self.schema, &self.custom_values);
        let upper = bounds::upper_bound(index, self.schema, &self.custom_values);
        let custom = self.has_custom_buckets();
        Bucket {
            lower,
            upper,
            lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
            upper_inclusive: custom || upper > 0.0,
            count,
            index,
        }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        let lower = -bounds::exponential_bound(index, self.schema);
        let upper = -bounds::exponential_bound(index.saturating_sub(1), self.schema);
        Bucket {
            lower,
            upper,
            lower_inclusive: lower < 0.0,
            upper_inclusive: upper > 0.0,
            count,
            index,
        }
    }

    fn cut_at_zero(&self, mut bucket: Bucket) -> Bucket {
        if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
            bucket.upper = -self.zero_threshold;
        } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
            bucket.lower = self.zero_threshold;
        }
        bucket
    }
}
