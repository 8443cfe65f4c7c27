//! Moving series that stopped out of memory, and merging small segments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{PromDuration, TimeRange, Timestamp};
use roaring::RoaringBitmap;

use super::Segment;
use crate::catalog::SeriesEntry;
use crate::db::{Engine, UpkeepState};
use crate::error::TsdbError;
use crate::head::{IdleSince, SHARDS, shard_of};
use crate::index::Index;
use crate::work::Work;

/// A series whose newest sample is older has stopped.
const IDLE: PromDuration = PromDuration::from_secs(3600);
/// Time between two looks at all series.
const ROUND: PromDuration = PromDuration::from_secs(10 * 60);
/// So many new series, and one new one for so many known ones, begin a look before that.
const BURST: u32 = 1 << 16;
const BURST_ONE_OF: usize = 8;
/// Most series of a new segment.
const MAX_SERIES: usize = 1 << 17;
/// Segments with fewer series are merged when there are many of them.
const SMALL_SEGMENT: u64 = 1 << 14;
/// So many small segments may be there.
const MAX_SMALL_SEGMENTS: usize = 8;
/// Series taken out of the index under one lock.
const SERIES_PER_LOCK: usize = 1024;

/// A look at all series for those that stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StopRound {
    begun_at: Timestamp,
    /// The time by which the age of samples counts.
    now: Timestamp,
    /// The newest sample of all series, or the clock, whichever is older.
    data_now: Timestamp,
}

/// What is remembered of the round before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PastRound {
    at: Timestamp,
    /// Series that are new since then have no lower id.
    next_id: u32,
}

impl StopRound {
    /// Series without newer samples have stopped in the time of the data: nothing will fill their
    /// chunks.
    pub(crate) fn still_since(&self) -> Timestamp {
        self.data_now.saturating_sub(IDLE)
    }
}

impl Engine {
    /// The round that is due. Between regular ones many new series begin one: that they came is a
    /// sign that others went. Such a round goes by the time of the data, so that series of the past
    /// that are being loaded stay while they are.
    pub(crate) fn stop_round(&self, upkeep: &UpkeepState, now: Timestamp) -> Option<StopRound> {
        let data_now = self.order.newest().min(now);
        let round = |by| StopRound {
            begun_at: now,
            now: by,
            data_now,
        };
        let Some(last) = upkeep.last_stop else {
            return Some(round(now));
        };
        if last.at.saturating_add(ROUND) <= now {
            return Some(round(now));
        }
        let new = self.catalog.next_id().saturating_sub(last.next_id);
        let is_burst = new >= BURST && new as usize >= self.catalog.len() / BURST_ONE_OF;
        is_burst.then(|| round(data_now))
    }

    /// Moves series that stopped out of memory.
    pub(crate) fn stop_idle_series(
        &self,
        upkeep: &mut UpkeepState,
        round: &StopRound,
    ) -> Result<(), TsdbError> {
        upkeep.last_stop = Some(PastRound {
            at: round.begun_at,
            next_id: self.catalog.next_id(),
        });
        let idle = self.idle_since(round);
        for ids in self.idle_series(&idle).chunks(MAX_SERIES) {
            self.stop_series(ids, &idle)?;
        }
        self.merge_segments()?;
        self.drop_merged_segments()
    }

    fn idle_since(&self, round: &StopRound) -> IdleSince {
        let newest = round.now.saturating_sub(IDLE);
        let uncertain = if self.stopped.opened_at <= newest {
            RoaringBitmap::new()
        } else {
            // The newest sample of the others lies in a partition that ended before.
            let recent = TimeRange::new(newest, Timestamp::MAX);
            self.index.read().present_in(recent)
        };
        IdleSince { newest, uncertain }
    }

    /// Series without recent samples, whose samples are all in sealed chunks.
    fn idle_series(&self, idle: &IdleSince) -> Vec<u32> {
        let mut by_shard = vec![Vec::new(); SHARDS as usize];
        let known = {
            let index = self.index.read();
            index.present_in(TimeRange::ALL) & index.all()
        };
        for id in known {
            by_shard[shard_of(id)].push(id);
        }
        let mut found = Vec::new();
        self.head.for_each_shard(|number, shard| {
            let ids = by_shard[number as usize].iter().copied();
            found.extend(ids.filter(|id| shard.is_idle(*id, idle)));
        });
        found.sort_unstable();
        found
    }

