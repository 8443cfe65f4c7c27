//! A series of the head, in one cache line: its newest samples and its open chunk.

use model::{Histogram, Timestamp};
use storage::PointValue;

use super::FullChunk;
use super::state::{Newest, Persisted, State};
use crate::open::{HeadChunk, Open};
use crate::partition::Partition;
use crate::rows::{Extra, Row};

/// A series' newest sample, found in the store.
#[derive(Clone, Debug)]
pub(crate) enum NewestValue {
    Float(f64),
    Histogram(Histogram),
}

/// A series of the head.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct HeadSeries {
    /// Unsealed samples, and the newest published one even if it is sealed.
    open: Open,
    /// Newest accepted sample, published or on its way to the disk.
    pub(crate) reserved_ms: i64,
    pub(crate) reserved_value: f64,
    /// Low half of the number of a commit: no sample of `open` was committed before it.
    first_commit_low: u32,
    state: State,
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
        self.state.set_newest(newest);
        self.state.set_published(newest);
        (self.reserved_ms, self.reserved_value) = (timestamp_ms, value);
        self.open.set_newest(timestamp_ms, value);
        if let Some(rich) = self.open.as_rich_mut() {
            (rich.reserved, rich.published) = (None, None);
        }
    }

    /// How much is known of the newest accepted sample.
    #[inline]
    pub(crate) const fn newest(&self) -> Newest {
        self.state.newest()
    }

    /// Whether the series' row is in the store.
    #[inline]
    pub(crate) const fn persisted(&self) -> Persisted {
        self.state.persisted()
    }

    pub(crate) const fn set_persisted(&mut self, persisted: Persisted) {
        self.state.set_persisted(persisted);
    }

    /// Retention has removed the series; its id is dead.
    #[inline]
    pub(crate) const fn is_removed(&self) -> bool {
        self.state.is_removed()
    }

    pub(crate) const fn set_removed(&mut self, removed: bool) {
        self.state.set_removed(removed);
    }

    /// Whether samples are accepted and not published yet.
    #[inline]
    pub(crate) const fn is_pending(&self) -> bool {
        self.state.is_pending()
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
        self.state.set_newest(newest);
        (self.reserved_ms, self.reserved_value) = (timestamp_ms, value);
        if let Some(rich) = self.open.as_rich_mut() {
            rich.reserved = histogram;
        }
        self.state.remove_pending();
    }

    /// Takes back all reservations: the newest accepted sample is the newest published one.
    pub(super) fn abandon(&mut self) {
        self.state.clear_pending();
        (self.reserved_ms, self.reserved_value) = self.open.newest();
        self.state.set_newest(self.state.published());
        if let Some(rich) = self.open.as_rich_mut() {
            rich.reserved.clone_from(&rich.published);
        }
    }

    /// Whether the newest accepted sample has exactly this value.
    pub(crate) fn repeats(&self, value: PointValue<'_>) -> bool {
        match self.newest() {
            Newest::Float => PointValue::Float(self.reserved_value) == value,
            Newest::Histogram => self
                .reserved_histogram()
                .is_some_and(|newest| PointValue::Histogram(newest) == value),
            Newest::Unknown | Newest::None | Newest::Time => false,
        }
    }

    /// Whether nothing of the series is under way: no sample, and no row of its own.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_pending() && self.open.is_empty() && self.persisted() != Persisted::Queued
    }

    /// Whether nothing is known of the series.
    pub(super) fn is_vacant(&self) -> bool {
        self.state.is_default() && self.open.is_empty()
    }

    /// Whether it has unsealed samples that are in no full chunk.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Time of the newest published sample, as far as that is known.
    pub(super) fn published_time(&self) -> Option<i64> {
        match self.state.published() {
            Newest::Unknown | Newest::None => None,
            Newest::Time | Newest::Float | Newest::Histogram => Some(self.open.newest().0),
        }
    }

    /// Times of the first and the last sample of the open chunk.
    pub(super) fn open_time(&self) -> Option<(i64, i64)> {
        Some((self.open.first_timestamp()?, self.open.newest().0))
    }

    /// Notes one more sample under way that does not become the newest one.
    pub(crate) const fn add_pending(&mut self) {
        self.state.add_pending();
    }

    /// Notes that such a sample is under way no longer.
    pub(super) const fn remove_pending(&mut self) {
        self.state.remove_pending();
    }

    /// Whether the open chunk has just begun.
    #[inline]
    pub(super) fn has_begun(&self) -> bool {
        self.open.len() == 1
    }

    /// A copy of the open chunk.
    pub(super) fn snapshot(&self) -> Option<HeadChunk> {
        self.has_open().then(|| self.open.snapshot())
    }

    /// As [`super::Head::newest_float`].
    pub(super) fn newest_float(&self) -> Option<(i64, f64)> {
        self.open.newest_float()
    }

    /// A commit before which no sample of the open chunk was committed; `None` without one.
    /// `newest_commit` is not older than the chunk.
    pub(super) fn first_commit(&self, newest_commit: u64) -> Option<u64> {
        if self.open.is_empty() {
            return None;
        }
        let age = low_half(newest_commit).wrapping_sub(self.first_commit_low);
        Some(newest_commit.saturating_sub(u64::from(age)))
    }

    /// Appends to the open chunk; returns the chunk that this filled or that the row does not fit.
    #[inline]
    pub(super) fn publish(
        &mut self,
        row: &Row,
        extra: Option<&Extra>,
        commit: u64,
    ) -> Option<FullChunk> {
        let partition_of = |at_ms| Partition::of(Timestamp::from_millis(at_ms));
        let (newest_ms, _) = self.open.newest();
        // All samples of a chunk lie in one partition.
        let crosses_partition =
            self.has_open() && partition_of(newest_ms) != partition_of(row.timestamp_ms);
        let mut full = if crosses_partition || !self.open.accepts(extra) {
            self.take_open(row.series, commit)
        } else {
            None
        };
        if self.open.is_empty() {
            self.first_commit_low = low_half(commit);
        }
        self.state.remove_pending();
        if self.open.append(row, extra).is_err() {
            // Only a chunk past its bound and a sample of another kind are refused, and neither
            // gets here: full chunks are taken at once, and so are those of the other kind.
            tracing::error!(series = row.series, "a head chunk refused a sample");
            return full;
        }
        self.note_published(extra.and_then(|extra| extra.histogram.as_ref()));
        if self.open.is_full() && full.is_none() {
            full = self.take_open(row.series, commit);
        }
        full
    }

    fn note_published(&mut self, histogram: Option<&Histogram>) {
        let newest = match histogram {
            None => Newest::Float,
            Some(_) => Newest::Histogram,
        };
        let involved = newest == Newest::Histogram || self.state.published() == Newest::Histogram;
        if involved && let Some(rich) = self.open.as_rich_mut() {
            rich.published = histogram.cloned();
        }
        self.state.set_published(newest);
    }

    /// Takes the open chunk out. `newest_commit` is not older than it.
    pub(super) fn take_open(&mut self, series: u32, newest_commit: u64) -> Option<FullChunk> {
        let first_commit = self.first_commit(newest_commit)?;
        Some(FullChunk {
            series,
            chunk: self.open.take(),
            first_commit,
            row_stored: false,
        })
    }

    /// Replay: whether the row is newer than all that the head and the chunks have.
    pub(crate) fn accepts_replay(&self, timestamp_ms: i64) -> bool {
        match self.newest() {
            Newest::Unknown | Newest::None => true,
            Newest::Time | Newest::Float | Newest::Histogram => timestamp_ms > self.reserved_ms,
        }
    }

    /// Takes a sample as the newest one.
    #[inline]
    pub(crate) fn reserve(&mut self, timestamp_ms: i64, value: PointValue<'_>) {
        self.reserved_ms = timestamp_ms;
        self.state.add_pending();
        match value {
            PointValue::Float(value) => {
                self.reserved_value = value;
                // Only asked for where it can be: the open chunk lies apart.
                if self.newest() == Newest::Histogram
                    && let Some(rich) = self.open.as_rich_mut()
                {
                    rich.reserved = None;
                }
                self.state.set_newest(Newest::Float);
            }
            PointValue::Histogram(histogram) => {
                self.state.set_newest(Newest::Histogram);
                self.reserved_value = 0.0;
                self.open.rich().reserved = Some(histogram.clone());
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half is what is asked for")]
const fn low_half(commit: u64) -> u32 {
    commit as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_takes_one_cache_line() {
        assert_eq!(size_of::<HeadSeries>(), 64);
    }
}
