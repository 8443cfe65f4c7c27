//! The values of one label name, each with the series that have it.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use parking_lot::Mutex;
use roaring::RoaringBitmap;
use storage::status::upstream_pair_bytes;

use super::postings::Postings;

/// Texts start at multiples of this in their arena, so that 32 bits address 16 GiB.
const TEXT_ALIGNMENT: usize = 4;
/// Values without series are kept until there are more of them than this, and than others.
const KEPT_DEAD_VALUES: usize = 64;

/// A value's number within its label, until the label is rebuilt.
pub(crate) type Slot = u32;

/// One label name.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    name: Box<str>,
    /// All values' texts, with gaps.
    texts: String,
    values: Vec<Value>,
    by_text: HashTable<Slot>,
    hasher: DefaultHashBuilder,
    sorted: Mutex<Sorted>,
    /// All series that have the label.
    present: RoaringBitmap,
    /// Values that have series.
    live_values: usize,
    /// The value that was added to last: neighbours share most values.
    newest: Slot,
    versions: Versions,
    /// What upstream's memory figure counts.
    upstream_bytes: u64,
}

/// Numbers that change with the label's contents. Never the same for two states of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Which values there are.
    pub(crate) values: u64,
    /// Which series have which value.
    pub(crate) series: u64,
}

/// A value and its series; one that has none is dead, and may come back to life.
#[derive(Debug)]
struct Value {
    /// In units of [`TEXT_ALIGNMENT`].
    start: u32,
    bytes: u32,
    postings: Postings,
}

/// Slots in the order of their texts.
#[derive(Debug, Default)]
struct Sorted {
    slots: Arc<Vec<Slot>>,
    /// New ones, not in order.
    fresh: Vec<Slot>,
}

impl LabelIndex {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn versions(&self) -> Versions {
        self.versions
    }

    /// All series that have the label.
    pub(crate) fn present(&self) -> &RoaringBitmap {
        &self.present
    }

    /// How many values there are.
    pub(crate) fn value_count(&self) -> usize {
        self.live_values
    }

    /// Memory of the label's pairs as upstream counts it, in bytes.
    pub(crate) fn upstream_bytes(&self) -> u64 {
        self.upstream_bytes
    }

    /// Whether no series has the label.
    pub(crate) fn is_empty(&self) -> bool {
        self.live_values == 0
    }

    /// Adds a series; `version` is a number that was never used before.
    pub(crate) fn add(&mut self, id: u32, value: &str, version: u64) {
        let slot = match self.values.get(self.newest as usize) {
            Some(newest) if text_of(&self.texts, newest) == value => self.newest,
            _ => match self.find(value) {
                Some(slot) => slot,
                None => match self.insert_text(value) {
                    Some(slot) => slot,
                    None => return,
                },
            },
        };
        self.newest = slot;
        let postings = &mut self.values[slot as usize].postings;
        let was_dead = postings.is_empty();
        if !postings.insert(id) {
            return;
        }
        self.present.insert(id);
        self.versions.series = version;
        self.upstream_bytes += upstream_pair_bytes(&self.name, value);
        if was_dead {
            self.live_values += 1;
            self.versions.values = version;
        }
    }

    /// Removes a series.
    pub(crate) fn remove(&mut self, id: u32, value: &str, version: u64) {
        let Some(slot) = self.find(value) else {
            return;
        };
        let postings = &mut self.values[slot as usize].postings;
        if !postings.remove(id) {
            return;
        }
        self.present.remove(id);
        self.versions.series = version;
        self.upstream_bytes -= upstream_pair_bytes(&self.name, value);
        if postings.is_empty() {
            self.live_values -= 1;
            self.versions.values = version;
            let dead = self.values.len() - self.live_values;
            if dead > KEPT_DEAD_VALUES && dead > self.live_values {
                self.rebuild();
            }
        }
    }

    /// Takes less memory where series with neighbouring ids share values, as those of a target do.
    pub(crate) fn compress(&mut self) {
        for value in &mut self.values {
            value.postings.compress();
        }
        self.present.optimize();
    }

    /// Leaves out the dead values.
    fn rebuild(&mut self) {
        let order = self.sorted();
        let mut texts = String::new();
        let mut values = Vec::with_capacity(self.live_values);
        for slot in order.iter() {
            let value = &self.values[*slot as usize];
            if value.postings.is_empty() {
                continue;
            }
            let Some((start, bytes)) = push_text(&mut texts, text_of(&self.texts, value)) else {
                return;
            };
            values.push((*slot, start, bytes));
        }
        let mut kept = Vec::with_capacity(values.len());
        for (slot, start, bytes) in values {
            let postings = std::mem::take(&mut self.values[slot as usize].postings);
            kept.push(Value {
                start,
                bytes,
                postings,
            });
        }
        self.texts = texts;
        self.values = kept;
        self.newest = 0;
        let slots: Vec<Slot> = (0..).zip(&self.values).map(|(slot, _)| slot).collect();
        self.by_text = HashTable::with_capacity(slots.len());
        for slot in &slots {
            let hash = self.hasher.hash_one(self.text(*slot));
            self.index_text(hash, *slot);
        }
        self.sorted = Mutex::new(Sorted {
            slots: Arc::new(slots),
            fresh: Vec::new(),
        });
    }