    fn stop_series(&self, ids: &[u32], idle: &IdleSince) -> Result<(), TsdbError> {
        let _work = Work::begin("stopping");
        // From here on requests that have found the series wait until they are gone.
        let marked: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|id| self.head.mark_stopped(*id, idle))
            .collect();
        let entries = self.catalog.get_many(marked.iter().copied());
        let segment = match self.write_segment(&entries) {
            Ok(Some(segment)) => segment,
            outcome => {
                self.unmark_removed(marked.into_iter());
                return outcome.map(|_| ());
            }
        };
        self.index.write().add_segment(Arc::new(segment));
        for entries in entries.chunks(SERIES_PER_LOCK) {
            let mut index = self.index.write();
            for (id, entry) in entries {
                index.remove(*id, &entry.labels);
            }
        }
        {
            let _nobody_arrives = self.stopped.arrivals.write();
            self.catalog.remove(&marked);
        }
        self.head.release(&marked);
        self.metrics.series_removed.add(marked.len() as u64);
        tracing::debug!(series = marked.len(), "series that stopped left memory");
        Ok(())
    }

    /// Writes a segment of series and the hashes of their labels; `None` without series.
    fn write_segment(&self, series: &[(u32, SeriesEntry)]) -> Result<Option<Segment>, TsdbError> {
        if series.is_empty() {
            return Ok(None);
        }
        let mut index = Index::default();
        let mut hashes: BTreeMap<u128, Vec<u32>> = BTreeMap::new();
        for (id, entry) in series {
            index.add(*id, &entry.labels);
            let hash = self.labels_hash(&entry.labels);
            hashes.entry(hash).or_default().push(*id);
        }
        let mut batch = self.kv.batch();
        let segment = Segment::write(self.next_segment(), &index, &mut batch)?;
        let turn = self.stopped.hashes.lock();
        // Before they are written: whoever makes all hashes anew makes theirs as well.
        *self.stopped.ids.write() |= &segment.series;
        for (hash, ids) in hashes {
            let mut known = self.stopped_ids(hash, &turn)?;
            let before = known.len();
            known.extend(ids);
            known.sort_unstable();
            known.dedup();
            if known.len() > before {
                self.put_stopped_ids(&mut batch, hash, &known);
            }
        }
        self.kv.write(batch)?;
        Ok(Some(segment))
    }

    /// A number that no segment has had since the engine was opened.
    fn next_segment(&self) -> u32 {
        self.stopped.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    /// Merges the small segments if there are many. Series that take samples again are left out:
    /// they are in memory, and get into a new segment when they stop again.
    fn merge_segments(&self) -> Result<(), TsdbError> {
        let (small, mut series) = {
            let index = self.index.read();
            let is_small = |segment: &&Arc<Segment>| segment.series.len() < SMALL_SEGMENT;
            let small = index.segments().iter().filter(is_small).map(Arc::clone);
            let small: Vec<Arc<Segment>> = small.collect();
            let mut series = RoaringBitmap::new();
            for segment in &small {
                series |= &segment.series;
            }
            (small, series - index.all())
        };
        if small.len() <= MAX_SMALL_SEGMENTS {
            return Ok(());
        }
        let mut merged = Index::default();
        self.stored_series(&series, |id, entry| merged.add(id, &entry.labels))?;
        series &= merged.all();
        let mut batch = self.kv.batch();
        let mut segments = Vec::new();
        if !series.is_empty() {
            let segment = Segment::write(self.next_segment(), &merged, &mut batch)?;
            segments.push(Arc::new(segment));
        }
        self.kv.write(batch)?;
        self.replace_segments(&small, segments);
        self.stopped.merged.lock().extend(small);
        Ok(())
    }

    /// Removes the rows of merged segments that no query looks at any more. After a kill they are
    /// found as segments once more, and merged again.
    fn drop_merged_segments(&self) -> Result<(), TsdbError> {
        let mut merged = self.stopped.merged.lock();
        let mut batch = self.kv.batch();
        let unused = |segment: &&Arc<Segment>| Arc::strong_count(segment) == 1;
        for segment in merged.iter().filter(unused) {
            Segment::delete(segment.number, &mut batch);
        }
        self.kv.write(batch)?;
        merged.retain(|segment| Arc::strong_count(segment) > 1);
        Ok(())
    }

    /// Puts segments in the place of others.
    pub(super) fn replace_segments(&self, old: &[Arc<Segment>], new: Vec<Arc<Segment>>) {
        let mut index = self.index.write();
        let is_old = |segment: &Arc<Segment>| old.iter().any(|old| Arc::ptr_eq(old, segment));
        let kept = index.segments().iter().filter(|segment| !is_old(segment));
        let segments: Vec<Arc<Segment>> = kept.map(Arc::clone).chain(new).collect();
        let numbers: Vec<u32> = segments.iter().map(|segment| segment.number).collect();
        index.set_segments(segments);
        drop(index);
        self.stopped
            .cache
            .retain(|number| numbers.contains(&number));
    }
}
