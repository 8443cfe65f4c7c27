//! Which series have chunks in which partition: one bitmap a day.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::TimeRange;
use roaring::RoaringBitmap;

use super::Index;
use crate::partition::Partition;
use crate::stopped::Segment;

/// With no more series than this, each one is looked up in each partition.
const FEW_SERIES: u64 = 1024;

/// The bitmaps of all partitions.
#[derive(Debug, Default)]
pub(super) struct Presence {
    partitions: BTreeMap<Partition, RoaringBitmap>,
}

impl Presence {
    fn overlapping(
        &self,
        range: TimeRange,
    ) -> impl DoubleEndedIterator<Item = (Partition, &RoaringBitmap)> {
        // An empty range has no partitions; `BTreeMap::range` would refuse it.
        let end = Partition::nearest(range.end.max(range.start));
        let found = self.partitions.range(Partition::nearest(range.start)..=end);
        found.map(|(partition, series)| (*partition, series))
    }

    /// Leaves in `series` only those with chunks in a partition that overlaps `range`.
    pub(super) fn restrict(&self, series: &mut RoaringBitmap, range: TimeRange) {
        let mut partitions = self.overlapping(range).map(|(_, present)| present);
        let (first, second) = (partitions.next(), partitions.next());
        match (first, second) {
            (None, _) => series.clear(),
            (Some(only), None) => *series &= only,
            (Some(first), Some(second)) => {
                let all: Vec<&RoaringBitmap> =
                    [first, second].into_iter().chain(partitions).collect();
                let is_present = |id: &u32| all.iter().any(|present| present.contains(*id));
                if series.len() <= FEW_SERIES {
                    *series = series.iter().filter(is_present).collect();
                } else {
                    *series &= union(all.into_iter());
                }
            }
        }
    }
}

fn union<'a>(bitmaps: impl Iterator<Item = &'a RoaringBitmap>) -> RoaringBitmap {
    let mut union = RoaringBitmap::new();
    for bitmap in bitmaps {
        union |= bitmap;
    }
    union
}

impl Index {
    /// Replaces what is known of the series in a partition.
    pub(crate) fn set_presence(&mut self, partition: Partition, series: RoaringBitmap) {
        self.presence.partitions.insert(partition, series);
    }

    /// Adds series that began a chunk, with its partition.
    pub(crate) fn mark_present(&mut self, began: &[(Partition, u32)]) {
        for (partition, series) in began {
            let present = self.presence.partitions.entry(*partition).or_default();
            present.insert(*series);
        }
    }

    /// Removes a series that has no chunk in a partition any more.
    pub(crate) fn mark_absent(&mut self, partition: Partition, series: u32) {
        if let Some(present) = self.presence.partitions.get_mut(&partition) {
            present.remove(series);
        }
    }

    /// The series with chunks in a partition, sealed or not.
    pub(crate) fn presence(&self, partition: Partition) -> Option<&RoaringBitmap> {
        self.presence.partitions.get(&partition)
    }

    /// The newest partition with chunks.
    pub(crate) fn newest_partition(&self) -> Option<Partition> {
        self.presence.partitions.keys().next_back().copied()
    }

    /// Whether a series has a chunk anywhere.
    pub(crate) fn is_present(&self, id: u32) -> bool {
        let mut partitions = self.presence.partitions.values();
        partitions.any(|series| series.contains(id))
    }

    /// Partitions with chunks that overlap `range`, oldest first.
    pub(crate) fn partitions(
        &self,
        range: TimeRange,
    ) -> impl DoubleEndedIterator<Item = (Partition, &RoaringBitmap)> {
        self.presence.overlapping(range)
    }

    /// Forgets a partition.
    pub(crate) fn drop_partition(&mut self, partition: Partition) {
        self.presence.partitions.remove(&partition);
    }

    /// Series with chunks in any partition that overlaps `range`.
    pub(crate) fn present_in(&self, range: TimeRange) -> RoaringBitmap {
        union(self.partitions(range).map(|(_, present)| present))
    }

    /// The indexes of series that stopped.
    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Replaces the indexes of series that stopped.
    pub(crate) fn set_segments(&mut self, segments: Vec<Arc<Segment>>) {
        self.segments = segments;
    }

    /// Adds an index of series that stopped.
    pub(crate) fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.push(segment);
    }

    /// Segments with series that have chunks in a partition that overlaps `range`, and those of
    /// the series that are not in memory.
    pub(crate) fn stopped_in(&self, range: TimeRange) -> Vec<(Arc<Segment>, RoaringBitmap)> {
        let mut found = Vec::new();
        for segment in &self.segments {
            let mut present = RoaringBitmap::new();
            for (_, series) in self.partitions(range) {
                // Series stop in the order of their ids, roughly: most segments have none that is
                // even near.
                if !series.is_disjoint(&segment.series) {
                    present |= series & &segment.series;
                }
            }
            present -= &self.all;
            if !present.is_empty() {
                found.push((Arc::clone(segment), present));
            }
        }
        found
    }
}
