//! The replay itself: commits are decoded by all threads, and added to the head shard by shard.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::thread::{Scope, ScopedJoinHandle};

use model::TimeRange;
use roaring::RoaringBitmap;
use storage::PointValue;

use super::log_reader::{LogReader, Lost, StoredCommit};
use super::{LateSeals, Unreplayed};
use crate::db::Engine;
use crate::head::{HeadSeries, Newest, SHARDS, group_of, shard_of};
use crate::record;
use crate::rows::{Extra, Row, Rows};

/// Full chunks are sealed during replay when so many wait, so that memory stays bounded.
const FULL_CHUNKS: usize = 1 << 16;
/// More threads than shards have nothing to do.
const MAX_THREADS: usize = SHARDS as usize;

/// The rows of a commit, and where those of which shard are.
struct Sorted {
    number: u64,
    rows: Rows,
    /// By shard, in order: neighbours in a commit are mostly neighbours in the head.
    shards: Vec<Vec<Run>>,
}

/// Rows of a commit that follow each other and whose series are neighbours in the head.
#[derive(Clone)]
struct Run {
    group: u32,
    rows: Range<usize>,
}

/// What the replay did, for the log.
#[derive(Debug, Default)]
struct Tally {
    samples: u64,
    /// Samples of series that are not known, by the id of the series.
    unknown: BTreeMap<u32, u64>,
    /// Stopped series that have samples.
    revived: RoaringBitmap,
}

/// What is known of rows before they are read.
struct Known {
    active: Bits,
    stopped: Bits,
    late: LateSeals,
    seals_are_whole: bool,
}

/// Series ids as plain bits: asked for every row.
pub(super) struct Bits(Vec<u64>);

impl Bits {
    pub(super) fn new(ids: &RoaringBitmap) -> Self {
        let length = ids.max().map_or(0, |max| max as usize / 64 + 1);
        let mut words = vec![0; length];
        for id in ids {
            words[id as usize / 64] |= 1 << (id % 64);
        }
        Self(words)
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        let word = self.0.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

impl Known {
    /// Takes a row of commit `number`, unless it is in a chunk.
    fn accept(&self, head: &mut HeadSeries, row: &Row, extra: Option<&Extra>, number: u64) -> bool {
        if extra.is_some_and(|extra| extra.out_of_order) {
            let is_new = !self.is_sealed(row, number);
            if is_new {
                head.add_pending();
            }
            return is_new;
        }
        let is_new = head.accepts_replay(row.timestamp_ms);
        if is_new {
            let histogram = extra.and_then(|extra| extra.histogram.as_ref());
            let value = histogram.map_or(PointValue::Float(row.value), PointValue::Histogram);
            head.reserve(row.timestamp_ms, value);
        }
        is_new
    }

    /// Whether a row of commit `number` that came out of order is in a chunk.
    fn is_sealed(&self, row: &Row, number: u64) -> bool {
        let bound = self.late.get(&(row.series, row.timestamp_ms));
        bound.is_some_and(|bound| number <= *bound)
    }
}

/// Whatever ends the replaying thread, nobody waits for it any longer.
struct EndOfReplay<'a>(&'a Engine);

impl Drop for EndOfReplay<'_> {
    fn drop(&mut self) {
        // Nobody would ever see them.
        self.0.early.close();
        self.0.replayed.give_up();
    }
}

impl Engine {
    /// Body of the replaying thread: brings the samples that are only in the log into the head.
    pub(crate) fn run_replay(&self, unreplayed: Unreplayed) {
        let replay_from = unreplayed.from;
        let _end = EndOfReplay(self);
        let timer = std::time::Instant::now();
        let known = Known {
            active: Bits::new(self.index.read().all()),
            stopped: Bits::new(&self.stopped.ids()),
            late: unreplayed.late,
            seals_are_whole: unreplayed.seals_are_whole,
        };
        let mut tally = Tally::default();
        let Some(next) = self.replay_all(replay_from, &known, &mut tally) else {
            return;
        };
        self.reserve_unknown(&tally);
        self.note_change(TimeRange::ALL);
        let took = timer.elapsed();
        self.metrics.replay.seconds.set(took.as_secs_f64());
        tracing::info!(
            commits = next - replay_from,
            samples = tally.samples,
            series = self.catalog.len(),
            ?took,
            "log replayed"
        );
        self.replayed.finish();
    }

