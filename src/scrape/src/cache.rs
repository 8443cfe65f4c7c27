//! What is known of a target's series from scrape to scrape: the text that names a series, its
//! reference in storage, and whether it was there last time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use hashbrown::HashTable;
use storage::SeriesRef;

/// Number of a cache entry.
pub(crate) type EntryId = u32;

/// Series of one target. A scrape begins with [`SeriesCache::begin`] and ends with
/// [`SeriesCache::commit`] or [`SeriesCache::roll_back`].
///
/// Targets list their series in the same order every time, so the entries are also kept in the
/// order of the last scrape: nearly always the next line is the next entry, and neither its text
/// is hashed nor its labels are read.
#[derive(Debug, Default)]
pub(crate) struct SeriesCache {
    entries: Vec<Entry>,
    /// Positions in `entries` that hold nothing.
    free: Vec<EntryId>,
    index: HashTable<EntryId>,
    hasher: RandomState,
    /// Entries in the order of the last good scrape.
    order: Vec<EntryId>,
    /// Position in `order` of the entry that is expected next.
    cursor: usize,
    /// Entries in the order of this scrape.
    seen: Vec<EntryId>,
    /// Entries that get a stale marker when they do not come again.
    tracked: Vec<EntryId>,
    /// The same for this scrape.
    newly_tracked: Vec<EntryId>,
    /// Entries that this scrape added.
    added: Vec<EntryId>,
    scrape: u64,
}

#[derive(Debug, Default)]
struct Entry {
    raw: Box<[u8]>,
    reference: Option<SeriesRef>,
    /// Position in `order`.
    position: usize,
    /// Number of the scrape that last had the series.
    seen_in: u64,
    /// Number of the scrape that last tracked the series.
    tracked_in: u64,
}

/// Whether a series was already there in the same scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sighting {
    First,
    Repeated,
}

impl SeriesCache {
    pub(crate) fn begin(&mut self) {
        self.scrape += 1;
        self.cursor = 0;
        self.seen.clear();
        self.newly_tracked.clear();
        self.added.clear();
    }

    /// The text that probably comes next, or nothing.
    pub(crate) fn expected(&self) -> &[u8] {
        match self.order.get(self.cursor) {
            Some(id) => &self.entry(*id).raw,
            None => &[],
        }
    }

    /// The entry of a series.
    pub(crate) fn find(&mut self, raw: &[u8]) -> Option<EntryId> {
        if let Some(id) = self.order.get(self.cursor)
            && *self.entry(*id).raw == *raw
        {
            self.cursor += 1;
            return Some(*id);
        }
        let hash = self.hasher.hash_one(raw);
        let id = *self.index.find(hash, |id| *self.entry(*id).raw == *raw)?;
        self.cursor = self.entry(id).position + 1;
        Some(id)
    }

