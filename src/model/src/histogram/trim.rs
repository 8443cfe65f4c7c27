//! Cutting observations off: the operators `</` and `>/`. Source: upstream `TrimBuckets` in
//! `model/histogram/float_histogram.go`.

use super::{Bucket, FloatHistogram};

/// Which observations stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Those up to the bound.
    Below,
    /// Those from the bound on.
    Above,
}

/// How values are taken to be spread within a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// Evenly: custom buckets and the zero bucket.
    Linear,
    /// Evenly on a logarithmic scale.
    Exponential,
}

/// What stays of a bucket: how many observations, and the value that stands for them.
#[derive(Clone, Copy, Debug)]
struct Kept {
    count: f64,
    midpoint: f64,
}

impl FloatHistogram {
    /// What is left when observations above `bound` are removed: the operator `</`. Inside a bucket
    /// their number is interpolated. If anything was removed, the sum is estimated anew from the
    /// midpoints of the buckets, and the buckets are compacted.
    #[must_use]
    pub fn trim_upper(&self, bound: f64) -> Self {
        self.trimmed(bound, Keep::Below)
    }

    /// As [`FloatHistogram::trim_upper`], removing observations below `bound`: the operator `>/`.
    #[must_use]
    pub fn trim_lower(&self, bound: f64) -> Self {
        self.trimmed(bound, Keep::Above)
    }

    fn trimmed(&self, bound: f64, keep: Keep) -> Self {
        let mut trimmed = self.clone();
        let spread = if self.has_custom_buckets() {
            Spread::Linear
        } else {
            Spread::Exponential
        };
        let mut total = Total::default();
        let kept = |bucket: Bucket| kept_of(bucket, bound, keep, spread);
        let positive = self.positive_buckets().map(|bucket| (bucket, kept(bucket)));
        let has_positive = total.take(positive, &mut trimmed.positive_buckets);
        let negative = self.negative_buckets_descending();
        let negative = negative.map(|bucket| (bucket, kept(bucket)));
        let has_negative = total.take(negative, &mut trimmed.negative_buckets);
        if let Some(mut zero) = self.zero_bucket().filter(|bucket| bucket.count > 0.0) {
            match (has_negative, has_positive) {
                (true, false) => zero.upper = 0.0,
                (false, true) => zero.lower = 0.0,
                _ => {}
            }
            let kept = kept_of_zero(zero, bound, keep);
            total.add(zero.count, kept, &mut trimmed.zero_count);
        }
        if total.has_changed {
            trimmed.count = total.count;
            trimmed.sum = total.sum;
            trimmed.compact(0);
        }
        trimmed
    }
}

/// The totals of what is kept.
#[derive(Default)]
struct Total {
    count: f64,
    sum: f64,
    has_changed: bool,
}

impl Total {
    /// Adds the buckets of one side and writes their new counts. Whether one was populated.
    fn take(&mut self, buckets: impl Iterator<Item = (Bucket, Kept)>, counts: &mut [f64]) -> bool {
        let mut is_populated = false;
        for ((bucket, kept), count) in buckets.zip(counts) {
            if bucket.count != 0.0 {
                is_populated = true;
                self.add(bucket.count, kept, count);
            }
        }
        is_populated
    }

    fn add(&mut self, before: f64, kept: Kept, after: &mut f64) {
        self.has_changed |= before != kept.count;
        self.count += kept.count;
        self.sum += kept.midpoint * kept.count;
        *after = kept.count;
    }
}

fn kept_of(bucket: Bucket, bound: f64, keep: Keep, spread: Spread) -> Kept {
    let (is_inside, is_cut) = match keep {
        Keep::Below => (bucket.upper <= bound, bucket.lower < bound),
        Keep::Above => (bucket.lower >= bound, bucket.upper > bound),
    };
    if is_inside {
        return Kept {
            count: bucket.count,
            midpoint: midpoint(bucket.lower, bucket.upper, spread),
        };
    }
    if !is_cut {
        return Kept {
            count: 0.0,
            midpoint: 0.0,
        };
    }
    if bucket.lower.is_infinite() || bucket.upper.is_infinite() {
        return kept_of_unbounded(bucket, bound, keep);
    }
    let below = bucket.count * bucket.fraction_below(bound, spread == Spread::Linear);
    match keep {
        Keep::Below => Kept {
            count: below,
            midpoint: midpoint(bucket.lower, bound, spread),
        },
        Keep::Above => Kept {
            count: bucket.count - below,
            midpoint: midpoint(bound, bucket.upper, spread),
        },
    }
}

/// A bucket with an infinite bound that `bound` lies in. Nothing is known of how its values are
/// spread, unless it starts at -Inf and ends above zero: then its values are taken to be positive.
fn kept_of_unbounded(bucket: Bucket, bound: f64, keep: Keep) -> Kept {
    let Bucket { upper, count, .. } = bucket;
    let starts_at_zero = bucket.lower == f64::NEG_INFINITY && upper > 0.0 && upper.is_finite();
    let (count, midpoint) = match keep {
        Keep::Below if starts_at_zero && bound > 0.0 => (count * bound / upper, bound / 2.0),
        Keep::Below if upper <= 0.0 => (count, bound),
        Keep::Above if starts_at_zero && bound >= 0.0 => {
            (count * (1.0 - bound / upper), (bound + upper) / 2.0)
        }
        Keep::Above if bucket.lower > f64::NEG_INFINITY => (count, bound),
        Keep::Below | Keep::Above => (0.0, 0.0),
    };
    Kept { count, midpoint }
}

fn kept_of_zero(zero: Bucket, bound: f64, keep: Keep) -> Kept {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = zero;
    let share = |from: f64, to: f64| Kept {
        count: count * ((to - from) / (upper - lower)),
        midpoint: (from + to) / 2.0,
    };
    let nothing = Kept {
        count: 0.0,
        midpoint: 0.0,
    };
    let everything = Kept {
        count,
        midpoint: (lower + upper) / 2.0,
    };
    match (keep, bound <= lower, bound >= upper) {
        (Keep::Below, true, _) | (Keep::Above, false, true) => nothing,
        (Keep::Below, false, true) | (Keep::Above, true, _) => everything,
        (Keep::Below, false, false) => share(lower, bound),
        (Keep::Above, false, false) => share(bound, upper),
    }
}

/// The value that stands for those between two bounds: the middle, on the scale on which they are
/// spread; of an infinite interval its finite end, or half of it if the interval starts at -Inf and
/// ends above zero.
fn midpoint(lower: f64, upper: f64, spread: Spread) -> f64 {
    match (lower.is_infinite(), upper.is_infinite(), spread) {
        (true, true, _) => 0.0,
        (true, false, _) if upper > 0.0 => upper / 2.0,
        (true, false, _) => upper,
        (false, true, _) => lower,
        (false, false, Spread::Linear) => (lower + upper) / 2.0,
        (false, false, Spread::Exponential) => {
            let mean = (lower * upper).abs().sqrt();
            if upper > 0.0 { mean } else { -mean }
        }
    }
}
