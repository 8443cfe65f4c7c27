//! Properties of arithmetic on histograms that nobody thought of.

use proptest::prelude::*;

use super::super::*;

/// A valid histogram with exponential buckets: whole numbers, so that sums are exact.
fn exponential() -> impl Strategy<Value = FloatHistogram> {
    (
        -4..=8_i32,
        prop_oneof![Just(0.0), Just(0.001), 0.0..4.0_f64],
        0..100_u32,
        side(-12..12),
        side(-12..12),
    )
        .prop_map(|(schema, zero_threshold, zero_count, positive, negative)| {
            let mut histogram = FloatHistogram {
                schema,
                zero_threshold,
                zero_count: f64::from(zero_count),
                positive_spans: positive.0,
                positive_buckets: positive.1,
                negative_spans: negative.0,
                negative_buckets: negative.1,
                ..FloatHistogram::default()
            };
            empty_inside_zero(&mut histogram);
            histogram.count = total(&histogram);
            histogram
        })
}

/// What lies in the zero bucket is counted there and nowhere else.
fn empty_inside_zero(histogram: &mut FloatHistogram) {
    let (threshold, schema) = (histogram.zero_threshold, histogram.schema);
    for (spans, counts) in [
        (&histogram.positive_spans, &mut histogram.positive_buckets),
        (&histogram.negative_spans, &mut histogram.negative_buckets),
    ] {
        let indexes = layout::walk(spans, counts).map(|(index, _)| index);
        let inside = |index: &i32| bounds::exponential_bound(*index, schema) <= threshold;
        let inside = indexes.take_while(inside).count();
        counts[..inside].fill(0.0);
    }
}

fn custom() -> impl Strategy<Value = FloatHistogram> {
    (proptest::collection::btree_set(0..12_i32, 0..8), 0..3_i32).prop_flat_map(|(bounds, skip)| {
        let bounds: Vec<f64> = bounds.into_iter().map(f64::from).collect();
        let buckets = (bounds.len() + 1).saturating_sub(usize::try_from(skip).unwrap());
        proptest::collection::vec(0..5_u32, buckets).prop_map(move |counts| {
            let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
            FloatHistogram {
                schema: CUSTOM_BUCKETS_SCHEMA,
                count: counts.iter().sum(),
                positive_spans: vec![Span {
                    offset: if counts.is_empty() { 0 } else { skip },
                    length: u32::try_from(counts.len()).unwrap(),
                }],
                positive_buckets: counts,
                custom_values: bounds.as_slice().into(),
                ..FloatHistogram::default()
            }
        })
    })
}

fn side(first: std::ops::Range<i32>) -> impl Strategy<Value = (Vec<Span>, Vec<f64>)> {
    let spans = proptest::collection::vec((0..5_i32, 0..4_u32), 0..4);
    (first, spans).prop_flat_map(|(first, spans)| {
        let spans: Vec<Span> = spans
            .into_iter()
            .enumerate()
            .map(|(at, (offset, length))| Span {
                offset: if at == 0 { first } else { offset },
                length,
            })
            .collect();
        let buckets = spans.iter().map(|span| span.length as usize).sum::<usize>();
        proptest::collection::vec(0..4_u32, buckets)
            .prop_map(move |counts| (spans.clone(), counts.into_iter().map(f64::from).collect()))
    })
}

/// Anything at all, mostly invalid.
fn absurd() -> impl Strategy<Value = FloatHistogram> {
    let offset = || prop_oneof![any::<i32>(), -3..3_i32];
    let length = || prop_oneof![any::<u32>(), 0..4_u32];
    let spans = move || {
        let span = (offset(), length()).prop_map(|(offset, length)| Span { offset, length });
        proptest::collection::vec(span, 0..4)
    };
    let number = || prop_oneof![any::<f64>(), -3.0..3.0_f64];
    let numbers = move || proptest::collection::vec(number(), 0..6);
    (
        (
            prop_oneof![any::<i32>(), -4..=8_i32, Just(CUSTOM_BUCKETS_SCHEMA)],
            number(),
            number(),
        ),
        (number(), number(), spans(), spans()),
        (numbers(), numbers(), numbers()),
    )
        .prop_map(
            |((schema, zero_threshold, zero_count), (count, sum, p, n), (pb, nb, custom))| {
                FloatHistogram {
                    schema,
                    zero_threshold,
                    zero_count,
                    count,
                    sum,
                    positive_spans: p,
                    negative_spans: n,
                    positive_buckets: pb,
                    negative_buckets: nb,
                    custom_values: custom.into(),
                    ..FloatHistogram::default()
                }
            },
        )
}

fn total(histogram: &FloatHistogram) -> f64 {
    let buckets = histogram
        .positive_buckets
        .iter()
        .chain(&histogram.negative_buckets);
    histogram.zero_count + buckets.sum::<f64>()
}

/// What lies above `bound`, which is a bound of every bucket.
fn above(histogram: &FloatHistogram, bound: f64) -> f64 {
    let buckets = histogram.all_buckets();
    buckets
        .filter(|bucket| bucket.lower >= bound)
        .map(|bucket| bucket.count)
        .sum()
}

