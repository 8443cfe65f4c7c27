//! Reading: matchers to series, and the newest stored sample of one.

use std::sync::Arc;

use chunkenc::{ChunkKind, HistogramChunk};
use model::{Matcher, TimeRange};
use roaring::RoaringBitmap;
use storage::{Querier, Queryable, SelectHints, SeriesSet, StorageError, WriteGeneration};

use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::head::NewestValue;
use crate::keys;
use crate::partition::Partition;
use crate::series_set::EngineSeriesSet;

impl Queryable for Tsdb {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.engine().replayed.wait()?;
        Ok(Box::new(EngineQuerier {
            engine: Arc::clone(self.engine()),
            range,
        }))
    }

    fn write_generation(&self, range: TimeRange) -> WriteGeneration {
        self.engine().generation(range)
    }
}

/// The engine over one range of time.
struct EngineQuerier {
    engine: Arc<Engine>,
    range: TimeRange,
}

impl EngineQuerier {
    /// Series that pass, and may have samples in range.
    fn matching(&self, matchers: &[Matcher]) -> (RoaringBitmap, Vec<Partition>) {
        let index = self.engine.index.read();
        if self.range.start > self.range.end {
            return (RoaringBitmap::new(), Vec::new());
        }
        let partitions = index
            .partitions(self.range)
            .map(|(partition, _)| partition)
            .collect();
        (
            index.select(matchers, index.present_in(self.range)),
            partitions,
        )
    }
}

impl Querier for EngineQuerier {
    fn select(
        &self,
        matchers: &[Matcher],
        _hints: SelectHints,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        let (ids, partitions) = self.matching(matchers);
        let mut series = self.engine.catalog.get_many(ids.iter());
        // The order of the chunks' keys: the same data gives the same order.
        series.sort_unstable_by_key(|(id, entry)| (entry.metric, *id));
        let engine = Arc::clone(&self.engine);
        Ok(Box::new(EngineSeriesSet::new(
            engine, self.range, series, partitions,
        )))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let (ids, _) = self.matching(matchers);
        Ok(self.engine.index.read().label_names(&ids))
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        let (ids, _) = self.matching(matchers);
        Ok(self.engine.index.read().label_values(name, &ids))
    }
}

impl Engine {
    /// The newest sample of a series in the store; not what is only in the head.
    pub(crate) fn newest_stored(&self, id: u32) -> Result<Option<(i64, NewestValue)>, TsdbError> {
        let Some(entry) = self.catalog.get(id) else {
            return Ok(None);
        };
        let partitions: Vec<Partition> = {
            let index = self.index.read();
            let with_series = index.partitions(TimeRange::ALL).rev();
            with_series
                .filter(|(_, ids)| ids.contains(id))
                .map(|(partition, _)| partition)
                .collect()
        };
        for partition in partitions {
            let prefix = keys::chunk_series(partition, (entry.metric, id));
            let mut last_key = [u8::MAX; keys::CHUNK_KEY_BYTES];
            last_key[..keys::CHUNK_SERIES_BYTES].copy_from_slice(&prefix);
            let mut scan = self.kv.scan(kv::Family::Chunks, None);
            scan.seek_for_prev(&last_key);
            let Some((key, chunk)) = scan.current()? else {
                continue;
            };
            if !key.starts_with(&prefix) {
                continue;
            }
            let newest =
                newest_of(chunk).map_err(|error| TsdbError::corrupt("chunk", error.to_string()))?;
            if newest.is_some() {
                return Ok(newest);
            }
        }
        Ok(None)
    }
}

/// The last sample of a sealed chunk.
fn newest_of(chunk: &[u8]) -> Result<Option<(i64, NewestValue)>, chunkenc::DecodeError> {
    if chunkenc::header(chunk)?.kind != ChunkKind::Floats {
        let chunk = HistogramChunk::decode(chunk)?;
        let newest = chunk.len().checked_sub(1).and_then(|last| {
            let at = *chunk.timestamps().get(last)?;
            Some((at, NewestValue::Histogram(chunk.histogram(last)?)))
        });
        return Ok(newest);
    }
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    chunkenc::decode(chunk, &mut timestamps, &mut values)?;
    let newest = timestamps.last().zip(values.last());
    Ok(newest.map(|(at, value)| (*at, NewestValue::Float(*value))))
}
