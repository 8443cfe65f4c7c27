//! The head: for every series its newest sample and its unsealed chunks. Memory only.

mod late;
mod series;
mod state;

use std::collections::HashMap;

use model::{TimeRange, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use roaring::RoaringBitmap;
use storage::Columns;

use crate::open::HeadChunk;
use crate::paged::Paged;
use crate::partition::Partition;
use crate::rows::{Extra, Row, Rows};

pub(crate) use series::{HeadSeries, NewestValue};
pub(crate) use state::{Newest, Persisted};

pub(crate) use late::{FullSlabs, LateSample};

/// Shards of the head; a series belongs to one for ever. A power of two.
pub(crate) const SHARDS: u32 = 16;
/// So many neighbours by id share a shard, as a power of two.
const NEIGHBOURS_BITS: u32 = 10;
const AMONG_NEIGHBOURS: u32 = (1 << NEIGHBOURS_BITS) - 1;

/// A chunk that waits to be sealed.
#[derive(Clone, Debug)]
pub(crate) struct FullChunk {
    pub(crate) series: u32,
    pub(crate) chunk: HeadChunk,
    pub(crate) first_commit: u64,
    /// Whether a commit of this process has carried the series' row.
    pub(crate) row_stored: bool,
}

/// A part of the head behind one lock.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    series: Paged<HeadSeries>,
    /// No series has a sample of a later commit.
    newest_commit: u64,
    full: HashMap<u32, Vec<FullChunk>>,
    full_count: usize,
    late: late::Late,
}

/// What makes a series one that stopped.
#[derive(Debug)]
pub(crate) struct IdleSince {
    /// Its newest sample is not newer.
    pub(crate) newest: Timestamp,
    /// Series for which that is not certain, if nothing was heard of them since the engine was
    /// opened.
    pub(crate) uncertain: RoaringBitmap,
}

/// All shards.
#[derive(Debug)]
pub(crate) struct Head {
    shards: Vec<Mutex<Shard>>,
}

/// Locks on the shards that a request touches, taken in one order by everybody.
pub(crate) struct LockedShards<'a> {
    guards: Vec<Option<MutexGuard<'a, Shard>>>,
}

/// The shard of a series. Neighbours share one: a request of one target needs few locks, and walks
/// through memory in order.
pub(crate) const fn shard_of(series: u32) -> usize {
    (group_of(series) % SHARDS) as usize
}

/// The neighbours that a series shares its shard with.
pub(crate) const fn group_of(series: u32) -> u32 {
    series >> NEIGHBOURS_BITS
}

/// The place of a series in its shard.
const fn slot_of(series: u32) -> usize {
    let group = group_of(series) / SHARDS;
    (group << NEIGHBOURS_BITS | series & AMONG_NEIGHBOURS) as usize
}

/// The series at a place of a shard.
const fn series_at(shard: u32, slot: u32) -> u32 {
    let group = (slot >> NEIGHBOURS_BITS) * SHARDS + shard;
    group << NEIGHBOURS_BITS | slot & AMONG_NEIGHBOURS
}

