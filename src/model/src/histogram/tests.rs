//! Tests of arithmetic, layouts and bounds.

use super::*;

mod estimates;
mod properties;

fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
    let span = |&(offset, length)| Span { offset, length };
    pairs.iter().map(span).collect()
}

/// A histogram with positive buckets that count what they add up to.
fn positive(schema: i32, pairs: &[(i32, u32)], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        schema,
        count: counts.iter().sum(),
        positive_spans: spans(pairs),
        positive_buckets: counts.to_vec(),
        ..FloatHistogram::default()
    }
}

fn custom(bounds: &[f64], pairs: &[(i32, u32)], counts: &[f64]) -> FloatHistogram {
    FloatHistogram {
        custom_values: bounds.into(),
        ..positive(CUSTOM_BUCKETS_SCHEMA, pairs, counts)
    }
}

fn with_zero(threshold: f64, count: f64, mut histogram: FloatHistogram) -> FloatHistogram {
    histogram.zero_threshold = threshold;
    histogram.zero_count = count;
    histogram.count += count;
    histogram
}

#[test]
fn bounds_are_upstreams() {
    // Schema, index, bound; the cases of upstream's documentation of `getBoundExponential`.
    for (schema, index, bound) in [
        (0, 0, 1.0),
        (0, -3, 0.125),
        (0, 1023, 2.0_f64.powi(1023)),
        (0, 1024, f64::MAX),
        (0, 1025, f64::INFINITY),
        (0, -1074, f64::from_bits(1)),
        (-4, 64, f64::MAX),
        (-4, 65, f64::INFINITY),
        (-1, 1, 4.0),
        (2, 1, 1.189207115002721),
        (1, -1, 0.7071067811865475),
        (3, 5, 1.5422108254079407),
        (8, 262_144, f64::MAX),
        (8, 262_145, f64::INFINITY),
        (8, i32::MIN, 0.0),
        (i32::MIN, i32::MAX, f64::INFINITY),
        (i32::MAX, i32::MAX, 1.0),
    ] {
        let found = bounds::exponential_bound(index, schema);
        assert_eq!(
            found.to_bits(),
            bound.to_bits(),
            "schema {schema}, index {index}: {found}"
        );
    }
}

#[test]
fn sums_and_differences() {
    let gauge = |mut histogram: FloatHistogram| {
        histogram.counter_reset_hint = CounterResetHint::Gauge;
        histogram
    };
    // First, second, their sum, first minus second, both compacted.
    for (a, b, sum, difference) in [
        (
            positive(0, &[(0, 2)], &[1.0, 2.0]),
            positive(0, &[(0, 2)], &[1.0, 5.0]),
            "{count:9, sum:0, (0.5,1]:2, (1,2]:7}",
            "{count:-3, sum:0, (1,2]:-3}",
        ),
        (
            positive(0, &[(1, 1), (2, 1)], &[1.0, 2.0]),
            positive(1, &[(0, 4)], &[1.0, 2.0, 3.0, 4.0]),
            "{count:13, sum:0, (0.5,1]:1, (1,2]:6, (2,4]:4, (8,16]:2}",
            "{count:-7, sum:0, (0.5,1]:-1, (1,2]:-4, (2,4]:-4, (8,16]:2}",
        ),
        // The zero bucket is widened to 1, the end of a populated bucket of the first one.
        (
            with_zero(0.25, 1.0, positive(0, &[(0, 2)], &[2.0, 4.0])),
            with_zero(0.7, 8.0, positive(0, &[(1, 1)], &[16.0])),
            "{count:31, sum:0, [-1,1]:11, (1,2]:20}",
            "{count:-17, sum:0, [-1,1]:-5, (1,2]:-12}",
        ),
        (
            custom(&[1.0, 2.0, 3.0], &[(0, 4)], &[1.0, 2.0, 3.0, 4.0]),
            custom(&[2.0, 3.0, 5.0], &[(1, 3)], &[16.0, 32.0, 64.0]),
            "{count:122, sum:0, [-Inf,2]:3, (2,3]:19, (3,+Inf]:100}",
            "{count:-102, sum:0, [-Inf,2]:3, (2,3]:-13, (3,+Inf]:-92}",
        ),
        (
            custom(&[1.0], &[(0, 1)], &[1.0]),
            custom(&[2.0], &[(0, 1)], &[2.0]),
            "{count:3, sum:0, [-Inf,+Inf]:3}",
            "{count:-1, sum:0, [-Inf,+Inf]:-1}",
        ),
    ] {
        for (text, operation) in [
            (
                sum,
                FloatHistogram::add as fn(&mut FloatHistogram, &FloatHistogram) -> _,
            ),
            (difference, FloatHistogram::sub),
        ] {
            let mut result = a.clone();
            let combination = operation(&mut result, &gauge(b.clone())).unwrap();
            let reconciled = !same_bounds(&a.custom_values, &b.custom_values);
            assert_eq!(combination.bounds_reconciled, reconciled);
            assert_eq!(result.counter_reset_hint, CounterResetHint::Gauge);
            result.compact(0);
            assert_eq!(result.to_string(), text);
        }
    }
    let mut exponential = positive(0, &[(0, 1)], &[1.0]);
    let refused = exponential.add(&custom(&[1.0], &[(0, 1)], &[1.0]));
    assert_eq!(refused, Err(HistogramError::IncompatibleSchema));
}

