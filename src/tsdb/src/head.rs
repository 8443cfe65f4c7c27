//! The head: for every series its newest sample and its unsealed chunks. Memory only.

mod late;

use std::collections::HashMap;

use model::{Histogram, TimeRange, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use storage::{Columns, PointValue};

use crate::open::{HeadChunk, Open};
use crate::partition::Partition;
use crate::rows::{Extra, Row, Rows};

pub(crate) use late::{FullSlabs, LateSample};

/// Shards of the head; a series belongs to one for ever. A power of two.
pub(crate) const SHARDS: u32 = 16;
/// How much is known of a series' newest sample after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Newest {
    /// Nothing yet: it has to be looked up before a sample is accepted.
    #[default]
    Unknown,
    /// The series has no sample.
    None,
    /// Its time, not its value.
    Time,
    /// Both, and it is a float.
    Float,
    /// Both, and it is a histogram.
    Histogram,
}

/// A series' newest sample, found in the store.
#[derive(Clone, Debug)]
pub(crate) enum NewestValue {
    Float(f64),
    Histogram(Histogram),
}

/// Whether the series' row is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Persisted {
    #[default]
    No,
    /// A commit that is not written yet carries it.
    Queued,
    Yes,
}

/// A series of the head.
#[derive(Debug, Default)]
pub(crate) struct HeadSeries {
    /// Newest accepted sample, published or on its way to the disk.
    pub(crate) reserved_ms: i64,
    pub(crate) reserved_value: f64,
    /// Newest published sample.
    published_ms: i64,
    published_value: f64,
    /// Accepted samples that are not published yet.
    pub(crate) pending: u32,
    pub(crate) newest: Newest,
    published: Newest,
    pub(crate) persisted: Persisted,
    /// Retention has removed the series; its id is dead.
    pub(crate) removed: bool,
    /// No sample of `open` was committed before this commit.
    first_commit: u64,
    /// The newest histograms stand there as well.
    open: Open,
}

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
    series: Vec<HeadSeries>,
    full: HashMap<u32, Vec<FullChunk>>,
    full_count: usize,
    late: late::Late,
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

fn shard_of(series: u32) -> usize {
    (series % SHARDS) as usize
}

fn slot_of(series: u32) -> usize {
    (series / SHARDS) as usize
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
        shard.series.get(slot_of(series))?.open.newest_float()
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
        if !head.open.is_empty() {
            chunks.push(head.open.snapshot());
        }
        (chunks, late)
    }

    /// Visits the shards one after the other, each locked while it is visited.
    pub(crate) fn for_each_shard(&self, mut visit: impl FnMut(u32, &mut Shard)) {
        for (number, shard) in (0..).zip(&self.shards) {
            visit(number, &mut shard.lock());
        }
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
        let slot = slot_of(series);
        let shard = self.shard(series);
        if shard.series.len() <= slot {
            shard.series.resize_with(slot + 1, HeadSeries::default);
        }
        &mut shard.series[slot]
    }

    /// Makes accepted rows visible. `commit` is the number of the commit that holds them, or a
    /// lower bound of it. Returns the series that began a chunk, with its partition.
    pub(crate) fn publish(&mut self, rows: &Rows, commit: u64) -> Vec<(Partition, u32)> {
        let mut began = Vec::new();
        for row in rows {
            let extra = rows.extra(row);
            if extra.is_some_and(|extra| extra.out_of_order) {
                let series = self.series(row.series);
                series.pending = series.pending.saturating_sub(1);
                if self.shard(row.series).late.insert(row, extra, commit) {
                    began.push((row.partition(), row.series));
                }
                continue;
            }
            let series = self.series(row.series);
            let full = series.publish(row, extra, commit);
            if series.open.len() == 1 {
                began.push((row.partition(), row.series));
            }
            if let Some(full) = full {
                self.shard(row.series).add_full(full);
            }
        }
        began
    }

    /// Forgets accepted rows that were not published, since their commit failed.
    pub(crate) fn abandon(&mut self, rows: &Rows) {
        for row in rows {
            let series = self.series(row.series);
            series.pending = 0;
            series.reserved_ms = series.published_ms;
            series.reserved_value = series.published_value;
            series.newest = series.published;
            if let Some(rich) = series.open.as_rich_mut() {
                rich.reserved.clone_from(&rich.published);
            }
        }
    }
}

