//! Series notation and loading.

mod classic;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Histogram, Labels, PromDuration, Timestamp};
use promql_syntax::SequenceValue;
use storage::{
    AppendPolicy, AppendRequest, Appender, Durability, HistogramSample, Sample, SeriesKey,
};

use super::script::Load;
use classic::native_twins;
use start::{StartOffsets, parse_start_offsets};

/// A series and its values, one per interval.
#[derive(Clone, Debug)]
pub(super) struct SeriesValues {
    pub(super) line: usize,
    pub(super) labels: Labels,
    pub(super) values: Vec<SequenceValue>,
}

/// Reads `name{label="value"} 1 2+3x4 _ stale {{count:1}}`.
pub(super) fn parse_series(line: usize, text: &str) -> Result<SeriesValues, String> {
    let parsed =
        promql_syntax::parse_series_description(text).map_err(|error| error.to_string())?;
    Ok(SeriesValues {
        line,
        labels: parsed.labels,
        values: parsed.values,
    })
}

/// Splits behind the metric: at the first space that is neither inside braces nor inside quotes.
fn split_metric(text: &str) -> (&str, &str) {
    let mut quote = None;
    let mut escaped = false;
    let mut in_braces = false;
    for (position, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => in_braces = true,
            (None, '}') => in_braces = false,
            (None, _) if c.is_whitespace() && !in_braces => return text.split_at(position),
            (None, _) => {}
        }
    }
    (text, "")
}

/// A point on its way into the storage.
#[derive(Clone, Debug, PartialEq)]
struct LoadedPoint {
    at: Timestamp,
    value: SequenceValue,
    /// Milliseconds since the epoch, 0 where none is written.
    start_ms: i64,
}

type LoadedSeries = BTreeMap<Labels, Vec<LoadedPoint>>;

/// Stores the series of a `load`.
pub(super) fn store(load: &Load, appender: &dyn Appender) -> Result<(), String> {
    let mut series = collect(load)?;
    if load.with_native_histograms {
        for (labels, points) in native_twins(&series)? {
            if series.insert(labels.clone(), points).is_some() {
                return Err(format!("{labels} is there already as a native histogram"));
            }
        }
    }
    append(&series, appender)
}

/// Parses the lines of a `load`. Of several lines for one series the last one counts, as upstream.
fn collect(load: &Load) -> Result<LoadedSeries, String> {
    let mut collected = LoadedSeries::new();
    let mut default_starts = StartOffsets::default();
    let mut starts: Option<(Labels, StartOffsets)> = None;
    for (line, text) in &load.series {
        let in_line = |error: String| format!("line {line}: {error}");
        let (metric, rest) = split_metric(text);
        if let Some(metric) = metric.strip_suffix("@st") {
            if starts.is_some() {
                return Err(in_line("two @st lines follow each other".to_owned()));
            }
            let offsets = parse_start_offsets(rest).map_err(in_line)?;
            if metric.is_empty() {
                default_starts = offsets;
            } else {
                let labels = promql_syntax::parse_metric(metric);
                starts = Some((labels.map_err(|error| in_line(error.to_string()))?, offsets));
            }
            continue;
        }
        let series = parse_series(*line, text).map_err(in_line)?;
        if let Some((labels, offsets)) = &starts
            && (*labels != series.labels || offsets.len() != series.values.len())
        {
            return Err(in_line(format!(
                "@st line of {labels} does not fit the line behind it"
            )));
        }
        let offset_of = |index: usize| match &starts {
            Some((_, offsets)) => offsets.get(index),
            None => default_starts.get_repeated(index),
        };
        collected.insert(
            series.labels,
            points(series.values, load.interval, &offset_of),
        );
        starts = None;
    }
    match starts {
        None => Ok(collected),
        Some((labels, _)) => Err(format!("@st line of {labels} has no line behind it")),
    }
}

