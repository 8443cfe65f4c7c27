//! Errors of the engine.

use kv::KvError;
use storage::{AppendError, StateError, StorageError};

/// Why the engine cannot open or work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TsdbError {
    /// The key-value store failed.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// The directory was written by another version.
    #[error("storage format version {found} is not supported, this program writes {expected}")]
    FormatVersion {
        /// Version in the directory.
        found: u32,
        /// Version of this program.
        expected: u32,
    },
    /// A stored record does not decode.
    #[error("stored {object} is corrupt: {reason}")]
    Corrupt {
        /// Which record.
        object: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The engine stops before the log was replayed, or the replay broke down.
    #[error("the log is not replayed")]
    NotReplayed,
    /// A folder of the engine cannot be made or removed.
    #[error("cannot make or remove folder {}", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// The operating system's complaint.
        #[source]
        source: std::io::Error,
    },
    /// The engine closes; what was under way ends.
    #[error("storage is closing")]
    Stopped,
    /// A partition was not rewritten, since it was dropped or still grows.
    #[error("the partition was dropped or still grows")]
    RewriteVoid,
    /// Small durable state cannot be read or written.
    #[error(transparent)]
    State(StateError),
    /// Samples that were accepted cannot be written.
    #[error("commit failed: {0}")]
    Commit(String),
    /// A thread cannot be started.
    #[error("starting a storage thread")]
    Thread(#[source] std::io::Error),
}

impl TsdbError {
    /// Whether stored bytes are damaged.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Kv(error) => error.is_damage(),
            Self::Corrupt { .. } => true,
            Self::State(StateError::Engine(source)) => source
                .downcast_ref::<KvError>()
                .is_some_and(KvError::is_damage),
            _ => false,
        }
    }

    pub(crate) fn corrupt(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt {
            object: object.into(),
            reason: reason.into(),
        }
    }
}

impl From<TsdbError> for StorageError {
    fn from(error: TsdbError) -> Self {
        match error {
            TsdbError::NotReplayed => Self::NotReady,
            error => Self::Engine(Box::new(error)),
        }
    }
}

impl From<TsdbError> for AppendError {
    fn from(error: TsdbError) -> Self {
        match error {
            TsdbError::NotReplayed => Self::NotReady,
            error => Self::Commit(base::report(&error)),
        }
    }
}
