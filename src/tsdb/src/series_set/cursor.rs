//! Walks the parts of one series in order of time.

use std::sync::Arc;

use model::TimeRange;
use storage::{ChunkCursor, ChunkSummary, Columns, StorageError};

use super::parts::{Block, Part, Positions, SeriesChunks};
use crate::error::TsdbError;
use crate::overlap;

/// Walks the sealed chunks of a series, then those of the head; what overlaps is read as one.
pub(super) struct EngineCursor {
    range: TimeRange,
    block: Arc<Block>,
    slot: usize,
    next: usize,
    /// The samples of the parts at `next`, where those are several.
    merged: Option<Columns>,
}

impl EngineCursor {
    pub(super) const fn new(range: TimeRange, block: Arc<Block>, slot: usize) -> Self {
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
    pub(super) fn peek(&mut self) -> Result<Option<ChunkSummary>, TsdbError> {
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
                part.decode(&self.block, self.range, columns)?;
            }
        }
        let keep = |at_ms| !chunks.deleted.contains(at_ms);
        self.merged = Some(overlap::merge(&parts, keep));
        Ok(())
    }

    /// Adds what comes next to `columns`, and moves behind it.
    pub(super) fn take(&mut self, columns: &mut Columns) -> Result<(), TsdbError> {
        if self.peek()?.is_none() {
            return Ok(());
        }
        let from = columns.len();
        if let Some(merged) = &self.merged {
            columns.extend(merged);
        } else if let Some(Positions::One(position)) = self.chunks().positions(self.next)
            && let Some(part) = self.chunks().part(position)
        {
            part.decode(&self.block, self.range, columns)?;
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
                Part::Sealed(_) | Part::Late(_) => None,
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
