//! Reading from memory: a snapshot of shared series, restricted to a range of time.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Labels, Matcher, TimeRange};

use super::series::{MemoryChunk, MemorySeries};
use crate::error::StorageError;
use crate::read::{ChunkCursor, ChunkSummary, Columns, Querier, SelectHints, SeriesSet};

/// A snapshot, sorted by labels.
#[derive(Debug)]
pub(super) struct MemoryQuerier {
    series: Vec<Arc<MemorySeries>>,
    range: TimeRange,
}

impl MemoryQuerier {
    pub(super) fn new(series: Vec<Arc<MemorySeries>>, range: TimeRange) -> Self {
        Self { series, range }
    }

    fn matching<'a>(
        &'a self,
        matchers: &'a [Matcher],
    ) -> impl Iterator<Item = &'a Arc<MemorySeries>> {
        self.series
            .iter()
            .filter(move |series| passes(series.labels(), matchers))
    }
}

pub(super) fn passes(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.value_or_empty(matcher.name())))
}

impl Querier for MemoryQuerier {
    fn select(
        &self,
        matchers: &[Matcher],
        _hints: SelectHints,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let series = self.matching(matchers).map(Arc::clone).collect();
        Ok(Box::new(MemorySeriesSet {
            series,
            range: self.range,
        }))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let names: BTreeSet<&str> = self
            .matching(matchers)
            .flat_map(|series| series.labels())
            .map(|(name, _)| name)
            .collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let values: BTreeSet<&str> = self
            .matching(matchers)
            .filter_map(|series| series.labels().get(name))
            .collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }
}

#[derive(Debug)]
struct MemorySeriesSet {
    series: Vec<Arc<MemorySeries>>,
    range: TimeRange,
}

impl SeriesSet for MemorySeriesSet {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, index: usize) -> Labels {
        self.series[index].labels().clone()
    }

    fn chunks(&self, index: usize) -> Result<Box<dyn ChunkCursor + '_>, StorageError> {
        let chunks = self.series[index].chunks();
        // Chunks are in order of time, so those in range are neighbours.
        let before = chunks
            .iter()
            .take_while(|chunk| chunk.ends_before(self.range.start))
            .count();
        let inside = chunks[before..]
            .iter()
            .take_while(|chunk| chunk.overlaps(self.range))
            .count();
        let chunks = &chunks[before..before + inside];
        Ok(Box::new(MemoryChunkCursor {
            chunks,
            range: self.range,
        }))
    }
}

#[derive(Debug)]
struct MemoryChunkCursor<'a> {
    /// Chunks not yet passed.
    chunks: &'a [Arc<MemoryChunk>],
    range: TimeRange,
}

impl ChunkCursor for MemoryChunkCursor<'_> {
    fn summary(&mut self) -> Result<Option<ChunkSummary>, StorageError> {
        Ok(self.chunks.first().map(|chunk| chunk.summary()))
    }

    fn decode(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        if let Some((chunk, rest)) = self.chunks.split_first() {
            chunk.decode(self.range, columns);
            self.chunks = rest;
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<(), StorageError> {
        self.chunks = self.chunks.get(1..).unwrap_or(&[]);
        Ok(())
    }
}
