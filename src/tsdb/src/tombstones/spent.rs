//! Tombstones of dropped partitions: they hide nothing any more, and go.

use std::sync::Arc;

use model::{TimeRange, Timestamp};

use super::Deleted;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;

impl Deleted {
    /// Forgets ranges that end before `oldest`.
    fn retain_from(&mut self, oldest: Timestamp) {
        for intervals in self.series.values_mut() {
            intervals.0.retain(|range| range.end >= oldest);
        }
        self.series.retain(|_, intervals| !intervals.is_empty());
    }
}

impl Engine {
    /// Removes the tombstones all of whose ranges end before the oldest sample: one write, so that
    /// after a kill they are there, or are not needed. Does nothing while somebody deletes or cleans
    /// up. The caller must not hold the lock of upkeep: who cleans up waits for that.
    pub(crate) fn remove_spent_tombstones(&self) -> Result<(), TsdbError> {
        let Some(mut records) = self.tombstones.records.try_lock() else {
            return Ok(());
        };
        let Some(oldest) = records.oldest_end().and_then(|end| self.oldest_behind(end)) else {
            return Ok(());
        };
        let mut batch = self.kv.batch();
        for (number, _) in records.ends.iter().filter(|(_, end)| **end < oldest) {
            batch.delete(kv::Family::Index, &keys::tombstone(*number));
        }
        self.kv.write(batch)?;
        records.ends.retain(|_, end| *end >= oldest);
        let mut deleted = Deleted::clone(&self.tombstones.load());
        deleted.retain_from(oldest);
        self.tombstones.deleted.store(Arc::new(deleted));
        Ok(())
    }

    /// Where the oldest samples begin, stored or not; `None` if they may reach back to `end`.
    fn oldest_behind(&self, end: Timestamp) -> Option<Timestamp> {
        let oldest = {
            let index = self.index.read();
            let mut partitions = index.partitions(TimeRange::ALL);
            partitions.next()?.0.range().start
        };
        if oldest <= end {
            return None;
        }
        // What is not sealed yet may lie in partitions that have been dropped.
        let mut oldest = oldest;
        self.head.for_each_shard(|_, shard| {
            if let Some(time) = shard.time() {
                oldest = oldest.min(time.start);
            }
        });
        (oldest > end).then_some(oldest)
    }
}
