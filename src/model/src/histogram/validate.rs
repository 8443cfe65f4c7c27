//! Whether a histogram is well formed. Source: upstream `Validate`.

use super::error::Side;
use super::layout::MAX_INDEX;
use super::{
    CUSTOM_BUCKETS_SCHEMA, FloatHistogram, HistogramError, IntegerHistogram,
    MAX_EXPONENTIAL_SCHEMA, MIN_EXPONENTIAL_SCHEMA, Span,
};
use crate::number::format_general;

impl FloatHistogram {
    /// Checks that spans, buckets and bounds fit together and that no count is negative. That the
    /// buckets add up to the count is not checked: floats are not that precise.
    ///
    /// # Errors
    ///
    /// What is wrong, in upstream's words.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let layout = Layout {
            schema: self.schema,
            positive_spans: &self.positive_spans,
            negative_spans: &self.negative_spans,
            positive_buckets: self.positive_buckets.len(),
            negative_buckets: self.negative_buckets.len(),
            zero_is_empty: self.zero_count == 0.0,
            zero_threshold: self.zero_threshold,
            custom_values: &self.custom_values,
        };
        layout.check_spans()?;
        if !self.has_custom_buckets() {
            check_counts(&self.negative_buckets, Side::Negative)?;
            if self.zero_count < 0.0 {
                let count = format_general(self.zero_count);
                return Err(HistogramError::NegativeZeroBucket { count });
            }
            layout.check_no_bounds()?;
        }
        if self.count < 0.0 {
            let count = format_general(self.count);
            return Err(HistogramError::NegativeCount { count });
        }
        check_counts(&self.positive_buckets, Side::Positive)
    }
}

impl IntegerHistogram {
    /// Checks what [`FloatHistogram::validate`] checks, and that the buckets add up to the count;
    /// with a sum of NaN, when observations may be in no bucket, to no more.
    ///
    /// # Errors
    ///
    /// What is wrong, in upstream's words.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let layout = Layout {
            schema: self.schema,
            positive_spans: &self.positive_spans,
            negative_spans: &self.negative_spans,
            positive_buckets: self.positive_deltas.len(),
            negative_buckets: self.negative_deltas.len(),
            zero_is_empty: self.zero_count == 0,
            zero_threshold: self.zero_threshold,
            custom_values: &self.custom_values,
        };
        layout.check_spans()?;
        let negative = sum_of_deltas(&self.negative_deltas, Side::Negative)?;
        if self.schema != CUSTOM_BUCKETS_SCHEMA {
            layout.check_no_bounds()?;
        }
        let positive = sum_of_deltas(&self.positive_deltas, Side::Positive)?;
        let buckets = negative
            .wrapping_add(positive)
            .wrapping_add(self.zero_count);
        let count = self.count;
        if self.sum.is_nan() && buckets > count {
            return Err(HistogramError::CountTooSmall { buckets, count });
        }
        if !self.sum.is_nan() && buckets != count {
            return Err(HistogramError::CountMismatch { buckets, count });
        }
        Ok(())
    }
}

/// What integer and float histograms have in common.
struct Layout<'a> {
    schema: i32,
    positive_spans: &'a [Span],
    negative_spans: &'a [Span],
    positive_buckets: usize,
    negative_buckets: usize,
    zero_is_empty: bool,
    zero_threshold: f64,
    custom_values: &'a [f64],
}

impl Layout<'_> {
    fn check_spans(&self) -> Result<(), HistogramError> {
        match self.schema {
            CUSTOM_BUCKETS_SCHEMA => self.check_custom(),
            MIN_EXPONENTIAL_SCHEMA..=MAX_EXPONENTIAL_SCHEMA => {
                check_spans(self.positive_spans, self.positive_buckets, Side::Positive)?;
                check_spans(self.negative_spans, self.negative_buckets, Side::Negative)
            }
            schema => Err(HistogramError::InvalidSchema(schema)),
        }
    }

    fn check_no_bounds(&self) -> Result<(), HistogramError> {
        if self.custom_values.is_empty() {
            Ok(())
        } else {
            Err(HistogramError::ExponentialCustomBounds)
        }
    }

    fn check_custom(&self) -> Result<(), HistogramError> {
        check_bounds(self.custom_values)?;
        check_spans(self.positive_spans, self.positive_buckets, Side::Custom)?;
        let spans = self.positive_spans.iter();
        let needed = spans
            .map(|span| u64::from(span.length) + u64::from(span.offset.unsigned_abs()))
            .fold(0_u64, u64::saturating_add);
        let bounds = self.custom_values.len();
        if bounds as u64 + 1 < needed {
            return Err(HistogramError::TooFewBounds { bounds, needed });
        }
        if !self.zero_is_empty {
            return Err(HistogramError::CustomZeroCount);
        }
        if self.zero_threshold != 0.0 {
            return Err(HistogramError::CustomZeroThreshold);
        }
        if !self.negative_spans.is_empty() {
            return Err(HistogramError::CustomNegativeSpans);
        }
        if self.negative_buckets > 0 {
            return Err(HistogramError::CustomNegativeBuckets);
        }
        Ok(())
    }
}

fn check_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    if bounds.iter().any(|bound| bound.is_nan()) {
        return Err(HistogramError::NanBound);
    }
    for pair in bounds.windows(2) {
        let (previous, current) = (pair[0], pair[1]);
        if current <= previous {
            return Err(HistogramError::UnorderedBounds { previous, current });
        }
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err(HistogramError::InfiniteBound);
    }
    Ok(())
}

/// Only the first span may have a negative offset, and only that of exponential buckets.
fn check_spans(spans: &[Span], present: usize, side: Side) -> Result<(), HistogramError> {
    let mut needed = 0_u64;
    let mut index = 0_i64;
    for (position, span) in spans.iter().enumerate() {
        let offset = span.offset;
        if offset < 0 && (position > 0 || side == Side::Custom) {
            let number = position + 1;
            return Err(HistogramError::NegativeOffset {
                side,
                number,
                offset,
            });
        }
        needed = needed.saturating_add(u64::from(span.length));
        index = index.saturating_add(i64::from(offset));
        let first = index;
        index = index.saturating_add(i64::from(span.length));
        if first < -MAX_INDEX || index > MAX_INDEX {
            return Err(HistogramError::IndexOverflow { side });
        }
    }
    if needed != present as u64 {
        return Err(HistogramError::SpansMismatch {
            side,
            needed,
            present,
        });
    }
    Ok(())
}

fn check_counts(counts: &[f64], side: Side) -> Result<(), HistogramError> {
    match counts.iter().position(|count| *count < 0.0) {
        Some(position) => Err(HistogramError::NegativeBucket {
            side,
            number: position + 1,
            count: format_general(counts[position]),
        }),
        None => Ok(()),
    }
}

fn sum_of_deltas(deltas: &[i64], side: Side) -> Result<u64, HistogramError> {
    let mut sum = 0_u64;
    let mut count = 0_i64;
    for (position, delta) in deltas.iter().enumerate() {
        count = count.wrapping_add(*delta);
        let Ok(populated) = u64::try_from(count) else {
            return Err(HistogramError::NegativeBucket {
                side,
                number: position + 1,
                count: count.to_string(),
            });
        };
        sum = sum.wrapping_add(populated);
    }
    Ok(sum)
}
