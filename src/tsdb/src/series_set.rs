//! Selected series and their chunks, fetched in blocks of neighbours.

mod cursor;
mod parts;

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, TimeRange, Timestamp};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use storage::{ChunkCursor, Columns, SeriesSet, StorageError};

use crate::catalog::{Pin, Place};
use crate::cold::{ColdView, PartitionView, StoredChunk, StreamCache, keys as cold_keys};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;
use crate::tombstones::Deleted;
use cursor::EngineCursor;
use parts::{Block, SeriesChunks};

/// Series whose chunks are fetched together: their keys are neighbours.
const SERIES_PER_BLOCK: usize = 64;
/// Blocks kept for cursors; readers walk series in order.
const CACHED_BLOCKS: usize = 4;
/// Keys to step over before a seek is cheaper.
const STEPS_BEFORE_SEEK: usize = 4;

/// See [`storage::SeriesSet`].
pub(crate) struct EngineSeriesSet {
    engine: Arc<Engine>,
    range: TimeRange,
    selection: Selection,
    /// Newest last.
    blocks: Mutex<Vec<(usize, Arc<Block>)>>,
    streams: StreamCache,
}

/// Selected series, in the order of the chunks' keys.
pub(crate) struct Selection {
    /// Made before the series were looked up.
    pub(crate) pin: Pin,
    pub(crate) series: Vec<(u32, Place)>,
    /// Labels of those that are not in memory.
    pub(crate) stopped: HashMap<u32, Labels>,
    /// Partitions that may hold their chunks.
    pub(crate) partitions: Vec<Partition>,
    /// What was deleted before the series were looked up, and before any sample is.
    pub(crate) deleted: Arc<Deleted>,
}

impl EngineSeriesSet {
    pub(crate) fn new(engine: Arc<Engine>, range: TimeRange, selection: Selection) -> Self {
        Self {
            engine,
            range,
            selection,
            blocks: Mutex::default(),
            streams: StreamCache::default(),
        }
    }

    fn block(&self, number: usize) -> Result<Arc<Block>, TsdbError> {
        {
            let blocks = self.blocks.lock();
            if let Some((_, block)) = blocks.iter().find(|(cached, _)| *cached == number) {
                return Ok(Arc::clone(block));
            }
        }
        // Not under the lock: threads work on blocks of their own.
        let from = number * SERIES_PER_BLOCK;
        let to = (from + SERIES_PER_BLOCK).min(self.selection.series.len());
        let fetch = Fetch {
            engine: &self.engine,
            range: self.range,
            series: &self.selection.series[from..to],
            streams: &self.streams,
            deleted: &self.selection.deleted,
        };
        let block = Arc::new(fetch.block(&self.selection.partitions)?);
        let mut blocks = self.blocks.lock();
        if blocks.len() >= CACHED_BLOCKS {
            blocks.remove(0);
        }
        blocks.push((number, Arc::clone(&block)));
        Ok(block)
    }
}

/// Some neighbouring series and what is wanted of them.
struct Fetch<'a> {
    engine: &'a Engine,
    range: TimeRange,
    series: &'a [(u32, Place)],
    streams: &'a StreamCache,
    deleted: &'a Deleted,
}

