//! `load_with_nhcb`: the parts of classic histograms also become one native histogram with custom
//! buckets. Source: upstream `promqltest/test.go` and `util/convertnhcb`.

use std::collections::BTreeMap;

use model::histogram::{ClassicHistogram, ClassicPart};
use model::number::parse_float;
use model::{Labels, METRIC_NAME, Timestamp};
use promql_syntax::SequenceValue;

use super::{LoadedPoint, LoadedSeries};

/// What a series gives to a classic histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Bucket { le: f64 },
    Count,
    Sum,
}

/// The native histograms that the classic ones among `series` become.
pub(super) fn native_twins(series: &LoadedSeries) -> Result<LoadedSeries, String> {
    let mut collected: BTreeMap<Labels, BTreeMap<Timestamp, ClassicHistogram>> = BTreeMap::new();
    for (labels, points) in series {
        let Some((twin, role)) = twin_of(labels)? else {
            continue;
        };
        let parts = collected.entry(twin).or_default();
        for point in points {
            if let SequenceValue::Float(value) = point.value {
                let histogram = parts.entry(point.at).or_default();
                match role {
                    Role::Bucket { le } => histogram.push_bucket(le, value),
                    Role::Count => histogram.set_count(value),
                    Role::Sum => histogram.set_sum(value),
                }
            }
        }
    }
    let mut twins = LoadedSeries::new();
    for (labels, times) in collected {
        let mut points = Vec::with_capacity(times.len());
        for (at, parts) in times {
            let histogram = parts
                .convert()
                .map_err(|reason| format!("{labels} at {at}: {reason}"))?;
            points.push(LoadedPoint {
                at,
                value: SequenceValue::Histogram {
                    histogram: histogram.to_float(),
                    hint_is_given: false,
                },
                start_ms: 0,
            });
        }
        twins.insert(labels, points);
    }
    Ok(twins)
}

/// The labels of the native histogram that a series is a part of, and which part it is. `None` for
/// a series that is none, or whose bound is no number.
fn twin_of(labels: &Labels) -> Result<Option<(Labels, Role)>, String> {
    let name = labels.metric_name().unwrap_or_default();
    let Some((part, base)) = ClassicPart::of_name(name) else {
        return Ok(None);
    };
    let role = match part {
        ClassicPart::Count => Role::Count,
        ClassicPart::Sum => Role::Sum,
        ClassicPart::Bucket => {
            let Some(bound) = labels.get("le") else {
                return Err(format!("{labels} has no label le"));
            };
            match parse_float(bound).filter(|bound| !bound.is_nan()) {
                Some(le) => Role::Bucket { le },
                None => return Ok(None),
            }
        }
    };
    let others = labels
        .iter()
        .filter(|(label, _)| *label != METRIC_NAME && *label != "le");
    let twin = Labels::from_pairs(others.chain([(METRIC_NAME, base)]));
    twin.map(|twin| Some((twin, role)))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::histogram::CUSTOM_BUCKETS_SCHEMA;
    use model::{FloatHistogram, PromDuration};

    use super::super::points;
    use super::*;

    fn convert(lines: &[&str]) -> Result<Vec<(Labels, FloatHistogram)>, String> {
        let mut series = LoadedSeries::new();
        for line in lines {
            let parsed = promql_syntax::parse_series_description(line).unwrap();
            let values = points(parsed.values, PromDuration::from_secs(60), &|_| None);
            series.insert(parsed.labels, values);
        }
        let twins = native_twins(&series)?;
        let flat = twins.into_iter().flat_map(|(labels, points)| {
            points.into_iter().map(move |point| match point.value {
                SequenceValue::Histogram { histogram, .. } => {
                    (labels.clone(), Arc::unwrap_or_clone(histogram))
                }
                other => panic!("{other:?}"),
            })
        });
        Ok(flat.collect())
    }

    #[test]
    fn parts_become_one_histogram() {
        let got = convert(&[
            r#"lat_bucket{job="a",le="0.5"} 1"#,
            r#"lat_bucket{job="a",le="1e1"} 4"#,
            r#"lat_bucket{job="a",le="10"} 4"#,
            r#"lat_bucket{job="a",le="nothing"} 9"#,
            r#"lat_sum{job="a"} 7.5"#,
            r#"lat_count{job="a"} 6"#,
            "lat 5",
        ])
        .unwrap();
        let [(labels, histogram)] = &got[..] else {
            panic!("{got:?}");
        };
        assert_eq!(labels.to_string(), r#"{__name__="lat", job="a"}"#);
        assert_eq!((histogram.count, histogram.sum), (6.0, 7.5));
        assert_eq!(histogram.schema, CUSTOM_BUCKETS_SCHEMA);
        assert_eq!(*histogram.custom_values, [0.5, 10.0]);
        assert!(matches!(
            histogram.positive_buckets[..],
            [1.0, 3.0 | 8.0, _]
        ));
    }

    #[test]
    fn a_count_comes_from_the_last_bucket_if_need_be() {
        let got = convert(&[r#"a_bucket{le="1"} 2 3"#, r#"a_bucket{le="+Inf"} 2 5"#]).unwrap();
        let counts: Vec<f64> = got.iter().map(|(_, histogram)| histogram.count).collect();
        assert_eq!(counts, [2.0, 5.0]);
        assert_eq!(got[1].1.positive_buckets, [3.0, 2.0]);
    }

    #[test]
    fn refuses_what_is_no_histogram() {
        for (lines, error) in [
            (
                &[r#"a_bucket{le="1"} 2"#, r#"a_bucket{le="2"} 1"#][..],
                "{__name__=\"a\"} at 0: count is not cumulative: 1 < 2",
            ),
            (
                &[r#"a_bucket{le="+Inf"} 2"#, "a_count 1"],
                "{__name__=\"a\"} at 0: count mismatch: count=1 != le=+Inf count=2",
            ),
            (&["a_bucket 1"], "{__name__=\"a_bucket\"} has no label le"),
        ] {
            assert_eq!(convert(lines).unwrap_err(), error, "{lines:?}");
        }
    }
}
