//! Native histograms: exponential and custom buckets, as integers or as floats.
//!
//! Source of layout and meaning: upstream `model/histogram` and the native histogram
//! specification. A schema of -4 to 8 has exponential buckets with base `2^(2^-schema)`; schema
//! [`CUSTOM_BUCKETS_SCHEMA`] has the bounds in `custom_values`, the last bucket reaching to +Inf.

use std::sync::Arc;

use crate::sample::is_stale_nan;

mod arithmetic;
mod bounds;
mod buckets;
mod classic;
mod compensated;
mod error;
mod estimate;
mod layout;
mod operand;
mod reset;
mod resolution;
mod text;
mod trim;
mod validate;

#[cfg(test)]
mod tests;

pub use arithmetic::Combination;
pub use buckets::Bucket;
pub use classic::{ClassicError, ClassicHistogram, ClassicPart};
pub use error::{HistogramError, Side};
pub use estimate::{Estimate, NanObservations};

/// The schema of histograms with custom bucket bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// Most [`Histogram::parts`] of one histogram that storage keeps.
pub const MAX_HISTOGRAM_PARTS: usize = 65_535;
/// The coarsest exponential schema.
pub const MIN_EXPONENTIAL_SCHEMA: i32 = -4;
/// The finest exponential schema.
pub const MAX_EXPONENTIAL_SCHEMA: i32 = 8;

/// What is known of a counter reset between a histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Nothing: buckets have to be compared.
    #[default]
    Unknown,
    /// There was one.
    CounterReset,
    /// There was none.
    NotCounterReset,
    /// The histogram is a gauge.
    Gauge,
}

/// Consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Buckets between the span before and this one; of the first span the index of its first
    /// bucket, which may be negative.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// A histogram with float counts: what queries compute with.
#[derive(Clone, Debug, Default)]
pub struct FloatHistogram {
    /// What is known of a counter reset before it.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8, or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// The zero bucket reaches from minus this to this, both inclusive.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observations. The stale marker makes the whole histogram one.
    pub sum: f64,
    /// Where the positive buckets lie; of custom buckets all.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, absolute.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, absolute.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, increasing, without +Inf.
    pub custom_values: Arc<[f64]>,
}

/// A histogram with integer counts: what instrumented programs expose.
#[derive(Clone, Debug, Default)]
pub struct IntegerHistogram {
    /// As [`FloatHistogram::counter_reset_hint`].
    pub counter_reset_hint: CounterResetHint,
    /// As [`FloatHistogram::schema`].
    pub schema: i32,
    /// As [`FloatHistogram::zero_threshold`].
    pub zero_threshold: f64,
    /// As [`FloatHistogram::zero_count`].
    pub zero_count: u64,
    /// As [`FloatHistogram::count`].
    pub count: u64,
    /// As [`FloatHistogram::sum`].
    pub sum: f64,
    /// As [`FloatHistogram::positive_spans`].
    pub positive_spans: Vec<Span>,
    /// As [`FloatHistogram::negative_spans`].
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, each as its difference from the bucket before.
    pub positive_deltas: Vec<i64>,
    /// As `positive_deltas`.
    pub negative_deltas: Vec<i64>,
    /// As [`FloatHistogram::custom_values`].
    pub custom_values: Arc<[f64]>,
}

/// A histogram as it was sent, which is how it is kept.
#[derive(Clone, Debug)]
pub enum Histogram {
    /// With integer counts.
    Integer(Arc<IntegerHistogram>),
    /// With float counts.
    Float(Arc<FloatHistogram>),
}

