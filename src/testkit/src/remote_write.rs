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
