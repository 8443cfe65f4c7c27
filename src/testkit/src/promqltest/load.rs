//! Series notation and loading. What the storage contracts cannot hold yet (native histograms,
//! start timestamps) is remembered as a gap, so that no case that touches it passes by accident.

use std::collections::BTreeMap;

use model::{Labels, METRIC_NAME, PromDuration, Timestamp};
use promql_syntax::SequenceValue;
use promql_syntax::ast::Expr;
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

use super::report::Outcome;
use super::script::Load;

const HISTOGRAMS: &str = "native histograms";
const START_TIMESTAMPS: &str = "start timestamps";

/// A value of the series notation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum SeriesValue {
    /// `_`
    Omitted,
    /// A number, or `stale`.
    Float(f64),
    /// `{{…}}`
    Histogram,
}

/// A series and its values, one per interval.
#[derive(Clone, Debug)]
pub(super) struct SeriesValues {
    pub(super) line: usize,
    pub(super) labels: Labels,
    pub(super) values: Vec<SeriesValue>,
}

/// Reads `name{label="value"} 1 2+3x4 _ stale`. The values of a line with native histograms are one
/// [`SeriesValue::Histogram`].
pub(super) fn parse_series(line: usize, text: &str) -> Result<SeriesValues, String> {
    let (metric, values) = split_metric(text);
    if values.contains("{{") {
        let labels = parse_labels(metric)?;
        return Ok(SeriesValues {
            line,
            labels,
            values: vec![SeriesValue::Histogram],
        });
    }
    let parsed =
        promql_syntax::parse_series_description(text).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(parsed.values.len());
    for value in parsed.values {
        values.push(match value {
            SequenceValue::Omitted => SeriesValue::Omitted,
            SequenceValue::Float(value) => SeriesValue::Float(value),
            _ => return Err("values of this kind are not known to the runner".to_owned()),
        });
    }
    Ok(SeriesValues {
        line,
        labels: parsed.labels,
        values,
    })
}

fn parse_labels(metric: &str) -> Result<Labels, String> {
    promql_syntax::parse_metric(metric).map_err(|error| error.to_string())
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

/// What a script loaded and the storage does not have.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    series: Vec<(Labels, &'static str)>,
    /// Why nothing of the storage can be trusted.
    broken: Option<String>,
}

impl Gaps {
    /// From here to the next `clear`, no case counts.
    pub(super) fn break_all(&mut self, reason: String) {
        self.broken.get_or_insert(reason);
    }

    fn add(&mut self, labels: Labels, what: &'static str) {
        self.series.push((labels, what));
    }

    /// Refuses a query one of whose selectors takes a series that is not there in full.
    pub(super) fn check(&self, query: Option<&Expr>) -> Result<(), Outcome> {
        if let Some(reason) = &self.broken {
            return Err(Outcome::Unsupported(reason.clone()));
        }
        let Some(query) = query else { return Ok(()) };
        let selectors = query.selectors();
        let missing = self.series.iter().find(|(labels, _)| {
            selectors.iter().any(|selector| {
                selector
                    .matchers
                    .iter()
                    .all(|matcher| matcher.matches(labels.value_or_empty(matcher.name())))
            })
        });
        match missing {
            None => Ok(()),
            Some((labels, what)) => Err(Outcome::Unsupported(format!(
                "{what} are not supported: {labels}"
            ))),
        }
    }
}

/// Stores the series of a `load`; what cannot be stored becomes a gap.
pub(super) fn store(load: &Load, appender: &dyn Appender, gaps: &mut Gaps) {
    let stored = collect(load, gaps).and_then(|series| append(&series, load.interval, appender));
    if let Err(reason) = stored {
        gaps.break_all(format!("load in line {} failed: {reason}", load.line));
    }
}

/// Parses the lines of a `load`. Of several lines for one series the last one counts, as upstream.
fn collect(load: &Load, gaps: &mut Gaps) -> Result<Vec<SeriesValues>, String> {
    let mut collected: BTreeMap<Labels, SeriesValues> = BTreeMap::new();
    for (line, text) in &load.series {
        let in_line = |error: String| format!("line {line}: {error}");
        let (metric, _) = split_metric(text);
        if let Some(metric) = metric.strip_suffix("@st") {
            gaps.add(parse_labels(metric).map_err(in_line)?, START_TIMESTAMPS);
            continue;
        }
        let series = parse_series(*line, text).map_err(in_line)?;
        if load.with_native_histograms
            && let Some(labels) = native_twin(&series.labels)
        {
            gaps.add(labels, HISTOGRAMS);
        }
        if series.values.contains(&SeriesValue::Histogram) {
            gaps.add(series.labels, HISTOGRAMS);
        } else {
            collected.insert(series.labels.clone(), series);
        }
    }
    Ok(collected.into_values().collect())
}

/// The labels of the native histogram that the series is a part of.
fn native_twin(labels: &Labels) -> Option<Labels> {
    let name = labels.metric_name()?;
    let base = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))?;
    let others = labels
        .iter()
        .filter(|(label, _)| *label != METRIC_NAME && *label != "le");
    Labels::from_pairs(others.chain([(METRIC_NAME, base)])).ok()
}

fn append(
    series: &[SeriesValues],
    interval: PromDuration,
    appender: &dyn Appender,
) -> Result<(), String> {
    let mut request = AppendRequest::default();
    for series in series {
        let mut at = Timestamp::EPOCH;
        let mut samples = Vec::with_capacity(series.values.len());
        for value in &series.values {
            if let SeriesValue::Float(value) = value {
                samples.push(Sample {
                    timestamp: at,
                    value: *value,
                });
            }
            at = at.saturating_add(interval);
        }
        request.push(SeriesKey::Labels(&series.labels), samples);
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

    #[test]
    fn parts_of_a_classic_histogram_share_a_native_twin() {
        for (metric, twin) in [
            (
                r#"lat_bucket{job="a",le="1"}"#,
                Some(r#"{__name__="lat", job="a"}"#),
            ),
            (r#"lat_sum{job="a"}"#, Some(r#"{__name__="lat", job="a"}"#)),
            ("lat", None),
        ] {
            let labels = parse_labels(metric).unwrap();
            assert_eq!(
                native_twin(&labels).map(|it| it.to_string()).as_deref(),
                twin
            );
        }
    }
}