    /// Brings all commits from number `from` on into the head, also those that are written
    /// meanwhile. Returns the number behind the last one; `None` if the engine stops before.
    fn replay_all(&self, from: u64, known: &Known, tally: &mut Tally) -> Option<u64> {
        let writes_are_in = self.early.is_open();
        let next = self.replay_commits(from, known, tally)?;
        if !writes_are_in {
            return Some(next);
        }
        // Writes go on during most of what came meanwhile, and wait for the rest of it.
        let next = self.replay_commits(next, known, tally)?;
        self.early.close();
        let newest = self.committer.newest_number();
        if let Err(error) = self.committer.wait_until_committed(newest) {
            tracing::error!(error = %base::report(&error), "writes during the replay failed");
            return None;
        }
        self.replay_commits(next, known, tally)
    }

    /// Brings the commits from number `from` on that the log has now into the head. Returns the
    /// number behind the last one; `None` if the engine stops before.
    fn replay_commits(&self, from: u64, known: &Known, tally: &mut Tally) -> Option<u64> {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut log = LogReader::new(&self.kv, from);
        let (mut batch, mut lost) = log.next_batch();
        loop {
            self.report_lost(&lost);
            if batch.is_empty() {
                break;
            }
            if self.replayed.is_given_up() {
                return None;
            }
            let threads = threads.clamp(1, MAX_THREADS.min(batch.len().max(2)));
            let (sorted, next) = self.sort_batch(&batch, threads, || log.next_batch());
            self.apply_batch(&sorted, known, threads, tally);
            (batch, lost) = next;
            if let Err(error) = self.revive(&std::mem::take(&mut tally.revived)) {
                // Their chunks could not be sealed.
                tracing::error!(error = %base::report(&error), "reading series of the log failed");
                return None;
            }
            // Seal records reach beyond what they were made from.
            self.committer.resume_after(log.next_number() - 1);
            self.bound_full_chunks();
        }
        self.committer.resume_after(log.next_number() - 1);
        Some(log.next_number())
    }

    fn report_lost(&self, lost: &[Lost]) {
        for Lost { first, last } in lost {
            self.metrics.replay.lost_commits.add(last - first + 1);
            tracing::error!(first, last, "commits are missing from the log");
        }
    }

    /// Decodes the commits of a batch with so many threads, and reads the next one meanwhile.
    fn sort_batch<T>(
        &self,
        batch: &[StoredCommit],
        threads: usize,
        meanwhile: impl FnOnce() -> T,
    ) -> (Vec<Sorted>, T) {
        std::thread::scope(|scope| {
            let workers = start(scope, threads, |worker| {
                let share = batch.iter().skip(worker).step_by(threads);
                share
                    .filter_map(|commit| self.sort_commit(commit))
                    .collect::<Vec<Sorted>>()
            });
            let next = meanwhile();
            let mut sorted: Vec<Sorted> = join(workers).into_iter().flatten().collect();
            sorted.sort_unstable_by_key(|commit| commit.number);
            (sorted, next)
        })
    }

    fn sort_commit(&self, commit: &StoredCommit) -> Option<Sorted> {
        let number = commit.number;
        match record::decode_commit(&commit.record) {
            Ok(rows) => {
                let mut shards = vec![Vec::new(); SHARDS as usize];
                let mut start = 0;
                let neighbours = |a: &Row, b: &Row| group_of(a.series) == group_of(b.series);
                for run in rows.as_slice().chunk_by(neighbours) {
                    let (series, end) = (run[0].series, start + run.len());
                    shards[shard_of(series)].push(Run {
                        group: group_of(series),
                        rows: start..end,
                    });
                    start = end;
                }
                Some(Sorted {
                    number,
                    rows,
                    shards,
                })
            }
            Err(error) => {
                self.metrics.replay.lost_commits.inc();
                tracing::error!(number, %error, "a commit of the log is lost");
                None
            }
        }
    }

