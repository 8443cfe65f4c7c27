//! What an engine tells about its newest part: how many series there are, and of what.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use model::TimeRange;

/// Facts about the series that take samples now, and about their unsealed samples.
pub trait StatusSource: Send + Sync {
    /// The facts, with at most `limit` of the largest figures of each kind. Blocking.
    fn head_status(&self, limit: usize) -> HeadStatus;
}

/// See [`StatusSource`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStatus {
    /// How many series there are, by kind.
    pub cardinality: Cardinality,
    /// Chunks that are not sealed.
    pub chunks: u64,
    /// From the oldest to the newest sample of these chunks.
    pub time: Option<TimeRange>,
}

/// How many series and values there are. Lists hold the largest counts first, equal ones by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series.
    pub series: u64,
    /// Different pairs of label and value.
    pub label_pairs: u64,
    /// Series of each metric.
    pub series_by_metric: Vec<Count>,
    /// Different values of each label.
    pub values_by_label: Vec<Count>,
    /// Bytes of each label's pairs, counted for every series that has them.
    pub bytes_by_label: Vec<Count>,
    /// Series of each pair, named `label=value`.
    pub series_by_pair: Vec<Count>,
}

/// A named count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What was counted.
    pub name: String,
    /// How much of it there is.
    pub count: u64,
}

/// Keeps the largest counts that it is offered; among equal ones those whose names come first.
#[derive(Clone, Debug)]
pub struct LargestCounts {
    limit: usize,
    /// The first to go on top.
    kept: BinaryHeap<(Reverse<u64>, String)>,
}

impl LargestCounts {
    /// Keeps at most `limit` counts.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: BinaryHeap::new(),
        }
    }

    /// Offers a count; its name is the parts one after the other.
    pub fn offer(&mut self, count: u64, name: [&str; 3]) {
        if self.kept.len() < self.limit {
            self.kept.push((Reverse(count), name.concat()));
            return;
        }
        let Some(mut last) = self.kept.peek_mut() else {
            return;
        };
        let is_larger = match count.cmp(&last.0.0) {
            Ordering::Less => false,
            Ordering::Equal => name.iter().flat_map(|part| part.bytes()).lt(last.1.bytes()),
            Ordering::Greater => true,
        };
        if is_larger {
            *last = (Reverse(count), name.concat());
        }
    }

    /// The counts that were kept, largest first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Count> {
        let sorted = self.kept.into_sorted_vec().into_iter();
        sorted
            .map(|(Reverse(count), name)| Count { name, count })
            .collect()
    }
}

/// Bytes that a pair takes in one label set of upstream: each text behind its length. Source:
/// upstream `labels.SizeOfLabels`.
#[must_use]
pub fn upstream_pair_bytes(name: &str, value: &str) -> u64 {
    let length_bytes = |text: &str| if text.len() < 255 { 1 } else { 4 };
    (length_bytes(name) + name.len() + length_bytes(value) + value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_counts_stay_and_names_decide_between_equal_ones() {
        let mut largest = LargestCounts::new(3);
        for (count, name) in [(2, "e"), (1, "a"), (2, "c"), (7, "z"), (2, "d"), (2, "b")] {
            largest.offer(count, ["x", "=", name]);
        }
        let kept = largest.into_sorted().into_iter();
        let kept: Vec<(u64, String)> = kept.map(|kept| (kept.count, kept.name)).collect();
        let want = [(7, "x=z"), (2, "x=b"), (2, "x=c")];
        assert_eq!(kept, want.map(|(count, name)| (count, name.to_owned())));
        let mut none = LargestCounts::new(0);
        none.offer(1, ["a", "", ""]);
        assert!(none.into_sorted().is_empty());
    }
}
