//! Compares what came out with what a script expects.

mod histogram;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use model::number::format_general;
use model::{FloatHistogram, Labels, PromDuration, Timestamp, is_stale_nan};
use promql::{SampleValue, Series, VectorSample};
use promql_syntax::SequenceValue;

use super::load::SeriesValues;
use histogram::ExpectedHistogram;

/// Two values are equal when they differ by less than this part of their sum. Source: the setting
/// of upstream's runner.
const TOLERANCE: f64 = 0.000_001;

/// The value that a script expects.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    Scalar(f64),
    String(String),
    /// Series in the order of the script's lines; none for an empty result.
    Series(Vec<SeriesValues>),
}

/// Whether two values are equal within [`TOLERANCE`]. The stale marker equals only itself, any other
/// NaN equals any other NaN. Source: upstream `util/almost`.
pub(super) fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// Compares an instant vector with series of one value each.
pub(super) fn check_vector(
    expected: &[SeriesValues],
    got: &[VectorSample],
    ordered: bool,
) -> Result<(), String> {
    let mut open = index(expected);
    for (position, sample) in got.iter().enumerate() {
        let Some((place, series)) = open.remove(&sample.labels) else {
            return Err(format!("unexpected or repeated series {}", sample.labels));
        };
        if ordered && place != position {
            let labels = &sample.labels;
            return Err(format!(
                "{labels} is number {}, not {}",
                position + 1,
                place + 1
            ));
        }
        let [want] = &series.values[..] else {
            return Err(format!("line {} needs exactly one value", series.line));
        };
        if !same_value(want, &sample.value) {
            return Err(format!("{} has a different value", sample.labels));
        }
    }
    check_none_missing(&open)
}

/// Compares a matrix with series of one value for each step from `start` on.
pub(super) fn check_matrix(
    expected: &[SeriesValues],
    (start, step): (Timestamp, PromDuration),
    got: &[Series],
) -> Result<(), String> {
    let mut open = index(expected);
    for series in got {
        let Some((_, want)) = open.remove(&series.labels) else {
            return Err(format!("unexpected or repeated series {}", series.labels));
        };
        if !same_points(want, (start, step), series) {
            return Err(format!("{} has different points", series.labels));
        }
    }
    // A series that the script writes with omitted values only is none.
    open.retain(|_, (_, want)| {
        want.values
            .iter()
            .any(|value| *value != SequenceValue::Omitted)
    });
    check_none_missing(&open)
}

fn same_value(want: &SequenceValue, got: &SampleValue) -> bool {
    match (want, got) {
        (SequenceValue::Float(want), SampleValue::Float(got)) => almost_equal(*want, *got),
        (
            SequenceValue::Histogram {
                histogram,
                hint_is_given,
            },
            SampleValue::Histogram(got),
        ) => {
            let want = ExpectedHistogram {
                histogram,
                hint_is_given: *hint_is_given,
            };
            histogram::matches(want, got)
        }
        _ => false,
    }
}

/// Whether a series has exactly the points that a line says.
fn same_points(
    want: &SeriesValues,
    (start, step): (Timestamp, PromDuration),
    got: &Series,
) -> bool {
    let mut points = got
        .points
        .iter()
        .map(|(at, value)| (*at, SampleValue::Float(*value)))
        .chain(
            got.histograms
                .iter()
                .map(|(at, histogram)| (*at, SampleValue::Histogram(Arc::clone(histogram)))),
        )
        .collect::<Vec<_>>();
    points.sort_by_key(|(at, _)| *at);
    let mut points = points.iter();
    let mut at = start;
    for value in &want.values {
        if *value != SequenceValue::Omitted
            && !points
                .next()
                .is_some_and(|(got_at, got)| *got_at == at.as_millis() && same_value(value, got))
        {
            return false;
        }
        at = at.saturating_add(step);
    }
    points.next().is_none()
}

