//! Opening: known series, partitions, seals, and behind their backs the samples that are only in
//! the log. The number of threads changes nothing: every shard sees its rows in their order.

mod commits;
mod damage;
mod early;
mod gate;
mod log_reader;
mod newest;

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;

use roaring::RoaringBitmap;

use crate::catalog::SeriesEntry;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::head::Newest;
use crate::keys;
use crate::partition::Partition;
use crate::record::{self, Seal};

pub(crate) use early::EarlyWrites;
pub(crate) use gate::ReplayGate;

/// Version of the engine's stored formats as a whole. Version 2 added histograms and start
/// timestamps to commits and chunks, version 3 samples out of order and rewritten partitions.
pub(crate) const FORMAT_VERSION: u32 = 3;
/// The oldest version whose records are all of the present one.
const OLDEST_FORMAT_VERSION: u32 = 1;

/// Series that opening hands from thread to thread at once.
const SERIES_PER_BATCH: usize = 1024;
/// So many batches may wait.
const WAITING_BATCHES: usize = 16;

/// Samples out of order that are in chunks, each with the newest commit that may hold it.
type LateSeals = HashMap<(u32, i64), u64>;

/// What the replay has to bring.
#[derive(Debug)]
pub(crate) struct Unreplayed {
    /// First commit whose samples are not all in chunks.
    from: u64,
    /// What is in chunks all the same.
    late: LateSeals,
    /// Otherwise more may be in chunks, although nothing says so.
    seals_are_whole: bool,
}

pub(crate) fn log_damage(error: &TsdbError, message: &'static str) {
    tracing::error!(error = %base::report(error), "{message}");
}

impl Engine {
    /// Brings memory to the state in which the engine was stopped or killed, apart from the samples
    /// that are only in the log. What is damaged is logged and left out.
    pub(crate) fn restore(&self) -> Result<Unreplayed, TsdbError> {
        self.check_format()?;
        self.restore_stopped()?;
        self.restore_series()?;
        self.restore_presence();
        self.restore_disorder();
        self.restore_cold()?;
        self.restore_newest_time()?;
        self.restore_tombstones();
        self.restore_exemplars()?;
        self.restore_metadata()?;
        self.set_restored_ids(self.catalog.next_id());
        let mut late = LateSeals::new();
        let mut seals_are_whole = self.restore_seals(&mut late);
        let from = match self.get_number(keys::META_REPLAY_FROM) {
            Ok(number) => number.unwrap_or(1),
            Err(error) => {
                log_damage(&error, "where the log begins is unreadable");
                // Commits from before it may be there, without their seals.
                seals_are_whole = false;
                self.first_commit()
            }
        };
        if !seals_are_whole {
            // Samples may come twice: readers look.
            self.mark_all_disordered();
        }
        self.upkeep.lock().replay_from = from;
        let unreplayed = Unreplayed {
            from,
            late,
            seals_are_whole,
        };
        self.let_writes_in(&unreplayed);
        Ok(unreplayed)
    }

