//! Finding series in memory and in segments.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Matcher, TimeRange};
use roaring::RoaringBitmap;

use super::Segment;
use crate::catalog::{Place, SeriesEntry};
use crate::commit::decode_series;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;

/// Rows to step over before a seek is cheaper.
const STEPS_BEFORE_SEEK: u32 = 8;

/// Reading a row costs about as much as looking at this many values.
const VALUES_PER_ROW: u64 = 8;

/// Segments that may hold more of what is looked for, and those of their series that count.
type Candidates = Vec<(Arc<Segment>, RoaringBitmap)>;

impl Engine {
    /// Series that pass and may have samples in range, and the partitions there.
    pub(crate) fn select_series(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<(RoaringBitmap, Vec<Partition>), TsdbError> {
        // Both at one moment: a series moves from one to the other under the lock.
        let (mut selected, partitions, candidates) = {
            let index = self.index.read();
            let partitions = index.partitions(range).map(|(partition, _)| partition);
            let selected = index.select(matchers, range, &self.catalog);
            (selected, partitions.collect(), index.stopped_in(range))
        };
        selected |= self.select_stopped(matchers, candidates)?;
        Ok((selected, partitions))
    }

    fn select_stopped(
        &self,
        matchers: &[Matcher],
        candidates: Candidates,
    ) -> Result<RoaringBitmap, TsdbError> {
        let mut selected = RoaringBitmap::new();
        for (segment, candidates) in candidates {
            let store = (&self.kv, &self.stopped.cache);
            selected |= segment.select(store, matchers, candidates)?;
        }
        Ok(selected)
    }

    /// Names of the labels of matching series, sorted.
    pub(crate) fn label_names(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, TsdbError> {
        let (names, candidates) = {
            let index = self.index.read();
            let names = index.label_names(matchers, range, &self.catalog);
            (names, index.stopped_in(range))
        };
        if candidates.is_empty() {
            return Ok(names);
        }
        let mut names: BTreeSet<String> = names.into_iter().collect();
        for (segment, candidates) in candidates {
            let store = (&self.kv, &self.stopped.cache);
            let series = segment.select(store, matchers, candidates)?;
            if !series.is_empty() {
                segment.add_names(&self.kv, &series, &mut names)?;
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Values of a label of matching series, sorted.
    pub(crate) fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<String>, TsdbError> {
        let (values, candidates) = {
            let index = self.index.read();
            let values = index.label_values(name, (matchers, range), &self.catalog);
            (values, index.stopped_in(range))
        };
        if candidates.is_empty() {
            return Ok(values);
        }
        let mut values: BTreeSet<String> = values.into_iter().collect();
        for (segment, candidates) in candidates {
            let store = (&self.kv, &self.stopped.cache);
            let series = segment.select(store, matchers, candidates)?;
            if series.is_empty() {
                continue;
            }
            let Some(label) = self.stopped.cache.label(&self.kv, segment.number, name)? else {
                continue;
            };
            if series.len() * VALUES_PER_ROW < label.len() as u64 {
                self.stored_series(&series, |_, entry| {
                    values.extend(entry.labels.get(name).map(str::to_owned));
                })?;
            } else {
                label.add_values(&series, &mut values)?;
            }
        }
        Ok(values.into_iter().collect())
    }

    /// Where the chunks of a series lie, whether it is in memory or has stopped.
    pub(crate) fn place(&self, id: u32) -> Result<Option<Place>, TsdbError> {
        if let Some(place) = self.catalog.place(id) {
            return Ok(Some(place));
        }
        if !self.stopped.contains(id) {
            return Ok(None);
        }
        let row = self.kv.get(kv::Family::Series, &keys::series(id))?;
        let entry = row.map(|row| decode_series(&row)).transpose()?;
        Ok(entry.map(|entry| entry.place()))
    }

    /// Reads the rows of series, in the order of their ids; those without one are left out.
    pub(crate) fn stored_series(
        &self,
        ids: &RoaringBitmap,
        mut visit: impl FnMut(u32, SeriesEntry),
    ) -> Result<(), TsdbError> {
        let mut scan = self.kv.scan(kv::Family::Series, None);
        let mut next = None;
        for id in ids {
            let key = keys::series(id);
            let near = next.is_some_and(|next| id - next < STEPS_BEFORE_SEEK);
            if near {
                while scan.current()?.is_some_and(|(found, _)| *found < key[..]) {
                    scan.advance();
                }
            } else {
                scan.seek(&key);
            }
            next = id.checked_add(1);
            if let Some((found, row)) = scan.current()?
                && *found == key
            {
                visit(id, decode_series(row)?);
                scan.advance();
            }
        }
        Ok(())
    }
}
