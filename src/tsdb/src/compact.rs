//! Everything that makes the stored form as small as it can be, at once and on request.

use kv::Family;

use crate::cold::keys as cold_keys;
use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::rewrite::Unpaced;

/// What lies in the store, by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSizes {
    /// Samples in rewritten partitions.
    pub samples: u64,
    /// Chunks of samples, in bytes; without timestamps that they share.
    pub chunk_bytes: u64,
    /// Shared timestamps, in bytes.
    pub timestamp_bytes: u64,
    /// Series, their labels and where they have samples, in bytes.
    pub index_bytes: u64,
}

impl Tsdb {
    /// Seals all samples, rewrites every partition, the present one too, and frees what deleted
    /// data still takes. Takes as long as it takes, and memory for one series at a time.
    ///
    /// # Errors
    /// The store failed; what was there is there.
    pub fn compact(&self) -> Result<(), TsdbError> {
        let engine = self.engine();
        engine.replayed.wait()?;
        engine.seal_everything()?;
        engine.rewrite_all(&mut Unpaced)?;
        Ok(engine.kv.compact()?)
    }

    /// What lies in the store. Sizes are those of files.
    #[must_use]
    pub fn stored_sizes(&self) -> StoredSizes {
        let engine = self.engine();
        let cold_bytes = engine.kv.table_bytes(Family::Cold);
        let timestamp_bytes = engine.timestamp_bytes();
        StoredSizes {
            samples: engine.cold.samples(),
            chunk_bytes: engine.kv.table_bytes(Family::Chunks)
                + cold_bytes.saturating_sub(timestamp_bytes),
            timestamp_bytes,
            index_bytes: engine.kv.table_bytes(Family::Series)
                + engine.kv.table_bytes(Family::Index),
        }
    }
}

impl Engine {
    fn timestamp_bytes(&self) -> u64 {
        let of = |(partition, version): (_, u32)| {
            let from = cold_keys::version(partition, version);
            let below = cold_keys::chunks(partition, version);
            self.kv.range_bytes(Family::Cold, &from, &below)
        };
        self.cold.versions().into_iter().map(of).sum()
    }
}
