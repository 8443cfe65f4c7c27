//! Classic histograms, which are series `_bucket`, `_sum` and `_count`, as histograms with custom
//! buckets. Source: upstream `util/convertnhcb`.

use std::sync::Arc;

use super::layout::{Cells, walk};
use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, IntegerHistogram, Span};
use crate::number::format_general;

/// What a series is of a classic histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClassicPart {
    /// The observations up to the bound in the label `le`.
    Bucket,
    /// The sum of all observations.
    Sum,
    /// The number of all observations.
    Count,
}

impl ClassicPart {
    /// What a series of the name is, and the name of the histogram, if its suffix is one of a
    /// classic histogram.
    #[must_use]
    pub fn of_name(name: &str) -> Option<(Self, &str)> {
        [
            (Self::Bucket, "_bucket"),
            (Self::Sum, "_sum"),
            (Self::Count, "_count"),
        ]
        .into_iter()
        .find_map(|(part, suffix)| Some((part, name.strip_suffix(suffix)?)))
    }
}

/// Why a classic histogram is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClassicError {
    /// A bound is NaN.
    #[error("bucket boundary must not be NaN")]
    NanBound,
    /// A bucket has a negative count.
    #[error("bucket count must be non-negative: le={le}, count={count}")]
    NegativeBucket {
        /// Its bound, written as by Go's `%g`.
        le: String,
        /// Its count, written as by Go's `%g`.
        count: String,
    },
    /// The number of observations is negative.
    #[error("count must be non-negative: count={count}")]
    NegativeCount {
        /// It, written as by Go's `%g`.
        count: String,
    },
    /// A bucket has a smaller count than the one below it.
    #[error("count is not cumulative: {count} < {below}")]
    NotCumulative {
        /// Its count, written as by Go's `%g`.
        count: String,
        /// The count of the one below, written as by Go's `%g`.
        below: String,
    },
    /// The last bucket counts something else than the histogram.
    #[error("count mismatch: count={count} != le={le} count={last}")]
    CountMismatch {
        /// The number of observations, written as by Go's `%g`.
        count: String,
        /// The bound of the last bucket, written as by Go's `%g`.
        le: String,
        /// The count of the last bucket, written as by Go's `%g`.
        last: String,
    },
}

/// The parts of one classic histogram at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassicHistogram {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl ClassicHistogram {
    /// Adds a bucket: its upper bound, and how many observations lie up to it. Of buckets with the
    /// same bound the first one counts.
    pub fn push_bucket(&mut self, le: f64, count: f64) {
        self.buckets.push((le, count));
    }

    /// Sets the number of observations. Without it, that of the last bucket counts.
    pub fn set_count(&mut self, count: f64) {
        self.count = Some(count);
    }

    /// Sets the sum of observations.
    pub fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// The histogram with custom buckets: with integer counts if all counts are whole.
    ///
    /// # Errors
    ///
    /// If the parts are not those of a histogram.
    pub fn convert(mut self) -> Result<Histogram, ClassicError> {
        let count = self.complete()?;
        let custom_values = self.buckets[..self.buckets.len() - 1].iter();
        let custom_values: Arc<[f64]> = custom_values.map(|(le, _)| *le).collect();
        let whole: Option<Vec<i64>> = self
            .buckets
            .iter()
            .map(|(_, count)| whole(*count))
            .collect();
        let spans = vec![Span {
            offset: 0,
            length: u32::try_from(self.buckets.len()).unwrap_or(u32::MAX),
        }];
        if let Some(cumulative) = whole {
            let counts = differences(&cumulative, |after, before| after - before);
            let cells = Cells { spans, counts }.compacted(2);
            return Ok(Histogram::Integer(Arc::new(IntegerHistogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count: cumulative.last().map_or(0, |count| count.unsigned_abs()),
                sum: self.sum,
                positive_deltas: differences(&cells.counts, i64::wrapping_sub),
                positive_spans: cells.spans,
                custom_values,
                ..IntegerHistogram::default()
            })));
        }
        let cumulative: Vec<f64> = self.buckets.iter().map(|(_, count)| *count).collect();
        let counts = differences(&cumulative, |after, before| after - before);
        let cells = Cells { spans, counts }.compacted(0);
        Ok(Histogram::Float(Arc::new(FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: cells.spans,
            positive_buckets: cells.counts,
            custom_values,
            ..FloatHistogram::default()
        })))
    }

    /// Checks the buckets, puts them in order and adds the one that ends at +Inf if it is missing.
    /// The number of observations.
    fn complete(&mut self) -> Result<f64, ClassicError> {
        for (le, count) in &self.buckets {
            if le.is_nan() {
                return Err(ClassicError::NanBound);
            }
            if *count < 0.0 {
                let (le, count) = (format_general(*le), format_general(*count));
                return Err(ClassicError::NegativeBucket { le, count });
            }
        }
        self.buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        self.buckets
            .dedup_by(|(later, _), (earlier, _)| later == earlier);
        let highest = self.buckets.last().copied();
        let count = self
            .count
            .or(highest.map(|(_, count)| count))
            .unwrap_or(0.0);
        if count < 0.0 {
            let count = format_general(count);
            return Err(ClassicError::NegativeCount { count });
        }
        match highest {
            Some((f64::INFINITY, last)) if count == last || (count.is_nan() && last.is_nan()) => {}
            Some((f64::INFINITY, last)) => {
                let le = format_general(f64::INFINITY);
                let (count, last) = (format_general(count), format_general(last));
                return Err(ClassicError::CountMismatch { count, le, last });
            }
            _ => self.buckets.push((f64::INFINITY, count)),
        }
        match self.buckets.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            Some(pair) => Err(ClassicError::NotCumulative {
                count: format_general(pair[1].1),
                below: format_general(pair[0].1),
            }),
            None => Ok(count),
        }
    }
}

impl IntegerHistogram {
    /// As [`FloatHistogram::compact`].
    pub fn compact(&mut self, max_empty_buckets: usize) {
        for (spans, deltas) in [
            (&mut self.positive_spans, &mut self.positive_deltas),
            (&mut self.negative_spans, &mut self.negative_deltas),
        ] {
            let mut count = 0_i64;
            for delta in deltas.iter_mut() {
                count = count.wrapping_add(*delta);
                *delta = count;
            }
            let compacted = Cells::of(walk(spans, deltas)).compacted(max_empty_buckets);
            *deltas = differences(&compacted.counts, i64::wrapping_sub);
            *spans = compacted.spans;
        }
    }
}

/// The count as an integer, if it is one and its differences are.
fn whole(count: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number within the limit is exact as an integer"
    )]
    (count.fract() == 0.0 && count.abs() <= LIMIT).then_some(count as i64)
}

/// The first number and the differences of all others from the one before.
fn differences<T: Copy + Default>(numbers: &[T], difference: impl Fn(T, T) -> T) -> Vec<T> {
    let before = std::iter::once(T::default()).chain(numbers.iter().copied());
    let pairs = numbers.iter().zip(before);
    pairs
        .map(|(after, before)| difference(*after, before))
        .collect()
}
