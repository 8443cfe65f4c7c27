//! The texts of annotations. Source: upstream `util/annotations`.

use std::fmt;

use model::number::{format_exponent, format_general, format_plain};
use model::quote::quoted;

use crate::calendar::CivilTime;

const DOCS: &str =
    "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile";

const NON_COUNTER_NAME: &str =
    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";

const MIXED_BUCKETS: &str = "vector contains a mix of histograms with exponential and custom \
                             buckets schemas for metric name";

const IGNORED_HISTOGRAMS: &str =
    "ignored histograms in a range containing both floats and histograms for metric name";

const START_OVERLAP: &str =
    "sample has start time that overlaps with previous sample timestamp for metric";

/// Something about a query's data that its author should know.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Annotation<'a> {
    /// A φ outside of 0 to 1.
    InvalidQuantile(f64),
    /// A ratio outside of -1 to 1 and what it was capped to.
    InvalidRatio { ratio: f64, capped: f64 },
    /// A bucket whose `le` is no number.
    BadBucketLabel { metric: &'a str, value: &'a str },
    /// `sort` in a range query.
    SortInRangeQuery,
    /// A rate of something whose name does not look like a counter's.
    PossibleNonCounter(&'a str),
    /// A rate of something whose type is known and is no counter.
    NonCounterType { metric: &'a str, kind: &'a str },
    /// Buckets whose counts do not increase.
    ForcedMonotonicity {
        metric: &'a str,
        detail: Monotonicity,
    },
    /// Floats and histograms in one window.
    MixedFloatsHistograms(&'a str),
    /// A rate of histograms that are gauges.
    HistogramNotCounter(&'a str),
    /// A difference of histograms that are no gauges.
    HistogramNotGauge(&'a str),
    /// Classic buckets and native histograms with the same labels.
    MixedClassicNative(&'a str),
    /// Observations of NaN, which are counted but lie in no bucket.
    NanObservations { metric: &'a str, effect: NanEffect },
    /// Exponential and custom buckets in one window.
    MixedBuckets(&'a str),
    /// A histogram after a reset together with one that says there was none.
    CounterResetCollision(HistogramOperation),
    /// Custom bounds that differ, of which the common ones were kept.
    MismatchedBounds(HistogramOperation),
    /// Operands that an operator does not take.
    IncompatibleTypes {
        operator: &'a str,
        left: &'a str,
        right: &'a str,
    },
    /// Exponential and custom buckets as operands.
    IncompatibleBuckets(&'a str),
    /// Histograms that an aggregation leaves out.
    IgnoredInAggregation(&'a str),
    /// Floats and histograms in one group.
    MixedAggregation,
    /// Histograms among the floats of a window whose function reads floats only.
    IgnoredHistograms(&'a str),
    /// A sample that started counting before the one before it was taken.
    StartOverlap(&'a str),
}

/// What observations of NaN did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NanEffect {
    /// A quantile fell among them.
    QuantileIsNan,
    /// They moved a quantile up.
    QuantileIsSkewed,
    /// They lie between no bounds.
    FractionLacksThem,
}

impl NanEffect {
    fn as_str(self) -> &'static str {
        match self {
            Self::QuantileIsNan => {
                "input to histogram_quantile has NaN observations, result is NaN"
            }
            Self::QuantileIsSkewed => {
                "input to histogram_quantile has NaN observations, result is skewed higher"
            }
            Self::FractionLacksThem => {
                "input to histogram_fraction has NaN observations, which are excluded from all \
                 fractions"
            }
        }
    }
}

/// What histograms were combined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Addition,
    Subtraction,
    Aggregation,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

impl Annotation<'_> {
    /// Whether it is a warning; otherwise it is an info.
    pub(crate) fn is_warning(&self) -> bool {
        match self {
            Self::InvalidQuantile(_)
            | Self::InvalidRatio { .. }
            | Self::BadBucketLabel { .. }
            | Self::SortInRangeQuery
            | Self::MixedFloatsHistograms(_)
            | Self::HistogramNotCounter(_)
            | Self::HistogramNotGauge(_)
            | Self::MixedClassicNative(_)
            | Self::MixedBuckets(_)
            | Self::CounterResetCollision(_)
            | Self::IncompatibleBuckets(_)
            | Self::MixedAggregation
            | Self::StartOverlap(_) => true,
            Self::PossibleNonCounter(_)
            | Self::NonCounterType { .. }
            | Self::MismatchedBounds(_)
            | Self::IncompatibleTypes { .. }
            | Self::IgnoredInAggregation(_)
            | Self::IgnoredHistograms(_)
            | Self::NanObservations { .. }
            | Self::ForcedMonotonicity { .. } => false,
        }
    }

    /// The detail that is merged over all occurrences.
    pub(crate) fn detail(&self) -> Option<Monotonicity> {
        match self {
            Self::ForcedMonotonicity { detail, .. } => Some(*detail),
            _ => None,
        }
    }

    /// The text without detail and position.
    pub(crate) fn text(&self) -> String {
        let prefix = if self.is_warning() {
            "PromQL warning"
        } else {
            "PromQL info"
        };
        format!("{prefix}: {}", self.message())
    }

    fn message(&self) -> String {
        match self {
            Self::InvalidQuantile(quantile) => {
                let quantile = format_general(*quantile);
                format!("quantile value should be between 0 and 1, got {quantile}")
            }
            Self::InvalidRatio { ratio, capped } => format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                format_general(*ratio),
                format_general(*capped)
            ),
            Self::BadBucketLabel { metric, value } => format!(
                "bucket label \"le\" is missing or has a malformed value of {}{}",
                quoted(value),
                for_metric(metric)
            ),
            Self::SortInRangeQuery => "sort is ineffective for range queries since results are \
                                       always ordered by labels"
                .to_owned(),
            Self::PossibleNonCounter(metric) => named(NON_COUNTER_NAME, metric),
            Self::NonCounterType { metric, kind } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \
                 \"histogram\", got {}: {}",
                quoted(kind),
                quoted(metric)
            ),
            Self::ForcedMonotonicity { metric, .. } => format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see {DOCS}){}",
                for_metric(metric)
            ),
            Self::MixedFloatsHistograms(metric) => named(
                "encountered a mix of histograms and floats for metric name",
                metric,
            ),
            Self::HistogramNotCounter(metric) => {
                named("this native histogram metric is not a counter:", metric)
            }
            Self::HistogramNotGauge(metric) => {
                named("this native histogram metric is not a gauge:", metric)
            }
            Self::MixedClassicNative(metric) => with_metric(
                "vector contains a mix of classic and native histograms",
                metric,
            ),
            Self::NanObservations { metric, effect } => with_metric(effect.as_str(), metric),
            Self::MixedBuckets(metric) => named(MIXED_BUCKETS, metric),
            Self::CounterResetCollision(operation) => format!(
                "conflicting counter resets during histogram {}",
                operation.as_str()
            ),
            Self::MismatchedBounds(operation) => format!(
                "mismatched custom buckets were reconciled during {}",
                operation.as_str()
            ),
            Self::IncompatibleTypes {
                operator,
                left,
                right,
            } => format!(
                "incompatible sample types encountered for binary operator {}: {left} {operator} \
                 {right}",
                quoted(operator)
            ),
            Self::IncompatibleBuckets(operator) => {
                format!("incompatible bucket layout encountered for binary operator {operator}")
            }
            Self::IgnoredInAggregation(aggregation) => {
                format!("ignored histogram in {aggregation} aggregation")
            }
            Self::MixedAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Self::IgnoredHistograms(metric) => named(IGNORED_HISTOGRAMS, metric),
            Self::StartOverlap(metric) => named(START_OVERLAP, metric),
        }
    }
}

/// The text with the name behind it.
fn named(text: &str, metric: &str) -> String {
    format!("{text} {}", quoted(metric))
}

/// The text with the name behind it if there is one.
fn with_metric(text: &str, metric: &str) -> String {
    format!("{text}{}", for_metric(metric))
}

fn for_metric(metric: &str) -> String {
    if metric.is_empty() {
        String::new()
    } else {
        format!(" for metric name {}", quoted(metric))
    }
}

/// Where and by how much bucket counts were raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    first_ms: i64,
    last_ms: i64,
    lowest_bound: f64,
    highest_bound: f64,
    largest_difference: f64,
    samples: u64,
}

impl Monotonicity {
    /// One histogram at `at_ms`, raised between the two bounds, by at most `difference`.
    pub(crate) fn new(at_ms: i64, bounds: (f64, f64), difference: f64) -> Self {
        Self {
            first_ms: at_ms,
            last_ms: at_ms,
            lowest_bound: bounds.0,
            highest_bound: bounds.1,
            largest_difference: difference,
            samples: 1,
        }
    }

    /// Both together.
    pub(crate) fn merge(old: Option<Self>, new: Option<Self>) -> Option<Self> {
        match (old, new) {
            (Some(old), Some(new)) => Some(Self {
                first_ms: old.first_ms.min(new.first_ms),
                last_ms: old.last_ms.max(new.last_ms),
                lowest_bound: old.lowest_bound.min(new.lowest_bound),
                highest_bound: old.highest_bound.max(new.highest_bound),
                largest_difference: old.largest_difference.max(new.largest_difference),
                samples: old.samples.saturating_add(new.samples),
            }),
            (old, new) => old.or(new),
        }
    }
}

impl fmt::Display for Monotonicity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            format_general(self.lowest_bound),
            format_general(self.highest_bound),
            two_digits(self.largest_difference),
            self.samples,
            CivilTime::from_seconds(self.first_ms / 1000),
            CivilTime::from_seconds(self.last_ms / 1000),
        )
    }
}

/// Formats as Go's `%.2g`: two significant digits, with an exponent below 1e-4 and from 100 on.
fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    if rounded == 0.0 || !rounded.is_finite() || (1e-4..100.0).contains(&rounded.abs()) {
        format_plain(rounded)
    } else {
        format_exponent(rounded)
    }
}

#[cfg(test)]
mod tests {
    use super::two_digits;

    #[test]
    fn differences_have_two_digits() {
        for (value, want) in [
            (3.0, "3"),
            (0.1234, "0.12"),
            (99.6, "1e+02"),
            (1234.0, "1.2e+03"),
            (1e-5, "1e-05"),
        ] {
            assert_eq!(two_digits(value), want);
        }
    }
}
