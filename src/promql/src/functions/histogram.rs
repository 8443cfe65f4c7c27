//! Functions of native histograms, and quantiles and fractions of classic ones: cumulative counts by
//! upper bound. Source: upstream `promql/quantile.go`.

use model::FloatHistogram;

use super::{Implementation, Table};
use crate::annotations::Monotonicity;

/// The functions that make a number of each native histogram.
pub(super) const TABLE: Table = &[
    (
        "histogram_avg",
        Implementation::MapHistogram(|histogram| histogram.sum / histogram.count),
    ),
    (
        "histogram_count",
        Implementation::MapHistogram(|histogram| histogram.count),
    ),
    (
        "histogram_stddev",
        Implementation::MapHistogram(|histogram| histogram.variance().sqrt()),
    ),
    (
        "histogram_stdvar",
        Implementation::MapHistogram(FloatHistogram::variance),
    ),
    (
        "histogram_sum",
        Implementation::MapHistogram(|histogram| histogram.sum),
    ),
];

/// How much neighbouring counts may differ, relative to their sum, to count as equal.
const TOLERANCE: f64 = 1e-12;

/// A cumulative bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Upper bound, inside.
    pub(crate) upper: f64,
    /// Observations up to it.
    pub(crate) count: f64,
}

/// Bounds between which counts had to be raised, and by how much at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fix {
    lowest: f64,
    highest: f64,
    difference: f64,
}

impl Fix {
    /// The fix as it is reported.
    pub(crate) fn at(self, at_ms: i64) -> Monotonicity {
        Monotonicity::new(at_ms, (self.lowest, self.highest), self.difference)
    }
}

/// The φ-quantile of buckets in order of bounds, and what had to be fixed for it. Buckets are
/// changed on the way.
pub(crate) fn bucket_quantile(phi: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Fix>) {
    if phi.is_nan() {
        return (f64::NAN, None);
    }
    if phi < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if phi > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets
        .last()
        .is_none_or(|last| last.upper != f64::INFINITY)
    {
        return (f64::NAN, None);
    }
    coalesce(buckets);
    let fix = make_monotonic(buckets);
    let observations = buckets.last().map_or(0.0, |last| last.count);
    if buckets.len() < 2 || observations == 0.0 {
        return (f64::NAN, fix);
    }
    (interpolate(phi * observations, buckets), fix)
}

/// The value below which `rank` observations lie. There are two buckets at least.
fn interpolate(rank: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    // Counts that are NaN are not below any rank, which is why this is no `partition_point`.
    let found = search(last, |index| buckets[index].count >= rank);
    if found == last {
        return buckets[last - 1].upper;
    }
    let bucket = buckets[found];
    if found == 0 {
        return if bucket.upper <= 0.0 {
            bucket.upper
        } else {
            bucket.upper * (rank / bucket.count)
        };
    }
    let below = buckets[found - 1];
    let share = (rank - below.count) / (bucket.count - below.count);
    below.upper + (bucket.upper - below.upper) * share
}

/// The first of `0..len` for which `is_reached` is true, `len` if there is none, by halving. Source
/// of the order of questions: Go's `sort.Search`.
fn search(len: usize, is_reached: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if is_reached(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The fraction of observations between two values, of buckets in order of bounds.
pub(crate) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets
        .last()
        .is_none_or(|last| last.upper != f64::INFINITY)
    {
        return f64::NAN;
    }
    coalesce(buckets);
    let observations = buckets.last().map_or(0.0, |last| last.count);
    if observations == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / observations
}

/// How many observations are below a value. The lowest bucket starts at zero, unless it ends there
/// or before.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let observations = buckets.last().map_or(0.0, |last| last.count);
    let starts_at_zero = buckets.first().is_some_and(|first| first.upper > 0.0);
    let (mut lower, mut rank) = match starts_at_zero {
        true => (0.0, 0.0),
        false => (f64::NEG_INFINITY, 0.0),
    };
    let at_most = |rank: f64| {
        if rank > observations {
            observations
        } else {
            rank
        }
    };
    for bucket in buckets {
        if lower >= value {
            return at_most(rank);
        }
        if bucket.upper > value {
            // Nothing is known of the values in a bucket from -Inf: they count as lower.
            return at_most(if lower == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - lower) / (bucket.upper - lower)
            });
        }
        (lower, rank) = (bucket.upper, bucket.count);
    }
    observations
}

