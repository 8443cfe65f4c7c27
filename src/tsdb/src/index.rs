//! The inverted index in memory: which series have which label value, and in which partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, MatchOp, Matcher, TimeRange};
use roaring::RoaringBitmap;

use crate::partition::Partition;

/// Postings of all published series.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: HashMap<Arc<str>, Postings>,
    all: RoaringBitmap,
    presence: BTreeMap<Partition, RoaringBitmap>,
}

/// Postings of one label name.
#[derive(Debug, Default)]
struct Postings {
    values: BTreeMap<Arc<str>, RoaringBitmap>,
    /// All series that have the label.
    present: RoaringBitmap,
}

impl Index {
    /// Adds a series; adding it again changes nothing.
    pub(crate) fn add(&mut self, id: u32, labels: &Labels) {
        if !self.all.insert(id) {
            return;
        }
        for (name, value) in labels {
            let postings = match self.names.get_mut(name) {
                Some(postings) => postings,
                None => self.names.entry(Arc::from(name)).or_default(),
            };
            postings.present.insert(id);
            match postings.values.get_mut(value) {
                Some(bitmap) => {
                    bitmap.insert(id);
                }
                None => {
                    postings
                        .values
                        .insert(Arc::from(value), RoaringBitmap::from_iter([id]));
                }
            }
        }
    }

    /// Removes a series.
    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        self.all.remove(id);
        for (name, value) in labels {
            let Some(postings) = self.names.get_mut(name) else {
                continue;
            };
            postings.present.remove(id);
            if let Some(bitmap) = postings.values.get_mut(value) {
                bitmap.remove(id);
                if bitmap.is_empty() {
                    postings.values.remove(value);
                }
            }
            if postings.values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// All published series.
    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// Replaces what is known of the series in a partition.
    pub(crate) fn set_presence(&mut self, partition: Partition, series: RoaringBitmap) {
        self.presence.insert(partition, series);
    }

    /// Adds series that began a chunk, with its partition.
    pub(crate) fn mark_present(&mut self, began: &[(Partition, u32)]) {
        for (partition, series) in began {
            self.presence.entry(*partition).or_default().insert(*series);
        }
    }

    /// The series with chunks in a partition, sealed or not.
    pub(crate) fn presence(&self, partition: Partition) -> Option<&RoaringBitmap> {
        self.presence.get(&partition)
    }

    /// The newest partition with chunks.
    pub(crate) fn newest_partition(&self) -> Option<Partition> {
        self.presence.keys().next_back().copied()
    }

    /// Whether a series has a chunk anywhere.
    pub(crate) fn is_present(&self, id: u32) -> bool {
        self.presence.values().any(|series| series.contains(id))
    }

    /// Partitions with chunks that overlap `range`, oldest first.
    pub(crate) fn partitions(
        &self,
        range: TimeRange,
    ) -> impl DoubleEndedIterator<Item = (Partition, &RoaringBitmap)> {
        // An empty range has no partitions; `BTreeMap::range` would refuse it.
        let end = Partition::nearest(range.end.max(range.start));
        let found = self.presence.range(Partition::nearest(range.start)..=end);
        found.map(|(partition, series)| (*partition, series))
    }

    /// Forgets a partition.
    pub(crate) fn drop_partition(&mut self, partition: Partition) {
        self.presence.remove(&partition);
    }

    /// Series with chunks in any partition that overlaps `range`.
    pub(crate) fn present_in(&self, range: TimeRange) -> RoaringBitmap {
        let mut series = RoaringBitmap::new();
        for (_, present) in self.partitions(range) {
            series |= present;
        }
        series
    }

    /// Those of `candidates` whose labels pass all matchers.
    pub(crate) fn select(&self, matchers: &[Matcher], candidates: RoaringBitmap) -> RoaringBitmap {
        let mut selected = candidates & &self.all;
        // Equalities first: they are single lookups and usually leave the fewest series.
        let (cheap, costly): (Vec<&Matcher>, Vec<&Matcher>) = matchers
            .iter()
            .partition(|matcher| matcher.op() == MatchOp::Equal);
        for matcher in cheap.into_iter().chain(costly) {
            if selected.is_empty() {
                break;
            }
            self.restrict(matcher, &mut selected);
        }
        selected
    }

    fn restrict(&self, matcher: &Matcher, selected: &mut RoaringBitmap) {
        let Some(postings) = self.names.get(matcher.name()) else {
            if !matcher.matches_empty() {
                selected.clear();
            }
            return;
        };
        if matcher.matches_empty() {
            // A series without the label passes, so only those with a refused value go.
            *selected -= postings.union(|value| !matcher.matches(value));
        } else {
            *selected &= postings.matching(matcher);
        }
    }

    /// Label names with a series among `candidates`, sorted.
    pub(crate) fn label_names(&self, candidates: &RoaringBitmap) -> Vec<String> {
        let mut names: Vec<String> = self
            .names
            .iter()
            .filter(|(_, postings)| !postings.present.is_disjoint(candidates))
            .map(|(name, _)| name.to_string())
            .collect();
        names.sort_unstable();
        names
    }

    /// Values of a label with a series among `candidates`, sorted.
    pub(crate) fn label_values(&self, name: &str, candidates: &RoaringBitmap) -> Vec<String> {
        let Some(postings) = self.names.get(name) else {
            return Vec::new();
        };
        postings
            .values
            .iter()
            .filter(|(_, series)| !series.is_disjoint(candidates))
            .map(|(value, _)| value.to_string())
            .collect()
    }
}

impl Postings {
    /// Series whose value passes a matcher that refuses the empty value.
    fn matching(&self, matcher: &Matcher) -> RoaringBitmap {
        let of = |value: &str| self.values.get(value).cloned().unwrap_or_default();
        match (matcher.op(), matcher.regex()) {
            (MatchOp::Equal, _) => of(matcher.value()),
            (MatchOp::Regex, Some(regex)) if regex.set_matches().is_some() => {
                let mut series = RoaringBitmap::new();
                for value in regex.set_matches().unwrap_or_default() {
                    if let Some(bitmap) = self.values.get(value.as_str()) {
                        series |= bitmap;
                    }
                }
                series
            }
            (MatchOp::Regex, Some(regex)) => {
                let prefix = regex.prefix();
                let mut series = RoaringBitmap::new();
                let from = (
                    std::ops::Bound::Included(prefix),
                    std::ops::Bound::Unbounded,
                );
                for (value, bitmap) in self.values.range::<str, _>(from) {
                    if !value.starts_with(prefix) {
                        break;
                    }
                    if regex.is_match(value) {
                        series |= bitmap;
                    }
                }
                series
            }
            (MatchOp::NotEqual, _) if matcher.value().is_empty() => self.present.clone(),
            (MatchOp::NotEqual | MatchOp::NotRegex | MatchOp::Regex, _) => {
                self.union(|value| matcher.matches(value))
            }
        }
    }

    fn union(&self, passes: impl Fn(&str) -> bool) -> RoaringBitmap {
        let mut series = RoaringBitmap::new();
        for (value, bitmap) in &self.values {
            if passes(value) {
                series |= bitmap;
            }
        }
        series
    }
}
