//! `load_with_nhcb`: the parts of classic histograms also become one native histogram with custom
//! buckets. Source: upstream `promqltest/test.go` and `util/convertnhcb`.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::number::{format_general, parse_float};
use model::{FloatHistogram, Labels, METRIC_NAME, Span, Timestamp};
use promql_syntax::SequenceValue;

use super::{LoadedPoint, LoadedSeries};

/// What part of a classic histogram a series is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Bucket(f64),
    Count,
    Sum,
}

/// A classic histogram at one time.
#[derive(Clone, Debug, Default)]
struct Parts {
    /// Upper bound and cumulative count, in order of the bounds.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The native histograms that the classic ones among `series` become.
pub(super) fn native_twins(series: &LoadedSeries) -> Result<LoadedSeries, String> {
    let mut collected: BTreeMap<Labels, BTreeMap<Timestamp, Parts>> = BTreeMap::new();
    for (labels, points) in series {
        let Some((twin, role)) = twin_of(labels)? else {
            continue;
        };
        let parts = collected.entry(twin).or_default();
        for point in points {
            if let SequenceValue::Float(value) = point.value {
                parts.entry(point.at).or_default().set(role, value);
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
                    histogram: Arc::new(histogram),
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
    let (base, role) = if let Some(base) = name.strip_suffix("_bucket") {
        let Some(bound) = labels.get("le") else {
            return Err(format!("{labels} has no label le"));
        };
        match parse_float(bound).filter(|bound| !bound.is_nan()) {
            Some(bound) => (base, Role::Bucket(bound)),
            None => return Ok(None),
        }
    } else if let Some(base) = name.strip_suffix("_count") {
        (base, Role::Count)
    } else if let Some(base) = name.strip_suffix("_sum") {
        (base, Role::Sum)
    } else {
        return Ok(None);
    };
    let others = labels
        .iter()
        .filter(|(label, _)| *label != METRIC_NAME && *label != "le");
    let twin = Labels::from_pairs(others.chain([(METRIC_NAME, base)]));
    twin.map(|twin| Some((twin, role)))
        .map_err(|error| error.to_string())
}

impl Parts {
    fn set(&mut self, role: Role, value: f64) {
        match role {
            Role::Count => self.count = Some(value),
            Role::Sum => self.sum = value,
            Role::Bucket(bound) => {
                let place = self.buckets.partition_point(|(other, _)| *other < bound);
                // Of two series that write one bound differently the first one counts.
                if self
                    .buckets
                    .get(place)
                    .is_none_or(|(other, _)| *other > bound)
                {
                    self.buckets.insert(place, (bound, value));
                }
            }
        }
    }

    fn convert(mut self) -> Result<FloatHistogram, String> {
        let last = self.buckets.last().copied();
        let count = match (self.count, last) {
            (Some(count), _) => count,
            (None, Some((_, count))) => count,
            (None, None) => {
                return Err("count must be provided when no buckets are present".to_owned());
            }
        };
        if last.is_none_or(|(bound, _)| bound < f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (bound, cumulative) in &self.buckets {
            let in_bucket = cumulative - below;
            if in_bucket.is_nan() || in_bucket < 0.0 {
                let bound = format_general(*bound);
                return Err(format!("count is not cumulative at bound {bound}"));
            }
            counts.push(in_bucket);
            below = *cumulative;
        }
        if below.to_bits() != count.to_bits() {
            let (below, count) = (format_general(below), format_general(count));
            return Err(format!("count mismatch: {count} and {below}"));
        }
        Ok(self.histogram(count, counts))
    }

    fn histogram(&self, count: f64, counts: Vec<f64>) -> FloatHistogram {
        let (_, bounds) = self.buckets.split_last().unwrap_or((&(0.0, 0.0), &[]));
        FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span {
                offset: 0,
                length: u32::try_from(counts.len()).unwrap_or(u32::MAX),
            }],
            positive_buckets: counts,
            custom_values: bounds.iter().map(|(bound, _)| *bound).collect(),
            ..FloatHistogram::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::points;
    use super::*;
    use model::PromDuration;

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
                &["a_sum 1"][..],
                "{__name__=\"a\"} at 0: count must be provided when no buckets are present",
            ),
            (
                &[r#"a_bucket{le="1"} 2"#, r#"a_bucket{le="2"} 1"#],
                "{__name__=\"a\"} at 0: count is not cumulative at bound 2",
            ),
            (
                &[r#"a_bucket{le="+Inf"} 2"#, "a_count 1"],
                "{__name__=\"a\"} at 0: count mismatch: 1 and 2",
            ),
            (&["a_bucket 1"], "{__name__=\"a_bucket\"} has no label le"),
        ] {
            assert_eq!(convert(lines).unwrap_err(), error, "{lines:?}");
        }
    }
}
