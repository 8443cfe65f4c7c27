//! Retention of stopped series: rows go with the last partition that has chunks of theirs.

use std::sync::Arc;

use model::TimeRange;
use roaring::RoaringBitmap;

use super::Segment;
use crate::catalog::SeriesEntry;
use crate::db::Engine;
use crate::error::TsdbError;

impl Engine {
    /// Removes the stopped series that have no sample anywhere.
    pub(crate) fn remove_stopped_series(&self) -> Result<(), TsdbError> {
        let (segments, present) = {
            let index = self.index.read();
            let present = index.present_in(TimeRange::ALL) | index.all();
            (index.segments().to_vec(), present)
        };
        for segment in segments {
            let gone = &segment.series - &present;
            if !gone.is_empty() {
                self.remove_from_segment(&segment, gone)?;
            }
        }
        Ok(())
    }

    fn remove_from_segment(
        &self,
        segment: &Arc<Segment>,
        mut gone: RoaringBitmap,
    ) -> Result<(), TsdbError> {
        let mut entries: Vec<(u32, SeriesEntry)> = Vec::new();
        self.stored_series(&gone, |id, entry| entries.push((id, entry)))?;
        // Nobody makes one of them known meanwhile, and those that are known stay.
        let _nobody_arrives = self.stopped.arrivals.write();
        for (id, _) in self.catalog.get_many(gone.clone().iter()) {
            gone.remove(id);
        }
        entries.retain(|(id, _)| gone.contains(*id));
        let mut batch = self.kv.batch();
        self.delete_rows(&mut batch, &entries)?;
        let left = &segment.series - &gone;
        let replacement = if left.is_empty() {
            Segment::delete(segment.number, &mut batch);
            None
        } else {
            Some(Arc::new(segment.with_series(left, &mut batch)?))
        };
        self.kv.write(batch)?;
        self.replace_segments(
            std::slice::from_ref(segment),
            replacement.into_iter().collect(),
        );
        Ok(())
    }
}