proptest! {
    #[test]
    fn sums_keep_every_observation(a in exponential(), b in exponential()) {
        prop_assert_eq!(a.validate(), Ok(()));
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert_eq!(total(&sum), a.count + b.count);
        prop_assert_eq!(sum.schema, a.schema.min(b.schema));
        for bucket in sum.all_buckets().filter(|bucket| bucket.lower >= 0.0) {
            let expected = above(&a, bucket.lower) + above(&b, bucket.lower);
            prop_assert_eq!(above(&sum, bucket.lower), expected);
        }
        let mut other_way = b.clone();
        other_way.add(&a).unwrap();
        sum.compact(0);
        other_way.compact(0);
        prop_assert!(sum.means_same(&other_way));
        sum.sub(&b).unwrap();
        prop_assert_eq!(total(&sum), a.count);
        sum.sub(&a).unwrap();
        sum.compact(0);
        prop_assert_eq!(sum.all_buckets().count(), 0);
    }

    #[test]
    fn sums_of_custom_buckets_keep_every_observation(a in custom(), b in custom()) {
        prop_assert_eq!(a.validate(), Ok(()));
        let mut sum = a.clone();
        sum.add(&b).unwrap();
        prop_assert_eq!(sum.validate(), Ok(()));
        prop_assert_eq!(total(&sum), a.count + b.count);
        for bound in sum.custom_values.iter() {
            prop_assert_eq!(above(&sum, *bound), above(&a, *bound) + above(&b, *bound));
        }
        prop_assert!(!sum.is_reset_of(&a));
    }

    #[test]
    fn compacting_keeps_the_meaning(histogram in exponential(), max in 0..4_usize) {
        let mut compacted = histogram.clone();
        compacted.compact(max);
        prop_assert_eq!(compacted.validate(), Ok(()));
        prop_assert_eq!(compacted.to_string(), histogram.to_string());
        prop_assert!(!compacted.is_reset_of(&histogram) && !histogram.is_reset_of(&compacted));
        let once = compacted.clone();
        compacted.compact(max);
        prop_assert_eq!(&compacted, &once);
        let gap = |span: &Span| usize::try_from(span.offset).unwrap();
        prop_assert!(once.positive_spans.iter().skip(1).all(|span| gap(span) > max));
    }

    #[test]
    fn coarsening_in_steps_is_coarsening(
        histogram in exponential(),
        steps in proptest::collection::vec(0..4_i32, 2),
    ) {
        let (middle, last) = (histogram.schema - steps[0], histogram.schema - steps[0] - steps[1]);
        let stepwise = histogram.to_schema(middle).to_schema(last);
        let mut direct = histogram.to_schema(last);
        direct.counter_reset_hint = stepwise.counter_reset_hint;
        prop_assert!(direct.means_same(&stepwise));
        prop_assert_eq!(total(&direct), histogram.count);
        prop_assert!(!direct.is_reset_of(&histogram));
    }

    #[test]
    fn walks_are_each_others_reverse(histogram in exponential()) {
        let mut forward: Vec<_> = histogram.all_buckets().collect();
        forward.reverse();
        prop_assert_eq!(forward, histogram.all_buckets_reverse().collect::<Vec<_>>());
    }

    #[test]
    fn compensated_sums_of_whole_numbers_are_sums(
        terms in proptest::collection::vec(exponential(), 2..5),
    ) {
        let (mut sum, mut plain) = (terms[0].clone(), terms[0].clone());
        let mut compensation = None;
        for term in &terms[1..] {
            sum.add_compensated(term, &mut compensation).unwrap();
            plain.add(term).unwrap();
        }
        sum.apply_compensation(&compensation.unwrap_or_default());
        sum.compact(0);
        plain.compact(0);
        prop_assert_eq!(sum, plain);
    }

    #[test]
    fn trimming_splits(histogram in exponential(), bound in -20.0..20.0_f64) {
        let (below, above) = (histogram.trim_upper(bound), histogram.trim_lower(bound));
        prop_assert_eq!((below.validate(), above.validate()), (Ok(()), Ok(())));
        prop_assert!((below.count + above.count - histogram.count).abs() < 1e-6);
        for half in [below, above] {
            prop_assert!((total(&half) - half.count).abs() < 1e-6);
        }
    }

    #[test]
    fn quantiles_rise_with_phi(
        histogram in prop_oneof![exponential(), custom()],
        phis in proptest::collection::vec(0.0..=1.0_f64, 2),
    ) {
        prop_assume!(histogram.count > 0.0);
        let (low, high) = (phis[0].min(phis[1]), phis[0].max(phis[1]));
        let (at_low, at_high) = (histogram.quantile(low), histogram.quantile(high));
        prop_assert!(at_low <= at_high + 1e-9 * at_high.abs(), "{at_low} {at_high}");
        let fraction = histogram.fraction(at_low, at_high);
        prop_assert!(fraction >= 0.0 && fraction <= high + 1e-9);
    }

    #[test]
    fn nothing_panics(a in absurd(), b in absurd(), max in 0..10_usize) {
        let _ = (a.validate(), a.to_string(), a.is_reset_of(&b), a.means_same(&b));
        let _ = (a.all_buckets().count(), a.all_buckets_reverse().count(), a.size_in_samples());
        let mut sum = a.clone();
        if sum.add(&b).is_ok() {
            sum.sub(&a).unwrap();
        }
        sum.compact(max);
        sum.divide(0.0);
        let _ = a.to_schema(b.schema).all_buckets().count();
        let mut compensation = None;
        let mut sum = a.clone();
        let _ = sum.add_compensated(&b, &mut compensation);
        let _ = sum.add_compensated(&a, &mut compensation);
        sum.apply_compensation(&compensation.unwrap_or_default());
        let _ = (a.quantile(b.sum), a.quantile(0.5), a.fraction(b.sum, b.count), a.variance());
        let _ = (a.trim_upper(b.sum), a.trim_lower(b.sum), a.to_test_expression());
    }
}
