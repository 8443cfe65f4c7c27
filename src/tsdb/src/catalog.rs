//! All known series: ids, labels, and the ways to find an id.

use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use model::{LabelError, Labels};
use parking_lot::RwLock;
use storage::{AppendError, SeriesKey, SeriesRef};
use twox_hash::XxHash3_128;

/// A series, for ever: its id is never given to another one.
#[derive(Clone, Debug)]
pub(crate) struct SeriesEntry {
    pub(crate) labels: Labels,
    /// Number of its metric's name; chunks of one metric lie together.
    pub(crate) metric: u32,
}

/// Why a series of a request has no id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unresolved {
    InvalidLabels,
    UnknownRef,
}

/// Known series. Looked up by every request, changed by new series only.
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
    /// Secret start of the raw-span hash, so that nobody outside can make two spans collide.
    seed: u64,
}

struct Inner {
    /// By id; `None` for series that retention removed.
    series: Vec<Option<SeriesEntry>>,
    /// Ids by the hash of their labels.
    by_labels: HashTable<u32>,
    /// Ids by the 128-bit hash of labels as senders write them.
    by_span: HashTable<(u128, u32)>,
    /// Numbers of metric names; stored with each series, since they are part of chunks' keys.
    metrics: HashMap<Arc<str>, u32>,
    next_metric: u32,
    live: usize,
}

impl Catalog {
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            series: Vec::new(),
            by_labels: HashTable::new(),
            by_span: HashTable::new(),
            metrics: HashMap::new(),
            next_metric: 0,
            live: 0,
        };
        Self {
            inner: RwLock::new(inner),
            seed,
        }
    }

    /// Finds or creates the series of a request: for each its id, or why it has none.
    pub(crate) fn resolve<'a>(
        &self,
        keys: impl Iterator<Item = SeriesKey<'a>>,
    ) -> Result<Vec<Result<u32, Unresolved>>, AppendError> {
        let mut resolution = Vec::new();
        let mut misses: Vec<(usize, SeriesKey<'a>, u128)> = Vec::new();
        {
            let inner = self.inner.read();
            // Senders repeat their order, and ids follow the order of first arrival.
            let mut predicted = 0_u32;
            for (index, key) in keys.enumerate() {
                let hash = self.span_hash(&key);
                let found = match key {
                    SeriesKey::Raw { .. } => inner.find_span(hash).map(Ok),
                    SeriesKey::Labels(labels) => inner.find_labels(labels, predicted).map(Ok),
                    SeriesKey::Ref(reference) => Some(inner.find_ref(reference)),
                };
                if found.is_none() {
                    misses.push((index, key, hash));
                }
                let id = found.unwrap_or(Err(Unresolved::UnknownRef));
                predicted = id.as_ref().map_or(predicted, |id| id.wrapping_add(1));
                resolution.push(id);
            }
        }
        if !misses.is_empty() {
            self.resolve_misses(misses, &mut resolution)?;
        }
        Ok(resolution)
    }

    fn resolve_misses(
        &self,
        misses: Vec<(usize, SeriesKey<'_>, u128)>,
        resolution: &mut [Result<u32, Unresolved>],
    ) -> Result<(), AppendError> {
        // Labels are parsed before the lock is taken.
        let parsed: Vec<(usize, Option<u128>, Result<Labels, LabelError>)> = misses
            .into_iter()
            .filter_map(|(index, key, hash)| match key {
                SeriesKey::Raw { span, parse } => Some((index, Some(hash), parse(span))),
                SeriesKey::Labels(labels) => Some((index, None, Ok(labels.clone()))),
                SeriesKey::Ref(_) => None,
            })
            .collect();
        let mut inner = self.inner.write();
        inner.bound_spans();
        for (index, hash, labels) in parsed {
            resolution[index] = match labels {
                Err(error) => {
                    tracing::debug!(%error, "a series with invalid labels was left out");
                    Err(Unresolved::InvalidLabels)
                }
                // A series without any label could never be selected.
                Ok(labels) if labels.is_empty() => Err(Unresolved::InvalidLabels),
                Ok(labels) => {
                    let id = inner.find_or_create(labels)?;
                    if let Some(hash) = hash {
                        inner.remember_span(hash, id);
                    }
                    Ok(id)
                }
            };
        }
        Ok(())
    }

    fn span_hash(&self, key: &SeriesKey<'_>) -> u128 {
        match key {
            SeriesKey::Raw { span, .. } => XxHash3_128::oneshot_with_seed(self.seed, span),
            SeriesKey::Labels(_) | SeriesKey::Ref(_) => 0,
        }
    }

    /// Puts a stored series back at its id.
    pub(crate) fn restore(&self, id: u32, entry: SeriesEntry) {
        let mut inner = self.inner.write();
        let name = entry.labels.metric_name().unwrap_or("");
        inner.metrics.insert(Arc::from(name), entry.metric);
        inner.next_metric = inner.next_metric.max(entry.metric.saturating_add(1));
        inner.insert_at(id, entry.labels);
    }

    /// Gives out no id below `next`.
    pub(crate) fn reserve_ids(&self, next: u32) {
        let mut inner = self.inner.write();
        let length = inner.series.len().max(next as usize);
        inner.series.resize(length, None);
    }

    /// First id never given out.
    pub(crate) fn next_id(&self) -> u32 {
        u32::try_from(self.inner.read().series.len()).unwrap_or(u32::MAX)
    }

    /// A series by its id.
    pub(crate) fn get(&self, id: u32) -> Option<SeriesEntry> {
        self.inner.read().series.get(id as usize).cloned().flatten()
    }

    /// Several series by their ids, with one lock; unknown ids are left out.
    pub(crate) fn get_many(&self, ids: impl Iterator<Item = u32>) -> Vec<(u32, SeriesEntry)> {
        let inner = self.inner.read();
        ids.filter_map(|id| Some((id, inner.series.get(id as usize)?.clone()?)))
            .collect()
    }

    /// How many series are known.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().live
    }

    /// Ids of all known series.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let inner = self.inner.read();
        (0..)
            .zip(&inner.series)
            .filter_map(|(id, entry)| entry.as_ref().map(|_| id))
            .collect()
    }

    /// Forgets series.
    pub(crate) fn remove(&self, ids: &[u32]) {
        let mut inner = self.inner.write();
        for id in ids {
            let Some(entry) = inner.series.get_mut(*id as usize).and_then(Option::take) else {
                continue;
            };
            inner.live -= 1;
            let hash = entry.labels.hash64();
            if let Ok(found) = inner.by_labels.find_entry(hash, |known| known == id) {
                found.remove();
            }
        }
        let Inner {
            by_span, series, ..
        } = &mut *inner;
        by_span.retain(|(_, id)| series.get(*id as usize).is_some_and(Option::is_some));
    }
}

