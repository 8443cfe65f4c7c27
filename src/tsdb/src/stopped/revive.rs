//! Stopped series that take samples again, and what is known of them when the engine opens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Labels;
use parking_lot::RwLockReadGuard;
use roaring::RoaringBitmap;
use storage::AppendError;

use super::Segment;
use crate::catalog::{SeriesEntry, StoppedSeries};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::replay::log_damage;

impl StoppedSeries for Engine {
    fn arrivals(&self) -> RwLockReadGuard<'_, ()> {
        self.stopped.arrivals.read()
    }

    fn is_any(&self) -> bool {
        self.stopped.contains_any()
    }

    fn find(&self, labels: &Labels) -> Result<Option<(u32, SeriesEntry)>, AppendError> {
        Ok(self.find_stopped(labels)?)
    }

    fn returned(&self, series: &[(u32, SeriesEntry)]) {
        let mut index = self.index.write();
        for (id, entry) in series {
            index.add(*id, &entry.labels);
        }
    }
}

impl Engine {
    /// Learns which series stopped before the engine was opened. What is damaged is logged and
    /// left out: its series are read as if they were active.
    pub(crate) fn restore_stopped(&self) -> Result<(), TsdbError> {
        let seed = self
            .get_number(keys::META_LABELS_SEED)
            .unwrap_or_else(|error| {
                log_damage(&error, "the start of the hash of labels is unreadable");
                None
            });
        let segments = match seed {
            Some(seed) => {
                *self.stopped.seed.write() = seed;
                Segment::load_all(&self.kv)
            }
            // Nobody would find a stopped series by its labels.
            None => {
                self.forget_stopped()?;
                Vec::new()
            }
        };
        let mut ids = RoaringBitmap::new();
        for segment in &segments {
            ids |= &segment.series;
        }
        if let Some(last) = ids.max() {
            self.catalog.reserve_ids(last.saturating_add(1));
        }
        *self.stopped.ids.write() = ids;
        let numbers = segments.iter().map(|segment| segment.number);
        let next = numbers.max().map_or(0, |last| last.saturating_add(1));
        self.stopped.next_segment.store(next, Ordering::Relaxed);
        let segments = segments.into_iter().map(Arc::new).collect();
        self.index.write().set_segments(segments);
        if self.kv.lacks_files() && self.stopped.contains_any() {
            self.rebuild_hashes(&self.stopped.hashes.lock())?;
        }
        Ok(())
    }

    /// Begins anew, without stopped series.
    fn forget_stopped(&self) -> Result<(), TsdbError> {
        let seed: u64 = rand::random();
        let mut batch = self.kv.batch();
        let (from, below) = (keys::SEGMENT_PREFIX, keys::BEHIND_SEGMENTS);
        batch.delete_range(kv::Family::Index, from, below);
        let key = keys::META_LABELS_SEED;
        batch.put(kv::Family::Meta, key, &seed.to_be_bytes());
        self.kv.write(batch)?;
        *self.stopped.seed.write() = seed;
        Ok(())
    }

    /// Makes stopped series known again, since the log has samples of theirs. Those of a series whose
    /// row is damaged are lost, as what it has in chunks is.
    pub(crate) fn revive(&self, ids: &RoaringBitmap) -> Result<(), TsdbError> {
        let mut series = Vec::new();
        match self.stored_series(ids, |id, entry| series.push((id, entry))) {
            Err(error) if error.is_damage() => {
                series.clear();
                for id in ids {
                    let only = RoaringBitmap::from_iter([id]);
                    match self.stored_series(&only, |id, entry| series.push((id, entry))) {
                        Err(error) if error.is_damage() => {
                            log_damage(&error, "samples of an unreadable series are lost");
                        }
                        read => read?,
                    }
                }
            }
            read => read?,
        }
        for (id, entry) in &series {
            self.catalog.restore(*id, entry);
        }
        self.returned(&series);
        Ok(())
    }
}
