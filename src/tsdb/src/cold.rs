//! Rewritten partitions: which version of each one counts, and views that stay whole while a
//! rewrite takes the place of what it was made from.

pub(crate) mod keys;
mod read;
mod streams;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{PromDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard, RwLock, RwLockWriteGuard};

pub(crate) use read::StoredChunk;
pub(crate) use streams::{StreamCache, decode_stream, encode_stream};

use crate::db::Engine;
use crate::error::TsdbError;
use crate::partition::Partition;
use crate::{keys as small_keys, varint};

/// Format of a record.
const RECORD_VERSION: u8 = 1;
/// Chunks that may be sealed into a partition while it is rewritten; with more of them it is not
/// worth finishing.
const MAX_LATE_CHUNKS: usize = 1 << 16;

/// A key and its value.
pub(crate) type StoredPair = (Vec<u8>, Vec<u8>);

/// What is known of a rewritten partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColdPartition {
    /// The version of its keys that counts.
    pub(crate) version: u32,
    pub(crate) samples: u64,
    pub(crate) chunks: u64,
}

/// Rewritten partitions. Whoever reads a partition makes all cursors under the read lock; whoever
/// changes what counts writes under the write lock.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    state: RwLock<ColdState>,
    /// Held while a partition is rewritten.
    turn: Mutex<()>,
}

/// While it is there, no other rewrite runs.
pub(crate) struct RewriteTurn<'a>(#[expect(dead_code, reason = "held")] MutexGuard<'a, ()>);

#[derive(Debug, Default)]
pub(crate) struct ColdState {
    partitions: BTreeMap<Partition, ColdPartition>,
    running: Option<Running>,
    /// Above every version that was ever seen.
    next_version: u32,
    /// When chunks were sealed last into a partition, since the engine was opened.
    last_sealed: HashMap<Partition, Timestamp>,
    last_rewritten: HashMap<Partition, Timestamp>,
}

/// A rewrite under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) partition: Partition,
    /// Keys and bytes of small chunks that came after the rewrite had begun to read.
    pub(crate) late: Vec<StoredPair>,
    /// There were more of them than are worth it, or the partition is gone.
    pub(crate) is_void: bool,
}

impl ColdState {
    pub(crate) fn get(&self, partition: Partition) -> Option<ColdPartition> {
        self.partitions.get(&partition).copied()
    }

    pub(crate) fn insert(&mut self, partition: Partition, cold: ColdPartition) {
        self.partitions.insert(partition, cold);
    }

    /// Takes a version for the one that counts, unless a newer one does.
    pub(crate) fn adopt(&mut self, partition: Partition, version: u32) {
        self.next_version = self.next_version.max(version.saturating_add(1));
        let known = self.partitions.entry(partition).or_default();
        known.version = known.version.max(version);
    }

    pub(crate) fn take_running(&mut self) -> Option<Running> {
        self.running.take()
    }

    pub(crate) fn note_rewritten(&mut self, partition: Partition, at: Timestamp) {
        self.last_rewritten.insert(partition, at);
    }

    /// Forgets a partition that retention drops; a rewrite of it comes to nothing.
    pub(crate) fn remove(&mut self, partition: Partition) -> Option<ColdPartition> {
        self.last_sealed.remove(&partition);
        self.last_rewritten.remove(&partition);
        if let Some(running) = &mut self.running
            && running.partition == partition
        {
            running.is_void = true;
        }
        self.partitions.remove(&partition)
    }
}

