//! The engine as a whole: opening, its threads, upkeep, closing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use base::SharedClock;
use base::metrics::Registry;
use kv::Kv;
use model::{TimeRange, Timestamp};
use parking_lot::{Mutex, RwLock};
use storage::state::StateEntry;
use storage::{ChangeLog, HeadStatus, StateChange, StateError, StateStore, StatusSource};

use crate::catalog::Catalog;
use crate::cold::Cold;
use crate::commit::Committer;
use crate::disorder::Disorder;
use crate::error::TsdbError;
use crate::exemplars::Exemplars;
use crate::head::Head;
use crate::index::Index;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::options::{Background, TsdbOptions};
use crate::order::OrderWindow;
use crate::partition::{PARTITION_MS, Partition};
use crate::replay::{EarlyWrites, ReplayGate, Unreplayed};
use crate::retention::{Retention, RetentionLimits};
use crate::rewrite::RewriteMetrics;
use crate::rows::Rows;
use crate::shrink::GivenBack;
use crate::stopped::{PastRound, Stopped};
use crate::tombstones::Tombstones;

/// So many full chunks wake the upkeep before its interval ends.
const FULL_CHUNKS_WAKE: usize = 4096;

/// Memory of a series with about eight labels and its samples of half an hour; see
/// `docs/memory.md`.
const SERIES_BYTES: u64 = 400;

/// What all threads of the engine share.
pub(crate) struct Engine {
    pub(crate) options: TsdbOptions,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: Metrics,
    pub(crate) kv: Kv,
    pub(crate) catalog: Catalog,
    pub(crate) head: Head,
    pub(crate) index: RwLock<Index>,
    pub(crate) cold: Cold,
    pub(crate) rewrite_metrics: RewriteMetrics,
    /// Spreads rewrites over time.
    pub(crate) jitter_seed: u64,
    /// Ends a rewrite at a step, as a kill would.
    #[cfg(test)]
    pub(crate) rewrite_fault: Mutex<Option<crate::rewrite::RewriteStep>>,
    /// Lets the next commit fail.
    #[cfg(test)]
    pub(crate) commit_fault: AtomicBool,
    pub(crate) retention: Retention,
    pub(crate) stopped: Stopped,
    pub(crate) disorder: Disorder,
    pub(crate) order: OrderWindow,
    pub(crate) tombstones: Tombstones,
    pub(crate) exemplars: Exemplars,
    pub(crate) metadata: Metadata,
    pub(crate) committer: Committer,
    pub(crate) upkeep: Mutex<UpkeepState>,
    /// Closed until the log is replayed.
    pub(crate) replayed: ReplayGate,
    /// Takes writes until then.
    pub(crate) early: EarlyWrites,
    pub(crate) changes: Mutex<ChangeLog>,
    restored_ids: AtomicU32,
    removed_below: AtomicU32,
    wake_upkeep: Mutex<Option<SyncSender<()>>>,
    /// Dropped when the rewriter shall end.
    stop_rewriter: Mutex<Option<SyncSender<()>>>,
    began_chunks: AtomicU32,
    /// A refused request may have left series without samples behind.
    refused: AtomicBool,
}

/// What only one round of upkeep at a time may touch.
#[derive(Debug, Default)]
pub(crate) struct UpkeepState {
    /// Newest commit at past rounds, oldest first: the age of commits.
    pub(crate) commit_times: VecDeque<(u64, Timestamp)>,
    pub(crate) replay_from: u64,
    pub(crate) next_seal: u64,
    /// The last one that looked for series that stopped.
    pub(crate) last_stop: Option<PastRound>,
    pub(crate) given_back: GivenBack,
    /// When metadata without series was last looked for.
    pub(crate) last_metadata_round: Option<Timestamp>,
}

/// Numbers about the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadStats {
    /// Series that the engine knows.
    pub series: usize,
    /// Chunks that are not sealed.
    pub chunks: usize,
}

/// Memory that parts of the engine hold, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Series: labels, the ways to find them, unsealed samples. By arithmetic, not measured.
    pub head: u64,
    /// Uncompressed blocks of stored files.
    pub block_cache: u64,
    /// Writes that are not in files yet.
    pub memtables: u64,
}

