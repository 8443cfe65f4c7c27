//! Why a query failed, in upstream's words.

use base::ErrorKind;
use model::Labels;
use model::number::format_general;
use model::quote::quoted;
use promql_syntax::ParseErrors;
use storage::StorageError;

/// Why a query failed. Texts are those of upstream `promql/engine.go` and `promql/functions.go`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The query does not parse.
    #[error("{0}")]
    Parse(ParseErrors),
    /// The query cannot be run as asked, such as a range query for a range vector.
    #[error("{0}")]
    BadQuery(String),
    /// The deadline passed.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The client went away.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// The query needs more memory than it may have.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// Storage failed.
    #[error("expanding series: {}", base::report(.0))]
    Storage(#[source] StorageError),
    /// Two samples of one step have the same labels.
    #[error("vector cannot contain metrics with the same labelset")]
    DuplicateLabelset,
    /// The one side of a match has several series.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the \
         operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be \
         unique on one side"
    )]
    DuplicateOnOneSide {
        /// The labels that match.
        group: Labels,
        /// Which side it is: `left` or `right`.
        side: &'static str,
        /// One series.
        first: Labels,
        /// The other.
        second: Labels,
    },
    /// A one-to-one match found several series.
    #[error(
        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
    )]
    ImplicitManyToOne,
    /// A many-to-one match gave two results with the same labels.
    #[error("multiple matches for labels: grouping labels must ensure unique matches")]
    AmbiguousGrouping,
    /// An operator that needs a histogram stands between scalars.
    #[error("operator {} not allowed for Scalar operations", quoted(.0))]
    ScalarOperator(&'static str),
    /// A parameter of an aggregation is no number that it can use.
    #[error("{0}")]
    BadParameter(ParameterError),
    /// A function refused its arguments.
    #[error("{0}")]
    Function(FunctionError),
    /// `info()` cannot tell which labels to add.
    #[error("{0}")]
    Info(InfoError),
    /// There is no thread for a query that needs one of its own.
    #[error("starting a thread for a deep query: {0}")]
    NoThread(String),
    /// The engine does not know how to evaluate a part of the query.
    #[error("{0} is not supported")]
    Unsupported(String),
}

/// A number that an aggregation cannot use as its parameter.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// `topk(NaN, …)`
    #[error("Parameter value is NaN")]
    NotANumber,
    /// `limit_ratio(NaN, …)`
    #[error("Ratio value is NaN")]
    RatioNotANumber,
    /// A number of series above 2^63.
    #[error("Scalar value {} overflows int64", format_general(*.0))]
    Overflow(f64),
    /// A number of series below -2^63.
    #[error("Scalar value {} underflows int64", format_general(*.0))]
    Underflow(f64),
}

/// Info series that `info()` cannot use. Source: upstream `promql/info.go`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// A sample of an info series is a histogram.
    #[error("info sample should be float")]
    NotFloat,
    /// Two series of one info metric are about the same target at the same time.
    #[error(
        "found duplicate series for info metric: existing {first} @ {at_ms}, new {second} @ {at_ms}"
    )]
    Duplicate {
        /// One series.
        first: Labels,
        /// The other.
        second: Labels,
        /// The time of both samples.
        at_ms: i64,
    },
    /// Two info metrics have different values for a label.
    #[error("conflicting label: {0}")]
    ConflictingLabel(String),
}

/// Arguments that a function refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The smoothing factor of `double_exponential_smoothing`.
    #[error("invalid smoothing factor. Expected: 0 < sf < 1, got: {0:.6}")]
    SmoothingFactor(f64),
    /// The trend factor of `double_exponential_smoothing`.
    #[error("invalid trend factor. Expected: 0 < tf < 1, got: {0:.6}")]
    TrendFactor(f64),
    /// The pattern of `label_replace`.
    #[error("invalid regular expression in label_replace(): {0}")]
    LabelReplacePattern(String),
    /// The label that `label_replace` or `label_join` would set.
    #[error("invalid destination label name in {function}(): {label}")]
    DestinationLabel {
        /// The function.
        function: &'static str,
        /// The name it was given.
        label: String,
    },
    /// A label that `label_join` would read.
    #[error("invalid source label name in label_join(): {0}")]
    SourceLabel(String),
    /// A modifier of the range vector that the function does not know.
    #[error("{modifier} modifier can only be used with: {allowed} - not with {function}")]
    WindowEdges {
        /// `anchored` or `smoothed`.
        modifier: &'static str,
        /// The functions that know it.
        allowed: String,
        /// The function.
        function: &'static str,
    },
    /// A bare range selector with `anchored` or `smoothed` over histograms.
    #[error("{0} modifier is not supported with histograms")]
    ExtendedHistograms(&'static str),
    /// The label of `count_values`, in quotes.
    #[error("invalid label name {0}")]
    CountValuesLabel(String),
    /// A label that a function made is too long.
    #[error("{0}")]
    Label(model::LabelError),
}

impl EngineError {
    /// How the error looks from outside.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Parse(_) | Self::BadQuery(_) => ErrorKind::BadData,
            Self::Timeout(_) => ErrorKind::Timeout,
            Self::Canceled(_) => ErrorKind::Canceled,
            Self::Storage(error) => error.kind(),
            Self::TooManySamples
            | Self::DuplicateLabelset
            | Self::DuplicateOnOneSide { .. }
            | Self::ImplicitManyToOne
            | Self::AmbiguousGrouping
            | Self::ScalarOperator(_)
            | Self::BadParameter(_)
            | Self::Function(_)
            | Self::Info(_)
            | Self::NoThread(_)
            | Self::Unsupported(_) => ErrorKind::Execution,
        }
    }
}

impl From<StorageError> for EngineError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<ParameterError> for EngineError {
    fn from(error: ParameterError) -> Self {
        Self::BadParameter(error)
    }
}

impl From<FunctionError> for EngineError {
    fn from(error: FunctionError) -> Self {
        Self::Function(error)
    }
}

impl From<InfoError> for EngineError {
    fn from(error: InfoError) -> Self {
        Self::Info(error)
    }
}

impl From<model::LabelError> for EngineError {
    fn from(error: model::LabelError) -> Self {
        Self::Function(FunctionError::Label(error))
    }
}
