//! A hash table of ids with eight bytes a slot. What an id stands for lies elsewhere, and so does
//! the check of what was found.
//!
//! Open addressing with linear probing, in shards that grow one at a time and by a quarter: an
//! insertion moves one 256th of the table at most, and no more than that is ever there twice.

/// Shards; the top eight bits of a hash choose one.
const SHARDS: usize = 256;
/// A slot without an id. No series and no pair has the id `u32::MAX`.
const EMPTY: u64 = u64::MAX;
const LEAST_SLOTS: usize = 8;

/// Ids by 64-bit hashes, of which 40 bits are compared.
#[derive(Debug)]
pub(super) struct IdTable {
    shards: Box<[Shard]>,
    /// Shard at which the next sweep begins.
    next_swept: usize,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    /// Low half of the hash, then the id.
    slots: Vec<u64>,
    used: usize,
}

impl IdTable {
    pub(super) fn new() -> Self {
        Self {
            shards: vec![Shard::default(); SHARDS].into(),
            next_swept: 0,
        }
    }

    /// The id with this hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let shard = self.shard(hash);
        let mut at = shard.home(hash)?;
        loop {
            let slot = *shard.slots.get(at)?;
            if slot == EMPTY {
                return None;
            }
            let id = id_of(slot);
            if check_of(slot) == low_half(hash) && is_it(id) {
                return Some(id);
            }
            at = shard.behind(at);
        }
    }

    /// The id that is probably meant by `hash`: a look at one slot, whose memory is then near.
    #[inline]
    pub(super) fn glance(&self, hash: u64) -> u32 {
        let shard = self.shard(hash);
        let slot = shard.home(hash).and_then(|at| shard.slots.get(at));
        slot.map_or(u32::MAX, |slot| id_of(*slot))
    }

    /// Adds an id that is not there.
    pub(super) fn insert(&mut self, hash: u64, id: u32) {
        let shard = &mut self.shards[shard_number(hash)];
        // At most seven of eight slots are taken, so that every search ends.
        if (shard.used + 1) * 8 > shard.slots.len() * 7 {
            shard.grow();
        }
        shard.put(u64::from(low_half(hash)) << 32 | u64::from(id));
        shard.used += 1;
    }

    /// Removes an id, if it is there with this hash.
    pub(super) fn remove(&mut self, hash: u64, id: u32) {
        let shard = &mut self.shards[shard_number(hash)];
        let wanted = u64::from(low_half(hash)) << 32 | u64::from(id);
        let Some(mut at) = shard.home(hash) else {
            return;
        };
        while shard.slots[at] != wanted {
            if shard.slots[at] == EMPTY {
                return;
            }
            at = shard.behind(at);
        }
        shard.clear(at);
        if shard.used * 3 < shard.slots.len() && shard.slots.len() > LEAST_SLOTS {
            shard.resize(slots_for(shard.used));
        }
    }

    /// Drops those ids of some shards for which `keep` does not hold: each call goes on where the
    /// last one ended, and looks at `slots` of them at least.
    pub(super) fn sweep(&mut self, slots: usize, keep: impl Fn(u32) -> bool) {
        let mut seen = 0;
        for _ in 0..SHARDS {
            let shard = &mut self.shards[self.next_swept];
            self.next_swept = (self.next_swept + 1) % SHARDS;
            seen += shard.slots.len();
            shard.retain(&keep);
            if seen >= slots {
                break;
            }
        }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &Shard {
        &self.shards[shard_number(hash)]
    }
}

impl Shard {
    /// Where a search for `hash` begins; `None` without slots.
    #[inline]
    fn home(&self, hash: u64) -> Option<usize> {
        let scaled = u64::from(low_half(hash)) * self.slots.len() as u64;
        (!self.slots.is_empty()).then_some((scaled >> 32) as usize)
    }

    fn put(&mut self, slot: u64) {
        let Some(mut at) = self.home(slot >> 32) else {
            return;
        };
        while self.slots[at] != EMPTY {
            at = self.behind(at);
        }
        self.slots[at] = slot;
    }

    fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let is_dead = |slot: &u64| *slot != EMPTY && !keep(id_of(*slot));
        let dead = self.slots.iter().filter(|slot| is_dead(slot)).count();
        if dead == 0 {
            return;
        }
        self.used -= dead;
        for slot in &mut self.slots {
            if is_dead(slot) {
                *slot = EMPTY;
            }
        }
        // Searches would end at the holes.
        self.resize(slots_for(self.used).min(self.slots.len()));
    }

    /// Empties a slot and moves what follows to where searches still find it.
    fn clear(&mut self, at: usize) {
        let length = self.slots.len();
        let distance = |from: usize, to: usize| (to + length - from) % length;
        let (mut hole, mut at) = (at, self.behind(at));
        while self.slots[at] != EMPTY {
            let home = self.home(self.slots[at] >> 32).unwrap_or(at);
            if distance(home, at) >= distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
            at = self.behind(at);
        }
        self.slots[hole] = EMPTY;
        self.used -= 1;
    }

    #[inline]
    fn behind(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() {
            0
        } else {
            at + 1
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.resize(slots_for(self.used + 1).max(self.slots.len() * 5 / 4));
    }

    fn resize(&mut self, length: usize) {
        let slots = std::mem::replace(&mut self.slots, vec![EMPTY; length]);
        for slot in slots.into_iter().filter(|slot| *slot != EMPTY) {
            self.put(slot);
        }
    }
}

/// Slots that hold `ids` and leave some free.
fn slots_for(ids: usize) -> usize {
    (ids + ids / 4 + 1).max(LEAST_SLOTS)
}

fn shard_number(hash: u64) -> usize {
    (hash >> 56) as usize
}

fn check_of(slot: u64) -> u32 {
    low_half(slot >> 32)
}

fn id_of(slot: u64) -> u32 {
    low_half(slot)
}

#[expect(clippy::cast_possible_truncation, reason = "half is what is asked for")]
const fn low_half(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(id: u32) -> u64 {
        u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn finds_what_was_inserted_and_kept() {
        let mut table = IdTable::new();
        for id in 0..50_000 {
            assert_eq!(table.find(hash_of(id), |found| found == id), None);
            table.insert(hash_of(id), id);
        }
        for id in 0..50_000 {
            assert_eq!(table.find(hash_of(id), |found| found == id), Some(id));
        }
        let slots: usize = table.shards.iter().map(|shard| shard.slots.len()).sum();
        assert!(slots < 50_000 * 3 / 2, "{slots} slots");
        for id in (0..50_000).filter(|id| id % 7 != 0) {
            table.remove(hash_of(id), id);
            table.remove(hash_of(id), id);
        }
        let slots: usize = table.shards.iter().map(|shard| shard.slots.len()).sum();
        assert!(slots < 30_000, "{slots} slots");
        for id in 0..50_000 {
            let found = table.find(hash_of(id), |found| found == id);
            assert_eq!(found, (id % 7 == 0).then_some(id));
        }
        for _ in 0..SHARDS {
            table.sweep(1, |id| id % 2 == 0);
        }
        for id in 0..50_000 {
            let found = table.find(hash_of(id), |found| found == id);
            assert_eq!(found, (id % 14 == 0).then_some(id));
        }
    }

    #[test]
    fn equal_hashes_are_told_apart() {
        let mut table = IdTable::new();
        for id in 0..100 {
            table.insert(u64::MAX, id);
            table.insert(0, id + 100);
        }
        for id in 0..100 {
            assert_eq!(table.find(u64::MAX, |found| found == id), Some(id));
            assert_eq!(table.find(0, |found| found == id + 100), Some(id + 100));
        }
        assert_eq!(table.find(0, |found| found == 7), None);
        for id in (0..100).rev() {
            table.remove(u64::MAX, id);
            assert_eq!(table.find(u64::MAX, |found| found == id), None);
            assert_eq!(table.find(u64::MAX, |_| true).is_some(), id > 0);
        }
        table.sweep(usize::MAX, |_| false);
        assert_eq!(table.find(0, |_| true), None);
        assert_eq!(table.glance(0), u32::MAX);
    }
}