impl Inner {
    fn find_span(&self, hash: u128) -> Option<u32> {
        self.by_span
            .find(low_half(hash), |(known, _)| *known == hash)
            .map(|(_, id)| *id)
    }

    fn find_labels(&self, labels: &Labels, predicted: u32) -> Option<u32> {
        let has_labels = |id: u32| matches!(self.series.get(id as usize), Some(Some(entry)) if entry.labels == *labels);
        if has_labels(predicted) {
            return Some(predicted);
        }
        self.by_labels
            .find(labels.hash64(), |id| has_labels(*id))
            .copied()
    }

    fn find_ref(&self, reference: SeriesRef) -> Result<u32, Unresolved> {
        let id = u32::try_from(reference.get()).map_err(|_| Unresolved::UnknownRef)?;
        match self.series.get(id as usize) {
            Some(Some(_)) => Ok(id),
            Some(None) | None => Err(Unresolved::UnknownRef),
        }
    }

    fn find_or_create(&mut self, labels: Labels) -> Result<u32, AppendError> {
        if let Some(id) = self.find_labels(&labels, u32::MAX) {
            return Ok(id);
        }
        let id = u32::try_from(self.series.len())
            .ok()
            .filter(|id| *id < u32::MAX)
            .ok_or(AppendError::TooManySeries)?;
        self.insert_at(id, labels);
        Ok(id)
    }

    fn insert_at(&mut self, id: u32, labels: Labels) {
        let index = id as usize;
        if self.series.len() <= index {
            self.series.resize(index + 1, None);
        }
        let metric = self.metric_number(labels.metric_name().unwrap_or(""));
        let hash = labels.hash64();
        self.series[index] = Some(SeriesEntry { labels, metric });
        self.live += 1;
        let Self {
            by_labels, series, ..
        } = self;
        by_labels.insert_unique(hash, id, |id| match series.get(*id as usize) {
            Some(Some(entry)) => entry.labels.hash64(),
            Some(None) | None => 0,
        });
    }

    fn metric_number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.metrics.get(name) {
            return *number;
        }
        // There are no more metrics than series, whose number is bounded.
        let number = self.next_metric;
        self.next_metric = self.next_metric.saturating_add(1);
        self.metrics.insert(Arc::from(name), number);
        number
    }

    fn remember_span(&mut self, hash: u128, id: u32) {
        self.by_span
            .insert_unique(low_half(hash), (hash, id), |(hash, _)| low_half(*hash));
    }

    /// Senders that never repeat themselves must not fill memory: past a bound all spans are
    /// forgotten, and learned again from labels.
    fn bound_spans(&mut self) {
        if self.by_span.len() > self.live * 4 + (1 << 16) {
            self.by_span.clear();
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "half of a hash is a hash")]
const fn low_half(hash: u128) -> u64 {
    hash as u64
}
