//! Labels of segments that were read lately.

use std::sync::Arc;

use hashbrown::HashMap;
use kv::{Family, Kv};
use parking_lot::Mutex;

use super::segment::SegmentLabel;
use crate::error::TsdbError;
use crate::keys::{self, SegmentRow};

/// What the cache may take, in bytes.
const MAX_BYTES: usize = 32 << 20;
/// What an entry takes beside its row, in bytes.
const ENTRY_BYTES: usize = 128;

/// Labels by segment and name, the least used ones forgotten first.
#[derive(Default)]
pub(crate) struct SegmentCache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    labels: HashMap<(u32, Box<str>), Entry>,
    bytes: usize,
    uses: u64,
}

struct Entry {
    /// `None` if no series of the segment has the label.
    label: Option<Arc<SegmentLabel>>,
    bytes: usize,
    last_use: u64,
}

impl SegmentCache {
    /// A label of a segment, if any of its series has it.
    ///
    /// # Errors
    /// The store failed, or the label's row is damaged.
    pub(crate) fn label(
        &self,
        kv: &Kv,
        segment: u32,
        name: &str,
    ) -> Result<Option<Arc<SegmentLabel>>, TsdbError> {
        let key = (segment, Box::from(name));
        {
            let mut entries = self.0.lock();
            entries.uses += 1;
            let last_use = entries.uses;
            if let Some(entry) = entries.labels.get_mut(&key) {
                entry.last_use = last_use;
                return Ok(entry.label.clone());
            }
        }
        let row = kv.get(
            Family::Index,
            &keys::segment(segment, SegmentRow::Values(name)),
        )?;
        let label = row.map(SegmentLabel::parse).transpose()?.map(Arc::new);
        let bytes = ENTRY_BYTES + label.as_ref().map_or(0, |label| label.size_bytes());
        self.0.lock().insert(key, label.clone(), bytes);
        Ok(label)
    }

    /// Forgets segments that are no more.
    pub(crate) fn retain(&self, is_there: impl Fn(u32) -> bool) {
        let mut entries = self.0.lock();
        entries.labels.retain(|(segment, _), _| is_there(*segment));
        entries.bytes = entries.labels.values().map(|entry| entry.bytes).sum();
    }
}

impl Entries {
    fn insert(&mut self, key: (u32, Box<str>), label: Option<Arc<SegmentLabel>>, bytes: usize) {
        let last_use = self.uses;
        let entry = Entry {
            label,
            bytes,
            last_use,
        };
        self.bytes += bytes;
        if let Some(replaced) = self.labels.insert(key, entry) {
            self.bytes -= replaced.bytes;
        }
        if self.bytes > MAX_BYTES {
            let mut uses: Vec<u64> = self.labels.values().map(|entry| entry.last_use).collect();
            uses.sort_unstable();
            let keep_from = uses.get(uses.len() / 2).copied().unwrap_or(0);
            // The newest one alone may be larger than the cache; it goes with the next.
            self.labels
                .retain(|_, entry| entry.last_use > keep_from || entry.last_use == last_use);
            self.bytes = self.labels.values().map(|entry| entry.bytes).sum();
        }
    }
}
