//! Reading: matchers to series, and the newest stored sample of one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chunkenc::{ChunkKind, HistogramChunk, LargeChunk};
use model::{Matcher, TimeRange, Timestamp};
use roaring::RoaringBitmap;
use storage::{Columns, Querier, Queryable, SelectHints, SeriesSet, StorageError, WriteGeneration};

use crate::catalog::{Catalog, Place};
use crate::cold::{ColdView, PartitionView, StreamCache, keys as cold_keys};
use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::head::NewestValue;
use crate::index::LabelReader;
use crate::keys;
use crate::partition::Partition;
use crate::series_set::{EngineSeriesSet, Selection};
use crate::tombstones::Deleted;

impl Queryable for Tsdb {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.engine().replayed.wait()?;
        Ok(Box::new(EngineQuerier {
            engine: Arc::clone(self.engine()),
            range,
        }))
    }

    fn write_generation(&self) -> WriteGeneration {
        self.engine().changes.lock().generation()
    }

    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        self.engine().changes.lock().first_change(since, range)
    }
}

/// The engine over one range of time.
struct EngineQuerier {
    engine: Arc<Engine>,
    range: TimeRange,
}

impl EngineQuerier {
    /// Whether no instant is in range.
    fn is_empty(&self) -> bool {
        self.range.start > self.range.end
    }

    /// Removes series of which all samples in range are deleted, as far as that can be told without
    /// reading them. Source: upstream's block series sets, which leave out chunks that are deleted
    /// whole, and series without others.
    fn leave_out_deleted(
        &self,
        series: &mut Vec<(u32, Place)>,
        deleted: &Deleted,
    ) -> Result<(), TsdbError> {
        let mut gone = RoaringBitmap::new();
        for (id, _) in series.iter() {
            let Some(intervals) = deleted.of(*id) else {
                continue;
            };
            let newest = self.engine.newest_time(*id)?.unwrap_or(self.range.end);
            let range = TimeRange::new(self.range.start, self.range.end.min(newest));
            if range.start <= range.end && intervals.covers(range) {
                gone.insert(*id);
            }
        }
        series.retain(|(id, _)| !gone.contains(*id));
        Ok(())
    }
}

impl Querier for EngineQuerier {
    fn select(
        &self,
        matchers: &[Matcher],
        _hints: SelectHints,
    ) -> Result<Box<dyn SeriesSet>, StorageError> {
        // Before any look at samples: what is cleaned up meanwhile is left out as well.
        let deleted = self.engine.tombstones.load();
        // Before the look at the index, so that what is found there keeps its labels.
        let pin = self.engine.catalog.pin();
        let (mut missing, partitions) = if self.is_empty() {
            (RoaringBitmap::new(), Vec::new())
        } else {
            self.engine.select_series(matchers, self.range)?
        };
        let mut series = self.engine.catalog.places(missing.iter());
        let mut stopped = HashMap::new();
        if (series.len() as u64) < missing.len() {
            for (id, _) in &series {
                missing.remove(*id);
            }
            self.engine.stored_series(&missing, |id, entry| {
                series.push((id, entry.place()));
                stopped.insert(id, entry.labels);
            })?;
        }
        if !deleted.is_empty() {
            self.leave_out_deleted(&mut series, &deleted)?;
        }
        // The order of the chunks' keys: the same data gives the same order.
        series.sort_unstable_by_key(|(id, place)| (place.metric, *id));
        let engine = Arc::clone(&self.engine);
        let selection = Selection {
            pin,
            series,
            stopped,
            partitions,
            deleted,
        };
        Ok(Box::new(EngineSeriesSet::new(
            engine, self.range, selection,
        )))
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.engine.label_names(matchers, self.range)?)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.engine.label_values(name, matchers, self.range)?)
    }
}

impl LabelReader for Catalog {
    fn retain(&self, series: &mut RoaringBitmap, matcher: &Matcher) {
        let mut passing = RoaringBitmap::new();
        self.visit_values(series.iter(), matcher.name(), |id, value| {
            if matcher.matches(value) {
                passing.insert(id);
            }
        });
        *series = passing;
    }

    fn values(&self, series: &RoaringBitmap, name: &str) -> BTreeSet<String> {
        let mut values = BTreeSet::new();
        self.visit_values(series.iter(), name, |_, value| {
            if !value.is_empty() && !values.contains(value) {
                values.insert(value.to_owned());
            }
        });
        values
    }
}

