//! Upkeep: full and old chunks move from the head into the store, and the log behind them goes.

use std::collections::BTreeSet;

use model::{PromDuration, Timestamp};

use crate::catalog::Place;
use crate::commit::encode_series;
use crate::db::{Engine, UpkeepState};
use crate::error::TsdbError;
use crate::head::{FullChunk, FullSlabs};
use crate::partition::Partition;
use crate::stopped::StopRound;
use crate::work::Work;
use crate::{keys, record};

/// Chunks written with one batch.
const CHUNKS_PER_BATCH: usize = 4096;
/// Old chunks are sealed over a quarter of the age bound, not all at once.
const AGE_STEPS: u32 = 8;

/// Which chunks a round seals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Full ones, those whose oldest sample waits in the log for too long, and those without
    /// samples behind a time.
    Due { still_since: Timestamp },
    /// All.
    Everything,
}

/// A chunk on its way into the store.
struct Sealable {
    partition: Partition,
    place: Place,
    full: FullChunk,
}

impl Engine {
    /// One round of upkeep. It needs the whole head: what is not replayed yet must not look like
    /// log behind sealed chunks, nor like series without samples.
    pub(crate) fn maintain(&self) -> Result<(), TsdbError> {
        self.replayed.wait()?;
        let mut upkeep = self.upkeep.lock();
        let now = self.clock.now();
        upkeep
            .commit_times
            .push_back((self.committer.last_committed(), now));
        let round = self.stop_round(&upkeep, now);
        let still_since = round
            .as_ref()
            .map_or(Timestamp::MIN, StopRound::still_since);
        // Each step is tried whatever became of the one before: on a full disk it is retention
        // that makes room.
        let sealed = self
            .seal(&mut upkeep, Scope::Due { still_since }, now)
            .and_then(|_bound| self.truncate_log(&mut upkeep));
        let retired = self.retire(now);
        let removed = if self.take_refusal() {
            self.remove_empty_series()
        } else {
            Ok(())
        };
        let stopped = match round {
            Some(round) => self.stop_idle_series(&mut upkeep, &round),
            None => Ok(()),
        };
        let given_back = self.give_memory_back(&mut upkeep.given_back, now);
        let forgotten = self.forget_metadata(&mut upkeep, now);
        drop(upkeep);
        let unhidden = self.remove_spent_tombstones();
        let mut chunks = 0;
        self.head
            .for_each_shard(|_, shard| chunks += shard.chunks());
        #[expect(clippy::cast_precision_loss, reason = "gauges are float64")]
        {
            self.metrics.head_chunks.set(chunks as f64);
            self.metrics.head_series.set(self.catalog.len() as f64);
        }
        let outcome = sealed.and(retired).and(removed).and(stopped);
        outcome.and(given_back).and(forgotten).and(unhidden)
    }

    /// Leaves nothing in the head.
    pub(crate) fn seal_everything(&self) -> Result<(), TsdbError> {
        self.replayed.wait()?;
        self.seal_all(&mut self.upkeep.lock())?;
        Ok(())
    }

    /// Moves what the head has into chunks. Returns the newest commit that may hold any of it.
    pub(crate) fn seal_all(&self, upkeep: &mut UpkeepState) -> Result<u64, TsdbError> {
        let bound = self.seal(upkeep, Scope::Everything, self.clock.now())?;
        self.truncate_log(upkeep)?;
        Ok(bound)
    }

    /// Seals the chunks that are full, whatever their age: bounds memory during replay.
    pub(crate) fn seal_full(&self) -> Result<(), TsdbError> {
        let mut upkeep = self.upkeep.lock();
        let still_since = Timestamp::MIN;
        self.seal(&mut upkeep, Scope::Due { still_since }, self.clock.now())?;
        Ok(())
    }

