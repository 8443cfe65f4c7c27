//! Errors of the key-value store.

use std::path::{Path, PathBuf};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// Another store has the directory open: most likely a running server.
    #[error("storage directory {} is in use by a running server", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// RocksDB's complaint.
        #[source]
        source: rocksdb::Error,
    },
    /// The directory cannot be opened: unreadable, or damaged.
    #[error("opening storage directory {}", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// RocksDB's complaint.
        #[source]
        source: rocksdb::Error,
    },
    /// The directory cannot be created or read.
    #[error("creating storage directory {}", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// The operating system's complaint.
        #[source]
        source: std::io::Error,
    },
    /// A read, write or scan failed.
    #[error("{operation} failed")]
    Operation {
        /// What was tried.
        operation: &'static str,
        /// RocksDB's complaint.
        #[source]
        source: rocksdb::Error,
    },
    /// A file is not as long as the list of files says.
    #[error("{} has not the length that it was written with", path.display())]
    WrongSize {
        /// The file.
        path: PathBuf,
    },
    /// A write failed before, and a new log could not be begun yet.
    #[error("storage refuses writes until a new log can be begun: {reason}")]
    Refused {
        /// RocksDB's complaint about the write, or about the last attempt to begin a new log.
        reason: String,
    },
    /// The thread that syncs the log cannot be started.
    #[error("starting the log sync thread")]
    Thread(#[source] std::io::Error),
    /// A column family that [`crate::Family`] names is missing.
    #[error("column family {0} is missing")]
    MissingFamily(&'static str),
}

impl KvError {
    /// Why a directory did not open. RocksDB has no code for a lock, only words.
    pub(crate) fn open(path: &Path, source: rocksdb::Error) -> Self {
        let path = path.to_owned();
        let text: &str = source.as_ref();
        let locked = ["While lock file", "lock hold by current process"];
        if locked.iter().any(|words| text.contains(words)) {
            return Self::Locked { path, source };
        }
        Self::Open { path, source }
    }

    /// Whether stored bytes are damaged, rather than that the operating system refuses something.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open { source, .. } | Self::Operation { source, .. } => {
                source.kind() == rocksdb::ErrorKind::Corruption
            }
            Self::WrongSize { .. } => true,
            _ => false,
        }
    }

    pub(crate) fn operation(operation: &'static str) -> impl FnOnce(rocksdb::Error) -> Self {
        move |source| Self::Operation { operation, source }
    }
}