type Open<'a> = BTreeMap<&'a Labels, (usize, &'a SeriesValues)>;

/// The series by their labels, with their places. Of two lines for one series the last one counts,
/// as upstream.
fn index(expected: &[SeriesValues]) -> Open<'_> {
    let places = expected.iter().enumerate();
    places
        .map(|(place, series)| (&series.labels, (place, series)))
        .collect()
}

fn check_none_missing(open: &Open<'_>) -> Result<(), String> {
    match open.keys().next() {
        None => Ok(()),
        Some(labels) => Err(format!("series {labels} is missing")),
    }
}

/// Refuses a matrix whose series are out of order, empty, or whose points are.
pub(super) fn check_matrix_order(got: &[Series]) -> Result<(), String> {
    for pair in got.windows(2) {
        if pair[0].labels >= pair[1].labels {
            return Err(format!(
                "{} stands before {}",
                pair[0].labels, pair[1].labels
            ));
        }
    }
    for series in got {
        let in_order = series.points.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && series
                .histograms
                .windows(2)
                .all(|pair| pair[0].0 < pair[1].0);
        if (series.points.is_empty() && series.histograms.is_empty()) || !in_order {
            return Err(format!("points of {} are not in order", series.labels));
        }
    }
    Ok(())
}

impl Expected {
    /// For people: one line per series.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Scalar(value) => format_general(*value),
            Self::String(text) => model::quote::quoted(text).to_string(),
            Self::Series(series) if series.is_empty() => "nothing".to_owned(),
            Self::Series(series) => lines(series.iter().map(|series| {
                let values = series.values.iter().map(|value| match value {
                    SequenceValue::Float(value) => format_general(*value),
                    SequenceValue::Histogram { histogram, .. } => describe_histogram(histogram),
                    _ => "_".to_owned(),
                });
                (&series.labels, values.collect::<Vec<_>>().join(" "))
            })),
        }
    }
}

/// For people: one line per sample.
pub(super) fn describe_vector(vector: &[VectorSample]) -> String {
    if vector.is_empty() {
        return "nothing".to_owned();
    }
    lines(
        vector
            .iter()
            .map(|sample| (&sample.labels, describe_value(&sample.value))),
    )
}

fn describe_value(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format_general(*value),
        SampleValue::Histogram(histogram) => describe_histogram(histogram),
    }
}

fn describe_histogram(histogram: &FloatHistogram) -> String {
    histogram.to_test_expression()
}

/// For people: one line per series.
pub(super) fn describe_matrix(matrix: &[Series]) -> String {
    if matrix.is_empty() {
        return "nothing".to_owned();
    }
    lines(matrix.iter().map(|series| {
        let floats = series
            .points
            .iter()
            .map(|(at, value)| (at, format_general(*value)));
        let histograms = series
            .histograms
            .iter()
            .map(|(at, histogram)| (at, describe_histogram(histogram)));
        let points = floats
            .chain(histograms)
            .map(|(at, value)| format!("{value}@{}", Timestamp::from_millis(*at)));
        (&series.labels, points.collect::<Vec<_>>().join(" "))
    }))
}

fn lines<'a>(series: impl Iterator<Item = (&'a Labels, String)>) -> String {
    let mut text = String::new();
    for (labels, values) in series {
        let _infallible = writeln!(text, "{labels} {values}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_equal_within_a_part_of_their_sum() {
        for (a, b, equal) in [
            (1.0, 1.0, true),
            (1.0, 1.000_001, true),
            (1.0, 1.000_01, false),
            (1e300, 1.000_001e300, true),
            (f64::MAX, f64::MAX * 0.999, false),
            (0.0, -0.0, true),
            (0.0, 1e-300, false),
            (0.0, 5e-324, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::NEG_INFINITY, false),
            (f64::INFINITY, f64::MAX, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, 0.0, false),
            (model::stale_nan(), model::stale_nan(), true),
            (model::stale_nan(), f64::NAN, false),
        ] {
            assert_eq!(almost_equal(a, b), equal, "{a} {b}");
            assert_eq!(almost_equal(b, a), equal, "{b} {a}");
        }
    }
}