impl HeadSeries {
    /// Records what a lookup found to be the newest stored sample; `None` is none at all.
    pub(crate) fn set_stored(&mut self, stored: Option<(i64, NewestValue)>) {
        match stored {
            None => self.set_newest(Newest::None, 0, 0.0),
            Some((timestamp_ms, NewestValue::Float(value))) => {
                self.set_newest(Newest::Float, timestamp_ms, value);
            }
            Some((timestamp_ms, NewestValue::Histogram(histogram))) => {
                self.set_newest(Newest::Histogram, timestamp_ms, 0.0);
                let rich = self.open.rich();
                rich.reserved = Some(histogram);
                rich.published.clone_from(&rich.reserved);
            }
        }
    }

    /// Records the time of the newest stored sample.
    pub(crate) fn set_stored_time(&mut self, timestamp_ms: i64) {
        self.set_newest(Newest::Time, timestamp_ms, 0.0);
    }

    fn set_newest(&mut self, newest: Newest, timestamp_ms: i64, value: f64) {
        self.newest = newest;
        self.published = newest;
        (self.reserved_ms, self.reserved_value) = (timestamp_ms, value);
        (self.published_ms, self.published_value) = (timestamp_ms, value);
        if let Some(rich) = self.open.as_rich_mut() {
            (rich.reserved, rich.published) = (None, None);
        }
    }

    /// The newest accepted sample, where that is a histogram.
    pub(crate) fn reserved_histogram(&self) -> Option<&Histogram> {
        self.open.as_rich()?.reserved.as_ref()
    }

    /// Takes back a reservation: the newest accepted sample is this one again.
    pub(crate) fn unreserve(
        &mut self,
        newest: Newest,
        (timestamp_ms, value): (i64, f64),
        histogram: Option<Histogram>,
    ) {
        self.newest = newest;
        (self.reserved_ms, self.reserved_value) = (timestamp_ms, value);
        if let Some(rich) = self.open.as_rich_mut() {
            rich.reserved = histogram;
        }
        self.pending = self.pending.saturating_sub(1);
    }

    /// Whether the newest accepted sample has exactly this value.
    pub(crate) fn repeats(&self, value: PointValue<'_>) -> bool {
        match self.newest {
            Newest::Float => PointValue::Float(self.reserved_value) == value,
            Newest::Histogram => self
                .reserved_histogram()
                .is_some_and(|newest| PointValue::Histogram(newest) == value),
            Newest::Unknown | Newest::None | Newest::Time => false,
        }
    }

