//! Selected series and their chunks, fetched in blocks of neighbours.

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, TimeRange, Timestamp};
use parking_lot::Mutex;
use storage::{ChunkCursor, ChunkSummary, Columns, SeriesSet, StorageError};

use crate::catalog::SeriesEntry;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::open::{HeadChunk, decode_sealed};
use crate::partition::Partition;
use crate::seal::summarize;

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
    series: Vec<(u32, SeriesEntry)>,
    partitions: Vec<Partition>,
    /// Newest last.
    blocks: Mutex<Vec<(usize, Arc<Block>)>>,
}

/// Chunks of some neighbouring series.
#[derive(Default)]
struct Block {
    /// All sealed chunks' bytes.
    bytes: Vec<u8>,
    series: Vec<SeriesChunks>,
}

#[derive(Default)]
struct SeriesChunks {
    sealed: Vec<(ChunkSummary, Range<usize>)>,
    /// Chunks that were only in the head when the block was fetched.
    head: Vec<HeadChunk>,
}

impl EngineSeriesSet {
    pub(crate) fn new(
        engine: Arc<Engine>,
        range: TimeRange,
        series: Vec<(u32, SeriesEntry)>,
        partitions: Vec<Partition>,
    ) -> Self {
        Self {
            engine,
            range,
            series,
            partitions,
            blocks: Mutex::default(),
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
        let block = Arc::new(self.fetch(number)?);
        let mut blocks = self.blocks.lock();
        if blocks.len() >= CACHED_BLOCKS {
            blocks.remove(0);
        }
        blocks.push((number, Arc::clone(&block)));
        Ok(block)
    }

    fn fetch(&self, number: usize) -> Result<Block, TsdbError> {
        let from = number * SERIES_PER_BLOCK;
        let to = (from + SERIES_PER_BLOCK).min(self.series.len());
        let series = &self.series[from..to];
        // The head first: a chunk that is sealed in between is then seen twice, never not at all.
        let mut block = Block::default();
        for (id, _) in series {
            let head = self.engine.head.snapshot(*id);
            block.series.push(SeriesChunks {
                sealed: Vec::new(),
                head,
            });
        }
        for partition in &self.partitions {
            self.fetch_partition(*partition, series, &mut block)?;
        }
        Ok(block)
    }

    fn fetch_partition(
        &self,
        partition: Partition,
        series: &[(u32, SeriesEntry)],
        block: &mut Block,
    ) -> Result<(), TsdbError> {
        let Some((last_id, last)) = series.last() else {
            return Ok(());
        };
        let mut bound = [u8::MAX; keys::CHUNK_KEY_BYTES + 1];
        bound[..keys::CHUNK_SERIES_BYTES]
            .copy_from_slice(&keys::chunk_series(partition, (last.metric, *last_id)));
        let mut scan = None;
        for (slot, (id, entry)) in series.iter().enumerate() {
            let head_start = block.series[slot]
                .head
                .first()
                .and_then(HeadChunk::first_timestamp);
            // Sealed chunks end before the head begins.
            if head_start.is_some_and(|start| start <= self.range.start.as_millis()) {
                continue;
            }
            let prefix = keys::chunk_series(partition, (entry.metric, *id));
            let is_new = scan.is_none();
            let scan =
                scan.get_or_insert_with(|| self.engine.kv.scan(kv::Family::Chunks, Some(&bound)));
            if is_new || !step_to(scan, &prefix)? {
                scan.seek(&prefix);
            }
            while let Some((key, bytes)) = scan.current()? {
                if !key.starts_with(&prefix) {
                    break;
                }
                let summary = summarize(bytes)
                    .map_err(|error| TsdbError::corrupt("chunk", error.to_string()))?;
                let in_head = head_start.is_some_and(|start| summary.first.as_millis() >= start);
                if !in_head
                    && self
                        .range
                        .overlaps(&TimeRange::new(summary.first, summary.last))
                {
                    let start = block.bytes.len();
                    block.bytes.extend_from_slice(bytes);
                    block.series[slot]
                        .sealed
                        .push((summary, start..block.bytes.len()));
                }
                scan.advance();
            }
        }
        Ok(())
    }
}

/// Walks a few keys towards `prefix`; `false` when it is still ahead.
fn step_to(scan: &mut kv::Scan<'_>, prefix: &[u8]) -> Result<bool, TsdbError> {
    for _ in 0..STEPS_BEFORE_SEEK {
        match scan.current()? {
            Some((key, _)) if key < prefix => scan.advance(),
            Some(_) | None => return Ok(true),
        }
    }
    Ok(false)
}

impl SeriesSet for EngineSeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].1.labels.clone()
    }

    fn read_newest(&self, index: usize, columns: &mut Columns) -> Result<(), StorageError> {
        columns.clear();
        let (id, _) = &self.series[index];
        if let Some((at_ms, value)) = self.engine.head.newest_float(*id)
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
        Ok(Box::new(EngineCursor {
            range: self.range,
            block,
            slot,
            next: 0,
        }))
    }
}

/// Walks the sealed chunks of a series, then those of the head.
struct EngineCursor {
    range: TimeRange,
    block: Arc<Block>,
    slot: usize,
    next: usize,
}

impl EngineCursor {
    fn chunks(&self) -> &SeriesChunks {
        &self.block.series[self.slot]
    }

    fn head_chunk(&self) -> Option<&HeadChunk> {
        let chunks = self.chunks();
        chunks.head.get(self.next.checked_sub(chunks.sealed.len())?)
    }
}

impl ChunkCursor for EngineCursor {
    fn summary(&mut self) -> Result<Option<ChunkSummary>, StorageError> {
        if let Some((summary, _)) = self.chunks().sealed.get(self.next) {
            return Ok(Some(*summary));
        }
        while let Some(chunk) = self.head_chunk() {
            let (Some(first), Some(last)) = (chunk.first_timestamp(), chunk.last_timestamp())
            else {
                self.next += 1;
                continue;
            };
            let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            if self.range.overlaps(&TimeRange::new(first, last)) {
                let samples = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                return Ok(Some(ChunkSummary {
                    first,
                    last,
                    samples,
                    values: None,
                }));
            }
            self.next += 1;
        }
        Ok(None)
    }

    fn decode(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        if self.summary()?.is_none() {
            return Ok(());
        }
        let from = columns.len();
        let chunks = &self.block.series[self.slot];
        if let Some((_, bytes)) = chunks.sealed.get(self.next) {
            let bytes = &self.block.bytes[bytes.clone()];
            decode_sealed(bytes, columns)
                .map_err(|error| TsdbError::corrupt("chunk", error.to_string()))?;
        } else if let Some(chunk) = self.head_chunk() {
            chunk.decode_into(columns);
        }
        columns.trim(from, self.range);
        self.next += 1;
        Ok(())
    }

    fn decode_newest(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        if self.summary()?.is_some()
            && let Some((at_ms, value)) = self.head_chunk().and_then(HeadChunk::newest_float)
            && at_ms <= self.range.end.as_millis()
        {
            columns.push(at_ms, value);
            self.next += 1;
            return Ok(());
        }
        self.decode(columns)
    }

    fn skip(&mut self) -> Result<(), StorageError> {
        if self.summary()?.is_some() {
            self.next += 1;
        }
        Ok(())
    }
}
