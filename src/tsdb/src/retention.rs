//! Retention: partitions past it are dropped whole, then series without samples.

mod limits;

use kv::Family;
use model::{TimeRange, Timestamp};
use roaring::RoaringBitmap;

use crate::catalog::SeriesEntry;
use crate::cold::keys as cold_keys;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;
use crate::work::Work;

pub(crate) use limits::Retention;
pub use limits::RetentionLimits;

impl Engine {
    /// Drops what ended before retention begins, then the oldest partitions that are too much.
    pub(crate) fn retire(&self, now: Timestamp) -> Result<(), TsdbError> {
        let expired = self.expired(now);
        if !expired.is_empty() {
            self.retention.by_time.inc();
            self.drop_partitions(expired)?;
        }
        let excess = self.excess();
        if !excess.is_empty() {
            self.retention.by_size.inc();
            self.drop_partitions(excess)?;
        }
        Ok(())
    }

    fn expired(&self, now: Timestamp) -> Vec<Partition> {
        let Some(cutoff) = self.retention_start(now) else {
            return Vec::new();
        };
        self.index
            .read()
            .partitions(TimeRange::new(Timestamp::MIN, cutoff))
            .map(|(partition, _)| partition)
            .filter(|partition| partition.range().end < cutoff)
            .collect()
    }

    /// The oldest partitions that have to go for the others to keep within the limit of size,
    /// together with the log and the index. The newest one stays. Source: upstream
    /// `tsdb.BeyondSizeRetention`, which never drops the head.
    fn excess(&self) -> Vec<Partition> {
        let bytes = |family| self.kv.table_bytes(family);
        let log_bytes = self.kv.write_ahead_log_bytes();
        #[expect(clippy::cast_precision_loss, reason = "gauges are float64")]
        {
            let partitions = bytes(Family::Chunks) + bytes(Family::Cold);
            self.retention.partition_bytes.set(partitions as f64);
            self.retention.log_bytes.set(log_bytes as f64);
        }
        let disk_bytes = || (self.options.disk_bytes)(&self.options.path);
        let Some(max_bytes) = self.retention.max_bytes(disk_bytes) else {
            return Vec::new();
        };
        let others = [
            Family::Meta,
            Family::Series,
            Family::Log,
            Family::Index,
            Family::State,
        ];
        let mut total = log_bytes + others.into_iter().map(bytes).sum::<u64>();
        let mut partitions: Vec<Partition> = {
            let index = self.index.read();
            let all = index.partitions(TimeRange::ALL);
            all.map(|(partition, _)| partition).collect()
        };
        let mut kept = 0;
        for partition in partitions.iter().rev() {
            let (from, below) = (partition.to_bytes(), partition.below());
            for family in [Family::Chunks, Family::Cold] {
                total += self.kv.range_bytes(family, &from, &below);
            }
            if total > max_bytes && kept > 0 {
                break;
            }
            kept += 1;
        }
        partitions.truncate(partitions.len() - kept);
        partitions
    }

    fn drop_partitions(&self, expired: Vec<Partition>) -> Result<(), TsdbError> {
        let last = expired.last().map(|partition| partition.range().end);
        let dropped = expired
            .into_iter()
            .try_for_each(|partition| self.drop_partition(partition));
        self.note_change(TimeRange::new(
            Timestamp::MIN,
            last.unwrap_or(Timestamp::MIN),
        ));
        dropped?;
        self.remove_empty_series()?;
        self.remove_stopped_series()
    }

    /// Where retention begins; `None` keeps everything. A clock that runs ahead of the newest
    /// partition must not expire what is younger than the data says.
    pub(crate) fn retention_start(&self, now: Timestamp) -> Option<Timestamp> {
        let retention = self.retention.time()?;
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
        let _work = Work::begin("retention");
        let (from, below) = (partition.to_bytes(), partition.below());
        let mut batch = self.kv.batch();
        batch.delete_range(Family::Chunks, &from, &below);
        batch.delete(Family::Index, &keys::presence(partition));
        batch.delete(Family::Index, &keys::disorder(partition));
        batch.delete(Family::Index, &cold_keys::record(partition));
        let cold = {
            // A cursor sees all of the partition or nothing.
            let mut state = self.cold.write();
            self.kv.write(batch)?;
            self.index.write().drop_partition(partition);
            self.disorder.drop_partition(partition);
            state.remove(partition)
        };
        self.kv.drop_files(Family::Chunks, &from, &below)?;
        let mut batch = self.kv.batch();
        // Once more: a file may have been dropped with the note of the first one in it.
        batch.delete_range(Family::Chunks, &from, &below);
        self.kv.write(batch)?;
        if let Some(cold) = cold {
            self.remove_version(partition, cold.version)?;
        }
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
        let entries = self.catalog.get_many(removed.iter());
        if let Err(error) = self.remove_rows(&entries) {
            self.unmark_removed(removed.iter());
            return Err(error);
        }
        let mut index = self.index.write();
        for (id, entry) in &entries {
            index.remove(*id, &entry.labels);
        }
        drop(index);
        let ids: Vec<u32> = removed.iter().collect();
        self.catalog.remove(&ids);
        self.head.release(&ids);
        self.metrics.series_removed.add(removed.len());
        Ok(())
    }

    /// Removes everything that is stored about series without samples.
    fn remove_rows(&self, series: &[(u32, SeriesEntry)]) -> Result<(), TsdbError> {
        let mut batch = self.kv.batch();
        self.delete_rows(&mut batch, series)?;
        Ok(self.kv.write(batch)?)
    }

    /// Puts into a batch what [`Engine::remove_rows`] does.
    pub(crate) fn delete_rows(
        &self,
        batch: &mut kv::Batch<'_>,
        series: &[(u32, SeriesEntry)],
    ) -> Result<(), TsdbError> {
        for (id, entry) in series {
            batch.delete(Family::Series, &keys::series(*id));
            if self.stopped.contains(*id) {
                self.forget_hash(batch, *id, entry)?;
            }
        }
        let next = self.catalog.next_id();
        batch.put(Family::Meta, keys::META_NEXT_SERIES, &next.to_be_bytes());
        Ok(())
    }

    /// Takes back that series were marked.
    pub(crate) fn unmark_removed(&self, ids: impl Iterator<Item = u32>) {
        for id in ids {
            let mut locked = self.head.lock(std::iter::once(id));
            locked.series(id).set_removed(false);
        }
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
