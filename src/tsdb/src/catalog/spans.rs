//! Ids by the labels' bytes as senders write them: what nearly every look-up of a series is.

use std::hint::black_box;

use hashbrown::HashTable;
use twox_hash::XxHash3_128;

use super::id_table::IdTable;
use crate::paged::Paged;

/// Other spans of the same series that are remembered whatever the number of series.
const FREE_ALIASES: usize = 1 << 16;

/// Slots looked at for each series that is forgotten.
const SLOTS_PER_FORGOTTEN: usize = 8;

/// Spans seen so far. A series usually has one, of which 104 bits of a hash are compared: 40 in the
/// table, 64 beside the id. Others, of senders that write the same labels in another way, are
/// aliases.
#[derive(Debug)]
pub(super) struct Spans {
    table: IdTable,
    /// By id: what the table does not hold of the hash of the series' first span; 0 without one.
    fingerprints: Paged<u64>,
    aliases: HashTable<(u128, u32)>,
    seed: u64,
}

/// Hashes spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanHasher {
    /// Secret, so that nobody outside can make two spans collide.
    seed: u64,
}

impl SpanHasher {
    #[inline]
    pub(super) fn hash(self, span: &[u8]) -> u128 {
        XxHash3_128::oneshot_with_seed(self.seed, span)
    }
}

impl Spans {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: IdTable::new(),
            fingerprints: Paged::default(),
            aliases: HashTable::new(),
            seed,
        }
    }

    /// Whether the span with this hash belongs to the series that is expected next: senders repeat
    /// their order, and ids follow the order of first arrival. Reads memory in order alone; 64 bits
    /// have to agree.
    #[inline]
    pub(super) fn predicts(&self, hash: u128, id: u32) -> bool {
        self.fingerprint(id) == fingerprint_of(hash)
    }

    #[inline]
    pub(super) fn find(&self, hash: u128) -> Option<u32> {
        let wanted = fingerprint_of(hash);
        let found = self
            .table
            .find(low_half(hash), |id| self.fingerprint(id) == wanted);
        found.or_else(|| self.find_alias(hash))
    }

    /// Brings near what [`Spans::find`] will read for each hash. The reads do not wait for each
    /// other, as those of several searches would.
    pub(super) fn approach(&self, hashes: &[u128]) {
        let ids = hashes.iter().map(|hash| self.table.glance(low_half(*hash)));
        black_box(ids.fold(0, |sum, id| sum ^ id));
        let ids = hashes.iter().map(|hash| self.table.glance(low_half(*hash)));
        black_box(ids.fold(0, |sum, id| sum ^ self.fingerprint(id)));
    }

    pub(super) fn remember(&mut self, hash: u128, id: u32) {
        if self.find(hash).is_some() {
            return;
        }
        let fingerprint = self.fingerprints.entry(id as usize);
        if *fingerprint == 0 {
            *fingerprint = fingerprint_of(hash);
            self.table.insert(low_half(hash), id);
        } else {
            self.aliases
                .insert_unique(low_half(hash), (hash, id), |(hash, _)| low_half(*hash));
        }
    }

    /// Senders that never repeat themselves must not fill memory: past a bound all aliases are
    /// forgotten, and learned again from labels.
    pub(super) fn bound_aliases(&mut self, series: usize) {
        if self.aliases.len() > series * 3 + FREE_ALIASES {
            self.aliases = HashTable::new();
        }
    }

    /// Forgets all spans of some series.
    pub(super) fn forget(&mut self, ids: &[u32]) {
        for id in ids {
            if self.fingerprint(*id) != 0 {
                *self.fingerprints.entry(*id as usize) = 0;
            }
        }
        let forgotten = ids.iter().map(|id| *id as usize);
        self.fingerprints
            .drop_pages(forgotten, |fingerprint| *fingerprint == 0);
        let fingerprints = &self.fingerprints;
        let is_known = |id: u32| {
            fingerprints
                .get(id as usize)
                .is_some_and(|known| *known != 0)
        };
        // What has no fingerprint is never found, and may stay for a while.
        self.table.sweep(ids.len() * SLOTS_PER_FORGOTTEN, is_known);
    }

    /// What spans are hashed with.
    pub(super) const fn hasher(&self) -> SpanHasher {
        SpanHasher { seed: self.seed }
    }

    #[inline]
    fn fingerprint(&self, id: u32) -> u64 {
        self.fingerprints.get(id as usize).copied().unwrap_or(0)
    }

    #[cold]
    fn find_alias(&self, hash: u128) -> Option<u32> {
        self.aliases
            .find(low_half(hash), |(known, id)| {
                *known == hash && self.fingerprint(*id) != 0
            })
            .map(|(_, id)| *id)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
const fn low_half(hash: u128) -> u64 {
    hash as u64
}

/// Never 0.
fn fingerprint_of(hash: u128) -> u64 {
    low_half(hash >> 64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_may_have_several_spans() {
        let mut spans = Spans::new(1);
        let hash = |id: u32, alias: u32| spans_hash(id * 10 + alias);
        for id in 0..3000 {
            for alias in 0..3 {
                assert_eq!(spans.find(hash(id, alias)), None);
                spans.remember(hash(id, alias), id);
                spans.remember(hash(id, alias), id);
            }
        }
        assert_eq!(spans.aliases.len(), 6000);
        for id in 0..3000 {
            assert!(spans.predicts(hash(id, 0), id));
            assert!(!spans.predicts(hash(id, 0), id + 1));
            for alias in 0..3 {
                assert_eq!(spans.find(hash(id, alias)), Some(id));
            }
        }
        spans.approach(&[hash(1, 0), hash(9999, 0)]);
        spans.forget(&(10..4000).collect::<Vec<_>>());
        assert!(!spans.predicts(hash(10, 0), 10));
        assert_eq!(spans.find(hash(9, 2)), Some(9));
        assert_eq!(spans.find(hash(10, 0)), None);
        assert_eq!(spans.find(hash(10, 1)), None);
        for id in 0..1 << 16 {
            spans.remember(spans_hash(1 << 20 | id), 3);
        }
        spans.bound_aliases(1);
        assert_eq!(spans.find(hash(9, 0)), Some(9));
        assert_eq!(spans.find(hash(9, 1)), None);
    }

    fn spans_hash(of: u32) -> u128 {
        XxHash3_128::oneshot(&of.to_le_bytes())
    }
}