    /// Whether nothing of the series is under way: no sample, and no row of its own.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending == 0 && self.open.is_empty() && self.persisted != Persisted::Queued
    }

    /// Appends to the open chunk; returns the chunk that this filled or that the row does not fit.
    fn publish(&mut self, row: &Row, extra: Option<&Extra>, commit: u64) -> Option<FullChunk> {
        let crosses_partition = self.open.first_timestamp().is_some_and(|first| {
            Partition::of(Timestamp::from_millis(first))
                != Partition::of(Timestamp::from_millis(row.timestamp_ms))
        });
        let mut full = if crosses_partition || !self.open.accepts(extra) {
            self.take_open(row.series)
        } else {
            None
        };
        if self.open.is_empty() {
            self.first_commit = commit;
        }
        self.pending = self.pending.saturating_sub(1);
        if self.open.append(row, extra).is_err() {
            // Only a chunk past its bound and a sample of another kind are refused, and neither
            // gets here: full chunks are taken at once, and so are those of the other kind.
            tracing::error!(series = row.series, "a head chunk refused a sample");
            return full;
        }
        self.note_published(row, extra.and_then(|extra| extra.histogram.as_ref()));
        if self.open.is_full() && full.is_none() {
            full = self.take_open(row.series);
        }
        full
    }

    fn note_published(&mut self, row: &Row, histogram: Option<&Histogram>) {
        (self.published_ms, self.published_value) = (row.timestamp_ms, row.value);
        let newest = match histogram {
            None => Newest::Float,
            Some(_) => Newest::Histogram,
        };
        let involved = newest == Newest::Histogram || self.published == Newest::Histogram;
        if involved && let Some(rich) = self.open.as_rich_mut() {
            rich.published = histogram.cloned();
        }
        self.published = newest;
    }

    fn take_open(&mut self, series: u32) -> Option<FullChunk> {
        if self.open.is_empty() {
            return None;
        }
        let chunk = self.open.take();
        Some(FullChunk {
            series,
            chunk,
            first_commit: self.first_commit,
            row_stored: false,
        })
    }

    /// Replay: whether the row is newer than all that the head and the chunks have.
    pub(crate) fn accepts_replay(&self, timestamp_ms: i64) -> bool {
        match self.newest {
            Newest::Unknown | Newest::None => true,
            Newest::Time | Newest::Float | Newest::Histogram => timestamp_ms > self.reserved_ms,
        }
    }

    /// Takes a sample as the newest one.
    #[inline]
    pub(crate) fn reserve(&mut self, timestamp_ms: i64, value: PointValue<'_>) {
        self.reserved_ms = timestamp_ms;
        self.pending += 1;
        match value {
            PointValue::Float(value) => {
                self.reserved_value = value;
                // Only asked for where it can be: the open chunk lies apart.
                if self.newest == Newest::Histogram
                    && let Some(rich) = self.open.as_rich_mut()
                {
                    rich.reserved = None;
                }
                self.newest = Newest::Float;
            }
            PointValue::Histogram(histogram) => {
                self.newest = Newest::Histogram;
                self.reserved_value = 0.0;
                self.open.rich().reserved = Some(histogram.clone());
            }
        }
    }
}

impl Shard {
    fn add_full(&mut self, full: FullChunk) {
        self.full.entry(full.series).or_default().push(full);
        self.full_count += 1;
    }

    /// Declares full every open chunk for which `is_due(series, first commit)` holds.
    pub(crate) fn close_open(&mut self, shard: u32, mut is_due: impl FnMut(u32, u64) -> bool) {
        for (slot, head) in (0..).zip(0..self.series.len()) {
            let slot: u32 = slot;
            let series = slot * SHARDS + shard;
            let entry = &mut self.series[head];
            if !entry.open.is_empty()
                && is_due(series, entry.first_commit)
                && let Some(full) = entry.take_open(series)
            {
                self.add_full(full);
            }
        }
    }

    /// Copies of the chunks that wait to be sealed.
    pub(crate) fn copy_full(&self) -> impl Iterator<Item = FullChunk> {
        self.full().map(|full| {
            let head = self.series.get(slot_of(full.series));
            let row_stored = head.is_some_and(|head| head.persisted == Persisted::Yes);
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
        let open = self.series.iter().filter(|head| !head.open.is_empty());
        let open = open.map(|head| head.first_commit);
        let full = self.full().map(|full| full.first_commit);
        open.chain(full).chain(self.late.first_commits()).min()
    }

    /// From the oldest to the newest sample that is not sealed.
    pub(crate) fn time(&self) -> Option<TimeRange> {
        let open = self.series.iter().filter(|head| !head.open.is_empty());
        let open = open.filter_map(|head| Some((head.open.first_timestamp()?, head.published_ms)));
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
        self.series
            .iter()
            .filter(|head| !head.open.is_empty())
            .count()
            + self.full_count
            + self.late.len()
    }
}

#[cfg(test)]
mod tests;