    /// Adds commits to the head: each thread has shards of its own, and goes through the commits
    /// in their order.
    fn apply_batch(&self, batch: &[Sorted], known: &Known, threads: usize, tally: &mut Tally) {
        let tallies = std::thread::scope(|scope| {
            join(start(scope, threads, |worker| {
                let mut tally = Tally::default();
                for shard in (worker..SHARDS as usize).step_by(threads) {
                    self.apply_shard(shard, batch, known, &mut tally);
                }
                tally
            }))
        });
        for part in tallies {
            tally.samples += part.samples;
            tally.revived |= part.revived;
            for (id, samples) in part.unknown {
                *tally.unknown.entry(id).or_default() += samples;
            }
        }
    }

    /// Adds the rows of one shard to the head.
    fn apply_shard<'b>(
        &self,
        number: usize,
        batch: &'b [Sorted],
        known: &Known,
        tally: &mut Tally,
    ) {
        let mut shard = self.head.lock_shard(number);
        let mut began = Vec::new();
        let mut newest_ms = None;
        let runs = |commit: &'b Sorted| commit.shards[number].iter().map(move |run| (commit, run));
        let mut runs: Vec<(&Sorted, &Run)> = batch.iter().flat_map(runs).collect();
        // Group by group, since the chunks of one fit a core's cache, and those of a shard do not.
        // Stable: each series keeps the order of its commits.
        runs.sort_by_key(|(_, run)| run.group);
        for (commit, run) in runs {
            for row in &commit.rows.as_slice()[run.rows.clone()] {
                let is_active = known.active.contains(row.series);
                if !is_active && !known.stopped.contains(row.series) {
                    *tally.unknown.entry(row.series).or_default() += 1;
                    continue;
                }
                let extra = commit.rows.extra(row);
                let head = shard.series(row.series);
                if !known.seals_are_whole && head.newest() == Newest::Unknown {
                    self.look_up_newest(row.series, head);
                }
                if !known.accept(head, row, extra, commit.number) {
                    continue;
                }
                if shard.publish(row, extra, commit.number) {
                    began.push((row.partition(), row.series));
                }
                if !is_active {
                    tally.revived.insert(row.series);
                }
                tally.samples += 1;
                newest_ms = newest_ms.max(Some(row.timestamp_ms));
            }
        }
        if let Some(newest_ms) = newest_ms {
            self.order.note_newest(newest_ms);
        }
        if !began.is_empty() {
            self.index.write().mark_present(&began);
        }
    }

    /// What seal records would have said.
    fn look_up_newest(&self, id: u32, head: &mut HeadSeries) {
        match self.newest_stored(id) {
            Ok(newest) => head.set_stored(newest),
            Err(error) => {
                let error = base::report(&error);
                tracing::error!(series = id, %error, "the newest chunk of a series is unreadable");
            }
        }
    }

    fn bound_full_chunks(&self) {
        if self.head.full_chunks() >= FULL_CHUNKS
            && let Err(error) = self.seal_full()
        {
            // They stay in memory; upkeep tries again.
            tracing::warn!(error = %base::report(&error), "sealing during replay failed");
        }
    }

    /// Ids that the log names are never given out again, whatever became of their series.
    fn reserve_unknown(&self, tally: &Tally) {
        let Some(last) = tally.unknown.keys().next_back() else {
            return;
        };
        self.catalog.reserve_ids(last.saturating_add(1));
        self.set_restored_ids(self.catalog.next_id());
        // Retention removes series while their last samples are in the log. Series that are newer
        // than the last removal must have been lost.
        let removed_below = self.removed_below();
        let lost = tally.unknown.range(removed_below..);
        let (series, samples) = lost.fold((0_u64, 0), |(series, samples), (_, more)| {
            (series + 1, samples + more)
        });
        if series > 0 {
            tracing::error!(
                series,
                samples,
                "samples are lost: the labels of their series are"
            );
        }
    }
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    threads: usize,
    work: impl Fn(usize) -> T + Clone + Send + 'scope,
) -> Vec<ScopedJoinHandle<'scope, T>> {
    (0..threads)
        .map(|worker| {
            let work = work.clone();
            scope.spawn(move || work(worker))
        })
        .collect()
}

fn join<T>(workers: Vec<ScopedJoinHandle<'_, T>>) -> Vec<T> {
    workers
        .into_iter()
        .map(|worker| match worker.join() {
            Ok(result) => result,
            // What is half replayed must not be served.
            Err(panic) => std::panic::resume_unwind(panic),
        })
        .collect()
}