    fn check_format(&self) -> Result<(), TsdbError> {
        let stored = match self.kv.get(kv::Family::Meta, keys::META_FORMAT) {
            Err(error) if error.is_damage() => {
                // Records tell their own versions as well.
                log_damage(&error.into(), "the format version is unreadable");
                return self.write_format();
            }
            stored => stored?,
        };
        let Some(stored) = stored else {
            return self.write_format();
        };
        let found = stored
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| TsdbError::corrupt("format version", "it is not four bytes long"))?;
        match found {
            FORMAT_VERSION => Ok(()),
            OLDEST_FORMAT_VERSION..FORMAT_VERSION => self.write_format(),
            _ => Err(TsdbError::FormatVersion {
                found,
                expected: FORMAT_VERSION,
            }),
        }
    }

    /// From here on versions that do not know the present one refuse the directory.
    fn write_format(&self) -> Result<(), TsdbError> {
        let mut batch = self.kv.batch();
        batch.put(
            kv::Family::Meta,
            keys::META_FORMAT,
            &FORMAT_VERSION.to_be_bytes(),
        );
        Ok(self.kv.write(batch)?)
    }

    pub(crate) fn get_number(&self, key: &[u8]) -> Result<Option<u64>, TsdbError> {
        let Some(bytes) = self.kv.get(kv::Family::Meta, key)? else {
            return Ok(None);
        };
        let number = bytes.try_into().map(u64::from_be_bytes);
        number
            .map(Some)
            .map_err(|_| TsdbError::corrupt("watermark", "it is not eight bytes long"))
    }

    fn restore_series(&self) -> Result<(), TsdbError> {
        self.restore_active_series()?;
        match self.kv.get(kv::Family::Meta, keys::META_NEXT_SERIES) {
            Ok(None) => {}
            Ok(Some(next)) => {
                let next = next
                    .try_into()
                    .map(u32::from_be_bytes)
                    .map_err(|_| TsdbError::corrupt("next series", "it is not four bytes long"))?;
                self.catalog.reserve_ids(next);
                self.set_removed_below(next);
            }
            Err(error) => log_damage(&error.into(), "the next series id is unreadable"),
        }
        Ok(())
    }

    /// Only active series are read: opening does not take longer with stopped ones.
    fn restore_active_series(&self) -> Result<(), TsdbError> {
        let stopped = self.stopped.ids();
        let (sender, batches) = sync_channel::<Vec<(u32, SeriesEntry)>>(WAITING_BATCHES);
        std::thread::scope(|scope| {
            // Index and catalog take about as long as each other.
            let add_to_index = move || {
                let mut index = self.index.write();
                for (id, entry) in batches.into_iter().flatten() {
                    index.add(id, &entry.labels);
                }
            };
            std::thread::Builder::new()
                .name("tsdb-index".to_owned())
                .spawn_scoped(scope, add_to_index)
                .map_err(TsdbError::Thread)?;
            let mut batch = Vec::with_capacity(SERIES_PER_BATCH);
            let hand_over = |batch: &mut Vec<(u32, SeriesEntry)>| {
                self.catalog.restore_all(batch);
                let full = std::mem::replace(batch, Vec::with_capacity(SERIES_PER_BATCH));
                // Refused only if the thread panicked, which the end of the scope passes on.
                let _sent = sender.send(full);
            };
            self.walk_series(&stopped, |id, entry| {
                batch.push((id, entry));
                if batch.len() >= SERIES_PER_BATCH {
                    hand_over(&mut batch);
                }
            });
            hand_over(&mut batch);
            drop(sender);
            Ok(())
        })
    }

    fn restore_presence(&self) {
        let stopped = self.stopped.ids();
        let mut index = self.index.write();
        let read = self.read_presence(|partition, series| {
            // A bitmap may name series whose commit never reached the disk, or whose row was lost.
            if let Some(last) = series.max() {
                self.catalog.reserve_ids(last.saturating_add(1));
            }
            let known = series & (index.all() | &stopped);
            index.set_presence(partition, known);
        });
        if let Err(error) = read {
            log_damage(&error, "which series are in which partition is unreadable");
            // Too many present are only slower to read; too few would be missing from answers.
            for partition in self.stored_partitions() {
                let all = index.all() | &stopped;
                index.set_presence(partition, all);
            }
        }
    }

    fn read_presence(
        &self,
        mut visit: impl FnMut(Partition, RoaringBitmap),
    ) -> Result<(), TsdbError> {
        let mut scan = self.kv.scan(kv::Family::Index, None);
        scan.seek(keys::PRESENCE_PREFIX);
        while let Some((key, bytes)) = scan.current()? {
            let Some(partition) = keys::presence_partition(key) else {
                break;
            };
            let series = RoaringBitmap::deserialize_from(bytes)
                .map_err(|error| TsdbError::corrupt("presence bitmap", error.to_string()))?;
            visit(partition, series);
            scan.advance();
        }
        Ok(())
    }

    fn restore_disorder(&self) {
        if let Err(error) = self.read_disorder() {
            log_damage(&error, "which series came out of order is unreadable");
            self.mark_all_disordered();
        }
    }

    fn restore_cold(&self) -> Result<(), TsdbError> {
        match self.read_cold() {
            Err(error) if error.is_damage() => {
                log_damage(&error, "which partitions are rewritten is unreadable");
                self.adopt_cold();
                // What they were rewritten from may be left.
                self.mark_all_disordered();
                Ok(())
            }
            read => read,
        }
    }

    /// Slower to read, never wrong.
    fn mark_all_disordered(&self) {
        let all = self.index.read().all() | self.stopped.ids();
        for partition in self.stored_partitions() {
            self.disorder.mark(all.iter().map(|id| (partition, id)));
        }
    }

    /// Learns through which time series are in chunks, so that replay adds nothing twice; `false` if
    /// that is not wholly readable.
    fn restore_seals(&self, late: &mut LateSeals) -> bool {
        let read = self.read_seals(late);
        if let Err(error) = &read {
            log_damage(
                error,
                "which samples of the log are in chunks is unreadable",
            );
            // Records that follow may be there, and must keep their numbers.
            self.upkeep.lock().next_seal = u64::MAX / 2;
        }
        read.is_ok()
    }

    fn read_seals(&self, late: &mut LateSeals) -> Result<(), TsdbError> {
        let mut scan = self.kv.scan(kv::Family::Log, None);
        scan.seek(&keys::seal_bound(0));
        let mut upkeep = self.upkeep.lock();
        while let Some((key, bytes)) = scan.current()? {
            let Some(sequence) = keys::seal_sequence(key) else {
                break;
            };
            upkeep.next_seal = upkeep.next_seal.max(sequence + 1);
            let bound = keys::seal_bound_of(key).unwrap_or(0);
            match record::decode_seal(bytes)? {
                Seal::Through(sealed) => self.restore_seal(sealed),
                Seal::Late(sealed) => {
                    for sample in sealed {
                        let known = late.entry(sample).or_default();
                        *known = bound.max(*known);
                    }
                }
            }
            scan.advance();
        }
        Ok(())
    }

    fn restore_seal(&self, sealed: Vec<(u32, i64)>) {
        let mut locked = self.head.lock_all();
        for (id, through_ms) in sealed {
            let head = locked.series(id);
            if head.newest() == Newest::Unknown || head.reserved_ms < through_ms {
                head.set_stored_time(through_ms);
            }
        }
    }

    /// Newest time of all samples that are in chunks; those in the log are yet to come.
    fn restore_newest_time(&self) -> Result<(), TsdbError> {
        let stored = match self.kv.get(kv::Family::Meta, keys::META_NEWEST_TIME) {
            Err(error) if error.is_damage() => {
                log_damage(&error.into(), "the newest time is unreadable");
                None
            }
            stored => stored?,
        };
        let newest_ms = match stored {
            Some(bytes) => bytes
                .try_into()
                .map(i64::from_be_bytes)
                .map_err(|_| TsdbError::corrupt("newest time", "it is not eight bytes long"))?,
            // Directories of before have no such record.
            None => match self.index.read().newest_partition() {
                Some(partition) => partition.start_ms(),
                None => return Ok(()),
            },
        };
        self.order.note_newest(newest_ms);
        Ok(())
    }
}
