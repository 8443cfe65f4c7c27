//! Why a scrape failed, and why something is no target. The texts are upstream's: they are shown as
//! `lastError`.

use base::PoolError;
use exposition::{ContentTypeError, ParseError};
use model::Labels;
use model::duration::DurationError;
use model::quote::quoted;
use net::{BodyError, HttpError};
use storage::AppendError;

/// Why a scrape failed. Source of the texts: upstream `scrape/scrape.go`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The target was not reached, or its answer did not arrive in full.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer's body is too large or does not decode.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The target answered, but not with 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The answer's format is unknown.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// The exposition does not parse.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A series has two labels of one name.
    #[error("label name {} is not unique: invalid sample", quoted(.0))]
    DuplicateLabel(String),
    /// A series has no name.
    #[error("missing metric name (__name__ label)")]
    NoMetricName,
    /// A series has a name that the job does not allow.
    #[error("invalid metric name or label names: {0}")]
    InvalidNames(Labels),
    /// There are too many samples.
    #[error("sample limit exceeded")]
    SampleLimit,
    /// A series has too many labels.
    #[error(
        "label_limit exceeded (metric: {metric:.50}, number of labels: {count}, limit: {limit})"
    )]
    LabelLimit {
        /// The metric.
        metric: String,
        /// Its labels.
        count: usize,
        /// How many it may have.
        limit: u64,
    },
    /// A label's name is too long.
    #[error(
        "label_name_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, length: \
         {}, limit: {limit})", name.len()
    )]
    LabelNameLimit {
        /// The metric.
        metric: String,
        /// The label.
        name: String,
        /// How many bytes it may have.
        limit: u64,
    },
    /// A label's value is too long.
    #[error(
        "label_value_length_limit exceeded (metric: {metric:.50}, label name: {name:.50}, value: \
         {}, length: {}, limit: {limit})", quoted(&shortened(value)), value.len()
    )]
    LabelValueLimit {
        /// The metric.
        metric: String,
        /// The label.
        name: String,
        /// Its value.
        value: String,
        /// How many bytes it may have.
        limit: u64,
    },
    /// The job has too many targets.
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// How many it has.
        targets: usize,
        /// How many it may have.
        limit: u64,
    },
    /// The storage engine takes nothing.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// This server is too busy to read the answer.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Why something is no target. Source of the texts: upstream `scrape/target.go`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no address.
    #[error("no address")]
    NoAddress,
    /// The address holds a path.
    #[error("{} is not a valid hostname", quoted(.0))]
    Hostname(String),
    /// Only `http` is scraped.
    #[error("scheme {} is not supported yet", quoted(.0))]
    UnsupportedScheme(String),
    /// Label `__scrape_interval__` is no duration.
    #[error("error parsing scrape interval: {0}")]
    Interval(#[source] DurationError),
    /// Label `__scrape_interval__` is zero.
    #[error("scrape interval cannot be 0")]
    ZeroInterval,
    /// Label `__scrape_timeout__` is no duration.
    #[error("error parsing scrape timeout: {0}")]
    Timeout(#[source] DurationError),
    /// Label `__scrape_timeout__` is zero.
    #[error("scrape timeout cannot be 0")]
    ZeroTimeout,
    /// The timeout is longer than the interval.
    #[error(
        "scrape timeout cannot be greater than scrape interval ({} > {})",
        quoted(timeout),
        quoted(interval)
    )]
    LongTimeout {
        /// The timeout.
        timeout: String,
        /// The interval.
        interval: String,
    },
    /// The labels form no set.
    #[error(transparent)]
    Labels(#[from] model::LabelError),
}

fn shortened(value: &str) -> String {
    value.chars().take(50).collect()
}

impl ScrapeError {
    /// Whether one of the label limits was exceeded.
    #[must_use]
    pub fn is_label_limit(&self) -> bool {
        matches!(
            self,
            Self::LabelLimit { .. } | Self::LabelNameLimit { .. } | Self::LabelValueLimit { .. }
        )
    }
}