impl Engine {
    /// The newest sample of a series in the store; not what is only in the head.
    pub(crate) fn newest_stored(&self, id: u32) -> Result<Option<(i64, NewestValue)>, TsdbError> {
        let Some(place) = self.place(id)? else {
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
            match self.newest_in(partition, (place.metric, id)) {
                Ok(None) => {}
                Ok(newest) => return Ok(newest),
                // What cannot be read gives no answers either; the series goes on behind it.
                Err(error) if error.is_damage() => {
                    let error = base::report(&error);
                    tracing::error!(series = id, %error, "the newest chunk of a series is unreadable");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The newest sample of a series in the chunks of a partition.
    fn newest_in(
        &self,
        partition: Partition,
        series: (u32, u32),
    ) -> Result<Option<(i64, NewestValue)>, TsdbError> {
        let PartitionView { mut small, cold } = self.view(partition, series);
        let prefix = keys::chunk_series(partition, series);
        let mut last_key = [u8::MAX; keys::CHUNK_KEY_BYTES];
        last_key[..keys::CHUNK_SERIES_BYTES].copy_from_slice(&prefix);
        small.seek_for_prev(&last_key);
        let in_small = match small.current()? {
            Some((key, chunk)) if key.starts_with(&prefix) => {
                if self.disorder.contains(partition, series.1) {
                    newest_of_all(&mut small, &prefix)?
                } else {
                    newest_of(chunk)?
                }
            }
            Some(_) | None => None,
        };
        let in_cold = match cold {
            Some(cold) => newest_in_cold(partition, series, cold)?,
            None => None,
        };
        let newest = [in_small, in_cold].into_iter().flatten();
        Ok(newest.max_by_key(|(at, _)| *at))
    }
}

/// The newest sample of the chunks below `prefix`, of which the last to begin need not be the last
/// to end.
fn newest_of_all(
    scan: &mut kv::Scan<'_>,
    prefix: &[u8],
) -> Result<Option<(i64, NewestValue)>, TsdbError> {
    let corrupt = |error: chunkenc::DecodeError| TsdbError::corrupt("chunk", error.to_string());
    let mut newest: Option<(i64, Vec<u8>)> = None;
    scan.seek(prefix);
    while let Some((key, chunk)) = scan.current()? {
        if !key.starts_with(prefix) {
            break;
        }
        let last = chunkenc::header(chunk).map_err(corrupt)?.last_timestamp;
        if newest.as_ref().is_none_or(|(newest, _)| *newest < last) {
            newest = Some((last, chunk.to_vec()));
        }
        scan.advance();
    }
    newest.map_or(Ok(None), |(_, chunk)| newest_of(&chunk))
}

/// The newest sample of a series in large chunks, which never overlap each other.
fn newest_in_cold(
    partition: Partition,
    series: (u32, u32),
    mut cold: ColdView<'_>,
) -> Result<Option<(i64, NewestValue)>, TsdbError> {
    let prefix = cold_keys::chunk_series(partition, cold.version, series);
    let mut last_key = [u8::MAX; cold_keys::CHUNK_KEY_BYTES];
    last_key[..cold_keys::CHUNK_SERIES_BYTES].copy_from_slice(&prefix);
    cold.chunks.seek_for_prev(&last_key);
    match cold.chunks.current()? {
        Some((key, chunk)) if key.starts_with(&prefix) => {
            if !LargeChunk::is_large(chunk) {
                return newest_of(chunk);
            }
        }
        Some(_) | None => return Ok(None),
    }
    let (streams, mut bytes) = (StreamCache::default(), Vec::new());
    let (summary, chunk) = cold.fetch(partition, TimeRange::ALL, (&streams, &mut bytes))?;
    let mut columns = Columns::default();
    if let Some(chunk) = chunk {
        let last = TimeRange::new(summary.last, summary.last);
        chunk.decode(&bytes, last, &mut columns)?;
    }
    let newest = columns.timestamps.last().zip(columns.values.last());
    Ok(newest.map(|(at, value)| (*at, NewestValue::Float(*value))))
}

/// The last sample of a sealed chunk.
fn newest_of(chunk: &[u8]) -> Result<Option<(i64, NewestValue)>, TsdbError> {
    let corrupt = |error: chunkenc::DecodeError| TsdbError::corrupt("chunk", error.to_string());
    if chunkenc::header(chunk).map_err(corrupt)?.kind != ChunkKind::Floats {
        let chunk = HistogramChunk::decode(chunk).map_err(corrupt)?;
        let newest = chunk.len().checked_sub(1).and_then(|last| {
            let at = *chunk.timestamps().get(last)?;
            Some((at, NewestValue::Histogram(chunk.histogram(last)?)))
        });
        return Ok(newest);
    }
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    chunkenc::decode(chunk, &mut timestamps, &mut values).map_err(corrupt)?;
    let newest = timestamps.last().zip(values.last());
    Ok(newest.map(|(at, value)| (*at, NewestValue::Float(*value))))
}
