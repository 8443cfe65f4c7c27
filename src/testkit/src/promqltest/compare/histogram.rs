//! Compares native histograms with those of a script. Source: upstream `compareNativeHistogram`.

use std::collections::BTreeMap;

use model::{FloatHistogram, Span};

use super::almost_equal;

/// A histogram that a script expects.
#[derive(Clone, Copy, Debug)]
pub(super) struct ExpectedHistogram<'a> {
    pub(super) histogram: &'a FloatHistogram,
    /// Whether the script says what is known of counter resets; otherwise anything may be.
    pub(super) hint_is_given: bool,
}

/// Whether `got` is what the script expects: numbers are almost equal, schema, zero threshold and
/// bounds are the same, empty buckets do not count.
pub(super) fn matches(expected: ExpectedHistogram<'_>, got: &FloatHistogram) -> bool {
    let want = expected.histogram;
    want.schema == got.schema
        && want.zero_threshold == got.zero_threshold
        && (!want.has_custom_buckets() || *want.custom_values == *got.custom_values)
        && almost_equal(want.count, got.count)
        && almost_equal(want.sum, got.sum)
        && almost_equal(want.zero_count, got.zero_count)
        && same_buckets(filled(want, Side::Positive), filled(got, Side::Positive))
        && same_buckets(filled(want, Side::Negative), filled(got, Side::Negative))
        && (!expected.hint_is_given || want.counter_reset_hint == got.counter_reset_hint)
}

#[derive(Clone, Copy)]
enum Side {
    Positive,
    Negative,
}

/// The buckets that are not empty, by index.
fn filled(histogram: &FloatHistogram, side: Side) -> BTreeMap<i64, f64> {
    let (spans, counts): (&[Span], &[f64]) = match side {
        Side::Positive => (&histogram.positive_spans, &histogram.positive_buckets),
        Side::Negative => (&histogram.negative_spans, &histogram.negative_buckets),
    };
    let mut counts = counts.iter();
    let mut index = 0_i64;
    let mut buckets = BTreeMap::new();
    for span in spans {
        index += i64::from(span.offset);
        for count in counts.by_ref().take(span.length as usize) {
            if *count != 0.0 {
                buckets.insert(index, *count);
            }
            index += 1;
        }
    }
    buckets
}

fn same_buckets(want: BTreeMap<i64, f64>, got: BTreeMap<i64, f64>) -> bool {
    want.len() == got.len()
        && want
            .iter()
            .zip(&got)
            .all(|((want_index, want), (index, got))| {
                want_index == index && almost_equal(*want, *got)
            })
}

#[cfg(test)]
mod tests {
    use promql_syntax::SequenceValue;

    use super::*;

    fn check(want: &str, got: &str) -> bool {
        let parse = |text: &str| {
            let parsed = promql_syntax::parse_series_description(&format!("a {text}")).unwrap();
            match parsed.values.into_iter().next() {
                Some(SequenceValue::Histogram {
                    histogram,
                    hint_is_given,
                }) => (histogram, hint_is_given),
                other => panic!("{other:?}"),
            }
        };
        let (histogram, hint_is_given) = parse(want);
        let expected = ExpectedHistogram {
            histogram: &histogram,
            hint_is_given,
        };
        matches(expected, &parse(got).0)
    }

    #[test]
    fn histograms_are_compared_by_meaning() {
        for (want, got, equal) in [
            ("{{count:1}}", "{{count:1.000001}}", true),
            ("{{count:1}}", "{{count:1.0001}}", false),
            ("{{sum:NaN}}", "{{sum:NaN}}", true),
            ("{{schema:1}}", "{{schema:2}}", false),
            ("{{z_bucket:1}}", "{{z_bucket:2}}", false),
            ("{{z_bucket_w:1}}", "{{z_bucket_w:1.0000001}}", false),
            ("{{buckets:[0 1 2]}}", "{{offset:1 buckets:[1 2 0]}}", true),
            ("{{buckets:[1 2]}}", "{{offset:1 buckets:[1 2]}}", false),
            ("{{n_buckets:[1 2]}}", "{{n_buckets:[1 3]}}", false),
            ("{{buckets:[1]}}", "{{n_buckets:[1]}}", false),
            (
                "{{schema:-53 custom_values:[1]}}",
                "{{schema:-53 custom_values:[2]}}",
                false,
            ),
            ("{{}}", "{{counter_reset_hint:gauge}}", true),
            ("{{counter_reset_hint:gauge}}", "{{}}", false),
            ("{{counter_reset_hint:unknown}}", "{{}}", true),
        ] {
            assert_eq!(check(want, got), equal, "{want} {got}");
        }
    }
}
