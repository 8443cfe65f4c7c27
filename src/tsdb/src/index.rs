//! The inverted index in memory: which series have which label value, and in which partitions.

mod cache;
mod cardinality;
mod label;
mod matching;
mod postings;
mod presence;
mod select;

use std::sync::Arc;

use hashbrown::HashMap;
use model::Labels;
use parking_lot::Mutex;
use roaring::RoaringBitmap;

use cache::MatcherCache;
use label::LabelIndex;
use presence::Presence;
pub(crate) use select::LabelReader;

use crate::stopped::Segment;

/// Postings of all published series.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By number. The number of a label without series is given to another one.
    labels: Vec<LabelIndex>,
    numbers: HashMap<Box<str>, u32>,
    free: Vec<u32>,
    /// The labels of the series that was added last: neighbours have the same ones.
    previous: Vec<u32>,
    all: RoaringBitmap,
    presence: Presence,
    /// Indexes of series that stopped.
    segments: Vec<Arc<Segment>>,
    /// Counts changes, for all labels together.
    version: u64,
    cache: Mutex<MatcherCache>,
}

impl Index {
    /// Adds a series; adding it again changes nothing.
    pub(crate) fn add(&mut self, id: u32, labels: &Labels) {
        if !self.all.insert(id) {
            return;
        }
        self.version += 1;
        for (position, (name, value)) in labels.into_iter().enumerate() {
            let number = self.number_at(position, name);
            if let Some(label) = self.labels.get_mut(number as usize) {
                label.add(id, value, self.version);
            }
        }
    }

    /// The number of a label name that stands at a position of its series; made if it is new.
    fn number_at(&mut self, position: usize, name: &str) -> u32 {
        let is_name = |number: u32| {
            let label = self.labels.get(number as usize);
            label.is_some_and(|label| label.name() == name)
        };
        if let Some(number) = self.previous.get(position).copied().filter(|n| is_name(*n)) {
            return number;
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.insert_name(name),
        };
        if let Some(previous) = self.previous.get_mut(position) {
            *previous = number;
        } else {
            self.previous.push(number);
        }
        number
    }

    fn insert_name(&mut self, name: &str) -> u32 {
        let label = LabelIndex::new(name);
        let number = match self.free.pop() {
            Some(number) => {
                self.labels[number as usize] = label;
                number
            }
            None => {
                self.labels.push(label);
                // There are no more names than bytes of labels.
                u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.numbers.insert(name.into(), number);
        number
    }

    /// Removes a series.
    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        if !self.all.remove(id) {
            return;
        }
        self.version += 1;
        for (name, value) in labels {
            let Some(number) = self.numbers.get(name).copied() else {
                continue;
            };
            let label = &mut self.labels[number as usize];
            label.remove(id, value, self.version);
            if label.is_empty() {
                *label = LabelIndex::default();
                self.numbers.remove(name);
                self.free.push(number);
            }
        }
    }

    /// All published series.
    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// A number that counts changes of the series.
    pub(crate) fn changes(&self) -> u64 {
        self.version
    }

    /// How many numbers of labels there are, some of them without series.
    pub(crate) fn label_numbers(&self) -> usize {
        self.labels.len()
    }

    /// Gives back memory of the label of a number that a smaller form of its sets does not need.
    pub(crate) fn compress_label(&mut self, number: usize) {
        if let Some(label) = self.labels.get_mut(number) {
            label.compress();
        }
    }

    fn label(&self, name: &str) -> Option<&LabelIndex> {
        let number = self.numbers.get(name)?;
        self.labels.get(*number as usize)
    }

    /// The labels that series have.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &LabelIndex> {
        self.labels.iter().filter(|label| !label.is_empty())
    }
}

#[cfg(test)]
mod tests;