impl Cold {
    /// Waits until no rewrite runs, and keeps others from running.
    pub(crate) fn turn(&self) -> RewriteTurn<'_> {
        RewriteTurn(self.turn.lock())
    }

    /// The same, if no rewrite runs.
    pub(crate) fn try_turn(&self) -> Option<RewriteTurn<'_>> {
        self.turn.try_lock().map(RewriteTurn)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, ColdState> {
        self.state.write()
    }

    pub(crate) fn get(&self, partition: Partition) -> Option<ColdPartition> {
        self.state.read().get(partition)
    }

    /// Samples in all rewritten partitions.
    pub(crate) fn samples(&self) -> u64 {
        self.state
            .read()
            .partitions
            .values()
            .map(|cold| cold.samples)
            .sum()
    }

    /// Rewritten partitions and the version of each that counts.
    pub(crate) fn versions(&self) -> Vec<(Partition, u32)> {
        let state = self.state.read();
        let partitions = state.partitions.iter();
        partitions
            .map(|(partition, cold)| (*partition, cold.version))
            .collect()
    }

    /// The partition that is being rewritten. It does not change while the lock of upkeep is held.
    pub(crate) fn rewriting(&self) -> Option<Partition> {
        self.state
            .read()
            .running
            .as_ref()
            .map(|running| running.partition)
    }

    /// Must be told of every batch of chunks that was written, before the lock of upkeep is given
    /// back: a rewrite that is under way has not read those of its partition, `late`.
    pub(crate) fn note_sealed(
        &self,
        partitions: &BTreeSet<Partition>,
        late: Vec<StoredPair>,
        at: Timestamp,
    ) {
        let mut state = self.state.write();
        for partition in partitions {
            state.last_sealed.insert(*partition, at);
        }
        if let Some(running) = &mut state.running {
            running.late.extend(late);
            running.is_void |= running.late.len() > MAX_LATE_CHUNKS;
        }
    }

    /// Whether nothing was sealed into a partition for `quiet`, nor was it rewritten within `again`.
    pub(crate) fn is_quiet(
        &self,
        partition: Partition,
        now: Timestamp,
        (quiet, again): (PromDuration, PromDuration),
    ) -> bool {
        let state = self.state.read();
        let older = |at: Option<&Timestamp>, than: PromDuration| {
            at.is_none_or(|at| *at <= now.saturating_sub(than))
        };
        older(state.last_sealed.get(&partition), quiet)
            && older(state.last_rewritten.get(&partition), again)
    }

    /// Begins a rewrite; `None` while another one runs. The caller holds the lock of upkeep.
    pub(crate) fn begin(&self, partition: Partition) -> Option<u32> {
        let mut state = self.state.write();
        if state.running.is_some() {
            return None;
        }
        let version = state.next_version.max(1);
        state.next_version = version.checked_add(1)?;
        state.running = Some(Running {
            partition,
            late: Vec::new(),
            is_void: false,
        });
        Some(version)
    }

    /// Gives a rewrite up.
    pub(crate) fn abandon(&self) {
        self.state.write().running = None;
    }
}

/// Cursors over all that counts in a partition, made at one instant.
pub(crate) struct PartitionView<'a> {
    /// Small chunks.
    pub(crate) small: kv::Scan<'a>,
    pub(crate) cold: Option<ColdView<'a>>,
}

/// Cursors over a version of a rewritten partition.
pub(crate) struct ColdView<'a> {
    pub(crate) version: u32,
    pub(crate) chunks: kv::Scan<'a>,
    pub(crate) streams: kv::Scan<'a>,
}

impl PartitionView<'_> {
    /// Moves to the first chunks at or behind those of a series.
    pub(crate) fn seek(&mut self, partition: Partition, series: (u32, u32)) {
        self.small
            .seek(&small_keys::chunk_series(partition, series));
        if let Some(cold) = &mut self.cold {
            let first = keys::chunk_series(partition, cold.version, series);
            cold.chunks.seek(&first);
        }
    }
}

