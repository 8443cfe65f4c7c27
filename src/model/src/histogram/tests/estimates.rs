//! Tests of trimming, quantiles, fractions and the variance.

use super::*;

const INF: f64 = f64::INFINITY;

/// 2 in (-4,-2], 4 in (-2,-1], 6 from -0.5 to 0.5, 8 in (1,2], 10 in (2,4].
fn both_sides() -> FloatHistogram {
    let mut histogram = with_zero(0.5, 6.0, positive(0, &[(1, 2)], &[8.0, 10.0]));
    histogram.negative_spans = spans(&[(1, 2)]);
    histogram.negative_buckets = vec![4.0, 2.0];
    histogram.count = 30.0;
    histogram.sum = 25.0;
    histogram
}

fn customs() -> FloatHistogram {
    let mut histogram = custom(&[5.0, 10.0, 15.0], &[(0, 4)], &[10.0, 20.0, 30.0, 40.0]);
    histogram.sum = 1000.0;
    histogram
}

#[test]
fn trimming() {
    let root = 2.0_f64.sqrt();
    let unchanged = both_sides().to_string();
    let cases: &[(FloatHistogram, f64, &str, &str)] = &[
        (
            both_sides(),
            root,
            "{count:16, sum:-6.5, [-4,-2):2, [-2,-1):4, [-0.5,0.5]:6, (1,2]:4}",
            "{count:14, sum:35, (1,2]:4, (2,4]:10}",
        ),
        (
            both_sides(),
            0.0,
            "{count:9, sum:-12, [-4,-2):2, [-2,-1):4, [-0.5,0.5]:3}",
            "{count:21, sum:40.3, [-0.5,0.5]:3, (1,2]:8, (2,4]:10}",
        ),
        (both_sides(), INF, &unchanged, "{count:0, sum:0}"),
        (both_sides(), -INF, "{count:0, sum:0}", &unchanged),
        // The lowest bucket is taken to start at 0 as its end is positive.
        (
            customs(),
            2.5,
            "{count:5, sum:6.2, [-Inf,5]:5}",
            "{count:95, sum:1143.7, [-Inf,5]:5, (5,10]:20, (10,15]:30, (15,+Inf]:40}",
        ),
        (
            customs(),
            20.0,
            "{count:60, sum:550, [-Inf,5]:10, (5,10]:20, (10,15]:30}",
            "{count:40, sum:800, (15,+Inf]:40}",
        ),
        (
            custom(&[-3.0], &[(0, 2)], &[2.0, 4.0]),
            -7.0,
            "{count:2, sum:-14, [-Inf,-3]:2}",
            "{count:4, sum:-12, (-3,+Inf]:4}",
        ),
    ];
    for (histogram, bound, below, above) in cases {
        for (trimmed, expected) in [
            (histogram.trim_upper(*bound), below),
            (histogram.trim_lower(*bound), above),
        ] {
            // Sums of irrational midpoints are compared by their first digits.
            let mut trimmed = trimmed;
            trimmed.sum = (trimmed.sum * 10.0).trunc() / 10.0;
            trimmed
                .positive_buckets
                .iter_mut()
                .for_each(|count| *count = (*count * 1e9).round() / 1e9);
            trimmed.count = (trimmed.count * 1e9).round() / 1e9;
            assert_eq!(trimmed.to_string(), *expected, "at {bound}");
        }
    }
}

