//! Tombstones: which ranges of which series are deleted. They hide samples from every read, until
//! the samples are removed and the tombstones with them.

mod clean;
mod delete;
mod filter;
mod spent;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::{TimeRange, Timestamp};
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::db::Engine;
use crate::error::TsdbError;
use crate::replay::log_damage;
use crate::{record, varint};

/// Deleted ranges of a series: in order of time, without an instant in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Intervals(Vec<TimeRange>);

/// Deleted ranges of all series, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deleted {
    series: HashMap<u32, Intervals>,
}

/// Deleted ranges of all series. Readers take a [`Deleted`] before they look at any sample.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    deleted: ArcSwap<Deleted>,
    /// Held while deleted ranges change.
    records: Mutex<Records>,
}

/// What is known of the stored records.
#[derive(Debug, Default)]
struct Records {
    /// Number of the next one.
    next: u64,
    /// Where the last range of each one ends.
    ends: BTreeMap<u64, Timestamp>,
}

/// A range and the series of which it is deleted: what a record holds.
pub(crate) type Group = (TimeRange, RoaringBitmap);

impl Intervals {
    /// Adds a range; what touches becomes one.
    fn insert(&mut self, range: TimeRange) {
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        let mut union = range;
        for known in &self.0[from..to] {
            union.start = union.start.min(known.start);
            union.end = union.end.max(known.end);
        }
        self.0.splice(from..to, [union]);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a time is deleted.
    pub(crate) fn contains(&self, timestamp_ms: i64) -> bool {
        let at = Timestamp::from_millis(timestamp_ms);
        self.overlaps(TimeRange::new(at, at))
    }

    /// Whether any instant of `range` is deleted.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        let next = self.0.partition_point(|known| known.end < range.start);
        self.0
            .get(next)
            .is_some_and(|known| known.start <= range.end)
    }

    /// Whether all of `range` is deleted by one of the ranges.
    pub(crate) fn covers(&self, range: TimeRange) -> bool {
        let next = self.0.partition_point(|known| known.end < range.start);
        let known = self.0.get(next);
        known.is_some_and(|known| known.start <= range.start && range.end <= known.end)
    }
}

impl Records {
    /// Notes a record.
    fn note(&mut self, number: u64, groups: &[Group]) {
        self.next = self.next.max(number.saturating_add(1));
        let ends = groups.iter().map(|(range, _)| range.end);
        self.ends
            .insert(number, ends.max().unwrap_or(Timestamp::MIN));
    }

    /// The end that lies furthest back.
    fn oldest_end(&self) -> Option<Timestamp> {
        self.ends.values().min().copied()
    }
}

impl Deleted {
    fn insert(&mut self, (range, series): &Group) {
        for id in series {
            self.series.entry(id).or_default().insert(*range);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The deleted ranges of a series, if it has any.
    pub(crate) fn of(&self, series: u32) -> Option<&Intervals> {
        self.series.get(&series)
    }
}

impl Tombstones {
    /// What is deleted now.
    pub(crate) fn load(&self) -> Arc<Deleted> {
        self.deleted.load_full()
    }
}

impl Engine {
    /// Reads what was stored. What is unreadable is logged, and hides nothing any more.
    pub(crate) fn restore_tombstones(&self) {
        const DAMAGED: &str = "tombstones are unreadable: what they deleted is served again";
        let mut records = self.tombstones.records.lock();
        let mut deleted = Deleted::default();
        self.walk_tombstones(DAMAGED, |number, record| {
            let groups = decode(record).unwrap_or_else(|error| {
                log_damage(&error, DAMAGED);
                Vec::new()
            });
            records.note(number, &groups);
            groups.iter().for_each(|group| deleted.insert(group));
        });
        self.tombstones.deleted.store(Arc::new(deleted));
    }
}

/// Writes a record.
fn encode(groups: &[Group]) -> Result<Vec<u8>, TsdbError> {
    let mut payload = Vec::new();
    varint::put(&mut payload, groups.len() as u64);
    for (range, series) in groups {
        varint::put_signed(&mut payload, range.start.as_millis());
        varint::put_signed(&mut payload, range.end.as_millis());
        varint::put(&mut payload, series.serialized_size() as u64);
        series
            .serialize_into(&mut payload)
            .map_err(|error| TsdbError::corrupt("tombstone", error.to_string()))?;
    }
    Ok(record::encode_tombstone(&payload))
}

/// Reads [`encode`].
fn decode(bytes: &[u8]) -> Result<Vec<Group>, TsdbError> {
    let payload = record::decode_tombstone(bytes)?;
    let mut rest = payload.as_slice();
    take_groups(&mut rest).ok_or_else(|| TsdbError::corrupt("tombstone", "it ends early"))
}

fn take_groups(bytes: &mut &[u8]) -> Option<Vec<Group>> {
    let count = varint::take(bytes)?;
    let mut groups = Vec::new();
    for _ in 0..count {
        let start = Timestamp::from_millis(varint::take_signed(bytes)?);
        let end = Timestamp::from_millis(varint::take_signed(bytes)?);
        let length = usize::try_from(varint::take(bytes)?).ok()?;
        let (series, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        let series = RoaringBitmap::deserialize_from(series).ok()?;
        groups.push((TimeRange::new(start, end), series));
    }
    bytes.is_empty().then_some(groups)
}

#[cfg(test)]
mod tests;