impl FloatHistogram {
    /// Whether the bounds of the buckets are given one by one.
    #[must_use]
    pub const fn has_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether the histogram is a stale marker.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }

    /// A stale marker.
    #[must_use]
    pub fn stale() -> Self {
        Self {
            sum: crate::sample::stale_nan(),
            ..Self::default()
        }
    }

    /// Whether `other` has the same buckets with the same numbers, bit for bit; empty spans and the
    /// hint make no difference. Source: upstream `Equals`, which is what `==` in queries asks.
    #[must_use]
    pub fn means_same(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && same_bits(
                &[self.zero_count, self.count, self.sum],
                &[other.zero_count, other.count, other.sum],
            )
            && (!self.has_custom_buckets()
                || same_bounds(&self.custom_values, &other.custom_values))
            && layout::same_spans(&self.positive_spans, &other.positive_spans)
            && layout::same_spans(&self.negative_spans, &other.negative_spans)
            && same_bits(&self.positive_buckets, &other.positive_buckets)
            && same_bits(&self.negative_buckets, &other.negative_buckets)
    }

    /// How many samples with a float a limit counts the histogram as: one for every 16 bytes that
    /// upstream needs for it and its timestamp (`FloatHistogram.Size`, `HPoint.size`).
    #[must_use]
    pub fn size_in_samples(&self) -> usize {
        const STRUCTURE_BYTES: usize = 168;
        const TIMESTAMP_BYTES: usize = 8;
        let words = self.positive_spans.len()
            + self.negative_spans.len()
            + self.positive_buckets.len()
            + self.negative_buckets.len()
            + self.custom_values.len();
        (STRUCTURE_BYTES + words * 8 + TIMESTAMP_BYTES) / 16
    }
}

impl PartialEq for FloatHistogram {
    /// Compares bits, so that each NaN equals only itself. Layouts that mean the same but are
    /// written differently differ.
    fn eq(&self, other: &Self) -> bool {
        self.counter_reset_hint == other.counter_reset_hint
            && self.schema == other.schema
            && same_bits(
                &[self.zero_threshold, self.zero_count, self.count, self.sum],
                &[
                    other.zero_threshold,
                    other.zero_count,
                    other.count,
                    other.sum,
                ],
            )
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && same_bits(&self.positive_buckets, &other.positive_buckets)
            && same_bits(&self.negative_buckets, &other.negative_buckets)
            && same_bits(&self.custom_values, &other.custom_values)
    }
}

impl IntegerHistogram {
    /// The same histogram with float counts. Counts above 2^53 are rounded.
    #[must_use]
    pub fn to_float(&self) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: self.counter_reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: absolute(&self.positive_deltas),
            negative_buckets: absolute(&self.negative_deltas),
            custom_values: Arc::clone(&self.custom_values),
        }
    }

    /// Whether the histogram is a stale marker.
    #[must_use]
    pub const fn is_stale(&self) -> bool {
        is_stale_nan(self.sum)
    }
}

impl PartialEq for IntegerHistogram {
    /// As for [`FloatHistogram`].
    fn eq(&self, other: &Self) -> bool {
        self.counter_reset_hint == other.counter_reset_hint
            && self.schema == other.schema
            && (self.zero_count, self.count) == (other.zero_count, other.count)
            && same_bits(
                &[self.zero_threshold, self.sum],
                &[other.zero_threshold, other.sum],
            )
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.positive_deltas == other.positive_deltas
            && self.negative_deltas == other.negative_deltas
            && same_bits(&self.custom_values, &other.custom_values)
    }
}

impl Histogram {
    /// The histogram with float counts.
    #[must_use]
    pub fn to_float(&self) -> Arc<FloatHistogram> {
        match self {
            Self::Integer(histogram) => Arc::new(histogram.to_float()),
            Self::Float(histogram) => Arc::clone(histogram),
        }
    }

    /// Buckets, spans and custom bounds together: what limits of size count.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            Self::Integer(h) => {
                let buckets = h.positive_deltas.len() + h.negative_deltas.len();
                let spans = h.positive_spans.len() + h.negative_spans.len();
                buckets + spans + h.custom_values.len()
            }
            Self::Float(h) => {
                let buckets = h.positive_buckets.len() + h.negative_buckets.len();
                let spans = h.positive_spans.len() + h.negative_spans.len();
                buckets + spans + h.custom_values.len()
            }
        }
    }

    /// Whether the histogram is a stale marker.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        match self {
            Self::Integer(histogram) => histogram.is_stale(),
            Self::Float(histogram) => histogram.is_stale(),
        }
    }
}

impl PartialEq for Histogram {
    /// As for [`FloatHistogram`]; an integer and a float histogram are never equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Integer(_), Self::Float(_)) | (Self::Float(_), Self::Integer(_)) => false,
        }
    }
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut count = 0_i64;
    deltas
        .iter()
        .map(|delta| {
            count = count.wrapping_add(*delta);
            count as f64
        })
        .collect()
}

fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Whether both are the same list of custom bounds.
fn same_bounds(a: &Arc<[f64]>, b: &Arc<[f64]>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}
