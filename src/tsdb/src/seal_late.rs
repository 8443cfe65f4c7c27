//! Sealing what came out of order: slabs become chunks that may overlap others, but never have a
//! sample at a time at which the series has one already.

use std::collections::BTreeSet;

use model::{TimeRange, Timestamp};

use crate::catalog::SeriesEntry;
use crate::cold::StoredPair;
use crate::commit::encode_series;
use crate::db::{Engine, UpkeepState};
use crate::error::TsdbError;
use crate::head::{FullSlabs, LateSample};
use crate::open::HeadChunk;
use crate::partition::Partition;
use crate::replay::log_damage;
use crate::series_set::read_in_order;
use crate::{keys, record};

/// Series whose slabs are written with one batch.
const SERIES_PER_BATCH: usize = 512;

/// What one batch writes.
struct LateBatch<'a> {
    batch: kv::Batch<'a>,
    partitions: BTreeSet<Partition>,
    marks: Vec<(Partition, u32)>,
    sealed: Vec<(u32, Vec<i64>)>,
    chunks: u64,
    bytes: u64,
    /// The partition that is being rewritten, and those chunks that it has not read.
    rewriting: Option<Partition>,
    unread: Vec<StoredPair>,
}

impl Engine {
    /// Moves full slabs into the store. `bound` is a commit that no sample of theirs lies behind.
    pub(crate) fn seal_late(
        &self,
        upkeep: &mut UpkeepState,
        slabs: Vec<FullSlabs>,
        bound: u64,
        oldest: Option<Timestamp>,
    ) -> Result<(), TsdbError> {
        let mut known: Vec<(SeriesEntry, FullSlabs)> = Vec::with_capacity(slabs.len());
        for slabs in slabs {
            match self.catalog.get(slabs.series) {
                Some(entry) => known.push((entry, slabs)),
                // Retention removed the series.
                None => self.head.remove_late(slabs.series, slabs.slabs.len()),
            }
        }
        known.sort_unstable_by_key(|(entry, slabs)| (entry.metric, slabs.series));
        for some in known.chunks(SERIES_PER_BATCH) {
            self.write_late(upkeep, some, bound, oldest)?;
        }
        Ok(())
    }

    fn write_late(
        &self,
        upkeep: &mut UpkeepState,
        series: &[(SeriesEntry, FullSlabs)],
        bound: u64,
        oldest: Option<Timestamp>,
    ) -> Result<(), TsdbError> {
        let mut out = LateBatch {
            batch: self.kv.batch(),
            partitions: BTreeSet::new(),
            marks: Vec::new(),
            sealed: Vec::with_capacity(series.len()),
            chunks: 0,
            bytes: 0,
            rewriting: self.cold.rewriting(),
            unread: Vec::new(),
        };
        for (entry, slabs) in series {
            self.put_late(&mut out, entry, slabs, oldest)?;
        }
        let mut batch = out.batch;
        // Before they are there: a reader who finds chunks knows that they may overlap.
        self.disorder.mark(out.marks.into_iter());
        self.put_disorder(&mut batch, out.partitions.iter())?;
        self.put_presence(&mut batch, &out.partitions)?;
        self.put_newest_time(&mut batch);
        out.sealed.sort_unstable();
        batch.put(
            kv::Family::Log,
            &keys::seal(bound, upkeep.next_seal),
            &record::encode_late_seal(&out.sealed),
        );
        upkeep.next_seal += 1;
        self.kv.write(batch)?;
        self.cold
            .note_sealed(&out.partitions, out.unread, self.clock.now());
        for (_, slabs) in series {
            self.head.remove_late(slabs.series, slabs.slabs.len());
        }
        self.metrics.chunks_sealed.add(out.chunks);
        self.metrics.chunk_bytes.add(out.bytes);
        Ok(())
    }

