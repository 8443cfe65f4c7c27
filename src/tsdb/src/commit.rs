//! Group commit: requests collect while a write runs, one write carries them all.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use storage::{AppendError, AppendOutcome, Durability, PendingAppend};
use tokio::sync::oneshot;

use crate::catalog::SeriesEntry;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::record;
use crate::rows::Rows;
use crate::{keys, varint};

/// Answers a request that waits for its commit.
pub(crate) type Waiter = oneshot::Sender<Result<(), AppendError>>;

/// Rows that may wait for the running write; beyond that, requests wait before they are validated.
const MAX_OPEN_ROWS: usize = 1 << 20;
/// Wait between two attempts to write what nobody sends again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Format of a series' row.
const SERIES_VERSION: u8 = 1;

/// When the head gets the rows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// It has them.
    Already,
    /// When they are written.
    AtCommit,
    /// When the replay has come to their commit.
    AtReplay,
}

/// The rows of one request.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) rows: Rows,
    pub(crate) visibility: Visibility,
}

/// What the next commit carries.
#[derive(Debug, Default)]
pub(crate) struct OpenCommit {
    blocks: Vec<Block>,
    new_series: Vec<(u32, SeriesEntry)>,
    waiters: Vec<Waiter>,
    rows: usize,
}

impl OpenCommit {
    fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.new_series.is_empty()
    }
}

#[derive(Debug, Default)]
struct State {
    open: OpenCommit,
    /// Number of the newest commit that is written and published.
    last_committed: u64,
    writing: bool,
    stopping: bool,
    /// Something has joined since the last attempt.
    joined: bool,
    /// The committing thread has ended: nothing will be written any more.
    ended: bool,
    /// Why the last attempt failed.
    failure: Option<String>,
}

/// The queue in front of the log.
#[derive(Debug, Default)]
pub(crate) struct Committer {
    state: Mutex<State>,
    /// Signalled when something joins or the engine stops.
    wake: Condvar,
    /// Signalled when a commit has been taken or has ended.
    progress: Condvar,
}

impl Committer {
    /// Gives out no number up to `number`.
    pub(crate) fn resume_after(&self, number: u64) {
        let mut state = self.state.lock();
        state.last_committed = state.last_committed.max(number);
    }

    /// Number of the newest commit that is written and published.
    pub(crate) fn last_committed(&self) -> u64 {
        self.state.lock().last_committed
    }

    /// Number of the newest commit that anything which has joined may get.
    pub(crate) fn newest_number(&self) -> u64 {
        let state = self.state.lock();
        state.last_committed + u64::from(state.writing) + u64::from(!state.open.is_empty())
    }

