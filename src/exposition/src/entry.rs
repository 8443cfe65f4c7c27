//! What a parser yields: metadata lines, comments and series lines, all borrowed from the input.

use std::borrow::Cow;

/// What a metric family measures. Source: the types of the text format 0.0.4 and of OpenMetrics 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
    /// Buckets that may shrink; OpenMetrics only.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Labels that describe something; OpenMetrics only.
    Info,
    /// A set of flags; OpenMetrics only.
    StateSet,
    /// Not declared, or declared as `untyped` or `unknown`.
    #[default]
    Unknown,
}

impl MetricKind {
    /// The name in the metadata API. Source: upstream `model.MetricType`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }

    /// The name in the text format, which calls the unknown kind `untyped` and has no kinds beyond
    /// its five.
    #[must_use]
    pub const fn as_text_format(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::GaugeHistogram | Self::Info | Self::StateSet | Self::Unknown => "untyped",
        }
    }

    /// Reads a name of OpenMetrics.
    #[must_use]
    pub fn from_open_metrics(name: &str) -> Option<Self> {
        match name {
            "counter" => Some(Self::Counter),
            "gauge" => Some(Self::Gauge),
            "histogram" => Some(Self::Histogram),
            "gaugehistogram" => Some(Self::GaugeHistogram),
            "summary" => Some(Self::Summary),
            "info" => Some(Self::Info),
            "stateset" => Some(Self::StateSet),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }

    /// Reads a name of the text format.
    #[must_use]
    pub fn from_text_format(name: &str) -> Option<Self> {
        match name {
            "counter" => Some(Self::Counter),
            "gauge" => Some(Self::Gauge),
            "histogram" => Some(Self::Histogram),
            "summary" => Some(Self::Summary),
            "untyped" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// One line of an exposition. Escapes are still in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry<'a> {
    /// `# HELP name text`.
    Help {
        /// The family's name, without quotes.
        name: &'a str,
        /// The text; [`unescape_help`] resolves its escapes, in OpenMetrics [`unescape_label`].
        text: &'a str,
    },
    /// `# TYPE name kind`.
    Type {
        /// The family's name, without quotes.
        name: &'a str,
        /// What it measures.
        kind: MetricKind,
    },
    /// `# UNIT name unit`, OpenMetrics only.
    Unit {
        /// The family's name, without quotes.
        name: &'a str,
        /// The unit.
        unit: &'a str,
    },
    /// Any other line that starts with `#`.
    Comment(&'a [u8]),
    /// A sample.
    Series(SeriesLine<'a>),
}

/// A sample with the name and labels as they were written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeriesLine<'a> {
    /// Name and labels with braces, byte for byte: equal bytes in expositions of one target mean
    /// the same series, so they serve as a key. [`crate::parse_series`] reads them.
    pub raw: &'a [u8],
    /// The kind that the nearest `# TYPE` line above declares.
    pub kind: MetricKind,
    /// The value; a NaN is the ordinary one.
    pub value: f64,
    /// Milliseconds since the epoch, where the line gives them.
    pub timestamp_ms: Option<i64>,
    /// What stands for the sample, where the line gives any.
    pub exemplar: Option<ExemplarLine<'a>>,
}

/// An exemplar behind a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarLine<'a> {
    /// Its labels with braces, byte for byte. [`crate::parse_exemplar_labels`] reads them.
    pub raw: &'a [u8],
    /// What was observed.
    pub value: f64,
    /// Milliseconds since the epoch, where the line gives them.
    pub timestamp_ms: Option<i64>,
}

/// Resolves `\\` and `\n` in a help text; other escapes stay as they are.
#[must_use]
pub fn unescape_help(text: &str) -> Cow<'_, str> {
    unescape(text, |escaped| matches!(escaped, '\\' | 'n'))
}

/// Resolves `\\`, `\"` and `\n` in a quoted text; other escapes stay as they are.
#[must_use]
pub fn unescape_label(text: &str) -> Cow<'_, str> {
    unescape(text, |escaped| matches!(escaped, '\\' | 'n' | '"'))
}

fn unescape(text: &str, known: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.chars().next().filter(|c| known(*c)) {
            Some(escaped) => {
                out.push(if escaped == 'n' { '\n' } else { escaped });
                rest = &after[escaped.len_utf8()..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unescapes_only_what_the_format_knows() {
        for (escaped, label, help) in [
            ("plain", "plain", "plain"),
            (r"a\\b\nc", "a\\b\nc", "a\\b\nc"),
            (r#"\"q\""#, "\"q\"", r#"\"q\""#),
            (r"\t\x\", r"\t\x\", r"\t\x\"),
            (r"\\\\n\\n", r"\\n\n", r"\\n\n"),
        ] {
            assert_eq!(unescape_label(escaped), label);
            assert_eq!(unescape_help(escaped), help);
        }
    }
}