impl Engine {
    /// Cursors over the chunks of a partition, up to those of a series and with it.
    pub(crate) fn view(&self, partition: Partition, last: (u32, u32)) -> PartitionView<'_> {
        let mut small_bound = [u8::MAX; small_keys::CHUNK_KEY_BYTES + 1];
        small_bound[..small_keys::CHUNK_SERIES_BYTES]
            .copy_from_slice(&small_keys::chunk_series(partition, last));
        let state = self.cold.state.read();
        let cold = state.get(partition).map(|ColdPartition { version, .. }| {
            let mut bound = [u8::MAX; keys::CHUNK_KEY_BYTES + 1];
            bound[..keys::CHUNK_SERIES_BYTES]
                .copy_from_slice(&keys::chunk_series(partition, version, last));
            ColdView {
                version,
                chunks: self.kv.scan(kv::Family::Cold, Some(&bound)),
                streams: self.kv.scan(kv::Family::Cold, None),
            }
        });
        PartitionView {
            small: self.kv.scan(kv::Family::Chunks, Some(&small_bound)),
            cold,
        }
    }

    /// Cursors over a whole partition, for a rewrite.
    pub(crate) fn whole_view(&self, partition: Partition) -> PartitionView<'_> {
        let state = self.cold.state.read();
        let below = partition.below();
        let cold = state.get(partition).map(|ColdPartition { version, .. }| {
            let end = keys::version(partition, version.saturating_add(1));
            ColdView {
                version,
                chunks: self.kv.scan_once(kv::Family::Cold, Some(&end)),
                streams: self.kv.scan(kv::Family::Cold, Some(&end)),
            }
        });
        PartitionView {
            small: self.kv.scan_once(kv::Family::Chunks, Some(&below)),
            cold,
        }
    }

    /// Whether a partition has chunks that no rewrite has taken in.
    pub(crate) fn has_small_chunks(&self, partition: Partition) -> Result<bool, TsdbError> {
        let below = partition.below();
        let mut scan = self.kv.scan(kv::Family::Chunks, Some(&below));
        scan.seek(&partition.to_bytes());
        Ok(scan.current()?.is_some())
    }

    /// Learns which versions count, and removes what an interrupted rewrite has left behind.
    pub(crate) fn read_cold(&self) -> Result<(), TsdbError> {
        {
            let mut state = self.cold.write();
            let mut scan = self.kv.scan(kv::Family::Index, None);
            scan.seek(keys::RECORD_PREFIX);
            while let Some((key, record)) = scan.current()? {
                let Some(partition) = keys::record_partition(key) else {
                    break;
                };
                let cold = decode_record(record)?;
                state.next_version = state.next_version.max(cold.version.saturating_add(1));
                state.insert(partition, cold);
                scan.advance();
            }
        }
        self.remove_staged()?;
        self.remove_leftovers()
    }

    /// Removes every version that does not count. No rewrite may be under way.
    pub(crate) fn remove_leftovers(&self) -> Result<(), TsdbError> {
        let mut scan = self.kv.scan(kv::Family::Cold, None);
        scan.seek(&[]);
        let mut unwanted = Vec::new();
        while let Some((key, _)) = scan.current()? {
            let (partition, version) = keys::version_of(key)
                .ok_or_else(|| TsdbError::corrupt("cold key", "it is too short"))?;
            if self
                .cold
                .get(partition)
                .is_none_or(|cold| cold.version != version)
            {
                unwanted.push((partition, version));
            }
            match version.checked_add(1) {
                Some(next) => scan.seek(&keys::version(partition, next)),
                None => scan.seek(&partition.below()),
            }
        }
        drop(scan);
        for (partition, version) in unwanted {
            self.remove_version(partition, version)?;
        }
        Ok(())
    }

    /// Removes a version of a partition that does not count. Its files hold nothing else.
    pub(crate) fn remove_version(
        &self,
        partition: Partition,
        version: u32,
    ) -> Result<(), TsdbError> {
        let from = keys::version(partition, version);
        let below = match version.checked_add(1) {
            Some(next) => keys::version(partition, next).to_vec(),
            None => partition.below().to_vec(),
        };
        {
            let mut state = self.cold.write();
            state.next_version = state.next_version.max(version.saturating_add(1));
        }
        self.kv.drop_files(kv::Family::Cold, &from, &below)?;
        let mut scan = self.kv.scan(kv::Family::Cold, Some(&below));
        scan.seek(&from);
        if scan.current()?.is_some() {
            let mut batch = self.kv.batch();
            batch.delete_range(kv::Family::Cold, &from, &below);
            self.kv.write(batch)?;
        }
        Ok(())
    }
}

/// Writes the record of a partition.
pub(crate) fn encode_record(cold: &ColdPartition) -> Vec<u8> {
    let mut record = vec![RECORD_VERSION];
    varint::put(&mut record, u64::from(cold.version));
    varint::put(&mut record, cold.samples);
    varint::put(&mut record, cold.chunks);
    record
}

/// Reads [`encode_record`].
fn decode_record(record: &[u8]) -> Result<ColdPartition, TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt("record of a rewritten partition", reason);
    let Some((&RECORD_VERSION, mut rest)) = record.split_first() else {
        return Err(corrupt("its version is not known"));
    };
    let mut next = || varint::take(&mut rest).ok_or_else(|| corrupt("it is truncated"));
    Ok(ColdPartition {
        version: u32::try_from(next()?).map_err(|_| corrupt("its version is over 32 bits"))?,
        samples: next()?,
        chunks: next()?,
    })
}