    fn insert_text(&mut self, value: &str) -> Option<Slot> {
        let slot = Slot::try_from(self.values.len()).ok()?;
        let Some((start, bytes)) = push_text(&mut self.texts, value) else {
            tracing::error!(label = %self.name, "the values of a label are too long to index");
            return None;
        };
        self.values.push(Value {
            start,
            bytes,
            postings: Postings::default(),
        });
        let hash = self.hasher.hash_one(value);
        self.index_text(hash, slot);
        self.sorted.get_mut().fresh.push(slot);
        Some(slot)
    }

    fn index_text(&mut self, hash: u64, slot: Slot) {
        let Self {
            by_text,
            hasher,
            values,
            texts,
            ..
        } = self;
        by_text.insert_unique(hash, slot, |slot| {
            hasher.hash_one(text_of(texts, &values[*slot as usize]))
        });
    }

    /// The slot of a value, dead or not.
    fn find(&self, value: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one(value);
        let same = |slot: &Slot| self.text(*slot) == value;
        self.by_text.find(hash, same).copied()
    }

    /// The text of a value.
    pub(crate) fn text(&self, slot: Slot) -> &str {
        let value = self.values.get(slot as usize);
        value.map_or("", |value| text_of(&self.texts, value))
    }

    /// The series with a value.
    pub(crate) fn postings(&self, value: &str) -> Option<&Postings> {
        self.find(value).map(|slot| self.postings_at(slot))
    }

    /// The series with the value at `slot`.
    pub(crate) fn postings_at(&self, slot: Slot) -> &Postings {
        &self.values[slot as usize].postings
    }

    /// All values and how many series have them, in no order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, u64)> {
        let counts = self.values.iter();
        counts
            .map(|value| (text_of(&self.texts, value), value.postings.len()))
            .filter(|(_, count)| *count > 0)
    }

    /// All slots in the order of their texts; some may be dead.
    pub(crate) fn sorted(&self) -> Arc<Vec<Slot>> {
        let mut sorted = self.sorted.lock();
        if !sorted.fresh.is_empty() {
            let mut fresh = std::mem::take(&mut sorted.fresh);
            self.sort(&mut fresh);
            sorted.slots = Arc::new(self.merge(&sorted.slots, &fresh));
        }
        Arc::clone(&sorted.slots)
    }

    /// Where in the sorted slots the texts with a prefix are.
    pub(crate) fn prefix_range(&self, sorted: &[Slot], prefix: &str) -> Range<usize> {
        let start = sorted.partition_point(|slot| self.text(*slot) < prefix);
        let rest = sorted.get(start..).unwrap_or_default();
        let matching = rest.partition_point(|slot| self.text(*slot).starts_with(prefix));
        start..start + matching
    }

    /// Sorts slots by their texts. The eight bytes behind what all texts have in common decide
    /// nearly always, and lie beside the slot.
    fn sort(&self, slots: &mut Vec<Slot>) {
        let mut texts = slots.iter().map(|slot| self.text(*slot).as_bytes());
        let Some(first) = texts.next() else {
            return;
        };
        let common = texts.fold(first.len(), |common, text| {
            let (first, text) = (first.iter().take(common), text.iter());
            first.zip(text).take_while(|(a, b)| a == b).count()
        });
        let key = |slot: Slot| {
            let mut key = [0; 8];
            let rest = self.text(slot).as_bytes().get(common..).unwrap_or_default();
            let length = rest.len().min(key.len());
            key[..length].copy_from_slice(&rest[..length]);
            u64::from_be_bytes(key)
        };
        let mut keyed: Vec<(u64, Slot)> = slots.iter().map(|slot| (key(*slot), *slot)).collect();
        keyed.sort_unstable_by(|(a_key, a), (b_key, b)| {
            let by_text = || self.text(*a).cmp(self.text(*b));
            a_key.cmp(b_key).then_with(by_text)
        });
        slots.clear();
        slots.extend(keyed.into_iter().map(|(_, slot)| slot));
    }

    /// Merges sorted slots with a few others.
    fn merge(&self, sorted: &[Slot], fresh: &[Slot]) -> Vec<Slot> {
        let mut merged = Vec::with_capacity(sorted.len() + fresh.len());
        let mut rest = sorted;
        for slot in fresh {
            let text = self.text(*slot);
            let before = rest.partition_point(|other| self.text(*other) < text);
            let (smaller, larger) = rest.split_at(before);
            merged.extend_from_slice(smaller);
            merged.push(*slot);
            rest = larger;
        }
        merged.extend_from_slice(rest);
        merged
    }
}

fn text_of<'a>(texts: &'a str, value: &Value) -> &'a str {
    let start = value.start as usize * TEXT_ALIGNMENT;
    texts
        .get(start..start + value.bytes as usize)
        .unwrap_or_default()
}

/// Adds a text to the arena; returns where it is.
fn push_text(texts: &mut String, text: &str) -> Option<(u32, u32)> {
    let gap = texts.len().next_multiple_of(TEXT_ALIGNMENT) - texts.len();
    let start = (texts.len() + gap) / TEXT_ALIGNMENT;
    let place = (u32::try_from(start).ok()?, u32::try_from(text.len()).ok()?);
    texts.extend(std::iter::repeat_n('\0', gap));
    texts.push_str(text);
    Some(place)
}
