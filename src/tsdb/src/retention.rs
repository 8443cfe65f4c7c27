//! Retention: partitions past it are dropped whole, then series without samples.

use model::{TimeRange, Timestamp};
use roaring::RoaringBitmap;

use crate::cold::keys as cold_keys;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;

impl Engine {
    /// Drops what ended before retention begins.
    pub(crate) fn retire(&self, now: Timestamp) -> Result<(), TsdbError> {
        let Some(cutoff) = self.retention_start(now) else {
            return Ok(());
        };
        let expired: Vec<Partition> = self
            .index
            .read()
            .partitions(TimeRange::new(Timestamp::MIN, cutoff))
            .map(|(partition, _)| partition)
            .filter(|partition| partition.range().end < cutoff)
            .collect();
        if expired.is_empty() {
            return Ok(());
        }
        let dropped = expired
            .into_iter()
            .try_for_each(|partition| self.drop_partition(partition));
        self.note_change(TimeRange::new(Timestamp::MIN, cutoff));
        dropped?;
        self.remove_empty_series()
    }

    /// Where retention begins; `None` keeps everything. A clock that runs ahead of the newest
    /// partition must not expire what is younger than the data says.
    pub(crate) fn retention_start(&self, now: Timestamp) -> Option<Timestamp> {
        let retention = self.options.retention?;
        let newest = self
            .index
            .read()
            .newest_partition()
            .map(|partition| partition.range().end);
        Some(
            newest
                .map_or(now, |newest| newest.min(now))
                .saturating_sub(retention),
        )
    }

    fn drop_partition(&self, partition: Partition) -> Result<(), TsdbError> {
        let (from, below) = (partition.to_bytes(), partition.below());
        let mut batch = self.kv.batch();
        batch.delete_range(kv::Family::Chunks, &from, &below);
        batch.delete(kv::Family::Index, &keys::presence(partition));
        batch.delete(kv::Family::Index, &keys::disorder(partition));
        batch.delete(kv::Family::Index, &cold_keys::record(partition));
        let cold = {
            // A cursor sees all of the partition or nothing.
            let mut state = self.cold.write();
            self.kv.write(batch)?;
            self.index.write().drop_partition(partition);
            self.disorder.drop_partition(partition);
            state.remove(partition)
        };
        self.kv.drop_files(kv::Family::Chunks, &from, &below)?;
        let mut batch = self.kv.batch();
        // Once more: a file may have been dropped with the note of the first one in it.
        batch.delete_range(kv::Family::Chunks, &from, &below);
        self.kv.write(batch)?;
        if let Some(cold) = cold {
            self.remove_version(partition, cold.version)?;
        }
        self.metrics.partitions_dropped.inc();
        tracing::info!(start = %partition.range().start, "partition past retention dropped");
        Ok(())
    }

    /// Forgets series that have no sample anywhere.
    pub(crate) fn remove_empty_series(&self) -> Result<(), TsdbError> {
        let present = self.index.read().present_in(TimeRange::ALL);
        let empty: Vec<u32> = self
            .catalog
            .ids()
            .into_iter()
            .filter(|id| !present.contains(*id))
            .collect();
        let removed = self.mark_removed(&empty);
        if removed.is_empty() {
            return Ok(());
        }
        let mut batch = self.kv.batch();
        for id in &removed {
            batch.delete(kv::Family::Series, &keys::series(id));
        }
        let next = self.catalog.next_id();
        batch.put(
            kv::Family::Meta,
            keys::META_NEXT_SERIES,
            &next.to_be_bytes(),
        );
        if let Err(error) = self.kv.write(batch) {
            for id in &removed {
                let mut locked = self.head.lock(std::iter::once(id));
                locked.series(id).set_removed(false);
            }
            return Err(error.into());
        }
        let entries = self.catalog.get_many(removed.iter());
        let mut index = self.index.write();
        for (id, entry) in &entries {
            index.remove(*id, &entry.labels);
        }
        drop(index);
        self.catalog.remove(&removed.iter().collect::<Vec<_>>());
        self.metrics.series_removed.add(removed.len());
        Ok(())
    }

    /// Marks those series dead that have nothing under way either; requests that found them
    /// before look them up again.
    fn mark_removed(&self, empty: &[u32]) -> RoaringBitmap {
        let mut removed = RoaringBitmap::new();
        for id in empty {
            let mut locked = self.head.lock(std::iter::once(*id));
            // Chunks may have begun since the look at all of them.
            let absent = !self.index.read().is_present(*id);
            let head = locked.series(*id);
            if absent && head.is_idle() && !head.is_removed() {
                head.set_removed(true);
                removed.insert(*id);
            }
        }
        removed
    }
}
