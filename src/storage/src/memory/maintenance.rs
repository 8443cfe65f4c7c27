//! Deletes in memory. Samples go at once; deleted ranges are remembered, since what arrives in them
//! out of order is deleted as well until they are cleaned up.

use std::path::Path;
use std::sync::Arc;

use model::{Matcher, TimeRange};

use super::MemoryStorage;
use super::view::passes;
use crate::error::StorageError;
use crate::maintenance::{Maintenance, SnapshotHead};

impl Maintenance for MemoryStorage {
    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), StorageError> {
        let mut data = self.data.write();
        for series in &mut data.series {
            if series.overlaps(range) && passes(series.labels(), matchers) {
                Arc::make_mut(series).delete(range);
            }
        }
        drop(data);
        self.changes.lock().record(range);
        Ok(())
    }

    fn clean_tombstones(&self) -> Result<(), StorageError> {
        let mut data = self.data.write();
        for series in &mut data.series {
            Arc::make_mut(series).forget_deleted();
        }
        drop(data);
        self.changes.lock().record(TimeRange::ALL);
        Ok(())
    }

    /// There is nothing on disk to copy.
    fn snapshot(&self, _folder: &Path, _head: SnapshotHead) -> Result<(), StorageError> {
        let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
        Err(StorageError::Engine(Box::new(error)))
    }
}