    /// Waits until all that has joined is written, at the latest when commit `number` is.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn wait_until_committed(&self, number: u64) -> Result<(), TsdbError> {
        let mut state = self.state.lock();
        while state.last_committed < number && (state.writing || !state.open.is_empty()) {
            if let Some(failure) = &state.failure {
                return Err(TsdbError::Commit(failure.clone()));
            }
            if state.ended {
                return Err(TsdbError::Commit("storage is closed".to_owned()));
            }
            self.progress.wait(&mut state);
        }
        Ok(())
    }

    /// Waits while too much is waiting. Must be called without any lock of the head.
    pub(crate) fn wait_for_room(&self) -> Result<(), AppendError> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                return Err(AppendError::NotReady);
            }
            if state.open.rows <= MAX_OPEN_ROWS {
                return Ok(());
            }
            if let Some(failure) = &state.failure {
                return Err(AppendError::Commit(failure.clone()));
            }
            self.progress.wait(&mut state);
        }
    }

    /// Adds a request to the open commit. Called with the shards of its series locked, so that
    /// commits hold the samples of a series in the order of their acceptance.
    fn join(&self, block: Block, new_series: Vec<(u32, SeriesEntry)>, waiter: Option<Waiter>) {
        let mut state = self.state.lock();
        if state.ended {
            // Without its waiter the request is answered that the engine is not ready.
            return;
        }
        state.open.rows += block.rows.weight() + new_series.len();
        if !block.rows.is_empty() {
            state.open.blocks.push(block);
        }
        state.open.new_series.extend(new_series);
        state.open.waiters.extend(waiter);
        state.joined = true;
        drop(state);
        self.wake.notify_one();
    }

    /// As [`Committer::join`], for a request that is answered with `outcome`.
    pub(crate) fn join_with(
        &self,
        block: Block,
        new_series: Vec<(u32, SeriesEntry)>,
        outcome: AppendOutcome,
        durability: Durability,
    ) -> PendingAppend {
        match durability {
            Durability::Deferred => {
                if !block.rows.is_empty() {
                    self.join(block, new_series, None);
                }
                PendingAppend::ready(outcome)
            }
            Durability::Acknowledged => {
                let (waiter, done) = oneshot::channel();
                self.join(block, new_series, Some(waiter));
                PendingAppend::waiting(outcome, done)
            }
        }
    }

    /// Refuses new requests, waits until everything that joined has been tried, and lets the
    /// committing thread end.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        self.wake.notify_all();
        self.progress.notify_all();
        while !state.ended && (state.writing || state.joined) {
            self.progress.wait(&mut state);
        }
    }

    /// The next commit and its number; `None` when the engine stops.
    fn take(&self) -> Option<(u64, OpenCommit)> {
        let mut state = self.state.lock();
        while !state.joined {
            if state.stopping {
                return None;
            }
            if state.failure.is_some() && !state.open.blocks.is_empty() {
                // Rows that are visible already have nobody who would send them again.
                if self.wake.wait_for(&mut state, RETRY_INTERVAL).timed_out() {
                    break;
                }
            } else {
                self.wake.wait(&mut state);
            }
        }
        state.joined = false;
        state.writing = true;
        let commit = std::mem::take(&mut state.open);
        self.progress.notify_all();
        Some((state.last_committed + 1, commit))
    }

    fn succeeded(&self, number: u64) {
        let mut state = self.state.lock();
        state.last_committed = number;
        state.writing = false;
        state.failure = None;
        self.progress.notify_all();
    }
}

/// Whatever ends the committing thread, nobody waits for it any longer.
struct EndOfCommits<'a>(&'a Committer);

impl Drop for EndOfCommits<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.ended = true;
        state.stopping = true;
        state.open.waiters.clear();
        self.0.progress.notify_all();
    }
}

impl Engine {
    /// Body of the committing thread.
    pub(crate) fn run_committer(&self) {
        let _end = EndOfCommits(&self.committer);
        self.metrics.commits.writable.set(1.0);
        while let Some((number, commit)) = self.committer.take() {
            let timer = std::time::Instant::now();
            match self.write_commit(number, &commit) {
                Ok(()) => {
                    self.publish_commit(number, commit);
                    self.metrics.commits.writable.set(1.0);
                    self.metrics
                        .commits
                        .seconds
                        .observe(timer.elapsed().as_secs_f64());
                }
                Err(error) => self.fail_commit(&error, commit),
            }
        }
    }

    fn write_commit(&self, number: u64, commit: &OpenCommit) -> Result<(), TsdbError> {
        if commit.is_empty() {
            return Ok(());
        }
        #[cfg(test)]
        if self
            .commit_fault
            .swap(false, std::sync::atomic::Ordering::AcqRel)
        {
            return Err(TsdbError::Commit("so told".to_owned()));
        }
        let mut batch = self.kv.batch();
        for (id, entry) in &commit.new_series {
            batch.put(
                kv::Family::Series,
                &keys::series(*id),
                &encode_series(entry),
            );
        }
        let rows = commit.blocks.iter().map(|block| &block.rows);
        batch.put(
            kv::Family::Log,
            &keys::commit(number),
            &record::encode_commit(rows),
        );
        self.metrics.commits.bytes.add(batch.size_bytes() as u64);
        Ok(self.kv.write(batch)?)
    }

