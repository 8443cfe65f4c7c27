//! A map that forgets what was not used for longest.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use hashbrown::HashMap;

/// Values with their sizes, in order of their last use.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    slots: HashMap<K, Slot<V>>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Slot<V> {
    value: Arc<V>,
    last_use: u64,
    bytes: u64,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Self {
            slots: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
        }
    }
}

impl<K: Clone + Eq + Hash, V> Lru<K, V> {
    /// The sizes of all values together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The value of a key, which is used now.
    pub(super) fn get(&mut self, key: &K) -> Option<Arc<V>> {
        let slot = self.slots.get_mut(key)?;
        self.by_use.remove(&slot.last_use);
        self.uses += 1;
        slot.last_use = self.uses;
        self.by_use.insert(self.uses, key.clone());
        Some(Arc::clone(&slot.value))
    }

    /// Adds a value under a key that has none.
    pub(super) fn insert(&mut self, key: K, value: V, bytes: u64) {
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key.clone());
        let slot = Slot {
            value: Arc::new(value),
            last_use: self.uses,
            bytes,
        };
        self.slots.insert(key, slot);
    }

    /// Removes the value of a key.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(slot) = self.slots.remove(key) {
            self.by_use.remove(&slot.last_use);
            self.bytes -= slot.bytes;
        }
    }

    /// Removes the value that was not used for longest; `false` when there is none.
    pub(super) fn remove_oldest(&mut self) -> bool {
        let Some((_, key)) = self.by_use.pop_first() else {
            return false;
        };
        if let Some(slot) = self.slots.remove(&key) {
            self.bytes -= slot.bytes;
        }
        true
    }

    /// Removes old values until the others are no larger than `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        while self.bytes > bytes && self.remove_oldest() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut lru = Lru::default();
        for key in ["a", "b", "c"] {
            lru.insert(key, (), 10);
        }
        assert!(lru.get(&"a").is_some());
        lru.shrink_to(25);
        assert!(lru.get(&"b").is_none() && lru.get(&"a").is_some());
        lru.remove(&"c");
        assert_eq!(lru.bytes(), 10);
        assert!(lru.remove_oldest() && !lru.remove_oldest());
        assert_eq!(lru.bytes(), 0);
    }
}
