//! Quantiles, fractions and the variance of the observations in a histogram. Source: upstream
//! `promql/quantile.go` and `histogramVariance` in `promql/functions.go`.

use super::{Bucket, FloatHistogram};
use crate::kahan::KahanSum;

/// What observations of NaN, which are counted but lie in no bucket, did to an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NanObservations {
    /// There are none.
    #[default]
    None,
    /// They moved a quantile up, or count for no interval.
    Skewed,
    /// A quantile fell among them.
    Hit,
}

/// An estimated value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// What NaN did to it.
    pub nan: NanObservations,
}

impl From<f64> for Estimate {
    fn from(value: f64) -> Self {
        Self {
            value,
            nan: NanObservations::None,
        }
    }
}

impl Bucket {
    /// The share of the bucket's width that lies below `value`, which lies strictly inside; both
    /// bounds are finite. Linear, or else on a logarithmic scale.
    #[must_use]
    pub fn fraction_below(&self, value: f64, linear: bool) -> f64 {
        if linear {
            return (value - self.lower) / (self.upper - self.lower);
        }
        let [lower, upper, at] = [self.lower, self.upper, value].map(|bound| bound.abs().log2());
        if value > 0.0 {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    }

    /// The value below which `fraction` of the bucket's width lies, as
    /// [`Bucket::fraction_below`].
    fn value_at(&self, fraction: f64, linear: bool) -> f64 {
        if linear {
            return self.lower + (self.upper - self.lower) * fraction;
        }
        let [lower, upper] = [self.lower, self.upper].map(|bound| bound.abs().log2());
        if self.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    }

    fn holds_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0
    }
}

impl FloatHistogram {
    /// The φ-quantile: [`FloatHistogram::estimate_quantile`] without what NaN did to it.
    #[must_use]
    pub fn quantile(&self, phi: f64) -> f64 {
        self.estimate_quantile(phi).value
    }

    /// The fraction of observations between two values: [`FloatHistogram::estimate_fraction`]
    /// without what NaN did to it.
    #[must_use]
    pub fn fraction(&self, lower: f64, upper: f64) -> f64 {
        self.estimate_fraction(lower, upper).value
    }

    /// The φ-quantile, interpolated inside a bucket: on a logarithmic scale, in the zero bucket and
    /// custom buckets linearly. Infinite for φ outside of 0 to 1, NaN for φ of NaN and without
    /// observations. Observations of NaN count as the largest ones.
    #[must_use]
    pub fn estimate_quantile(&self, phi: f64) -> Estimate {
        if phi < 0.0 {
            return f64::NEG_INFINITY.into();
        }
        if phi > 1.0 {
            return f64::INFINITY.into();
        }
        if self.count == 0.0 || phi.is_nan() {
            return f64::NAN.into();
        }
        // The shorter way, unless observations of NaN, which are in no bucket, lie on it.
        if self.sum.is_nan() || phi < 0.5 {
            let mut buckets = self.all_buckets();
            let reached = Reached::from(&mut buckets, phi * self.count);
            let rest = self
                .sum
                .is_nan()
                .then(|| buckets.map(|bucket| bucket.count).sum());
            self.quantile_at(reached, true, rest)
        } else {
            let mut buckets = self.all_buckets_reverse();
            let reached = Reached::from(&mut buckets, (1.0 - phi) * self.count);
            self.quantile_at(reached, false, None)
        }
    }

