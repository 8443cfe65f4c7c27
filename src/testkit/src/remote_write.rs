//! Bodies of remote write 1.0, as senders make them.

use prost::Message as _;

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WriteRequest {
    /// Field 1.
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TimeSeries {
    /// Field 1.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    /// Field 2.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    /// Field 4.
    #[prost(message, repeated, tag = "4")]
    pub histograms: Vec<Histogram>,
}

/// `prometheus.Label`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Label {
    /// Field 1.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Field 2.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `prometheus.Sample`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Sample {
    /// Field 1.
    #[prost(double, tag = "1")]
    pub value: f64,
    /// Field 2, milliseconds.
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
}

/// `prometheus.Histogram`, without zero bucket, negative buckets and custom bounds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Histogram {
    /// Fields 1 and 2.
    #[prost(oneof = "HistogramCount", tags = "1, 2")]
    pub count: Option<HistogramCount>,
    /// Field 3.
    #[prost(double, tag = "3")]
    pub sum: f64,
    /// Field 4.
    #[prost(sint32, tag = "4")]
    pub schema: i32,
    /// Field 11.
    #[prost(message, repeated, tag = "11")]
    pub positive_spans: Vec<BucketSpan>,
    /// Field 12, of integer counts: each bucket's difference from the one before.
    #[prost(sint64, repeated, tag = "12")]
    pub positive_deltas: Vec<i64>,
    /// Field 13, of float counts.
    #[prost(double, repeated, tag = "13")]
    pub positive_counts: Vec<f64>,
    /// Field 15, milliseconds.
    #[prost(int64, tag = "15")]
    pub timestamp: i64,
}

/// The count of a [`Histogram`], which says of what kind its buckets are.
#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub enum HistogramCount {
    /// Field 1.
    #[prost(uint64, tag = "1")]
    Integer(u64),
    /// Field 2.
    #[prost(double, tag = "2")]
    Float(f64),
}

/// `prometheus.BucketSpan`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct BucketSpan {
    /// Field 1.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Field 2.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Labels from pairs, in the order given.
#[must_use]
pub fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(label).collect()
}

/// The request as a body: protobuf in a snappy block.
///
/// # Errors
/// The request is too large for a snappy block.
pub fn body(timeseries: Vec<TimeSeries>) -> Result<Vec<u8>, snap::Error> {
    snap::raw::Encoder::new().compress_vec(&WriteRequest { timeseries }.encode_to_vec())
}