#[test]
fn hints_of_sums() {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    for (a, b, hint, collision) in [
        (Unknown, Unknown, Unknown, false),
        (CounterReset, CounterReset, CounterReset, false),
        (CounterReset, NotCounterReset, Unknown, true),
        (NotCounterReset, CounterReset, Unknown, true),
        (CounterReset, Unknown, Unknown, false),
        (Unknown, NotCounterReset, Unknown, false),
        (Gauge, CounterReset, Gauge, false),
        (Unknown, Gauge, Gauge, false),
    ] {
        let [mut a, b] = [a, b].map(|hint| FloatHistogram {
            counter_reset_hint: hint,
            ..FloatHistogram::default()
        });
        let combination = a.add(&b).unwrap();
        assert_eq!(
            (a.counter_reset_hint, combination.counter_reset_collision),
            (hint, collision)
        );
    }
}

#[test]
fn compacting() {
    // Spans and counts, the most empty buckets in a row, spans and counts after it.
    for (before, counts, max, after, left) in [
        (
            &[(0, 3)][..],
            &[0.0, 1.0, 0.0][..],
            0,
            &[(1, 1)][..],
            &[1.0][..],
        ),
        (
            &[(0, 3)],
            &[1.0, 0.0, 1.0],
            0,
            &[(0, 1), (1, 1)],
            &[1.0, 1.0],
        ),
        (&[(0, 3)], &[1.0, 0.0, 1.0], 1, &[(0, 3)], &[1.0, 0.0, 1.0]),
        (
            &[(0, 1), (2, 1)],
            &[1.0, 1.0],
            1,
            &[(0, 1), (2, 1)],
            &[1.0, 1.0],
        ),
        (
            &[(0, 1), (2, 1)],
            &[1.0, 1.0],
            2,
            &[(0, 4)],
            &[1.0, 0.0, 0.0, 1.0],
        ),
        (
            &[(-5, 0), (2, 1), (0, 0), (0, 1)],
            &[1.0, 2.0],
            0,
            &[(-3, 2)],
            &[1.0, 2.0],
        ),
        (&[(3, 2)], &[0.0, 0.0], 5, &[], &[]),
    ] {
        let mut histogram = positive(0, before, counts);
        histogram.compact(max);
        assert_eq!(histogram.positive_spans, spans(after));
        assert_eq!(histogram.positive_buckets, left);
    }
}

#[test]
fn resets() {
    let base = with_zero(0.1, 2.0, positive(1, &[(0, 2), (1, 1)], &[1.0, 2.0, 3.0]));
    let with = |change: &dyn Fn(&mut FloatHistogram)| {
        let mut histogram = base.clone();
        change(&mut histogram);
        histogram
    };
    let next_custom = custom(&[2.0, 4.0], &[(0, 3)], &[3.0, 3.0, 3.0]);
    let cases: &[(&FloatHistogram, FloatHistogram, bool)] = &[
        (&base, base.clone(), false),
        (
            &base,
            with(&|h| h.counter_reset_hint = CounterResetHint::CounterReset),
            true,
        ),
        (&base, with(&|h| h.count -= 1.0), true),
        (&base, with(&|h| h.zero_count -= 1.0), true),
        (&base, with(&|h| h.sum = -5.0), false),
        (&base, with(&|h| h.positive_buckets[1] -= 0.5), true),
        (&base, with(&|h| h.schema = 2), true),
        (&base, with(&|h| h.zero_threshold = 0.01), true),
        (&base, base.to_schema(0), false),
        // Wider up to the end of the first bucket, with and without what was in it.
        (
            &base,
            with_zero(1.0, 3.0, positive(1, &[(1, 1), (1, 1)], &[2.0, 4.0])),
            false,
        ),
        (
            &base,
            with_zero(1.0, 2.0, positive(1, &[(1, 1), (1, 1)], &[3.0, 4.0])),
            true,
        ),
        (
            &base,
            with_zero(1.2, 9.0, positive(1, &[(1, 1), (1, 1)], &[2.0, 4.0])),
            true,
        ),
        (&base, next_custom.clone(), true),
        (
            &next_custom,
            custom(&[2.0, 3.0], &[(0, 3)], &[3.0, 0.0, 6.0]),
            false,
        ),
        (
            &next_custom,
            custom(&[3.0, 4.0], &[(0, 3)], &[0.0, 5.0, 4.0]),
            true,
        ),
    ];
    for (at, (previous, next, reset)) in cases.iter().enumerate() {
        assert_eq!(next.is_reset_of(previous), *reset, "case {at}");
    }
}

