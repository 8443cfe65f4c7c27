//! Stored chunks of a selection: small and large ones under one face.

use std::ops::Range;
use std::sync::Arc;

use chunkenc::{LargeChunk, LargeColumns, TimeBounds};
use model::{TimeRange, Timestamp};
use storage::{ChunkSummary, Columns};

use super::{ColdView, StreamCache};
use crate::error::TsdbError;
use crate::open::decode_sealed;
use crate::partition::Partition;

/// A chunk that was fetched; its bytes lie with those of others.
#[derive(Debug)]
pub(crate) struct StoredChunk {
    pub(crate) summary: ChunkSummary,
    pub(crate) bytes: Range<usize>,
    /// The timestamps of a large chunk that does not have them inside.
    stream: Option<Arc<[i64]>>,
}

impl StoredChunk {
    /// A small chunk.
    pub(crate) fn small(bytes: &[u8], at: Range<usize>) -> Result<Self, TsdbError> {
        Ok(Self {
            summary: summarize(bytes)?,
            bytes: at,
            stream: None,
        })
    }

    /// Appends the samples that lie in `range`, and perhaps some that do not. `bytes` are the
    /// chunk's own.
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        range: TimeRange,
        columns: &mut Columns,
    ) -> Result<(), TsdbError> {
        if !LargeChunk::is_large(bytes) {
            return decode_sealed(bytes, columns)
                .map_err(|error| TsdbError::corrupt("chunk", error.to_string()));
        }
        let corrupt =
            |error: chunkenc::DecodeError| TsdbError::corrupt("large chunk", error.to_string());
        let chunk = LargeChunk::read(bytes).map_err(corrupt)?;
        if chunk.header().has_start_timestamps {
            columns.start_timestamps.resize(columns.timestamps.len(), 0);
        }
        let bounds = TimeBounds {
            min_timestamp: range.start.as_millis(),
            max_timestamp: range.end.as_millis(),
        };
        let mut large = LargeColumns {
            timestamps: &mut columns.timestamps,
            start_timestamps: &mut columns.start_timestamps,
            values: &mut columns.values,
        };
        let stream = self.stream.as_deref().unwrap_or_default();
        chunk.decode(stream, bounds, &mut large).map_err(corrupt)?;
        columns.pad();
        Ok(())
    }
}

/// What a small chunk's own header tells.
pub(crate) fn summarize(bytes: &[u8]) -> Result<ChunkSummary, TsdbError> {
    let header =
        chunkenc::header(bytes).map_err(|error| TsdbError::corrupt("chunk", error.to_string()))?;
    Ok(ChunkSummary {
        first: Timestamp::from_millis(header.first_timestamp),
        last: Timestamp::from_millis(header.last_timestamp),
        samples: u32::try_from(header.count).unwrap_or(u32::MAX),
        values: None,
    })
}

/// What the header of a rewritten chunk tells.
fn summarize_large(chunk: &LargeChunk<'_>) -> ChunkSummary {
    let header = chunk.header();
    ChunkSummary {
        first: Timestamp::from_millis(header.first_timestamp),
        last: Timestamp::from_millis(header.last_timestamp),
        samples: u32::try_from(header.count).unwrap_or(u32::MAX),
        values: header.facts,
    }
}

impl ColdView<'_> {
    /// The chunk at the cursor, if it has samples in `range`, with what is needed to decode it; and
    /// its summary in any case. Its bytes are added to `bytes`.
    pub(crate) fn fetch(
        &mut self,
        partition: Partition,
        range: TimeRange,
        (streams, bytes): (&StreamCache, &mut Vec<u8>),
    ) -> Result<(ChunkSummary, Option<StoredChunk>), TsdbError> {
        let missing = || TsdbError::corrupt("large chunk", "it is missing");
        let (_, stored) = self.chunks.current()?.ok_or_else(missing)?;
        let (summary, stream) = if LargeChunk::is_large(stored) {
            let chunk = LargeChunk::read(stored)
                .map_err(|error| TsdbError::corrupt("large chunk", error.to_string()))?;
            (summarize_large(&chunk), chunk.header().stream)
        } else {
            (summarize(stored)?, None)
        };
        if !range.overlaps(&TimeRange::new(summary.first, summary.last)) {
            return Ok((summary, None));
        }
        let start = bytes.len();
        bytes.extend_from_slice(stored);
        let stream = match stream {
            Some(stream) => Some(streams.get(self, partition, stream.id)?),
            None => None,
        };
        let chunk = StoredChunk {
            summary,
            bytes: start..bytes.len(),
            stream,
        };
        Ok((summary, Some(chunk)))
    }
}
