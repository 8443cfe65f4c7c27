//! Metadata in memory: kept until the engine is dropped.

use model::Timestamp;

use super::MemoryStorage;
use crate::error::StorageError;
use crate::metadata::{FamilyMetadata, MetadataEntry, MetadataStore};

impl MetadataStore for MemoryStorage {
    fn put_metadata<'a>(
        &self,
        entries: &mut dyn Iterator<Item = MetadataEntry<'a>>,
    ) -> Result<u64, StorageError> {
        let mut table = self.metadata.lock();
        let changes = table.plan(entries, Timestamp::EPOCH);
        let left_out = changes.left_out();
        table.apply(changes, Timestamp::EPOCH);
        Ok(left_out)
    }

    fn metadata(&self, family: Option<&str>) -> Vec<FamilyMetadata> {
        self.metadata.lock().metadata(family)
    }
}