#[test]
fn texts_of_errors() {
    let broken: &[(FloatHistogram, &str)] = &[
        (
            positive(9, &[], &[]),
            "histogram has an invalid schema, which must be between -4 and 8 for exponential \
             buckets, or -53 for custom buckets, got schema 9",
        ),
        (
            positive(0, &[(0, 1), (-1, 1)], &[1.0, 1.0]),
            "positive side: span number 2 with offset -1: histogram has a span whose offset is \
             negative",
        ),
        (
            positive(0, &[(0, 2)], &[1.0]),
            "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify \
             different number of buckets than provided",
        ),
        (
            positive(0, &[(0, 2)], &[2.5, -1.5]),
            "positive side: bucket number 2 has observation count of -1.5: histogram has a bucket \
             whose observation count is negative",
        ),
        (
            custom(&[1.0], &[(1, 2)], &[1.0, 1.0]),
            "custom buckets: only 1 custom bounds defined which is insufficient to cover total \
             span length of 3: histogram custom bounds are too few",
        ),
        (
            custom(&[1.0, 0.5], &[], &[]),
            "custom buckets: previous bound is 1.000000 and current is 0.500000: histogram custom \
             bounds must be in strictly increasing order",
        ),
        (
            positive(0, &[(i32::MAX, 1)], &[1.0]),
            "positive side: histogram spans reach beyond the possible bucket indexes",
        ),
    ];
    for (histogram, text) in broken {
        assert_eq!(histogram.validate().unwrap_err().to_string(), *text);
    }
    let integer = |sum: f64, count: u64| IntegerHistogram {
        sum,
        count,
        positive_spans: spans(&[(0, 2)]),
        positive_deltas: vec![3, -1],
        ..IntegerHistogram::default()
    };
    assert_eq!(integer(1.0, 5).validate(), Ok(()));
    assert_eq!(integer(f64::NAN, 6).validate(), Ok(()));
    let buckets = 5;
    let error = HistogramError::CountMismatch { buckets, count: 6 };
    assert_eq!(integer(1.0, 6).validate(), Err(error));
}

#[test]
fn compensated_sums_keep_small_numbers() {
    let with_sum = |sum: f64, histogram: FloatHistogram| FloatHistogram { sum, ..histogram };
    // The second list has another layout in each histogram, so that nothing is added in place.
    let alike = [1.0, 1e100, 1.0, -1e100].map(|n| with_sum(n, positive(0, &[(1, 2)], &[n, n])));
    let unlike = [
        with_sum(1.0, positive(1, &[(1, 2)], &[0.5, 0.5])),
        with_sum(1e100, with_zero(0.5, 0.0, positive(0, &[(1, 1)], &[1e100]))),
        with_sum(1.0, positive(0, &[(1, 2)], &[1.0, 1.0])),
        with_sum(
            -1e100,
            with_zero(0.25, 0.0, positive(2, &[(1, 4)], &[-1e100, 0.0, 0.0, 0.0])),
        ),
    ];
    let bounds: [&[f64]; 4] = [&[1.0, 2.0], &[1.0, 3.0], &[1.0, 2.0, 3.0], &[1.0, 4.0]];
    let numbers = [1.0, 1e100, 1.0, -1e100];
    let customs: Vec<FloatHistogram> = numbers
        .iter()
        .zip(bounds)
        .map(|(n, bounds)| with_sum(*n, custom(bounds, &[(0, 2)], &[*n, 0.0])))
        .collect();
    for (terms, expected) in [
        (&alike[..], "{count:4, sum:2, (1,2]:2, (2,4]:2}"),
        (&unlike, "{count:3, sum:2, (1,2]:2, (2,4]:1}"),
        (&customs, "{count:2, sum:2, [-Inf,1]:2}"),
    ] {
        let mut sum = terms[0].clone();
        let mut compensation = None;
        for term in &terms[1..] {
            sum.add_compensated(term, &mut compensation).unwrap();
        }
        sum.apply_compensation(&compensation.unwrap());
        sum.compact(0);
        assert_eq!(sum.to_string(), expected);
    }
}

