//! What encoding and decoding can refuse.

/// Why samples could not be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A chunk holds at least one sample.
    #[error("chunk has no samples")]
    Empty,
    /// The count of a chunk is bounded by [`crate::MAX_SAMPLES`].
    #[error("chunk of {count} samples is over the limit of {}", crate::MAX_SAMPLES)]
    TooManySamples {
        /// Samples that were asked for.
        count: usize,
    },
    /// A histogram is larger than [`model::histogram::MAX_HISTOGRAM_PARTS`], or those of a chunk together
    /// are larger than [`crate::MAX_CHUNK_PARTS`].
    #[error("histograms have {parts} buckets, spans and bounds, over the limit of {limit}")]
    TooManyParts {
        /// Their number.
        parts: usize,
        /// The limit that they break.
        limit: usize,
    },
    /// The histograms of a chunk have all integer counts or all float counts.
    #[error("chunk mixes histograms of integers and of floats")]
    MixedHistograms,
    /// The two columns of a chunk have one entry per sample each.
    #[error("chunk has {timestamps} timestamps but {values} values")]
    LengthMismatch {
        /// Length of the timestamp column.
        timestamps: usize,
        /// Length of the value column.
        values: usize,
    },
}

/// Why bytes are not a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the last sample.
    #[error("chunk is truncated")]
    Truncated,
    /// The first byte names a format this version does not know.
    #[error("unknown chunk format {0:#04x}")]
    UnknownFormat(u8),
    /// A count of zero or one above [`crate::MAX_SAMPLES`].
    #[error("chunk claims {0} samples")]
    BadCount(u64),
    /// A field has a value that no encoder writes.
    #[error("chunk is corrupt: {0}")]
    Corrupt(&'static str),
    /// Bytes follow the last sample.
    #[error("chunk has {0} bytes after its last sample")]
    TrailingBytes(usize),
}
