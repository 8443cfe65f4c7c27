//! Deleting: a record that names the series and the range, and from then on every read leaves
//! them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Matcher, TimeRange, Timestamp};
use roaring::RoaringBitmap;

use super::{Deleted, Group, encode};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::work::Work;

impl Engine {
    /// See [`storage::Maintenance::delete`].
    pub(crate) fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), TsdbError> {
        self.replayed.wait()?;
        if range.start > range.end {
            return Ok(());
        }
        let _work = Work::begin("deleting");
        let (series, _) = self.select_series(matchers, range)?;
        let mut records = self.tombstones.records.lock();
        let groups = self.group_by_end(range, &series)?;
        if groups.is_empty() {
            return Ok(());
        }
        let mut batch = self.kv.batch();
        let number = records.next;
        let key = keys::tombstone(number);
        batch.put(kv::Family::Index, &key, &encode(&groups)?);
        self.kv.write(batch)?;
        records.note(number, &groups);
        let mut deleted = Deleted::clone(&self.tombstones.load());
        groups.iter().for_each(|group| deleted.insert(group));
        self.tombstones.deleted.store(Arc::new(deleted));
        drop(records);
        self.note_change(range);
        Ok(())
    }

    /// The range, up to the newest sample of each series: series with the same newest time are
    /// together.
    fn group_by_end(
        &self,
        range: TimeRange,
        series: &RoaringBitmap,
    ) -> Result<Vec<Group>, TsdbError> {
        let mut groups: BTreeMap<Timestamp, RoaringBitmap> = BTreeMap::new();
        for id in series {
            let Some(newest) = self.newest_time(id)? else {
                continue;
            };
            let end = range.end.min(newest);
            if range.start <= end {
                groups.entry(end).or_default().insert(id);
            }
        }
        let groups = groups.into_iter();
        Ok(groups
            .map(|(end, series)| (TimeRange::new(range.start, end), series))
            .collect())
    }

    /// Time of the newest sample of a series.
    pub(crate) fn newest_time(&self, id: u32) -> Result<Option<Timestamp>, TsdbError> {
        if let Some(newest_ms) = self.head.newest_time(id) {
            return Ok(Some(Timestamp::from_millis(newest_ms)));
        }
        let stored = self.newest_stored(id)?;
        Ok(stored.map(|(newest_ms, _)| Timestamp::from_millis(newest_ms)))
    }
}
