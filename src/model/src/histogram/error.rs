//! What can be wrong with a histogram, or with combining two. Texts are upstream's, of
//! `model/histogram/generic.go`.

use std::fmt;

/// The buckets that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those above the zero bucket.
    Positive,
    /// Those below it.
    Negative,
    /// Buckets with custom bounds.
    Custom,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Positive => "positive side",
            Self::Negative => "negative side",
            Self::Custom => "custom buckets",
        })
    }
}

/// What is wrong with a histogram.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// One of two histograms has custom buckets, the other one has not.
    #[error(
        "cannot apply this operation on histograms with a mix of exponential and custom bucket \
         schemas"
    )]
    IncompatibleSchema,
    /// There is no such schema.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, \
         or -53 for custom buckets, got schema {0}"
    )]
    InvalidSchema(i32),
    /// A span lies before the end of the one before it.
    #[error(
        "{side}: span number {number} with offset {offset}: histogram has a span whose offset is \
         negative"
    )]
    NegativeOffset {
        /// Where.
        side: Side,
        /// The span, counted from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// The spans are for another number of buckets.
    #[error(
        "{side}: spans need {needed} buckets, have {present} buckets: histogram spans specify \
         different number of buckets than provided"
    )]
    SpansMismatch {
        /// Where.
        side: Side,
        /// How many buckets the spans have.
        needed: u64,
        /// How many there are.
        present: usize,
    },
    /// The spans reach beyond the indexes that buckets can have.
    #[error("{side}: histogram spans reach beyond the possible bucket indexes")]
    IndexOverflow {
        /// Where.
        side: Side,
    },
    /// A bucket has a negative count.
    #[error(
        "{side}: bucket number {number} has observation count of {count}: histogram has a bucket \
         whose observation count is negative"
    )]
    NegativeBucket {
        /// Where.
        side: Side,
        /// The bucket, counted from 1.
        number: usize,
        /// Its count, written as by Go's `%v`.
        count: String,
    },
    /// The zero bucket has a negative count.
    #[error(
        "zero bucket has observation count of {count}: histogram has a bucket whose observation \
         count is negative"
    )]
    NegativeZeroBucket {
        /// Its count, written as by Go's `%v`.
        count: String,
    },
    /// The count of all observations is negative.
    #[error("observation count is  {count}: histogram's observation count is negative")]
    NegativeCount {
        /// It, written as by Go's `%v`.
        count: String,
    },
    /// There are more buckets than the custom bounds make.
    #[error(
        "custom buckets: only {bounds} custom bounds defined which is insufficient to cover total \
         span length of {needed}: histogram custom bounds are too few"
    )]
    TooFewBounds {
        /// How many bounds there are.
        bounds: usize,
        /// How many buckets the spans reach over.
        needed: u64,
    },
    /// Custom bounds do not increase.
    #[error(
        "custom buckets: previous bound is {previous:.6} and current is {current:.6}: histogram \
         custom bounds must be in strictly increasing order"
    )]
    UnorderedBounds {
        /// A bound.
        previous: f64,
        /// The next one.
        current: f64,
    },
    /// The bound of the last custom bucket, which is implied, is given.
    #[error(
        "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds \
         must be finite"
    )]
    InfiniteBound,
    /// A custom bound is NaN.
    #[error("custom buckets: histogram custom bounds must not be NaN")]
    NanBound,
    /// Custom buckets have no zero bucket.
    #[error("custom buckets: must have zero count of 0")]
    CustomZeroCount,
    /// Custom buckets have no zero bucket.
    #[error("custom buckets: must have zero threshold of 0")]
    CustomZeroThreshold,
    /// Custom buckets are never negative ones.
    #[error("custom buckets: must not have negative spans")]
    CustomNegativeSpans,
    /// Custom buckets are never negative ones.
    #[error("custom buckets: must not have negative buckets")]
    CustomNegativeBuckets,
    /// A histogram with exponential buckets has custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    ExponentialCustomBounds,
    /// The buckets count more than the histogram.
    #[error(
        "{buckets} observations found in buckets, but the Count field is {count}: histogram's \
         observation count should be at least the number of observations found in the buckets"
    )]
    CountTooSmall {
        /// What the buckets count.
        buckets: u64,
        /// What the histogram counts.
        count: u64,
    },
    /// The buckets count something else than the histogram.
    #[error(
        "{buckets} observations found in buckets, but the Count field is {count}: histogram's \
         observation count should equal the number of observations found in the buckets (in \
         absence of NaN)"
    )]
    CountMismatch {
        /// What the buckets count.
        buckets: u64,
        /// What the histogram counts.
        count: u64,
    },
}
