//! The hashes of stopped series' labels: by them a series that returns finds its id.
//!
//! A hash that is lost would give a series that returns a second id, and readers its labels twice.
//! So hashes that are unreadable, or may be lost, are made anew from the rows of the series.

use std::collections::BTreeMap;

use model::Labels;
use parking_lot::MutexGuard;
use roaring::RoaringBitmap;
use twox_hash::XxHash3_128;

use crate::catalog::SeriesEntry;
use crate::commit::decode_series;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::replay::log_damage;

/// Held while hashes are changed.
pub(super) type HashTurn<'a> = MutexGuard<'a, ()>;

impl Engine {
    /// The stopped series with these labels.
    pub(super) fn find_stopped(
        &self,
        labels: &Labels,
    ) -> Result<Option<(u32, SeriesEntry)>, TsdbError> {
        let hash = self.labels_hash(labels);
        let ids = match self.stored_ids(hash) {
            Err(error) if error.is_damage() => {
                self.stopped_ids(hash, &self.stopped.hashes.lock())?
            }
            read => read?,
        };
        for id in ids {
            let row = self.kv.get(kv::Family::Series, &keys::series(id));
            let entry = match row.map_err(TsdbError::from) {
                Ok(None) => continue,
                Ok(Some(row)) => decode_series(&row),
                Err(error) => Err(error),
            };
            match entry {
                Ok(entry) if entry.labels == *labels => return Ok(Some((id, entry))),
                Ok(_) => {}
                // Without its row the series is not read either: another id doubles nothing.
                Err(error) if error.is_damage() => {
                    log_damage(&error, "a stopped series is unreadable and gets another id");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Ids of stopped series whose labels have a hash. Nearly always none, as a filter in memory
    /// knows, or one.
    pub(super) fn stopped_ids(
        &self,
        hash: u128,
        turn: &HashTurn<'_>,
    ) -> Result<Vec<u32>, TsdbError> {
        match self.stored_ids(hash) {
            Err(error) if error.is_damage() => {
                log_damage(&error, "hashes of stopped series are unreadable");
                self.rebuild_hashes(turn)?;
                self.stored_ids(hash)
            }
            read => read,
        }
    }

    fn stored_ids(&self, hash: u128) -> Result<Vec<u32>, TsdbError> {
        let row = self.kv.get(kv::Family::Stopped, &keys::stopped(hash))?;
        let row = row.unwrap_or_default();
        let (ids, rest) = row.as_chunks();
        if !rest.is_empty() {
            return Err(TsdbError::corrupt("hash of labels", "an id is cut off"));
        }
        Ok(ids.iter().map(|id| u32::from_be_bytes(*id)).collect())
    }

    pub(super) fn labels_hash(&self, labels: &Labels) -> u128 {
        let seed = *self.stopped.seed.read();
        XxHash3_128::oneshot_with_seed(seed, labels.as_packed().as_bytes())
    }

    pub(super) fn put_stopped_ids(&self, batch: &mut kv::Batch<'_>, hash: u128, ids: &[u32]) {
        let row: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        if row.is_empty() {
            batch.delete(kv::Family::Stopped, &keys::stopped(hash));
        } else {
            batch.put(kv::Family::Stopped, &keys::stopped(hash), &row);
        }
    }

    /// Takes a series out of the row of its labels' hash.
    pub(crate) fn forget_hash(
        &self,
        batch: &mut kv::Batch<'_>,
        id: u32,
        entry: &SeriesEntry,
    ) -> Result<(), TsdbError> {
        let hash = self.labels_hash(&entry.labels);
        let mut ids = self.stopped_ids(hash, &self.stopped.hashes.lock())?;
        if ids.contains(&id) {
            ids.retain(|known| *known != id);
            self.put_stopped_ids(batch, hash, &ids);
        }
        Ok(())
    }

    /// Makes all hashes anew from the rows of the series that stopped. What is left of the old ones
    /// does not count any more, readable or not.
    pub(super) fn rebuild_hashes(&self, _turn: &HashTurn<'_>) -> Result<(), TsdbError> {
        let stopped = self.stopped.ids();
        let mut hashes: BTreeMap<u128, Vec<u32>> = BTreeMap::new();
        self.walk_series(&RoaringBitmap::new(), |id, entry| {
            if stopped.contains(id) {
                let hash = self.labels_hash(&entry.labels);
                hashes.entry(hash).or_default().push(id);
            }
        });
        let (from, below) = (keys::FIRST_STOPPED, keys::BEHIND_STOPPED);
        let mut batch = self.kv.batch();
        batch.delete_range(kv::Family::Stopped, from, below);
        for (hash, ids) in &hashes {
            self.put_stopped_ids(&mut batch, *hash, ids);
        }
        self.kv.write(batch)?;
        tracing::warn!(
            hashes = hashes.len(),
            "hashes of stopped series are made anew"
        );
        // The files go at once, and must not be what a power failure goes back to.
        self.kv.sync()?;
        Ok(self.kv.drop_files(kv::Family::Stopped, from, below)?)
    }
}
