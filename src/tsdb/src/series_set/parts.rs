//! What was fetched of series: stored chunks, chunks of the head, and what came out of order.

use model::{TimeRange, Timestamp};
use storage::{ChunkSummary, Columns};

use crate::cold::StoredChunk;
use crate::error::TsdbError;
use crate::open::HeadChunk;
use crate::overlap;
use crate::tombstones::Intervals;

/// Where a part without samples stands among others.
const EMPTY: TimeRange = TimeRange {
    start: Timestamp::MAX,
    end: Timestamp::MAX,
};

/// Chunks of some neighbouring series.
#[derive(Default)]
pub(super) struct Block {
    /// All sealed chunks' bytes.
    pub(super) bytes: Vec<u8>,
    pub(super) series: Vec<SeriesChunks>,
}

#[derive(Default)]
pub(super) struct SeriesChunks {
    pub(super) sealed: Vec<StoredChunk>,
    /// Chunks that were only in the head when the block was fetched.
    pub(super) head: Vec<HeadChunk>,
    /// Samples of the head that came out of order, in parts of which the earlier one counts.
    pub(super) late: Vec<Columns>,
    /// Deleted ranges.
    pub(super) deleted: Intervals,
    /// Last time of the large chunks, wanted or not, in milliseconds.
    pub(super) cold_end: Option<i64>,
    /// Set where chunks may overlap or samples are deleted: which parts are read together, in order
    /// of time.
    pub(super) groups: Option<Vec<Vec<usize>>>,
}

/// A part of a series' samples: a sealed chunk, one of the head, or a slab.
pub(super) enum Part<'a> {
    Sealed(&'a StoredChunk),
    Head(&'a HeadChunk),
    Late(&'a Columns),
}

/// What a cursor reads next, as positions of parts.
pub(super) enum Positions<'a> {
    /// A part as it is.
    One(usize),
    /// Parts that overlap, or that have deleted samples.
    Together(&'a [usize]),
}

impl SeriesChunks {
    pub(super) fn parts(&self) -> usize {
        self.sealed.len() + self.head.len() + self.late.len()
    }

    pub(super) fn part(&self, position: usize) -> Option<Part<'_>> {
        if let Some(chunk) = self.sealed.get(position) {
            return Some(Part::Sealed(chunk));
        }
        let position = position.checked_sub(self.sealed.len())?;
        if let Some(chunk) = self.head.get(position) {
            return Some(Part::Head(chunk));
        }
        let position = position.checked_sub(self.head.len())?;
        self.late.get(position).map(Part::Late)
    }

    /// Time of the first sample of the head in order, in milliseconds.
    pub(super) fn head_start(&self) -> Option<i64> {
        self.head.first().and_then(HeadChunk::first_timestamp)
    }

    /// Leaves out what was sealed and rewritten after the look at the head: large chunks have it.
    /// Where chunks may overlap, they are merged, and nothing needs to be left out.
    pub(super) fn leave_to_cold(&mut self, disordered: bool) {
        let overlaps = self
            .head_start()
            .is_some_and(|start| Some(start) <= self.cold_end);
        if overlaps && !disordered {
            let cold_end = self.cold_end;
            self.head.retain(|head| head.last_timestamp() > cold_end);
        }
    }

    fn span(&self, position: usize) -> TimeRange {
        let summary = self.part(position).and_then(|part| part.summary());
        summary.map_or(EMPTY, |summary| TimeRange::new(summary.first, summary.last))
    }

    fn has_deleted(&self, position: usize) -> bool {
        self.deleted.overlaps(self.span(position))
    }

    /// Finds out which parts overlap, where any may.
    pub(super) fn group(&mut self) {
        let spans: Vec<TimeRange> = (0..self.parts()).map(|part| self.span(part)).collect();
        self.groups = Some(overlap::groups(&spans));
    }

    pub(super) fn positions(&self, next: usize) -> Option<Positions<'_>> {
        match &self.groups {
            None => (next < self.parts()).then_some(Positions::One(next)),
            Some(groups) => groups.get(next).map(|group| match group.as_slice() {
                [only] if !self.has_deleted(*only) => Positions::One(*only),
                several => Positions::Together(several),
            }),
        }
    }
}

impl Part<'_> {
    /// `None` of a part without samples.
    pub(super) fn summary(&self) -> Option<ChunkSummary> {
        let (first, last, samples) = match self {
            Self::Sealed(chunk) => return Some(chunk.summary),
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

    /// Adds the samples that lie in `range`, and perhaps some that do not.
    pub(super) fn decode(
        &self,
        block: &Block,
        range: TimeRange,
        columns: &mut Columns,
    ) -> Result<(), TsdbError> {
        match self {
            Self::Sealed(chunk) => chunk.decode(&block.bytes[chunk.bytes.clone()], range, columns),
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