impl Head {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Locks the shards of the given series.
    pub(crate) fn lock(&self, series: impl Iterator<Item = u32>) -> LockedShards<'_> {
        let mut wanted = [false; SHARDS as usize];
        for id in series {
            wanted[shard_of(id)] = true;
        }
        let shards = self.shards.iter().zip(wanted);
        LockedShards {
            guards: shards
                .map(|(shard, wanted)| wanted.then(|| shard.lock()))
                .collect(),
        }
    }

    /// Locks the shard of this number.
    pub(crate) fn lock_shard(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number].lock()
    }

    /// Locks everything.
    pub(crate) fn lock_all(&self) -> LockedShards<'_> {
        LockedShards {
            guards: self.shards.iter().map(|shard| Some(shard.lock())).collect(),
        }
    }

    /// Time and value of a series' newest published sample, where it is unsealed and a float
    /// without more.
    pub(crate) fn newest_float(&self, series: u32) -> Option<(i64, f64)> {
        let shard = self.shards[shard_of(series)].lock();
        shard.series.get(slot_of(series))?.newest_float()
    }

    /// Unsealed chunks of a series, oldest first, and its samples that came out of order, in parts
    /// of which the earlier one counts.
    pub(crate) fn snapshot(&self, series: u32) -> (Vec<HeadChunk>, Vec<Columns>) {
        let shard = self.shards[shard_of(series)].lock();
        let late = shard.late.snapshot(series);
        let Some(head) = shard.series.get(slot_of(series)) else {
            return (Vec::new(), late);
        };
        let full = shard.full.get(&series).map_or(&[][..], Vec::as_slice);
        let mut chunks: Vec<HeadChunk> = full.iter().map(|full| full.chunk.clone()).collect();
        chunks.extend(head.snapshot());
        (chunks, late)
    }

    /// Time of a series' newest published sample, as far as that is known.
    pub(crate) fn newest_time(&self, series: u32) -> Option<i64> {
        let shard = self.shards[shard_of(series)].lock();
        shard.series.get(slot_of(series))?.published_time()
    }

    /// Visits the shards one after the other, each locked while it is visited.
    pub(crate) fn for_each_shard(&self, mut visit: impl FnMut(u32, &mut Shard)) {
        for (number, shard) in (0..).zip(&self.shards) {
            visit(number, &mut shard.lock());
        }
    }

    /// Marks a series as removed if it is idle. Requests that found it before look it up again.
    pub(crate) fn mark_stopped(&self, series: u32, idle: &IdleSince) -> bool {
        let mut shard = self.shards[shard_of(series)].lock();
        let is_idle = shard.is_idle(series, idle);
        if is_idle {
            shard.series.entry(slot_of(series)).set_removed(true);
        }
        is_idle
    }

    /// Forgets series, which must not be known to anybody else any more.
    pub(crate) fn release(&self, series: &[u32]) {
        for id in series {
            let mut shard = self.shards[shard_of(*id)].lock();
            *shard.series.entry(slot_of(*id)) = HeadSeries::default();
        }
        self.for_each_shard(|number, shard| {
            let here = series.iter().filter(|id| shard_of(**id) == number as usize);
            let slots = here.map(|id| slot_of(*id));
            shard.series.drop_pages(slots, HeadSeries::is_vacant);
        });
    }

    /// How many chunks wait to be sealed.
    pub(crate) fn full_chunks(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().full_count)
            .sum()
    }

    /// Takes sealed slabs out, the `count` oldest ones of a series.
    pub(crate) fn remove_late(&self, series: u32, count: usize) {
        let mut shard = self.shards[shard_of(series)].lock();
        shard.late.remove_sealed(series, count);
    }

    /// Takes sealed chunks out, `count` oldest ones of each series named.
    pub(crate) fn remove_sealed(&self, sealed: &[u32]) {
        for series in sealed {
            let mut shard = self.shards[shard_of(*series)].lock();
            let shard = &mut *shard;
            if let Some(chunks) = shard.full.get_mut(series) {
                if !chunks.is_empty() {
                    chunks.remove(0);
                    shard.full_count -= 1;
                }
                if chunks.is_empty() {
                    shard.full.remove(series);
                }
            }
        }
    }
}

impl LockedShards<'_> {
    fn shard(&mut self, series: u32) -> &mut Shard {
        self.guards[shard_of(series)]
            .as_mut()
            .expect("the shards of all series used are locked")
    }

    /// A series, made if it is new to the head.
    pub(crate) fn series(&mut self, series: u32) -> &mut HeadSeries {
        self.shard(series).series(series)
    }

    /// Whether a series has no published sample that is not sealed.
    pub(crate) fn is_sealed(&mut self, series: u32) -> bool {
        let shard = self.shard(series);
        let head = shard.series.get(slot_of(series));
        head.is_none_or(|head| !head.has_open())
            && !shard.full.contains_key(&series)
            && !shard.late.contains(series)
    }

    /// Makes accepted rows visible. `commit` is the number of the commit that holds them, or a
    /// lower bound of it. Returns the series that began a chunk, with its partition.
    pub(crate) fn publish(&mut self, rows: &Rows, commit: u64) -> Vec<(Partition, u32)> {
        let mut began = Vec::new();
        for row in rows {
            let shard = self.shard(row.series);
            if shard.publish(row, rows.extra(row), commit) {
                began.push((row.partition(), row.series));
            }
        }
        began
    }

    /// Forgets accepted rows that were not published, since their commit failed.
    pub(crate) fn abandon(&mut self, rows: &Rows) {
        for row in rows {
            self.series(row.series).abandon();
        }
    }
}

