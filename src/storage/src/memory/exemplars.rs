//! Exemplars in memory; none are kept until there is room for some.

use model::{Matcher, PromDuration, TimeRange};

use super::MemoryStorage;
use crate::error::StorageError;
use crate::exemplars::{ExemplarError, ExemplarStore, SeriesExemplars};

impl MemoryStorage {
    /// Makes room for so many exemplars.
    pub fn set_max_exemplars(&self, max: usize) {
        self.exemplars.lock().resize(max);
    }
}

impl ExemplarStore for MemoryStorage {
    fn is_enabled(&self) -> bool {
        self.exemplars.lock().capacity() > 0
    }

    fn add(&self, exemplars: &[SeriesExemplars]) -> Result<u64, StorageError> {
        let mut out_of_order = 0;
        let mut buffer = self.exemplars.lock();
        for SeriesExemplars { series, exemplars } in exemplars {
            for exemplar in exemplars {
                let added = buffer.add(series, exemplar, PromDuration::ZERO);
                out_of_order += u64::from(added == Err(ExemplarError::OutOfOrder));
            }
        }
        Ok(out_of_order)
    }

    fn select(&self, range: TimeRange, matchers: &[Vec<Matcher>]) -> Vec<SeriesExemplars> {
        self.exemplars.lock().select(range, matchers)
    }
}
