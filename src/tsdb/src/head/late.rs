//! Samples of the head that came out of order: per series an open slab, sorted, and full ones that
//! wait to be sealed.

use std::collections::HashMap;

use storage::Columns;

use super::{Persisted, Shard, slot_of};
use crate::partition::Partition;
use crate::rows::{Extra, Row};

/// Samples of a full slab. Source: upstream's default `OutOfOrderCapMax`.
const SLAB_SAMPLES: usize = 32;

/// A sample that came out of order.
#[derive(Clone, Debug)]
pub(crate) struct LateSample {
    pub(crate) row: Row,
    /// Only where there is more than that the sample came out of order.
    extra: Option<Box<Extra>>,
}

/// Some samples of one series, in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Slab {
    pub(crate) samples: Vec<LateSample>,
    /// No sample was committed before this commit.
    first_commit: u64,
}

/// Slabs that wait to be sealed, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct FullSlabs {
    pub(crate) series: u32,
    pub(crate) slabs: Vec<Slab>,
    /// Whether a commit of this process has carried the series' row.
    pub(crate) row_stored: bool,
}

#[derive(Debug, Default)]
struct SeriesSlabs {
    full: Vec<Slab>,
    open: Option<Slab>,
}

/// The slabs of a shard.
#[derive(Debug, Default)]
pub(super) struct Late {
    series: HashMap<u32, SeriesSlabs>,
}

impl LateSample {
    pub(crate) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }
}

impl Slab {
    /// Adds a sample; of two at one time the first one stays.
    fn insert(&mut self, sample: LateSample) {
        let at = sample.row.timestamp_ms;
        let place = self
            .samples
            .partition_point(|known| known.row.timestamp_ms < at);
        let known = self.samples.get(place);
        if known.is_none_or(|known| known.row.timestamp_ms != at) {
            self.samples.insert(place, sample);
        }
    }

    fn has_sample_in(&self, partition: Partition) -> bool {
        self.samples
            .iter()
            .any(|sample| sample.row.partition() == partition)
    }

    fn columns(&self) -> Columns {
        let mut columns = Columns::default();
        for sample in &self.samples {
            let (row, extra) = (&sample.row, sample.extra());
            match extra.and_then(|extra| extra.histogram.as_ref()) {
                Some(histogram) => columns.push_histogram(row.timestamp_ms, histogram.to_float()),
                None => columns.push(row.timestamp_ms, row.value),
            }
            columns.set_last_start(extra.map_or(0, |extra| extra.start_timestamp_ms));
        }
        columns
    }
}

impl Late {
    /// Adds a sample; whether its series begins to have late samples in its partition.
    pub(super) fn insert(&mut self, row: &Row, extra: Option<&Extra>, commit: u64) -> bool {
        let slabs = self.series.entry(row.series).or_default();
        let slab = slabs.open.get_or_insert_with(|| Slab {
            samples: Vec::new(),
            first_commit: commit,
        });
        let begins = !slab.has_sample_in(row.partition());
        slab.insert(LateSample {
            row: *row,
            extra: extra
                .filter(|extra| extra.has_more())
                .cloned()
                .map(Box::new),
        });
        if slab.samples.len() >= SLAB_SAMPLES {
            slabs.full.extend(slabs.open.take());
        }
        begins
    }

    /// Late samples of a series, slab by slab, oldest slab first.
    pub(super) fn snapshot(&self, series: u32) -> Vec<Columns> {
        let Some(slabs) = self.series.get(&series) else {
            return Vec::new();
        };
        let all = slabs.full.iter().chain(&slabs.open);
        all.map(Slab::columns).collect()
    }

    /// Whether a series has samples here.
    pub(super) fn contains(&self, series: u32) -> bool {
        self.series.contains_key(&series)
    }

    pub(super) fn first_commits(&self) -> impl Iterator<Item = u64> {
        let slabs = self.series.values();
        slabs
            .flat_map(|slabs| slabs.full.iter().chain(&slabs.open))
            .map(|slab| slab.first_commit)
    }

    pub(super) fn len(&self) -> usize {
        let slabs = self.series.values();
        slabs
            .map(|slabs| slabs.full.len() + usize::from(slabs.open.is_some()))
            .sum()
    }

    /// Takes out the `count` oldest full slabs of a series.
    pub(super) fn remove_sealed(&mut self, series: u32, count: usize) {
        let Some(slabs) = self.series.get_mut(&series) else {
            return;
        };
        slabs.full.drain(..count.min(slabs.full.len()));
        if slabs.full.is_empty() && slabs.open.is_none() {
            self.series.remove(&series);
        }
    }
}

impl Shard {
    /// Declares full every open slab for which `is_due(series, first commit)` holds.
    pub(crate) fn close_late(&mut self, mut is_due: impl FnMut(u32, u64) -> bool) {
        for (series, slabs) in &mut self.late.series {
            let due = |slab: &mut Slab| is_due(*series, slab.first_commit);
            slabs.full.extend(slabs.open.take_if(due));
        }
    }

    /// Copies of the slabs that wait to be sealed.
    pub(crate) fn copy_full_slabs(&self) -> impl Iterator<Item = FullSlabs> {
        let waiting = self.late.series.iter();
        let waiting = waiting.filter(|(_, slabs)| !slabs.full.is_empty());
        waiting.map(|(series, slabs)| {
            let head = self.series.get(slot_of(*series));
            FullSlabs {
                series: *series,
                slabs: slabs.full.clone(),
                row_stored: head.is_some_and(|head| head.persisted() == Persisted::Yes),
            }
        })
    }
}