impl Shard {
    /// A series, made if it is new to the head.
    #[inline]
    pub(crate) fn series(&mut self, series: u32) -> &mut HeadSeries {
        self.series.entry(slot_of(series))
    }

    /// As [`LockedShards::publish`], for one row; whether its series began a chunk.
    #[inline]
    pub(crate) fn publish(&mut self, row: &Row, extra: Option<&Extra>, commit: u64) -> bool {
        self.newest_commit = self.newest_commit.max(commit);
        let series = self.series.entry(slot_of(row.series));
        if extra.is_some_and(|extra| extra.out_of_order) {
            series.remove_pending();
            return self.late.insert(row, extra, commit);
        }
        let full = series.publish(row, extra, commit);
        let began = series.has_begun();
        if let Some(full) = full {
            self.add_full(full);
        }
        began
    }

    /// Whether all samples of a series are in sealed chunks, and none is recent.
    pub(crate) fn is_idle(&self, series: u32, idle: &IdleSince) -> bool {
        if self.full.contains_key(&series) || self.late.contains(series) {
            return false;
        }
        let Some(head) = self.series.get(slot_of(series)) else {
            return !idle.uncertain.contains(series);
        };
        let has_stopped = match head.newest() {
            Newest::Unknown | Newest::None => !idle.uncertain.contains(series),
            Newest::Time | Newest::Float | Newest::Histogram => {
                head.reserved_ms <= idle.newest.as_millis()
            }
        };
        has_stopped && head.is_idle() && !head.is_removed()
    }

    fn add_full(&mut self, full: FullChunk) {
        self.full.entry(full.series).or_default().push(full);
        self.full_count += 1;
    }

    /// Declares full every open chunk without samples behind `still_since`, and every one for which
    /// `is_due(series, first commit)` holds.
    pub(crate) fn close_open(
        &mut self,
        shard: u32,
        still_since: Timestamp,
        mut is_due: impl FnMut(u32, u64) -> bool,
    ) {
        let newest_commit = self.newest_commit;
        let is_still = |head: &HeadSeries| {
            let newest_ms = head.published_time();
            newest_ms.is_some_and(|newest_ms| newest_ms <= still_since.as_millis())
        };
        let mut due = Vec::new();
        for (slot, head) in self.series.iter_mut() {
            let series = series_at(shard, slot);
            if let Some(first_commit) = head.first_commit(newest_commit)
                && (is_still(head) || is_due(series, first_commit))
            {
                due.extend(head.take_open(series, newest_commit));
            }
        }
        for full in due {
            self.add_full(full);
        }
    }

    /// Copies of the chunks that wait to be sealed.
    pub(crate) fn copy_full(&self) -> impl Iterator<Item = FullChunk> {
        self.full().map(|full| {
            let head = self.series.get(slot_of(full.series));
            let row_stored = head.is_some_and(|head| head.persisted() == Persisted::Yes);
            FullChunk {
                row_stored,
                ..full.clone()
            }
        })
    }

    fn full(&self) -> impl Iterator<Item = &FullChunk> {
        self.full.values().flatten()
    }

    /// The first commit that may hold a sample which is only in memory.
    pub(crate) fn first_unsealed_commit(&self) -> Option<u64> {
        let heads = self.series.iter();
        let open = heads.filter_map(|head| head.first_commit(self.newest_commit));
        let full = self.full().map(|full| full.first_commit);
        open.chain(full).chain(self.late.first_commits()).min()
    }

    /// From the oldest to the newest sample that is not sealed.
    pub(crate) fn time(&self) -> Option<TimeRange> {
        let open = self.series.iter().filter_map(HeadSeries::open_time);
        let full = self.full().filter_map(|full| {
            let chunk = &full.chunk;
            Some((chunk.first_timestamp()?, chunk.last_timestamp()?))
        });
        let (start, end) = open
            .chain(full)
            .reduce(|(start, end), (first, last)| (start.min(first), end.max(last)))?;
        let (start, end) = (Timestamp::from_millis(start), Timestamp::from_millis(end));
        Some(TimeRange::new(start, end))
    }

    /// How many chunks are not sealed.
    pub(crate) fn chunks(&self) -> usize {
        let heads = self.series.iter();
        let open = heads.filter(|head| head.has_open()).count();
        open + self.full_count + self.late.len()
    }
}

#[cfg(test)]
mod tests;
