//! The data model: timestamps, durations, labels, matchers, sample values, native histograms with
//! their arithmetic, and Go's number formats.
//! Pure data: no I/O, no async, no clock.

pub mod duration;
pub mod exemplar;
pub mod histogram;
pub mod kahan;
pub mod labels;
pub mod matcher;
pub mod number;
pub mod quote;
pub mod sample;
pub mod summary;
pub mod timestamp;

pub use duration::PromDuration;
pub use exemplar::Exemplar;
pub use histogram::{
    Bucket, Combination, CounterResetHint, FloatHistogram, Histogram, HistogramError,
    IntegerHistogram, Span,
};
pub use labels::{LabelError, Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{MatchOp, Matcher};
pub use sample::{STALE_NAN_BITS, is_stale_nan, stale_nan};
pub use summary::ValueSummary;
pub use timestamp::{TimeRange, Timestamp};