/// The open engine. Dropping it without [`Tsdb::close`] loses nothing that was acknowledged.
pub struct Tsdb {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Tsdb {
    /// Opens the engine and starts its threads. One of them replays the log: reads may begin at
    /// once, and wait until it has, as do those writes that have more than the next samples of
    /// series that the end of the log names.
    ///
    /// # Errors
    /// The directory is locked, unreadable, damaged, or written by another version.
    pub fn open(
        options: TsdbOptions,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, TsdbError> {
        let kv = Kv::open(&options.path, &options.kv)?;
        let engine = Arc::new(Engine {
            metrics: Metrics::register(registry),
            catalog: Catalog::new(rand::random()),
            head: Head::new(),
            index: RwLock::default(),
            cold: Cold::default(),
            rewrite_metrics: RewriteMetrics::register(registry),
            jitter_seed: rand::random(),
            #[cfg(test)]
            rewrite_fault: Mutex::default(),
            #[cfg(test)]
            commit_fault: AtomicBool::new(false),
            retention: Retention::new(
                RetentionLimits {
                    time: options.retention,
                    max_bytes: options.max_bytes,
                    disk_basis_points: options.disk_basis_points,
                },
                registry,
            ),
            disorder: Disorder::default(),
            order: OrderWindow::new(options.out_of_order_window),
            tombstones: Tombstones::default(),
            exemplars: Exemplars::default(),
            metadata: Metadata::default(),
            committer: Committer::default(),
            upkeep: Mutex::default(),
            replayed: ReplayGate::default(),
            early: EarlyWrites::default(),
            changes: Mutex::new(ChangeLog::new(PARTITION_MS)),
            restored_ids: AtomicU32::new(0),
            removed_below: AtomicU32::new(0),
            wake_upkeep: Mutex::new(None),
            stop_rewriter: Mutex::new(None),
            began_chunks: AtomicU32::new(0),
            refused: AtomicBool::new(false),
            stopped: Stopped::new(clock.now()),
            options,
            clock,
            kv,
        });
        #[cfg(test)]
        engine.replayed.hold(engine.options.hold_replay);
        let unreplayed = engine.restore()?;
        let tsdb = Self {
            engine,
            threads: Mutex::default(),
        };
        tsdb.start_threads(unreplayed)?;
        Ok(tsdb)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn start_threads(&self, unreplayed: Unreplayed) -> Result<(), TsdbError> {
        let engine = Arc::clone(&self.engine);
        self.start("tsdb-replay", move || engine.run_replay(unreplayed))?;
        let engine = Arc::clone(&self.engine);
        self.start("tsdb-commit", move || engine.run_committer())?;
        if let Background::Every(interval) = self.engine.options.background {
            let (wake, woken) = sync_channel(1);
            *self.engine.wake_upkeep.lock() = Some(wake);
            let engine = Arc::clone(&self.engine);
            self.start("tsdb-upkeep", move || engine.run_upkeep(&woken, interval))?;
            let (stop, stopped) = sync_channel(1);
            *self.engine.stop_rewriter.lock() = Some(stop);
            let engine = Arc::clone(&self.engine);
            self.start("tsdb-rewrite", move || engine.run_rewriter(&stopped))?;
        }
        Ok(())
    }

    fn start(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), TsdbError> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)
            .map_err(TsdbError::Thread)?;
        self.threads.lock().push(thread);
        Ok(())
    }

    /// One round of upkeep: seals full and old chunks, drops the log behind them, and drops
    /// partitions past retention.
    ///
    /// # Errors
    /// The store failed; the next round tries again.
    pub fn maintain(&self) -> Result<(), TsdbError> {
        self.engine.maintain()
    }

    /// Stops accepting samples, writes what was accepted, seals every chunk, and ends the threads.
    /// After it, opening has nothing to replay. A replay that runs ends before. A second call does
    /// nothing.
    ///
    /// # Errors
    /// The store failed; the log still holds everything that was acknowledged.
    pub fn close(&self) -> Result<(), TsdbError> {
        // If it broke down, sealing below says so; the threads have to end in any case.
        let _outcome = self.engine.replayed.wait();
        if !self.stop_threads() {
            return Ok(());
        }
        self.engine.seal_everything()?;
        self.engine.kv.sync()?;
        Ok(())
    }