    fn publish_commit(&self, number: u64, commit: OpenCommit) {
        let OpenCommit {
            blocks,
            new_series,
            waiters,
            ..
        } = commit;
        let wrote = !(blocks.is_empty() && new_series.is_empty());
        self.publish_series(&new_series);
        let at_commit = |block: &&Block| block.visibility == Visibility::AtCommit;
        for block in blocks.iter().filter(at_commit) {
            let mut locked = self.head.lock(block.rows.iter().map(|row| row.series));
            let began = locked.publish(&block.rows, number);
            // Under the lock: whoever finds a series without chunks also finds it absent.
            self.note_published(&block.rows, &began);
        }
        // An empty commit takes no number, so that numbers have no gaps.
        self.committer
            .succeeded(if wrote { number } else { number - 1 });
        for waiter in waiters {
            // A client that has gone does not want the answer.
            let _unwanted = waiter.send(Ok(()));
        }
    }

    fn publish_series(&self, new_series: &[(u32, SeriesEntry)]) {
        if new_series.is_empty() {
            return;
        }
        let mut index = self.index.write();
        for (id, entry) in new_series {
            index.add(*id, &entry.labels);
        }
        drop(index);
        let mut locked = self.head.lock(new_series.iter().map(|(id, _)| *id));
        for (id, _) in new_series {
            let series = locked.series(*id);
            series.set_persisted(crate::head::Persisted::Yes);
        }
    }

    /// Nothing of a failed commit becomes visible, nor of the one that collected meanwhile: its
    /// requests were validated against samples that do not exist. Rows that were visible before
    /// they were written try again with the next commit.
    fn fail_commit(&self, error: &TsdbError, failed: OpenCommit) {
        let reason = base::report(error);
        tracing::error!(error = %reason, "commit failed");
        self.metrics.commits.failures.inc();
        self.metrics.commits.writable.set(0.0);
        // The newest times that early writes are held against are those of what has failed.
        self.early.close();
        let mut locked = self.head.lock_all();
        let mut state = self.committer.state.lock();
        let collected = std::mem::take(&mut state.open);
        let mut waiters = failed.waiters;
        waiters.extend(collected.waiters);
        let mut retried = OpenCommit {
            new_series: failed.new_series,
            ..OpenCommit::default()
        };
        retried.new_series.extend(collected.new_series);
        for block in failed.blocks.into_iter().chain(collected.blocks) {
            match block.visibility {
                Visibility::Already => {
                    retried.rows += block.rows.weight();
                    retried.blocks.push(block);
                }
                Visibility::AtCommit => locked.abandon(&block.rows),
                Visibility::AtReplay => {}
            }
        }
        state.open = retried;
        state.writing = false;
        // A new request tries again, or the retry interval: a full disk is not hammered.
        state.joined = false;
        state.failure = Some(reason.clone());
        drop(state);
        drop(locked);
        self.committer.progress.notify_all();
        for waiter in waiters {
            let _unwanted = waiter.send(Err(AppendError::Commit(reason.clone())));
        }
    }
}

/// Writes a series' row.
pub(crate) fn encode_series(entry: &SeriesEntry) -> Vec<u8> {
    let packed = entry.labels.as_packed().as_bytes();
    let mut row = Vec::with_capacity(packed.len() + 6);
    row.push(SERIES_VERSION);
    varint::put(&mut row, u64::from(entry.metric));
    row.extend_from_slice(packed);
    row
}

/// Reads a series' row.
pub(crate) fn decode_series(row: &[u8]) -> Result<SeriesEntry, TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt("series", reason);
    let (version, mut rest) = row.split_first().ok_or_else(|| corrupt("it is empty"))?;
    if *version != SERIES_VERSION {
        return Err(corrupt(&format!("unknown version {version}")));
    }
    let metric = varint::take(&mut rest)
        .and_then(|metric| u32::try_from(metric).ok())
        .ok_or_else(|| corrupt("it has no metric number"))?;
    let packed = std::str::from_utf8(rest).map_err(|_| corrupt("labels are not UTF-8"))?;
    let labels =
        model::Labels::from_packed(packed).ok_or_else(|| corrupt("labels do not unpack"))?;
    Ok(SeriesEntry { labels, metric })
}