    /// Adds a series that [`SeriesCache::find`] did not find.
    pub(crate) fn insert(&mut self, raw: &[u8]) -> EntryId {
        let entry = Entry {
            raw: Box::from(raw),
            ..Entry::default()
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id as usize] = entry;
                id
            }
            None => {
                self.entries.push(entry);
                EntryId::try_from(self.entries.len() - 1).unwrap_or(EntryId::MAX)
            }
        };
        let Self {
            entries,
            index,
            hasher,
            ..
        } = self;
        let hash = |id: &EntryId| hasher.hash_one(&*entries[*id as usize].raw);
        index.insert_unique(hash(&id), id, hash);
        self.added.push(id);
        id
    }

    /// Notes that the series is part of this scrape.
    pub(crate) fn see(&mut self, id: EntryId) -> Sighting {
        let scrape = self.scrape;
        let entry = self.entry_mut(id);
        if entry.seen_in == scrape {
            return Sighting::Repeated;
        }
        entry.seen_in = scrape;
        self.seen.push(id);
        Sighting::First
    }

    /// Notes that the series gets a stale marker when it does not come again.
    pub(crate) fn track(&mut self, id: EntryId) {
        let scrape = self.scrape;
        let entry = self.entry_mut(id);
        if entry.tracked_in != scrape {
            entry.tracked_in = scrape;
            self.newly_tracked.push(id);
        }
    }

    /// The series' reference in storage, once it is known.
    pub(crate) fn reference(&self, id: EntryId) -> Option<SeriesRef> {
        self.entry(id).reference
    }

    pub(crate) fn set_reference(&mut self, id: EntryId, reference: Option<SeriesRef>) {
        self.entry_mut(id).reference = reference;
    }

    /// Ends a good scrape: forgets series that were not part of it or that storage refused, and
    /// returns those that are stale now.
    pub(crate) fn commit(&mut self) -> Vec<SeriesRef> {
        let stale = self
            .tracked
            .iter()
            .map(|id| self.entry(*id))
            .filter(|entry| entry.tracked_in != self.scrape)
            .filter_map(|entry| entry.reference)
            .collect();
        self.drop_refused();
        if self.seen.len() < self.entries.len() - self.free.len() {
            for id in std::mem::take(&mut self.order) {
                if self.entry(id).seen_in != self.scrape {
                    self.remove(id);
                }
            }
        }
        std::mem::swap(&mut self.order, &mut self.seen);
        for (position, id) in self.order.iter().enumerate() {
            self.entries[*id as usize].position = position;
        }
        std::mem::swap(&mut self.tracked, &mut self.newly_tracked);
        stale
    }

    /// Ends a failed scrape: forgets what it added, and returns all series that were tracked, which
    /// are stale now.
    pub(crate) fn roll_back(&mut self) -> Vec<SeriesRef> {
        for id in std::mem::take(&mut self.added) {
            self.remove(id);
        }
        let tracked = std::mem::take(&mut self.tracked);
        tracked
            .into_iter()
            .filter_map(|id| self.entry(id).reference)
            .collect()
    }

    /// How many series are known.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Forgets the new series that got no reference.
    fn drop_refused(&mut self) {
        let added = std::mem::take(&mut self.added);
        let refused: Vec<EntryId> = added
            .into_iter()
            .filter(|id| self.entry(*id).reference.is_none())
            .collect();
        if refused.is_empty() {
            return;
        }
        let entries = &self.entries;
        let is_kept = |id: &EntryId| entries[*id as usize].reference.is_some();
        self.seen.retain(is_kept);
        self.newly_tracked.retain(is_kept);
        for id in refused {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: EntryId) {
        let raw = std::mem::take(&mut self.entry_mut(id).raw);
        self.entry_mut(id).reference = None;
        if let Ok(found) = self
            .index
            .find_entry(self.hasher.hash_one(&*raw), |candidate| *candidate == id)
        {
            found.remove();
            self.free.push(id);
        }
    }

    fn entry(&self, id: EntryId) -> &Entry {
        &self.entries[id as usize]
    }

    fn entry_mut(&mut self, id: EntryId) -> &mut Entry {
        &mut self.entries[id as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs one scrape with the given series; `!` before a name leaves it without a reference.
    fn scrape(cache: &mut SeriesCache, names: &str) -> Vec<u64> {
        cache.begin();
        for name in names.split_whitespace() {
            let raw = name.trim_start_matches('!').as_bytes();
            let id = cache.find(raw).unwrap_or_else(|| cache.insert(raw));
            cache.see(id);
            cache.track(id);
            if !name.starts_with('!') {
                cache.set_reference(id, Some(SeriesRef::new(u64::from(raw[0]))));
            }
        }
        cache.commit().into_iter().map(SeriesRef::get).collect()
    }

    fn letters(text: &str) -> Vec<u64> {
        text.bytes().map(u64::from).collect()
    }

    #[test]
    fn missing_series_are_stale_once() {
        let mut cache = SeriesCache::default();
        for (names, stale, known) in [
            ("a b c", "", 3),
            ("a c", "b", 2),
            ("a c", "", 2),
            ("c d a", "", 3),
            ("", "cda", 0),
            ("a b c d e", "", 5),
            ("e d", "abc", 2),
        ] {
            assert_eq!(scrape(&mut cache, names), letters(stale), "{names}");
            assert_eq!(cache.len(), known, "{names}");
        }
    }

    #[test]
    fn failed_scrapes_leave_nothing_and_mark_everything() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, "a b");
        cache.begin();
        let known = cache.find(b"a").unwrap();
        cache.see(known);
        cache.track(known);
        assert_eq!(cache.find(b"n"), None);
        cache.insert(b"n");
        let stale: Vec<u64> = cache.roll_back().into_iter().map(SeriesRef::get).collect();
        assert_eq!(stale, letters("ab"));
        assert_eq!(cache.len(), 2);
        cache.begin();
        assert!(cache.roll_back().is_empty(), "they are stale already");
        assert!(scrape(&mut cache, "a").is_empty());
    }

    #[test]
    fn refused_series_are_forgotten() {
        let mut cache = SeriesCache::default();
        assert!(scrape(&mut cache, "a !x b").is_empty());
        assert_eq!(cache.len(), 2);
        assert!(scrape(&mut cache, "a b").is_empty());
    }

    #[test]
    fn the_next_line_is_foreseen() {
        let mut cache = SeriesCache::default();
        scrape(&mut cache, "a b c");
        cache.begin();
        for (next, expected) in [("a", "a"), ("c", "b"), ("b", ""), ("c", "c"), ("d", "")] {
            assert_eq!(cache.expected(), expected.as_bytes());
            let found = cache.find(next.as_bytes());
            assert_eq!(found.is_some(), next != "d");
        }
    }

    #[test]
    fn repetitions_are_noticed() {
        let mut cache = SeriesCache::default();
        cache.begin();
        let id = cache.insert(b"a");
        assert_eq!(cache.see(id), Sighting::First);
        assert_eq!(cache.see(id), Sighting::Repeated);
        assert_eq!(cache.find(b"a"), Some(id));
        cache.set_reference(id, Some(SeriesRef::new(1)));
        cache.commit();
        cache.begin();
        assert_eq!(cache.see(id), Sighting::First);
    }
}