/// Adds up buckets with the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|later, earlier| {
        let is_same = later.upper == earlier.upper;
        if is_same {
            earlier.count += later.count;
        }
        is_same
    });
}

/// Makes counts never decrease: tiny differences are taken for rounding errors, other decreases are
/// reported.
fn make_monotonic(buckets: &mut [Bucket]) -> Option<Fix> {
    let (first, rest) = buckets.split_first_mut()?;
    let mut previous = first.count;
    let mut fix: Option<Fix> = None;
    for bucket in rest {
        let current = bucket.count;
        if current == previous {
            continue;
        }
        if almost_equal(previous, current) {
            bucket.count = previous;
        } else if current < previous {
            bucket.count = previous;
            let (upper, difference) = (bucket.upper, previous - current);
            fix = Some(fix.map_or(
                Fix {
                    lowest: upper,
                    highest: upper,
                    difference,
                },
                |fix| Fix {
                    lowest: fix.lowest.min(upper),
                    highest: fix.highest.max(upper),
                    difference: fix.difference.max(difference),
                },
            ));
        } else {
            previous = current;
        }
    }
    fix
}

/// Whether two numbers differ by no more than rounding. Source: upstream `almost.Equal`.
fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs
            .iter()
            .map(|(upper, count)| Bucket {
                upper: *upper,
                count: *count,
            })
            .collect()
    }

    const INF: f64 = f64::INFINITY;

    #[test]
    fn quantiles_interpolate_inside_their_bucket() {
        let counts = [(1.0, 10.0), (2.0, 30.0), (INF, 40.0)];
        for (phi, want) in [
            (0.0, 0.0),
            (0.125, 0.5),
            (0.5, 1.5),
            (0.75, 2.0),
            (0.9, 2.0),
            (-1.0, -INF),
            (2.0, INF),
        ] {
            assert_eq!(
                bucket_quantile(phi, &mut buckets(&counts)),
                (want, None),
                "{phi}"
            );
        }
    }

    #[test]
    fn quantiles_without_a_basis_are_not_a_number() {
        for counts in [
            &[][..],
            &[(1.0, 5.0)],
            &[(INF, 5.0)],
            &[(1.0, 0.0), (INF, 0.0)],
        ] {
            assert!(bucket_quantile(0.5, &mut buckets(counts)).0.is_nan());
        }
        assert_eq!(
            bucket_quantile(0.1, &mut buckets(&[(-1.0, 5.0), (INF, 6.0)])).0,
            -1.0
        );
    }

    #[test]
    fn decreases_are_raised_and_reported() {
        let mut counts = buckets(&[(1.0, 10.0), (2.0, 8.0), (3.0, 7.0), (INF, 20.0)]);
        let (value, fix) = bucket_quantile(0.5, &mut counts);
        assert_eq!(value, 1.0);
        assert_eq!(
            fix,
            Some(Fix {
                lowest: 2.0,
                highest: 3.0,
                difference: 3.0
            })
        );
        let mut rounding = buckets(&[(1.0, 1.0), (2.0, 1.0 - 1e-15), (INF, 2.0)]);
        assert_eq!(bucket_quantile(0.25, &mut rounding).1, None);
    }

    #[test]
    fn fractions_are_the_inverse_of_quantiles() {
        let counts = [(1.0, 10.0), (2.0, 30.0), (INF, 40.0)];
        for (lower, upper, want) in [
            (-INF, INF, 1.0),
            (0.5, 1.5, 0.375),
            (1.0, 2.0, 0.5),
            (2.0, INF, 0.25),
            (3.0, 3.0, 0.0),
            (-INF, 0.0, 0.0),
            (-5.0, 1.0, 0.25),
        ] {
            assert_eq!(bucket_fraction(lower, upper, &mut buckets(&counts)), want);
        }
        let negative = [(-1.0, 10.0), (INF, 40.0)];
        for (lower, upper, want) in [(-INF, -2.0, 0.25), (-2.0, INF, 0.75), (-2.0, -1.0, 0.0)] {
            assert_eq!(bucket_fraction(lower, upper, &mut buckets(&negative)), want);
        }
        assert!(bucket_fraction(f64::NAN, 1.0, &mut buckets(&counts)).is_nan());
        assert!(bucket_fraction(0.0, 1.0, &mut Vec::new()).is_nan());
    }
}