    fn seal(
        &self,
        upkeep: &mut UpkeepState,
        scope: Scope,
        now: Timestamp,
    ) -> Result<u64, TsdbError> {
        let due = self.due_commits(upkeep, now);
        let mut collected: Vec<FullChunk> = Vec::new();
        let mut slabs: Vec<FullSlabs> = Vec::new();
        let (everything, still_since) = match scope {
            Scope::Everything => (true, Timestamp::MAX),
            Scope::Due { still_since } => (false, still_since),
        };
        let is_due = |series: u32, first_commit| {
            everything || {
                let step = series.wrapping_mul(0x9e37_79b9) >> 16;
                due[(step % AGE_STEPS) as usize].is_some_and(|newest| first_commit <= newest)
            }
        };
        self.head.for_each_shard(|number, shard| {
            shard.close_open(number, still_since, is_due);
            collected.extend(shard.copy_full());
            shard.close_late(is_due);
            slabs.extend(shard.copy_full_slabs());
        });
        let bound = self.committer.newest_number();
        let (mut chunks, orphans) = self.locate(collected, now);
        self.head.remove_sealed(&orphans);
        let _work = (!chunks.is_empty() || !slabs.is_empty()).then(|| Work::begin("sealing"));
        chunks.sort_by_key(|chunk| {
            let start = chunk.full.chunk.first_timestamp();
            (
                chunk.partition,
                chunk.place.metric,
                chunk.full.series,
                start,
            )
        });
        for slice in chunks.chunks(CHUNKS_PER_BATCH) {
            self.write_chunks(slice, bound, upkeep)?;
        }
        // Behind the chunks: they have all samples in order that slabs are held against, or the
        // head has.
        self.seal_late(upkeep, slabs, bound, self.retention_start(now))?;
        Ok(bound)
    }

    /// For each step of the age bound the newest commit that is older.
    fn due_commits(
        &self,
        upkeep: &mut UpkeepState,
        now: Timestamp,
    ) -> [Option<u64>; AGE_STEPS as usize] {
        let max_age_ms = self.options.max_chunk_age.as_millis();
        let mut step: i64 = 0;
        let due = [(); AGE_STEPS as usize].map(|()| {
            let early = max_age_ms / 4 * step / i64::from(AGE_STEPS);
            step += 1;
            let limit = now.saturating_sub(PromDuration::from_millis(max_age_ms - early));
            let old = upkeep
                .commit_times
                .iter()
                .take_while(|(_, at)| *at <= limit);
            old.last().map(|(commit, _)| *commit)
        });
        // Entries before the last one that is older than the whole bound say nothing more.
        let limit = now.saturating_sub(self.options.max_chunk_age);
        while upkeep
            .commit_times
            .get(1)
            .is_some_and(|(_, at)| *at <= limit)
        {
            upkeep.commit_times.pop_front();
        }
        due
    }

    /// Finds partition and metric of each chunk. Chunks of removed series and of partitions past
    /// retention are orphans: nothing would ever read or drop them.
    fn locate(&self, collected: Vec<FullChunk>, now: Timestamp) -> (Vec<Sealable>, Vec<u32>) {
        let oldest = self.retention_start(now);
        let expired =
            |partition: &Partition| oldest.is_some_and(|oldest| partition.range().end < oldest);
        let mut chunks = Vec::with_capacity(collected.len());
        let mut orphans = Vec::new();
        for full in collected {
            let start = full.chunk.first_timestamp().map(Timestamp::from_millis);
            let partition = start
                .and_then(Partition::of)
                .filter(|partition| !expired(partition));
            match (partition, self.catalog.place(full.series)) {
                (Some(partition), Some(place)) => {
                    chunks.push(Sealable {
                        partition,
                        place,
                        full,
                    });
                }
                _ => orphans.push(full.series),
            }
        }
        (chunks, orphans)
    }

