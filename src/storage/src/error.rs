//! Errors of storage engines, by what the caller can do about them.

use base::ErrorKind;
use model::{LabelError, Timestamp};

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The engine is still starting or already stopping.
    #[error("TSDB not ready")]
    NotReady,
    /// Stored bytes do not decode.
    #[error("stored {object} is corrupt")]
    Corrupt {
        /// What was being read.
        object: String,
        /// The decoder's complaint.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key-value store failed.
    #[error("storage engine failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StorageError {
    /// How the error looks from outside.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotReady => ErrorKind::Unavailable,
            Self::Corrupt { .. } | Self::Engine(_) => ErrorKind::Internal,
        }
    }
}

/// Why an append was refused. Texts of the sample errors are those of upstream `storage/interface.go`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The sample is older than its series' newest one.
    #[error("out of order sample")]
    OutOfOrder {
        /// The sample's time.
        at: Timestamp,
        /// The newest time of the series.
        newest: Timestamp,
    },
    /// The series has another value at this time.
    #[error("duplicate sample for timestamp")]
    DuplicateForTimestamp {
        /// The sample's time.
        at: Timestamp,
    },
    /// The sample lies too far in the future or before retention.
    #[error("out of bounds")]
    OutOfBounds {
        /// The sample's time.
        at: Timestamp,
    },
    /// The sample is older than what is taken out of order.
    #[error("too old sample")]
    TooOld {
        /// The sample's time.
        at: Timestamp,
        /// The oldest time that is taken.
        from: Timestamp,
    },
    /// The histogram is larger than engines keep: upstream has no such bound.
    #[error("histogram has {parts} buckets, spans and bounds, over the limit of {limit}")]
    HistogramTooLarge {
        /// Their number.
        parts: usize,
        /// [`model::histogram::MAX_HISTOGRAM_PARTS`].
        limit: usize,
    },
    /// The labels form no set.
    #[error("invalid labels")]
    InvalidLabels(#[source] LabelError),
    /// The reference names no series of this engine.
    #[error("unknown series reference")]
    UnknownSeries,
    /// The engine is still starting or already stopping.
    #[error("TSDB not ready")]
    NotReady,
    /// The commit did not reach the disk; nothing of the request is visible.
    #[error("commit failed: {0}")]
    Commit(String),
    /// No more series fit the id space.
    #[error("series limit of the storage engine reached")]
    TooManySeries,
}

impl AppendError {
    /// How the error looks from outside.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfOrder { .. }
            | Self::DuplicateForTimestamp { .. }
            | Self::OutOfBounds { .. }
            | Self::TooOld { .. }
            | Self::HistogramTooLarge { .. }
            | Self::InvalidLabels(_)
            | Self::UnknownSeries => ErrorKind::BadData,
            Self::NotReady | Self::Commit(_) => ErrorKind::Unavailable,
            Self::TooManySeries => ErrorKind::Internal,
        }
    }
}