#[test]
fn quantiles() {
    let root = 2.0_f64.sqrt();
    for (histogram, pairs) in [
        (
            both_sides(),
            &[
                (-0.1, -INF),
                (1.1, INF),
                (0.0, -4.0),
                (1.0 / 30.0, -2.0 * root),
                (4.0 / 30.0, -root),
                (9.0 / 30.0, 0.0),
                (12.0 / 30.0, 0.5),
                (16.0 / 30.0, root),
                (25.0 / 30.0, 2.0 * root),
                (1.0, 4.0),
            ][..],
        ),
        (
            customs(),
            &[
                (0.0, 0.0),
                (0.05, 2.5),
                (0.2, 7.5),
                (0.6, 15.0),
                (0.7, 15.0),
                (1.0, 15.0),
            ],
        ),
        (
            with_zero(1.0, 4.0, positive(0, &[(1, 1)], &[4.0])),
            &[(0.25, 0.5), (0.5, 1.0)],
        ),
        (custom(&[-3.0], &[(0, 1)], &[2.0]), &[(0.5, -3.0)]),
    ] {
        for (phi, expected) in pairs {
            let found = histogram.quantile(*phi);
            let is_near = found == *expected || (found - expected).abs() < 1e-12;
            assert!(is_near, "{phi} of {histogram}: {found}, not {expected}");
        }
        assert!(histogram.quantile(f64::NAN).is_nan());
    }
    assert!(FloatHistogram::default().quantile(0.5).is_nan());
}

#[test]
fn fractions() {
    let root = 2.0_f64.sqrt();
    for (histogram, cases) in [
        (
            both_sides(),
            &[
                (-INF, INF, 30.0),
                (-INF, -root, 4.0),
                (-0.25, 0.25, 3.0),
                (root, 2.0 * root, 9.0),
                (-1.0, -0.5, 0.0),
                (3.0, 3.0, 0.0),
                (4.0, INF, 0.0),
            ][..],
        ),
        (
            customs(),
            &[
                (0.0, 2.5, 5.0),
                (5.0, 12.5, 35.0),
                (100.0, INF, 40.0),
                (-INF, 100.0, 60.0),
            ],
        ),
    ] {
        for (lower, upper, expected) in cases {
            let found = histogram.fraction(*lower, *upper) * histogram.count;
            assert!(
                (found - expected).abs() < 1e-9,
                "{lower} to {upper}: {found}, not {expected}"
            );
        }
        assert!(histogram.fraction(f64::NAN, 1.0).is_nan());
    }
}

#[test]
fn observations_of_nan() {
    let mut histogram = both_sides();
    histogram.count += 10.0;
    histogram.sum = f64::NAN;
    let estimate = |value, nan| Estimate { value, nan };
    let median = histogram.estimate_quantile(0.5);
    assert!((median.value - 2.0).abs() < 1e-12);
    assert_eq!(median.nan, NanObservations::Skewed);
    assert_eq!(histogram.estimate_quantile(0.8).nan, NanObservations::Hit);
    assert!(histogram.quantile(0.8).is_nan());
    let half = estimate(0.75, NanObservations::Skewed);
    assert_eq!(histogram.estimate_fraction(-INF, INF), half);
    // The sum is NaN for another reason.
    histogram.count -= 10.0;
    assert_eq!(
        histogram.estimate_quantile(0.3),
        estimate(0.0, NanObservations::None)
    );
    assert_eq!(
        histogram.estimate_fraction(-INF, INF),
        estimate(1.0, NanObservations::None)
    );
}

#[test]
fn variances() {
    let exact = positive(0, &[(1, 1)], &[4.0]);
    let with_sum = |sum: f64, histogram: FloatHistogram| FloatHistogram { sum, ..histogram };
    for (histogram, expected) in [
        (with_sum(4.0 * 2.0_f64.sqrt(), exact), 0.0),
        (
            with_sum(0.0, with_zero(0.1, 4.0, FloatHistogram::default())),
            0.0,
        ),
        (
            with_sum(12.0, custom(&[0.0, 2.0, 4.0], &[(1, 2)], &[4.0, 4.0])),
            1.25,
        ),
    ] {
        let found = histogram.variance();
        assert!((found - expected).abs() < 1e-12, "{histogram}: {found}");
    }
    let negative = FloatHistogram {
        count: 3.0,
        sum: -3.0 * 2.0_f64.sqrt(),
        negative_spans: spans(&[(1, 1)]),
        negative_buckets: vec![3.0],
        ..FloatHistogram::default()
    };
    assert!(negative.variance().abs() < 1e-12);
}
