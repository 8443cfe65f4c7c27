//! Compact records of series by id: the metric's number and the numbers of the label pairs.

use crate::varint;

/// Series of a block; their records lie side by side.
const BLOCK: usize = 64;

/// Records by series id.
#[derive(Debug, Default)]
pub(super) struct Records {
    blocks: Vec<Option<Box<Block>>>,
    live: usize,
}

#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Where each record ends. An empty one is no series.
    ends: [u32; BLOCK],
}

/// A record: a number for the metric, then one for each label pair in order of names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a>(&'a [u8]);

impl Records {
    /// The record of a series.
    #[inline]
    pub(super) fn get(&self, id: u32) -> Option<Record<'_>> {
        let (block, slot) = place(id);
        self.blocks.get(block)?.as_ref()?.get(slot)
    }

    /// How many series have one.
    pub(super) const fn len(&self) -> usize {
        self.live
    }

    /// Ids of all series that have one, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.blocks).flat_map(|(number, block)| {
            let first = number * number_of(BLOCK);
            block.iter().flat_map(move |block| {
                let is_there = |slot: &usize| block.get(*slot).is_some();
                (0..BLOCK)
                    .filter(is_there)
                    .map(move |slot| first + number_of(slot))
            })
        })
    }

    /// Sets the record of a series that has none.
    pub(super) fn insert(&mut self, id: u32, record: &OwnedRecord) {
        let (block, slot) = place(id);
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, || None);
        }
        self.blocks[block]
            .get_or_insert_default()
            .replace(slot, &record.0);
        self.live += 1;
    }

    /// Takes the record of a series out.
    pub(super) fn remove(&mut self, id: u32) -> Option<OwnedRecord> {
        let record = OwnedRecord(self.get(id)?.0.into());
        let (number, slot) = place(id);
        let block = &mut self.blocks[number];
        block.get_or_insert_default().replace(slot, &[]);
        if block.as_ref().is_some_and(|block| block.bytes.is_empty()) {
            *block = None;
        }
        self.live -= 1;
        Some(record)
    }
}

fn place(id: u32) -> (usize, usize) {
    (id as usize / BLOCK, id as usize % BLOCK)
}

impl Default for Block {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            ends: [0; BLOCK],
        }
    }
}

impl Block {
    #[inline]
    fn get(&self, slot: usize) -> Option<Record<'_>> {
        let range = self.start(slot)..self.ends[slot] as usize;
        let record = self.bytes.get(range)?;
        (!record.is_empty()).then_some(Record(record))
    }

    #[inline]
    fn start(&self, slot: usize) -> usize {
        let before = slot.checked_sub(1);
        before.map_or(0, |before| self.ends[before] as usize)
    }

    fn replace(&mut self, slot: usize, record: &[u8]) {
        let range = self.start(slot)..self.ends[slot] as usize;
        let old_length = range.len();
        self.bytes.splice(range, record.iter().copied());
        for end in &mut self.ends[slot..] {
            *end = *end - number_of(old_length) + number_of(record.len());
        }
        // Ids are given out in order, so the last one ends the growth of most blocks.
        if slot == BLOCK - 1 {
            self.bytes.shrink_to_fit();
        }
    }
}

/// A record has few bytes: a label set is at most a request long.
fn number_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A record of its own.
#[derive(Clone, Debug)]
pub(super) struct OwnedRecord(Box<[u8]>);

impl OwnedRecord {
    pub(super) fn new(metric: u32, pairs: impl Iterator<Item = u32>) -> Self {
        let mut record = Vec::with_capacity(64);
        varint::put(&mut record, u64::from(metric));
        for pair in pairs {
            varint::put(&mut record, u64::from(pair));
        }
        Self(record.into())
    }

    pub(super) fn as_record(&self) -> Record<'_> {
        Record(&self.0)
    }
}

impl<'a> Record<'a> {
    /// The number of the metric's name.
    #[inline]
    pub(super) fn metric(self) -> u32 {
        let mut bytes = self.0;
        take(&mut bytes).unwrap_or(0)
    }

    /// Numbers of the label pairs, in order of names.
    #[inline]
    pub(super) fn pairs(self) -> impl Iterator<Item = u32> + use<'a> {
        let mut bytes = self.0;
        take(&mut bytes);
        std::iter::from_fn(move || take(&mut bytes))
    }
}

#[inline]
fn take(bytes: &mut &[u8]) -> Option<u32> {
    match bytes {
        [byte @ 0..=0x7f, rest @ ..] => {
            *bytes = rest;
            Some(u32::from(*byte))
        }
        [low, high @ 0..=0x7f, rest @ ..] => {
            *bytes = rest;
            Some(u32::from(*low & 0x7f) | u32::from(*high) << 7)
        }
        _ => u32::try_from(varint::take(bytes)?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(of: u32) -> OwnedRecord {
        let pairs = [of, of * 100, of << 8, u32::MAX - 1 - of];
        OwnedRecord::new(of, pairs.into_iter().take(of as usize % 5))
    }

    #[test]
    fn records_come_back_in_any_order() {
        let mut records = Records::default();
        let ids: Vec<u32> = (0..1000).map(|n| n * 7 % 1000).collect();
        for id in &ids {
            assert!(records.get(*id).is_none());
            records.insert(*id, &record(*id));
        }
        for id in ids.iter().filter(|id| *id % 3 == 0) {
            assert_eq!(records.remove(*id).unwrap().0, record(*id).0);
            assert!(records.remove(*id).is_none());
        }
        for id in 0..1000 {
            let found = records.get(id);
            assert_eq!(found.is_none(), id % 3 == 0, "{id}");
            if let Some(found) = found {
                assert_eq!(found.0, &*record(id).0);
                assert_eq!(found.metric(), id);
                assert_eq!(found.pairs().count(), id as usize % 5);
                assert!(found.pairs().eq(record(id).as_record().pairs()));
            }
        }
        assert_eq!(records.ids().count(), records.len());
        assert!(records.ids().is_sorted());
        assert!(records.get(5000).is_none());
    }
}
