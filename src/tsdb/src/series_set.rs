//! Selected series and their chunks, fetched in blocks of neighbours.

use std::ops::Range;
use std::sync::Arc;

use model::{Labels, TimeRange, Timestamp};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use storage::{ChunkCursor, ChunkSummary, Columns, SeriesSet, StorageError};

use crate::catalog::{Pin, Place};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::open::{HeadChunk, decode_sealed};
use crate::overlap;
use crate::partition::Partition;
use crate::seal::summarize;

/// Series whose chunks are fetched together: their keys are neighbours.
const SERIES_PER_BLOCK: usize = 64;
/// Blocks kept for cursors; readers walk series in order.
const CACHED_BLOCKS: usize = 4;
/// Keys to step over before a seek is cheaper.
const STEPS_BEFORE_SEEK: usize = 4;
/// Where a part without samples stands among others.
const EMPTY: TimeRange = TimeRange {
    start: Timestamp::MAX,
    end: Timestamp::MAX,
};

/// See [`storage::SeriesSet`].
pub(crate) struct EngineSeriesSet {
    engine: Arc<Engine>,
    range: TimeRange,
    selection: Selection,
    /// Newest last.
    blocks: Mutex<Vec<(usize, Arc<Block>)>>,
}

/// Selected series, in the order of the chunks' keys.
pub(crate) struct Selection {
    /// Made before the series were looked up.
    pub(crate) pin: Pin,
    pub(crate) series: Vec<(u32, Place)>,
    /// Partitions that may hold their chunks.
    pub(crate) partitions: Vec<Partition>,
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
    /// Samples of the head that came out of order, in parts of which the earlier one counts.
    late: Vec<Columns>,
    /// Set where chunks may overlap: which parts are read together, in order of time.
    groups: Option<Vec<Vec<usize>>>,
}

/// A part of a series' samples: a sealed chunk, one of the head, or a slab.
enum Part<'a> {
    Sealed(&'a ChunkSummary, &'a Range<usize>),
    Head(&'a HeadChunk),
    Late(&'a Columns),
}

/// What a cursor reads next, as positions of parts.
enum Positions<'a> {
    One(usize),
    Together(&'a [usize]),
}

impl SeriesChunks {
    fn parts(&self) -> usize {
        self.sealed.len() + self.head.len() + self.late.len()
    }

    fn part(&self, position: usize) -> Option<Part<'_>> {
        if let Some((summary, bytes)) = self.sealed.get(position) {
            return Some(Part::Sealed(summary, bytes));
        }
        let position = position.checked_sub(self.sealed.len())?;
        if let Some(chunk) = self.head.get(position) {
            return Some(Part::Head(chunk));
        }
        let position = position.checked_sub(self.head.len())?;
        self.late.get(position).map(Part::Late)
    }

    /// Finds out which parts overlap, where any may.
    fn group(&mut self) {
        let spans: Vec<TimeRange> = (0..self.parts())
            .map(|position| {
                let summary = self.part(position).and_then(|part| part.summary());
                summary.map_or(EMPTY, |summary| TimeRange::new(summary.first, summary.last))
            })
            .collect();
        self.groups = Some(overlap::groups(&spans));
    }

    fn positions(&self, next: usize) -> Option<Positions<'_>> {
        match &self.groups {
            None => (next < self.parts()).then_some(Positions::One(next)),
            Some(groups) => groups.get(next).map(|group| match group.as_slice() {
                [only] => Positions::One(*only),
                several => Positions::Together(several),
            }),
        }
    }
}

impl Part<'_> {
    /// `None` of a part without samples.
    fn summary(&self) -> Option<ChunkSummary> {
        let (first, last, samples) = match self {
            Self::Sealed(summary, _) => return Some(**summary),
            Self::Head(chunk) => (
                chunk.first_timestamp()?,
                chunk.last_timestamp()?,
                chunk.len(),
            ),
            Self::Late(columns) => (
                *columns.timestamps.first()?,
                *columns.timestamps.last()?,
                columns.len(),
            ),
        };
        Some(ChunkSummary {
            first: Timestamp::from_millis(first),
            last: Timestamp::from_millis(last),
            samples: u32::try_from(samples).unwrap_or(u32::MAX),
            values: None,
        })
    }

    fn decode(&self, block: &Block, columns: &mut Columns) -> Result<(), TsdbError> {
        match self {
            Self::Sealed(_, bytes) => decode_sealed(&block.bytes[(*bytes).clone()], columns)
                .map_err(|error| TsdbError::corrupt("chunk", error.to_string())),
            Self::Head(chunk) => {
                chunk.decode_into(columns);
                Ok(())
            }
            Self::Late(late) => {
                columns.extend(late);
                Ok(())
            }
        }
    }
}