    /// Ends the threads; `false` when they have ended before.
    fn stop_threads(&self) -> bool {
        self.engine.replayed.give_up();
        self.engine.committer.stop();
        drop(self.engine.wake_upkeep.lock().take());
        drop(self.engine.stop_rewriter.lock().take());
        let threads = std::mem::take(&mut *self.threads.lock());
        let running = !threads.is_empty();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a storage thread panicked");
            }
        }
        running
    }

    /// Numbers about the head.
    #[must_use]
    pub fn head_stats(&self) -> HeadStats {
        let mut chunks = 0;
        self.engine
            .head
            .for_each_shard(|_, shard| chunks += shard.chunks());
        HeadStats {
            series: self.engine.catalog.len(),
            chunks,
        }
    }

    /// What the engine holds in memory.
    #[must_use]
    pub fn memory_use(&self) -> MemoryUse {
        MemoryUse {
            head: self.engine.catalog.len() as u64 * SERIES_BYTES,
            block_cache: self.engine.kv.block_cache_bytes(),
            memtables: self.engine.kv.memtable_bytes(),
        }
    }

    /// Bytes that the engine takes on disk and in unflushed writes, as the store estimates them.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        kv::Family::ALL
            .iter()
            .map(|family| self.engine.kv.family_bytes(*family))
            .sum()
    }
}

impl Drop for Tsdb {
    fn drop(&mut self) {
        self.stop_threads();
    }
}

impl Engine {
    /// Ids below this one were in the store when it was opened.
    pub(crate) fn restored_ids(&self) -> u32 {
        self.restored_ids.load(Ordering::Acquire)
    }

    pub(crate) fn set_restored_ids(&self, next: u32) {
        self.restored_ids.store(next, Ordering::Release);
    }

    /// Series ids below this one may have been removed by retention.
    pub(crate) fn removed_below(&self) -> u32 {
        self.removed_below.load(Ordering::Acquire)
    }

    pub(crate) fn set_removed_below(&self, next: u32) {
        self.removed_below.store(next, Ordering::Release);
    }

    /// Bookkeeping after rows became visible.
    pub(crate) fn note_published(&self, rows: &Rows, began: &[(Partition, u32)]) {
        if !began.is_empty() {
            self.index.write().mark_present(began);
            let count = u32::try_from(began.len()).unwrap_or(u32::MAX);
            let before = self.began_chunks.fetch_add(count, Ordering::Relaxed);
            if before.saturating_add(count) as usize > FULL_CHUNKS_WAKE {
                self.began_chunks.store(0, Ordering::Relaxed);
                self.request_upkeep();
            }
        }
        let mut times: Option<(i64, i64)> = None;
        for row in rows {
            let at_ms = row.timestamp_ms;
            let (first, last) = times.unwrap_or((at_ms, at_ms));
            times = Some((first.min(at_ms), last.max(at_ms)));
        }
        if let Some((first, last)) = times {
            let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            self.note_change(TimeRange::new(first, last));
            self.order.note_newest(last.as_millis());
        }
    }

    /// Remembers that readers see samples of these times added or removed.
    pub(crate) fn note_change(&self, changed: TimeRange) {
        self.changes.lock().record(changed);
    }

    /// Remembers that series of a refused request may be without samples.
    pub(crate) fn note_refusal(&self) {
        self.refused.store(true, Ordering::Release);
    }

    /// Whether a request was refused since the last call.
    pub(crate) fn take_refusal(&self) -> bool {
        self.refused.swap(false, Ordering::AcqRel)
    }

    fn request_upkeep(&self) {
        if let Some(wake) = self.wake_upkeep.lock().as_ref() {
            // A full channel means that a round is already due.
            let _due = wake.try_send(());
        }
    }

    fn run_upkeep(&self, woken: &Receiver<()>, interval: Duration) {
        if self.replayed.wait().is_err() {
            return;
        }
        loop {
            match woken.recv_timeout(interval) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
            if let Err(error) = self.maintain() {
                self.metrics.upkeep_failures.inc();
                tracing::error!(error = %base::report(&error), "storage upkeep failed");
            }
        }
    }
}

impl StatusSource for Tsdb {
    fn head_status(&self, limit: usize) -> HeadStatus {
        let mut status = HeadStatus {
            cardinality: self.engine.index.read().cardinality(limit),
            ..HeadStatus::default()
        };
        self.engine.head.for_each_shard(|_, shard| {
            status.chunks += shard.chunks() as u64;
            status.time = match (status.time, shard.time()) {
                (Some(a), Some(b)) => Some(TimeRange::new(a.start.min(b.start), a.end.max(b.end))),
                (a, b) => a.or(b),
            };
        });
        status
    }
}

impl StateStore for Tsdb {
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        StateStore::get(&self.engine.kv, namespace, key)
    }

    fn scan(&self, namespace: &str, prefix: &[u8]) -> Result<Vec<StateEntry>, StateError> {
        StateStore::scan(&self.engine.kv, namespace, prefix)
    }

    fn apply(&self, namespace: &str, changes: &[StateChange]) -> Result<(), StateError> {
        self.engine.kv.apply(namespace, changes)
    }
}