impl Fetch<'_> {
    fn block(&self, partitions: &[Partition]) -> Result<Block, TsdbError> {
        // The head first: a chunk that is sealed in between is then seen twice, never not at all.
        let mut block = Block::default();
        for (id, _) in self.series {
            let (head, late) = self.engine.head.snapshot(*id);
            block.series.push(SeriesChunks {
                head,
                late,
                deleted: self.deleted.of(*id).cloned().unwrap_or_default(),
                ..SeriesChunks::default()
            });
        }
        let mut disordered = RoaringBitmap::new();
        for partition in partitions {
            disordered |= self.partition(*partition, &mut block)?;
        }
        for (chunks, (id, _)) in block.series.iter_mut().zip(self.series) {
            let may_overlap = !chunks.late.is_empty() || disordered.contains(*id);
            if may_overlap || !chunks.deleted.is_empty() {
                chunks.group();
            }
        }
        Ok(block)
    }

    /// Adds the stored chunks of a partition. Returns the series that may have chunks in it which
    /// overlap.
    fn partition(
        &self,
        partition: Partition,
        block: &mut Block,
    ) -> Result<RoaringBitmap, TsdbError> {
        let marked = self.engine.disorder.of(partition);
        let Some((last_id, last)) = self.series.last() else {
            return Ok(marked);
        };
        let mut stored: Option<StoredPartition<'_>> = None;
        for (slot, (id, place)) in self.series.iter().enumerate() {
            // Stored chunks end before the head begins, but for those that came out of order.
            let head_start = block.series[slot].head_start();
            let in_head_only =
                head_start.is_some_and(|start| start <= self.range.start.as_millis());
            if in_head_only && !marked.contains(*id) {
                continue;
            }
            let place = (place.metric, *id);
            let stored = match &mut stored {
                Some(stored) => stored,
                None => {
                    let mut view = self.engine.view(partition, (last.metric, *last_id));
                    view.seek(partition, place);
                    // After the cursors are made: whatever they show was marked before.
                    let disordered = self.engine.disorder.of(partition);
                    stored.insert(StoredPartition { view, disordered })
                }
            };
            let disordered = stored.disordered.contains(*id);
            let series = &mut block.series[slot];
            if let Some(cold) = &mut stored.view.cold {
                self.cold((partition, place), cold, (&mut block.bytes, series))?;
                series.leave_to_cold(disordered);
            }
            let prefix = keys::chunk_series(partition, place);
            self.small(&prefix, &mut stored.view.small, (&mut block.bytes, series))?;
        }
        Ok(stored.map_or(marked, |stored| stored.disordered))
    }

    /// Adds the large chunks of a series.
    fn cold(
        &self,
        (partition, place): (Partition, (u32, u32)),
        cold: &mut ColdView<'_>,
        (bytes, series): (&mut Vec<u8>, &mut SeriesChunks),
    ) -> Result<(), TsdbError> {
        let prefix = cold_keys::chunk_series(partition, cold.version, place);
        step_to(&mut cold.chunks, &prefix)?;
        while let Some((key, _)) = cold.chunks.current()? {
            if !key.starts_with(&prefix) {
                break;
            }
            let (summary, chunk) = cold.fetch(partition, self.range, (self.streams, bytes))?;
            series.cold_end = series.cold_end.max(Some(summary.last.as_millis()));
            series.sealed.extend(chunk);
            cold.chunks.advance();
        }
        Ok(())
    }

    /// Adds the small chunks of a series that the head does not have.
    fn small(
        &self,
        prefix: &[u8],
        small: &mut kv::Scan<'_>,
        (all_bytes, series): (&mut Vec<u8>, &mut SeriesChunks),
    ) -> Result<(), TsdbError> {
        let head_start = series.head_start();
        step_to(small, prefix)?;
        while let Some((key, bytes)) = small.current()? {
            if !key.starts_with(prefix) {
                break;
            }
            let start = all_bytes.len();
            let chunk = StoredChunk::small(bytes, start..start + bytes.len())?;
            let span = TimeRange::new(chunk.summary.first, chunk.summary.last);
            let in_head = head_start.is_some_and(|start| span.start.as_millis() >= start)
                && !keys::is_out_of_order(key);
            if !in_head && self.range.overlaps(&span) {
                all_bytes.extend_from_slice(bytes);
                series.sealed.push(chunk);
            }
            small.advance();
        }
        Ok(())
    }
}

/// What is stored of a partition.
struct StoredPartition<'a> {
    view: PartitionView<'a>,
    /// Series that may have chunks in it which overlap.
    disordered: RoaringBitmap,
}

/// Times of the samples that a series has in a part of one partition, deleted or not, leaving out
/// those of the head that came out of order.
pub(crate) fn read_in_order(
    engine: &Engine,
    (id, place): (u32, Place),
    range: TimeRange,
    partition: Partition,
) -> Result<Vec<i64>, TsdbError> {
    let fetch = Fetch {
        engine,
        range,
        series: &[(id, place)],
        streams: &StreamCache::default(),
        deleted: &Deleted::default(),
    };
    let mut block = fetch.block(&[partition])?;
    for chunks in &mut block.series {
        chunks.late.clear();
        chunks.group();
    }
    let mut cursor = EngineCursor::new(range, Arc::new(block), 0);
    let mut columns = Columns::default();
    while cursor.peek()?.is_some() {
        cursor.take(&mut columns)?;
    }
    Ok(columns.timestamps)
}

/// Moves to the first key at or behind `prefix`, step by step if it is near.
fn step_to(scan: &mut kv::Scan<'_>, prefix: &[u8]) -> Result<(), TsdbError> {
    for _ in 0..STEPS_BEFORE_SEEK {
        match scan.current()? {
            Some((key, _)) if key < prefix => scan.advance(),
            Some(_) | None => return Ok(()),
        }
    }
    scan.seek(prefix);
    Ok(())
}

impl SeriesSet for EngineSeriesSet {
    fn len(&self) -> usize {
        self.selection.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        let (id, _) = self.selection.series[index];
        match self.selection.stopped.get(&id) {
            Some(labels) => labels.clone(),
            None => self.engine.catalog.labels(id, &self.selection.pin),
        }
    }

    fn read_newest(&self, index: usize, columns: &mut Columns) -> Result<(), StorageError> {
        columns.clear();
        let (id, _) = &self.selection.series[index];
        if self.selection.deleted.of(*id).is_none()
            && let Some((at_ms, value)) = self.engine.head.newest_float(*id)
            && self.range.contains(Timestamp::from_millis(at_ms))
        {
            columns.push(at_ms, value);
            return Ok(());
        }
        let mut cursor = self.chunks(index)?;
        while cursor.summary()?.is_some() {
            cursor.decode_newest(columns)?;
        }
        Ok(())
    }

    fn chunks(&self, index: usize) -> Result<Box<dyn ChunkCursor + '_>, StorageError> {
        let block = self.block(index / SERIES_PER_BLOCK)?;
        let slot = index % SERIES_PER_BLOCK;
        Ok(Box::new(EngineCursor::new(self.range, block, slot)))
    }
}