impl EngineSeriesSet {
    pub(crate) fn new(engine: Arc<Engine>, range: TimeRange, selection: Selection) -> Self {
        Self {
            engine,
            range,
            selection,
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
        let from = number * SERIES_PER_BLOCK;
        let to = (from + SERIES_PER_BLOCK).min(self.selection.series.len());
        let fetch = Fetch {
            engine: &self.engine,
            range: self.range,
            series: &self.selection.series[from..to],
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
                ..SeriesChunks::default()
            });
        }
        let mut disordered = RoaringBitmap::new();
        for partition in partitions {
            let marked = self.engine.disorder.of(*partition);
            self.partition(*partition, &marked, &mut block)?;
            disordered |= marked;
        }
        for (chunks, (id, _)) in block.series.iter_mut().zip(self.series) {
            if !chunks.late.is_empty() || disordered.contains(*id) {
                chunks.group();
            }
        }
        Ok(block)
    }

    /// Adds the sealed chunks of a partition, in which the `disordered` series may have chunks that
    /// overlap.
    fn partition(
        &self,
        partition: Partition,
        disordered: &RoaringBitmap,
        block: &mut Block,
    ) -> Result<(), TsdbError> {
        let Some((last_id, last)) = self.series.last() else {
            return Ok(());
        };
        let mut bound = [u8::MAX; keys::CHUNK_KEY_BYTES + 1];
        bound[..keys::CHUNK_SERIES_BYTES]
            .copy_from_slice(&keys::chunk_series(partition, (last.metric, *last_id)));
        let mut scan = None;
        for (slot, (id, place)) in self.series.iter().enumerate() {
            let head_start = block.series[slot]
                .head
                .first()
                .and_then(HeadChunk::first_timestamp);
            // Sealed chunks end before the head begins, but for those that came out of order.
            let in_head_only =
                head_start.is_some_and(|start| start <= self.range.start.as_millis());
            if in_head_only && !disordered.contains(*id) {
                continue;
            }
            let prefix = keys::chunk_series(partition, (place.metric, *id));
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
                let in_head = head_start.is_some_and(|start| summary.first.as_millis() >= start)
                    && !keys::is_out_of_order(key);
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

/// Times of the samples that a series has in a part of one partition, leaving out those of the head
/// that came out of order.
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
        self.selection.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        let (id, _) = self.selection.series[index];
        self.engine.catalog.labels(id, &self.selection.pin)
    }

    fn read_newest(&self, index: usize, columns: &mut Columns) -> Result<(), StorageError> {
        columns.clear();
        let (id, _) = &self.selection.series[index];
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
        Ok(Box::new(EngineCursor::new(self.range, block, slot)))
    }
}

/// Walks the sealed chunks of a series, then those of the head; what overlaps is read as one.
struct EngineCursor {
    range: TimeRange,
    block: Arc<Block>,
    slot: usize,
    next: usize,
    /// The samples of the parts at `next`, where those are several.
    merged: Option<Columns>,
}

impl EngineCursor {
    const fn new(range: TimeRange, block: Arc<Block>, slot: usize) -> Self {
        Self {
            range,
            block,
            slot,
            next: 0,
            merged: None,
        }
    }

    fn chunks(&self) -> &SeriesChunks {
        &self.block.series[self.slot]
    }

    /// What comes next and lies in range.
    fn peek(&mut self) -> Result<Option<ChunkSummary>, TsdbError> {
        loop {
            let summary = match self.chunks().positions(self.next) {
                None => return Ok(None),
                Some(Positions::One(position)) => {
                    let part = self.chunks().part(position);
                    part.and_then(|part| part.summary())
                }
                Some(Positions::Together(_)) => {
                    self.merge()?;
                    self.merged.as_ref().and_then(|it| Part::Late(it).summary())
                }
            };
            if let Some(summary) = summary
                && self
                    .range
                    .overlaps(&TimeRange::new(summary.first, summary.last))
            {
                return Ok(Some(summary));
            }
            self.step();
        }
    }

    fn step(&mut self) {
        self.next += 1;
        self.merged = None;
    }

    /// Reads the parts that come next together.
    fn merge(&mut self) -> Result<(), TsdbError> {
        let chunks = self.chunks();
        let Some(Positions::Together(positions)) = chunks.positions(self.next) else {
            return Ok(());
        };
        if self.merged.is_some() {
            return Ok(());
        }
        let mut parts = vec![Columns::default(); positions.len()];
        for (columns, position) in parts.iter_mut().zip(positions) {
            if let Some(part) = chunks.part(*position) {
                part.decode(&self.block, columns)?;
            }
        }
        self.merged = Some(overlap::merge(&parts));
        Ok(())
    }

    /// Adds what comes next to `columns`, and moves behind it.
    fn take(&mut self, columns: &mut Columns) -> Result<(), TsdbError> {
        if self.peek()?.is_none() {
            return Ok(());
        }
        let from = columns.len();
        if let Some(merged) = &self.merged {
            columns.extend(merged);
        } else if let Some(Positions::One(position)) = self.chunks().positions(self.next)
            && let Some(part) = self.chunks().part(position)
        {
            part.decode(&self.block, columns)?;
        }
        columns.trim(from, self.range);
        self.step();
        Ok(())
    }

    /// The newest sample of what comes next, where it is a float of a head chunk.
    fn newest_float(&self) -> Option<(i64, f64)> {
        let chunks = self.chunks();
        match chunks.positions(self.next)? {
            Positions::One(position) => match chunks.part(position)? {
                Part::Head(chunk) => chunk.newest_float(),
                Part::Sealed(..) | Part::Late(_) => None,
            },
            Positions::Together(_) => None,
        }
    }
}

impl ChunkCursor for EngineCursor {
    fn summary(&mut self) -> Result<Option<ChunkSummary>, StorageError> {
        Ok(self.peek()?)
    }

    fn decode(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        Ok(self.take(columns)?)
    }

    fn decode_newest(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        if self.peek()?.is_some()
            && let Some((at_ms, value)) = self.newest_float()
            && at_ms <= self.range.end.as_millis()
        {
            columns.push(at_ms, value);
            self.step();
            return Ok(());
        }
        Ok(self.take(columns)?)
    }

    fn skip(&mut self) -> Result<(), StorageError> {
        if self.peek()?.is_some() {
            self.step();
        }
        Ok(())
    }
}
