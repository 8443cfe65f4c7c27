//! Cleaning up: deleted samples are removed from chunks, then the tombstones go.

use std::sync::Arc;

use model::{TimeRange, Timestamp};
use roaring::RoaringBitmap;

use super::filter::filtered;
use super::{Deleted, Intervals};
use crate::cold::RewriteTurn;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;
use crate::rewrite::Unpaced;
use crate::series_set::read_in_order;
use crate::work::Work;

/// Changed chunks are written in batches of about so many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// A partition into which too much is sealed while it is rewritten is tried so often.
const REWRITES: usize = 3;

impl Engine {
    /// See [`storage::Maintenance::clean_tombstones`].
    pub(crate) fn clean_tombstones(&self) -> Result<(), TsdbError> {
        self.replayed.wait()?;
        // A rewrite that began before the last delete would put deleted samples back.
        let turn = self.cold.turn();
        // Nothing is deleted meanwhile: what is removed below is all that there is.
        let mut records = self.tombstones.records.lock();
        let deleted = self.tombstones.load();
        if deleted.is_empty() {
            return Ok(());
        }
        let _work = Work::begin("cleaning");
        let timer = std::time::Instant::now();
        // In chunks, with records that keep the log from bringing samples back; and those records
        // hold for no later sample, once all commits that they may hold for are written.
        let newest_commit = self.seal_all(&mut self.upkeep.lock())?;
        self.committer.wait_until_committed(newest_commit)?;
        let partitions: Vec<(Partition, RoaringBitmap)> = {
            let index = self.index.read();
            let all = index.partitions(TimeRange::ALL);
            all.map(|(partition, series)| (partition, series.clone()))
                .collect()
        };
        for (partition, mut series) in partitions {
            let has_deleted = |id: u32| {
                let intervals = deleted.of(id);
                intervals.is_some_and(|intervals| intervals.overlaps(partition.range()))
            };
            series = series.iter().filter(|id| has_deleted(*id)).collect();
            if !series.is_empty() {
                self.clean_partition(&turn, partition, &series, &deleted)?;
            }
        }
        let mut batch = self.kv.batch();
        for number in 0..records.next {
            batch.delete(kv::Family::Index, &keys::tombstone(number));
        }
        self.kv.write(batch)?;
        records.ends.clear();
        self.tombstones.deleted.store(Arc::default());
        drop(records);
        self.note_change(TimeRange::ALL);
        let _upkeep = self.upkeep.lock();
        self.remove_empty_series()?;
        self.remove_stopped_series()?;
        let took = timer.elapsed().as_secs_f64();
        self.metrics.tombstone_cleanup_seconds.observe(took);
        Ok(())
    }

    /// Removes deleted samples of some series from a partition.
    fn clean_partition(
        &self,
        turn: &RewriteTurn<'_>,
        partition: Partition,
        series: &RoaringBitmap,
        deleted: &Deleted,
    ) -> Result<(), TsdbError> {
        if self.cold.get(partition).is_some() {
            self.clean_by_rewrite(turn, partition)?;
        } else {
            // Between two rounds of sealing: what is there stays there.
            let _upkeep = self.upkeep.lock();
            self.clean_small(partition, series, deleted)?;
        }
        self.forget_presence(partition, series)
    }

    fn clean_by_rewrite(
        &self,
        turn: &RewriteTurn<'_>,
        partition: Partition,
    ) -> Result<(), TsdbError> {
        for _ in 1..REWRITES {
            match self.rewrite_in_turn(turn, partition, &mut Unpaced) {
                Err(TsdbError::RewriteVoid) => {}
                done => return done,
            }
        }
        self.rewrite_in_turn(turn, partition, &mut Unpaced)
    }

    fn clean_small(
        &self,
        partition: Partition,
        series: &RoaringBitmap,
        deleted: &Deleted,
    ) -> Result<(), TsdbError> {
        let mut batch = self.kv.batch();
        for id in series {
            let Some(intervals) = deleted.of(id) else {
                continue;
            };
            self.clean_series(&mut batch, (partition, id), intervals)?;
            if batch.size_bytes() >= BATCH_BYTES {
                self.kv
                    .write(std::mem::replace(&mut batch, self.kv.batch()))?;
            }
        }
        Ok(self.kv.write(batch)?)
    }

    /// Removes deleted samples of a series from the small chunks of a partition.
    fn clean_series(
        &self,
        batch: &mut kv::Batch<'_>,
        (partition, id): (Partition, u32),
        intervals: &Intervals,
    ) -> Result<(), TsdbError> {
        let Some(place) = self.place(id)? else {
            return Ok(());
        };
        let corrupt = |error: chunkenc::DecodeError| TsdbError::corrupt("chunk", error.to_string());
        let prefix = keys::chunk_series(partition, (place.metric, id));
        let mut scan = self.kv.scan(kv::Family::Chunks, None);
        scan.seek(&prefix);
        while let Some((key, bytes)) = scan.current()? {
            if !key.starts_with(&prefix) {
                break;
            }
            let header = chunkenc::header(bytes).map_err(corrupt)?;
            let span = TimeRange::new(
                Timestamp::from_millis(header.first_timestamp),
                Timestamp::from_millis(header.last_timestamp),
            );
            if intervals.overlaps(span) {
                let kept = filtered(bytes, |at_ms| !intervals.contains(at_ms))?;
                batch.delete(kv::Family::Chunks, key);
                if !kept.is_empty() {
                    let first = chunkenc::header(&kept).map_err(corrupt)?.first_timestamp;
                    let first = Timestamp::from_millis(first);
                    let sequence = keys::chunk_sequence(key);
                    let key = keys::chunk(partition, (place.metric, id), first, sequence);
                    batch.put(kv::Family::Chunks, &key, &kept);
                }
            }
            scan.advance();
        }
        Ok(())
    }

    /// Notes which series have no sample in a partition any more, unless they begin a new chunk.
    fn forget_presence(
        &self,
        partition: Partition,
        series: &RoaringBitmap,
    ) -> Result<(), TsdbError> {
        let _upkeep = self.upkeep.lock();
        for id in series {
            let Some(place) = self.place(id)? else {
                continue;
            };
            if !read_in_order(self, (id, place), partition.range(), partition)?.is_empty() {
                continue;
            }
            // Under the lock no chunk begins.
            let mut locked = self.head.lock(std::iter::once(id));
            if locked.is_sealed(id) {
                self.index.write().mark_absent(partition, id);
            }
        }
        let mut batch = self.kv.batch();
        self.put_presence(&mut batch, &std::iter::once(partition).collect())?;
        Ok(self.kv.write(batch)?)
    }
}