    /// `rest` is what the buckets behind the one that was reached count, if it may matter.
    fn quantile_at(&self, reached: Reached, upwards: bool, rest: Option<f64>) -> Estimate {
        let Reached {
            mut bucket, rank, ..
        } = reached;
        if self.has_custom_buckets() {
            match (bucket.lower == f64::NEG_INFINITY, bucket.upper) {
                (true, upper) if upper <= 0.0 => return upper.into(),
                (true, _) => bucket.lower = 0.0,
                (false, f64::INFINITY) => return bucket.lower.into(),
                (false, _) => {}
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            self.cut_zero_bucket(&mut bucket);
        }
        // Rounding may have made it more.
        let count = if reached.count > self.count {
            self.count
        } else {
            reached.count
        };
        if count < rank {
            return if self.sum.is_nan() {
                Estimate {
                    value: f64::NAN,
                    nan: NanObservations::Hit,
                }
            } else {
                bucket.upper.into()
            };
        }
        let inside = if upwards {
            rank - (count - bucket.count)
        } else {
            count - rank
        };
        let linear = self.has_custom_buckets() || bucket.holds_zero();
        Estimate {
            value: bucket.value_at(inside / bucket.count, linear),
            nan: match rest {
                Some(rest) if count + rest < self.count => NanObservations::Skewed,
                _ => NanObservations::None,
            },
        }
    }

    /// Reduces a bucket to one side of zero if no bucket is on the other.
    fn cut_zero_bucket(&self, bucket: &mut Bucket) {
        match (
            self.negative_buckets.is_empty(),
            self.positive_buckets.is_empty(),
        ) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }

    /// The fraction of observations between two values, interpolated as quantiles are. 0 unless
    /// `lower < upper`; NaN for bounds of NaN and without observations. Observations of NaN lie
    /// between no values.
    #[must_use]
    pub fn estimate_fraction(&self, lower: f64, upper: f64) -> Estimate {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return f64::NAN.into();
        }
        if lower >= upper {
            return 0.0.into();
        }
        let (mut count, mut nan) = (self.count, NanObservations::None);
        if self.sum.is_nan() {
            count = self.all_buckets().map(|bucket| bucket.count).sum();
            if count < self.count {
                nan = NanObservations::Skewed;
            }
        }
        let [lower, upper] = [lower, upper].map(|value| match self.rank_of(value) {
            Some(rank) if rank > count => count,
            Some(rank) => rank,
            None => count,
        });
        Estimate {
            value: (upper - lower) / self.count,
            nan,
        }
    }

    /// How many observations lie below `value`; `None` if it lies above all buckets.
    fn rank_of(&self, value: f64) -> Option<f64> {
        let mut rank = 0.0;
        for mut bucket in self.all_buckets() {
            let holds_zero = bucket.holds_zero();
            if holds_zero {
                self.cut_zero_bucket(&mut bucket);
            }
            if bucket.lower >= value {
                return Some(rank);
            }
            if bucket.upper > value {
                let linear = self.has_custom_buckets() || holds_zero;
                // Nothing is known of the values in a bucket from -Inf: they count as lower.
                return Some(if linear && bucket.lower == f64::NEG_INFINITY {
                    bucket.count
                } else {
                    rank + bucket.count * bucket.fraction_below(value, linear)
                });
            }
            rank += bucket.count;
        }
        None
    }

    /// The variance of the observations, each taken to be in the middle of its bucket: the geometric
    /// middle, the arithmetic one of custom buckets, and zero in the zero bucket.
    #[must_use]
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut squares = KahanSum::EMPTY;
        for bucket in self.all_buckets().filter(|bucket| bucket.count != 0.0) {
            let value = if self.has_custom_buckets() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.holds_zero() {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            let delta = value - mean;
            squares.add(bucket.count * delta * delta);
        }
        squares.total() / self.count
    }
}

/// Where a walk through buckets reached a rank, at a populated one, or ended, at whatever bucket.
struct Reached {
    bucket: Bucket,
    /// Observations in the buckets passed, this one included.
    count: f64,
    rank: f64,
}

impl Reached {
    fn from(buckets: &mut impl Iterator<Item = Bucket>, rank: f64) -> Self {
        let mut reached = Self {
            bucket: Bucket::default(),
            count: 0.0,
            rank,
        };
        for bucket in buckets {
            reached.bucket = bucket;
            reached.count += bucket.count;
            if bucket.count != 0.0 && reached.count >= rank {
                break;
            }
        }
        reached
    }
}