#[test]
fn test_expressions() {
    let mut all = with_zero(0.5, 2.0, positive(3, &[(2, 1), (1, 2)], &[1.0, 0.0, 2.5]));
    all.negative_spans = spans(&[(-1, 2)]);
    all.negative_buckets = vec![0.0, 4.0];
    all.sum = f64::INFINITY;
    all.counter_reset_hint = CounterResetHint::NotCounterReset;
    for (histogram, text) in [
        (FloatHistogram::default(), "{{}}"),
        (
            all,
            "{{schema:3 count:5.5 sum:+Inf z_bucket:2 z_bucket_w:0.5 \
             counter_reset_hint:not_reset offset:2 buckets:[1 0 0 2.5] n_buckets:[4]}}",
        ),
        (
            custom(&[1.0, 2.5], &[(1, 2)], &[3.0, 4.0]),
            "{{schema:-53 count:7 custom_values:[1 2.5] offset:1 buckets:[3 4]}}",
        ),
        (
            positive(0, &[(0, 1), (1 << 29, 1)], &[1.0, 2.0]),
            "{count:3, sum:0, (0.5,1]:1, (+Inf,+Inf]:2}",
        ),
    ] {
        assert_eq!(histogram.to_test_expression(), text);
    }
}

#[test]
fn classic_histograms_become_custom_ones() {
    type Buckets = &'static [(f64, f64)];
    const INF: f64 = f64::INFINITY;
    let classic = |buckets: Buckets, count: Option<f64>| {
        let mut classic = ClassicHistogram::default();
        count.into_iter().for_each(|count| classic.set_count(count));
        classic.set_sum(1.5);
        buckets
            .iter()
            .for_each(|(le, count)| classic.push_bucket(*le, *count));
        classic.convert()
    };
    let cases: &[(Buckets, Option<f64>, &str)] = &[
        (
            &[(2.0, 3.0), (1.0, 1.0), (INF, 4.0)],
            Some(4.0),
            "{{schema:-53 count:4 sum:1.5 custom_values:[1 2] buckets:[1 2 1]}}",
        ),
        (
            &[(1.0, 1.0), (2.0, 1.5), (2.0, 9.0)],
            None,
            "{{schema:-53 count:1.5 sum:1.5 custom_values:[1 2] buckets:[1 0.5]}}",
        ),
        (
            &[],
            Some(7.0),
            "{{schema:-53 count:7 sum:1.5 custom_values:[] buckets:[7]}}",
        ),
        (&[(f64::NAN, 1.0)], None, "bucket boundary must not be NaN"),
        (
            &[(0.5, -1.0)],
            None,
            "bucket count must be non-negative: le=0.5, count=-1",
        ),
        (&[], Some(-2.0), "count must be non-negative: count=-2"),
        (
            &[(1.0, 3.0), (2.0, 2.0)],
            None,
            "count is not cumulative: 2 < 3",
        ),
        (&[(1.0, 3.0)], Some(2.0), "count is not cumulative: 2 < 3"),
        (
            &[(INF, 3.0)],
            Some(2.0),
            "count mismatch: count=2 != le=+Inf count=3",
        ),
    ];
    for (buckets, count, expected) in cases {
        let found = match classic(buckets, *count) {
            Ok(histogram) => {
                let is_whole = buckets.iter().all(|(_, count)| count.fract() == 0.0);
                assert_eq!(matches!(histogram, Histogram::Integer(_)), is_whole);
                assert_eq!(histogram.to_float().validate(), Ok(()));
                histogram.to_float().to_test_expression()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, *expected);
    }
    assert_eq!(ClassicPart::of_name("a_sum"), Some((ClassicPart::Sum, "a")));
    assert_eq!(ClassicPart::of_name("a_created"), None);
}
