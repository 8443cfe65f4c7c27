//! What an administrator may ask of an engine: deletes, cleaning up behind them, snapshots.

use std::path::Path;

use model::{Matcher, TimeRange};

use crate::error::StorageError;

/// Whether a snapshot has samples that are not in sealed chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotHead {
    /// All samples.
    Include,
    /// Only those of sealed chunks.
    Skip,
}

/// The administrating side of an engine. Blocking: call it off the async runtime.
pub trait Maintenance: Send + Sync {
    /// Deletes the samples in `range` of the series that pass all `matchers`. They are gone for
    /// every read that begins after the call, and for good; their space comes back later.
    ///
    /// Of each series the range ends at its newest sample: what is newer is not touched. What
    /// arrives out of order inside the range is deleted as well, until the range was cleaned up;
    /// whether that holds for series without samples in the range is left to engines. Source: upstream `tsdb/db.go`, `Delete`.
    ///
    /// # Errors
    /// The engine failed; some of the samples may be deleted.
    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), StorageError>;

    /// Frees the space of all deleted samples, and forgets series that have no others.
    ///
    /// # Errors
    /// The engine failed; what was deleted stays deleted.
    fn clean_tombstones(&self) -> Result<(), StorageError>;

    /// Writes a copy of everything into a new folder, which can be served as a data folder.
    ///
    /// # Errors
    /// The folder exists or cannot be written, or the engine failed.
    fn snapshot(&self, folder: &Path, head: SnapshotHead) -> Result<(), StorageError>;
}
