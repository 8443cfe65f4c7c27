//! What a query gives: values, annotations, statistics.

use std::sync::Arc;

use model::{FloatHistogram, Labels, Timestamp};

use crate::annotations::Annotations;

/// The outcome of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// Warnings and infos that came up on the way.
    pub annotations: Annotations,
    /// What the query cost.
    pub stats: QueryStats,
    /// What it cost at every step, where that was asked for.
    pub step_stats: Option<StepStats>,
}

/// What a query cost at every step. The lists have the same length, and each adds up to the count of
/// the whole query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepStats {
    /// The steps, in milliseconds since the epoch.
    pub times_ms: Vec<i64>,
    /// As [`QueryStats::queryable_samples`].
    pub queryable_samples: Vec<u64>,
    /// As [`QueryStats::samples_read`].
    pub samples_read: Vec<u64>,
}

/// A PromQL value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number, without labels.
    Scalar {
        /// When it was evaluated.
        timestamp: Timestamp,
        /// The number.
        value: f64,
    },
    /// A text.
    String(String),
    /// One sample per series, all of one time. `sort` and `topk` determine the order, otherwise it
    /// is the same whenever the data is the same.
    Vector(Vec<VectorSample>),
    /// Series in order of their labels: what range queries and bare range selectors give.
    Matrix(Vec<Series>),
}

impl Value {
    /// About how much memory it takes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        let histogram = |histogram: &FloatHistogram| histogram.size_in_samples().saturating_mul(16);
        let sample = |sample: &VectorSample| {
            size_of::<VectorSample>()
                + sample.labels.as_packed().len()
                + match &sample.value {
                    SampleValue::Float(_) => 0,
                    SampleValue::Histogram(value) => histogram(value),
                }
        };
        let series = |series: &Series| {
            let histograms = series.histograms.iter().map(|(_, value)| histogram(value));
            size_of::<Series>()
                + series.labels.as_packed().len()
                + series.points.len() * size_of::<(i64, f64)>()
                + histograms.sum::<usize>()
        };
        match self {
            Self::Scalar { .. } => size_of::<Self>(),
            Self::String(text) => text.len(),
            Self::Vector(samples) => samples.iter().map(sample).sum(),
            Self::Matrix(all) => all.iter().map(series).sum(),
        }
    }
}

/// One sample of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// The series.
    pub labels: Labels,
    /// When it was evaluated.
    pub timestamp: Timestamp,
    /// Its value.
    pub value: SampleValue,
}

/// The value of a sample.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

impl SampleValue {
    /// The number; `None` for a histogram.
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// One series of a matrix; it has at least one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The series.
    pub labels: Labels,
    /// Floats: milliseconds since the epoch and value, in order of time.
    pub points: Vec<(i64, f64)>,
    /// Native histograms: milliseconds since the epoch and value, in order of time. No time is in
    /// both lists.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// What a query cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples that took part, counted once for every step that used them.
    pub queryable_samples: u64,
    /// Samples read from storage. Those of a chunk whose summary said enough are among them, although
    /// they were not decoded: what a query costs does not depend on how its data is stored.
    pub samples_read: u64,
    /// The most samples held at one time. Samples that were not decoded are not held.
    pub peak_samples: u64,
    /// The most bytes held at one time.
    pub peak_bytes: u64,
}
