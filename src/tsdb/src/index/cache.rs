//! What costly matchers selected, for as long as the values of their label stay the same.

use std::sync::Arc;

use hashbrown::HashMap;
use model::Matcher;
use roaring::RoaringBitmap;

use super::label::{Slot, Versions};

/// What the cache may take, in bytes.
const MAX_BYTES: usize = 16 << 20;
/// What an entry takes beside its slots and its bitmap, in bytes.
const ENTRY_BYTES: usize = 256;

/// The results of matchers, the least used ones forgotten first.
#[derive(Debug, Default)]
pub(super) struct MatcherCache {
    entries: HashMap<Matcher, Entry>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    found: Found,
    bytes: usize,
    last_use: u64,
}

/// What a matcher found in its label.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The state of the label.
    pub(super) versions: Versions,
    pub(super) slots: Arc<[Slot]>,
    /// The series with these values.
    pub(super) series: Arc<RoaringBitmap>,
}

impl MatcherCache {
    /// What is known of a matcher; its slots hold at least.
    pub(super) fn get(&mut self, matcher: &Matcher, versions: Versions) -> Option<Found> {
        self.uses += 1;
        let entry = self.entries.get_mut(matcher)?;
        entry.last_use = self.uses;
        let found = &entry.found;
        (found.versions.values == versions.values).then(|| found.clone())
    }

    /// Remembers what a matcher found.
    pub(super) fn put(&mut self, matcher: &Matcher, found: Found) {
        let bytes = ENTRY_BYTES
            + matcher.value().len() * 2
            + size_of_val(&*found.slots)
            + found.series.serialized_size();
        if bytes > MAX_BYTES / 4 {
            return;
        }
        self.uses += 1;
        let entry = Entry {
            found,
            bytes,
            last_use: self.uses,
        };
        self.bytes += bytes;
        if let Some(replaced) = self.entries.insert(matcher.clone(), entry) {
            self.bytes -= replaced.bytes;
        }
        if self.bytes > MAX_BYTES {
            self.forget_half();
        }
    }

    fn forget_half(&mut self) {
        let mut uses: Vec<u64> = self.entries.values().map(|entry| entry.last_use).collect();
        uses.sort_unstable();
        let keep_from = uses.get(uses.len() / 2).copied().unwrap_or(0);
        let mut kept = 0;
        self.entries.retain(|_, entry| {
            let keep = entry.last_use >= keep_from;
            kept += if keep { entry.bytes } else { 0 };
            keep
        });
        self.bytes = kept;
    }
}