    fn write_chunks(
        &self,
        chunks: &[Sealable],
        bound: u64,
        upkeep: &mut UpkeepState,
    ) -> Result<(), TsdbError> {
        let mut batch = self.kv.batch();
        let mut sealed: Vec<(u32, i64)> = Vec::with_capacity(chunks.len());
        let mut bytes = Vec::new();
        let mut total_bytes = 0;
        let rewriting = self.cold.rewriting();
        let mut late = Vec::new();
        for sealable in chunks {
            let chunk = &sealable.full.chunk;
            let (Some(first), Some(last)) = (chunk.first_timestamp(), chunk.last_timestamp())
            else {
                continue;
            };
            bytes.clear();
            chunk
                .seal(&mut bytes)
                .map_err(|error| TsdbError::corrupt("head chunk", error.to_string()))?;
            let start = Timestamp::from_millis(first);
            let key = keys::chunk(sealable.partition, sealable.id(), start, keys::IN_ORDER);
            batch.put(kv::Family::Chunks, &key, &bytes);
            if rewriting == Some(sealable.partition) {
                late.push((key.to_vec(), bytes.clone()));
            }
            let id = sealable.full.series;
            if id >= self.restored_ids()
                && !sealable.full.row_stored
                && let Some(entry) = self.catalog.get(id)
            {
                // Visible samples may be sealed before their commit: no chunk without its series.
                let row = encode_series(&entry);
                batch.put(kv::Family::Series, &keys::series(id), &row);
            }
            total_bytes += bytes.len() as u64;
            sealed.push((sealable.full.series, last));
        }
        let partitions: BTreeSet<Partition> = chunks.iter().map(|chunk| chunk.partition).collect();
        self.put_presence(&mut batch, &partitions)?;
        self.put_newest_time(&mut batch);
        sealed.sort_unstable();
        batch.put(
            kv::Family::Log,
            &keys::seal(bound, upkeep.next_seal),
            &record::encode_seal(&sealed),
        );
        upkeep.next_seal += 1;
        self.kv.write(batch)?;
        self.cold.note_sealed(&partitions, late, self.clock.now());
        // From here on queries find the chunks in the store. While both have them, the head's
        // copy is the one that is read.
        let series: Vec<u32> = chunks.iter().map(|chunk| chunk.full.series).collect();
        self.head.remove_sealed(&series);
        self.metrics.chunks_sealed.add(chunks.len() as u64);
        self.metrics.chunk_bytes.add(total_bytes);
        Ok(())
    }

    pub(crate) fn put_presence(
        &self,
        batch: &mut kv::Batch<'_>,
        partitions: &BTreeSet<Partition>,
    ) -> Result<(), TsdbError> {
        let index = self.index.read();
        for partition in partitions {
            let Some(series) = index.presence(*partition) else {
                continue;
            };
            let mut bytes = Vec::with_capacity(series.serialized_size());
            series
                .serialize_into(&mut bytes)
                .map_err(|error| TsdbError::corrupt("presence bitmap", error.to_string()))?;
            batch.put(kv::Family::Index, &keys::presence(*partition), &bytes);
        }
        Ok(())
    }

    /// Drops commits whose samples are all in chunks.
    fn truncate_log(&self, upkeep: &mut UpkeepState) -> Result<(), TsdbError> {
        // Read first: what is committed while the shards are visited must stay.
        let next = self.committer.last_committed() + 1;
        let mut keep_from = next;
        self.head.for_each_shard(|_, shard| {
            keep_from = keep_from.min(shard.first_unsealed_commit().unwrap_or(next));
        });
        if keep_from <= upkeep.replay_from {
            return Ok(());
        }
        let mut batch = self.kv.batch();
        batch.put(
            kv::Family::Meta,
            keys::META_REPLAY_FROM,
            &keep_from.to_be_bytes(),
        );
        let from = keys::commit(upkeep.replay_from);
        batch.delete_range(kv::Family::Log, &from, &keys::commit(keep_from));
        let seals = keys::seal_bound(0);
        batch.delete_range(kv::Family::Log, &seals, &keys::seal_bound(keep_from));
        self.kv.write(batch)?;
        upkeep.replay_from = keep_from;
        Ok(())
    }
}

impl Sealable {
    fn id(&self) -> (u32, u32) {
        (self.place.metric, self.full.series)
    }
}