fn points(
    values: Vec<SequenceValue>,
    interval: PromDuration,
    offset_of: &dyn Fn(usize) -> Option<PromDuration>,
) -> Vec<LoadedPoint> {
    let mut at = Timestamp::EPOCH;
    let mut points = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        if value != SequenceValue::Omitted {
            let start = offset_of(index).map(|offset| at.saturating_add(offset));
            points.push(LoadedPoint {
                at,
                value,
                start_ms: start.map_or(0, Timestamp::as_millis),
            });
        }
        at = at.saturating_add(interval);
    }
    points
}

fn append(series: &LoadedSeries, appender: &dyn Appender) -> Result<(), String> {
    let mut request = AppendRequest::default();
    for (labels, points) in series {
        let mut samples = Vec::with_capacity(points.len());
        let mut histograms = Vec::new();
        for point in points {
            match &point.value {
                SequenceValue::Float(value) => {
                    samples.push(Sample {
                        timestamp: point.at,
                        value: *value,
                    });
                    request.start_timestamps.push(point.start_ms);
                }
                SequenceValue::Histogram { histogram, .. } => {
                    histograms.push(HistogramSample {
                        timestamp: point.at,
                        histogram: Histogram::Float(Arc::clone(histogram)),
                    });
                    request.histogram_start_timestamps.push(point.start_ms);
                }
                _ => return Err("a value of this kind cannot be stored".to_owned()),
            }
        }
        request.push(SeriesKey::Labels(labels), samples);
        request.push_histograms(histograms);
    }
    for starts in [
        &mut request.start_timestamps,
        &mut request.histogram_start_timestamps,
    ] {
        if starts.iter().all(|start_ms| *start_ms == 0) {
            starts.clear();
        }
    }
    let outcome = appender
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .and_then(storage::PendingAppend::wait_blocking)
        .map_err(|error| base::report(&error))?;
    if outcome.rejected.invalid_labels > 0 {
        return Err("a series has no valid labels".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_ends_at_the_first_free_space() {
        for (text, metric) in [
            ("m 1 2", "m"),
            (r#"m{a="x y", b='}'} 1"#, r#"m{a="x y", b='}'}"#),
            (r#"m{a="\" }"}	1"#, r#"m{a="\" }"}"#),
            (r#"{"my metric"}@st -1s"#, r#"{"my metric"}@st"#),
            ("m", "m"),
            ("m{", "m{"),
        ] {
            assert_eq!(split_metric(text).0, metric);
        }
    }

    fn starts(lines: &[&str]) -> Result<Vec<(i64, i64)>, String> {
        let load = Load {
            line: 1,
            interval: PromDuration::from_secs(60),
            with_native_histograms: false,
            series: (2..).zip(lines.iter().map(ToString::to_string)).collect(),
        };
        let points = collect(&load)?.into_values().flatten();
        Ok(points
            .map(|point| (point.at.as_millis(), point.start_ms))
            .collect())
    }

    #[test]
    fn start_timestamps_are_offsets_from_their_samples() {
        for (lines, want) in [
            (
                &["a@st _ -1s 1m 0", "a 1 2 3 4"][..],
                Ok(vec![
                    (0, 0),
                    (60_000, 59_000),
                    (120_000, 180_000),
                    (180_000, 180_000),
                ]),
            ),
            (
                &["@st -1s -2s", "a 1 _ 3"],
                Ok(vec![(0, -1_000), (120_000, 119_000)]),
            ),
            (
                &["a@st -1s", "b 1"],
                Err("line 3: @st line of {__name__=\"a\"} does not fit the line behind it"),
            ),
            (
                &["a@st -1s", "a 1 2"],
                Err("line 3: @st line of {__name__=\"a\"} does not fit the line behind it"),
            ),
            (
                &["a@st -1s"],
                Err("@st line of {__name__=\"a\"} has no line behind it"),
            ),
            (
                &["a@st -1s", "b@st -1s"],
                Err("line 3: two @st lines follow each other"),
            ),
        ] {
            assert_eq!(starts(lines), want.map_err(str::to_owned), "{lines:?}");
        }
    }
}