    /// Adds the chunks of one series.
    fn put_late(
        &self,
        out: &mut LateBatch<'_>,
        entry: &SeriesEntry,
        slabs: &FullSlabs,
        oldest: Option<Timestamp>,
    ) -> Result<(), TsdbError> {
        let mut samples: Vec<&LateSample> =
            slabs.slabs.iter().flat_map(|slab| &slab.samples).collect();
        // Stable: the older slab stays in front, and its sample in the series.
        samples.sort_by_key(|sample| sample.row.timestamp_ms);
        samples.dedup_by_key(|sample| sample.row.timestamp_ms);
        let times = samples.iter().map(|sample| sample.row.timestamp_ms);
        out.sealed.push((slabs.series, times.collect()));
        for day in samples.chunk_by(|a, b| a.row.partition() == b.row.partition()) {
            let Some(partition) = day.first().map(|sample| sample.row.partition()) else {
                continue;
            };
            if oldest.is_some_and(|oldest| partition.range().end < oldest) {
                continue;
            }
            let new = self.without_known((slabs.series, entry), partition, day)?;
            if new.is_empty() {
                continue;
            }
            if slabs.series >= self.restored_ids() && !slabs.row_stored {
                // Visible samples may be sealed before their commit: no chunk without its series.
                let key = keys::series(slabs.series);
                out.batch
                    .put(kv::Family::Series, &key, &encode_series(entry));
            }
            out.partitions.insert(partition);
            out.marks.push((partition, slabs.series));
            out.put_chunks(partition, (entry.metric, slabs.series), &new)?;
        }
        Ok(())
    }

    /// Those samples of a day at whose time the series has none: the first one stays.
    fn without_known<'s>(
        &self,
        (id, entry): (u32, &SeriesEntry),
        partition: Partition,
        samples: &[&'s LateSample],
    ) -> Result<Vec<&'s LateSample>, TsdbError> {
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Ok(Vec::new());
        };
        let range = TimeRange::new(
            Timestamp::from_millis(first.row.timestamp_ms),
            Timestamp::from_millis(last.row.timestamp_ms),
        );
        let known = match read_in_order(self, (id, entry.place()), range, partition) {
            // Readers cannot read that chunk either, and go on beside it as soon as it is gone.
            Err(error) if error.is_damage() => {
                log_damage(
                    &error,
                    "samples out of order are sealed beside an unreadable chunk",
                );
                Vec::new()
            }
            known => known?,
        };
        let is_new = |sample: &&&LateSample| known.binary_search(&sample.row.timestamp_ms).is_err();
        Ok(samples.iter().filter(is_new).copied().collect())
    }
}

impl LateBatch<'_> {
    /// Adds samples of one series and day as chunks, each of one kind of samples.
    fn put_chunks(
        &mut self,
        partition: Partition,
        id: (u32, u32),
        samples: &[&LateSample],
    ) -> Result<(), TsdbError> {
        let refused = |error: chunkenc::EncodeError| {
            TsdbError::corrupt("out-of-order slab", error.to_string())
        };
        let mut chunk = HeadChunk::default();
        for sample in samples {
            if chunk.is_full() || !chunk.accepts(sample.extra()) {
                self.put_chunk(partition, id, &std::mem::take(&mut chunk))?;
            }
            chunk.append(&sample.row, sample.extra()).map_err(refused)?;
        }
        self.put_chunk(partition, id, &chunk)
    }

    fn put_chunk(
        &mut self,
        partition: Partition,
        id: (u32, u32),
        chunk: &HeadChunk,
    ) -> Result<(), TsdbError> {
        let Some(first) = chunk.first_timestamp() else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        chunk
            .seal(&mut bytes)
            .map_err(|error| TsdbError::corrupt("out-of-order slab", error.to_string()))?;
        let start = Timestamp::from_millis(first);
        let key = keys::chunk(partition, id, start, keys::OUT_OF_ORDER);
        self.batch.put(kv::Family::Chunks, &key, &bytes);
        self.chunks += 1;
        self.bytes += bytes.len() as u64;
        if self.rewriting == Some(partition) {
            self.unread.push((key.to_vec(), bytes));
        }
        Ok(())
    }
}
