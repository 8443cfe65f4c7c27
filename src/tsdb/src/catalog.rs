//! All known series: ids, labels, and the ways to find an id.
//!
//! Labels are kept as numbers of label pairs, each pair's text once for all series, and become label
//! sets when they are asked for. A sender's usual request finds its series by the hashes of its raw
//! labels: it neither reads, sorts nor allocates one.

mod arrivals;
mod id_table;
mod pairs;
mod records;
mod spans;

use std::collections::HashMap as StdHashMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::Labels;
use parking_lot::RwLock;
use storage::{AppendError, SeriesKey, SeriesRef};
use twox_hash::XxHash3_64;

pub(crate) use arrivals::StoppedSeries;
use id_table::IdTable;
use pairs::Pairs;
use records::{OwnedRecord, Record, Records};
use spans::Spans;

/// Keys looked up together.
const BATCH: usize = 64;
/// So many keys of a batch that were not the expected ones: the next batch is looked at ahead.
const SURPRISES: usize = 8;
/// Series removed while others wait.
const REMOVED_AT_ONCE: usize = 256;

/// A series, for ever: its id is never given to another one.
#[derive(Clone, Debug)]
pub(crate) struct SeriesEntry {
    pub(crate) labels: Labels,
    /// Number of its metric's name; chunks of one metric lie together.
    pub(crate) metric: u32,
}

impl SeriesEntry {
    /// Where its chunks lie.
    pub(crate) const fn place(&self) -> Place {
        Place {
            metric: self.metric,
        }
    }
}

/// Where the chunks of a series lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// See [`SeriesEntry::metric`].
    pub(crate) metric: u32,
}

/// Why a series of a request has no id.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unresolved {
    InvalidLabels,
    UnknownRef,
}

/// While it is there, labels of series that it may have seen are kept, also of removed ones.
#[derive(Clone, Debug)]
pub(crate) struct Pin {
    _epoch: Arc<()>,
}

/// Known series. Looked up by every request, changed by new series only.
pub(crate) struct Catalog {
    inner: RwLock<Inner>,
}

struct Inner {
    records: Records,
    pairs: Pairs,
    /// Ids by the hash of their labels.
    by_labels: IdTable,
    spans: Spans,
    /// Numbers of metric names; stored with each series, since they are part of chunks' keys.
    metrics: HashMap<Arc<str>, u32>,
    next_metric: u32,
    /// First id never given out.
    next_id: u32,
    /// Secret, so that nobody outside can make labels collide.
    seed: u64,
    /// Pins are clones of it; it is replaced whenever series are removed.
    epoch: Arc<()>,
    /// Removed series that a pin may still ask for, oldest first.
    removed: Vec<RemovedSeries>,
}

struct RemovedSeries {
    /// The last one under which they could be seen.
    epoch: Arc<()>,
    records: StdHashMap<u32, OwnedRecord>,
}

impl Catalog {
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            records: Records::default(),
            pairs: Pairs::new(seed),
            by_labels: IdTable::new(),
            spans: Spans::new(seed),
            metrics: HashMap::new(),
            next_metric: 0,
            next_id: 0,
            seed,
            epoch: Arc::default(),
            removed: Vec::new(),
        };
        Self {
            inner: RwLock::new(inner),
        }
    }

    /// Finds or creates the series of a request: for each its id, or why it has none.
    pub(crate) fn resolve<'a>(
        &self,
        keys: impl Iterator<Item = SeriesKey<'a>> + Clone,
        stopped: &dyn StoppedSeries,
    ) -> Result<Vec<Result<u32, Unresolved>>, AppendError> {
        let hashes = self.hash_spans(keys.clone());
        let mut resolution = Vec::with_capacity(hashes.len());
        let mut misses: Vec<(usize, SeriesKey<'a>, u128)> = Vec::new();
        {
            let inner = self.inner.read();
            let mut keys = keys;
            let (mut expected, mut surprises) = (0_u32, 0);
            for hashes in hashes.chunks(BATCH) {
                if surprises > SURPRISES {
                    inner.spans.approach(hashes);
                }
                surprises = 0;
                for (hash, key) in hashes.iter().zip(keys.by_ref()) {
                    let found = inner.find(key, *hash, expected);
                    if found.is_none() {
                        misses.push((resolution.len(), key, *hash));
                    }
                    let found = found.unwrap_or(Err(Unresolved::UnknownRef));
                    if let Ok(id) = found {
                        surprises += usize::from(id != expected);
                        expected = id.wrapping_add(1);
                    }
                    resolution.push(found);
                }
            }
        }
        if !misses.is_empty() {
            self.resolve_misses(misses, &mut resolution, stopped)?;
        }
        Ok(resolution)
    }

    /// Finds the series of a request, if all of them are known: makes none, and brings none back.
    pub(crate) fn find_known<'a>(
        &self,
        keys: impl Iterator<Item = SeriesKey<'a>> + Clone,
    ) -> Option<Vec<u32>> {
        let hashes = self.hash_spans(keys.clone());
        let mut ids = Vec::with_capacity(hashes.len());
        let mut named: Vec<(u128, u32)> = Vec::new();
        {
            let inner = self.inner.read();
            let mut expected = 0;
            for (key, hash) in keys.zip(hashes) {
                let id = match (inner.find(key, hash, expected), key) {
                    (Some(found), _) => found.ok()?,
                    (None, SeriesKey::Raw { span, parse }) => {
                        let id = inner.find_labels(&parse(span).ok()?, expected)?;
                        named.push((hash, id));
                        id
                    }
                    (None, SeriesKey::Labels(_) | SeriesKey::Ref(_)) => return None,
                };
                expected = id.wrapping_add(1);
                ids.push(id);
            }
        }
        if !named.is_empty() {
            let mut inner = self.inner.write();
            let series = inner.records.len();
            inner.spans.bound_aliases(series);
            for (hash, id) in named {
                // It may have been removed in between.
                if inner.records.get(id).is_some() {
                    inner.spans.remember(hash, id);
                }
            }
        }
        Some(ids)
    }

    fn hash_spans<'a>(&self, keys: impl Iterator<Item = SeriesKey<'a>>) -> Vec<u128> {
        let hasher = self.inner.read().spans.hasher();
        keys.map(|key| match key {
            SeriesKey::Raw { span, .. } => hasher.hash(span),
            SeriesKey::Labels(_) | SeriesKey::Ref(_) => 0,
        })
        .collect()
    }

    /// Puts a stored series back at its id.
    pub(crate) fn restore(&self, id: u32, entry: &SeriesEntry) {
        self.inner.write().restore(id, entry);
    }

    /// As [`Catalog::restore`] for several, with one lock.
    pub(crate) fn restore_all(&self, series: &[(u32, SeriesEntry)]) {
        let mut inner = self.inner.write();
        for (id, entry) in series {
            inner.restore(*id, entry);
        }
    }

    /// Gives out no id below `next`.
    pub(crate) fn reserve_ids(&self, next: u32) {
        let mut inner = self.inner.write();
        inner.next_id = inner.next_id.max(next);
    }

    /// First id never given out.
    pub(crate) fn next_id(&self) -> u32 {
        self.inner.read().next_id
    }

    /// A series by its id.
    pub(crate) fn get(&self, id: u32) -> Option<SeriesEntry> {
        let inner = self.inner.read();
        let record = inner.records.get(id)?;
        Some(inner.entry(record))
    }

    /// Several series by their ids, with one lock; unknown ids are left out.
    pub(crate) fn get_many(&self, ids: impl Iterator<Item = u32>) -> Vec<(u32, SeriesEntry)> {
        let inner = self.inner.read();
        ids.filter_map(|id| Some((id, inner.entry(inner.records.get(id)?))))
            .collect()
    }

    /// Where the chunks of a series lie.
    pub(crate) fn place(&self, id: u32) -> Option<Place> {
        let inner = self.inner.read();
        inner.records.get(id).map(Record::place)
    }

    /// As [`Catalog::place`] for several, with one lock; unknown ids are left out.
    pub(crate) fn places(&self, ids: impl Iterator<Item = u32>) -> Vec<(u32, Place)> {
        let inner = self.inner.read();
        ids.filter_map(|id| Some((id, inner.records.get(id)?.place())))
            .collect()
    }

    /// Visits the value that a label has in each of the known series, empty where it is absent.
    pub(crate) fn visit_values(
        &self,
        ids: impl Iterator<Item = u32>,
        name: &str,
        mut visit: impl FnMut(u32, &str),
    ) {
        let inner = self.inner.read();
        for id in ids {
            if let Some(record) = inner.records.get(id) {
                visit(id, inner.value_or_empty(record, name));
            }
        }
    }

    /// Keeps the labels of the series that are known now.
    pub(crate) fn pin(&self) -> Pin {
        Pin {
            _epoch: Arc::clone(&self.inner.read().epoch),
        }
    }

    /// Labels of a series that was known when the pin was made; empty for an id that was not.
    pub(crate) fn labels(&self, id: u32, _pin: &Pin) -> Labels {
        let inner = self.inner.read();
        let record = inner.records.get(id);
        let record = record.or_else(|| inner.find_removed(id));
        record.map_or_else(Labels::empty, |record| inner.labels(record))
    }

    /// How many series are known.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().records.len()
    }

    /// Ids of all known series.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.inner.read().records.ids().collect()
    }

    /// Forgets series.
    pub(crate) fn remove(&self, ids: &[u32]) {
        // Others look up series in between.
        for ids in ids.chunks(REMOVED_AT_ONCE) {
            self.inner.write().remove(ids);
        }
    }
}

impl Inner {
    fn remove(&mut self, ids: &[u32]) {
        let mut records = StdHashMap::with_capacity(ids.len());
        for id in ids {
            if let Some(record) = self.records.remove(*id) {
                let hash = self.hash(&self.labels(record.as_record()));
                self.by_labels.remove(hash, *id);
                records.insert(*id, record);
            }
        }
        let epoch = std::mem::take(&mut self.epoch);
        self.removed.push(RemovedSeries { epoch, records });
        self.spans.forget(ids);
        self.drop_removed();
    }

    #[inline]
    fn find(
        &self,
        key: SeriesKey<'_>,
        hash: u128,
        expected: u32,
    ) -> Option<Result<u32, Unresolved>> {
        match key {
            SeriesKey::Raw { .. } if self.spans.predicts(hash, expected) => Some(Ok(expected)),
            SeriesKey::Raw { .. } => self.spans.find(hash).map(Ok),
            SeriesKey::Labels(labels) => self.find_labels(labels, expected).map(Ok),
            SeriesKey::Ref(reference) => Some(self.find_ref(reference)),
        }
    }

    fn find_labels(&self, labels: &Labels, expected: u32) -> Option<u32> {
        if self.has_labels(expected, labels) {
            return Some(expected);
        }
        self.by_labels
            .find(self.hash(labels), |id| self.has_labels(id, labels))
    }

    fn has_labels(&self, id: u32, labels: &Labels) -> bool {
        let Some(record) = self.records.get(id) else {
            return false;
        };
        let mut rest = labels.as_packed();
        for pair in record.pairs() {
            match rest.strip_prefix(self.pairs.text(pair)) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        rest.is_empty()
    }

    fn hash(&self, labels: &Labels) -> u64 {
        XxHash3_64::oneshot_with_seed(self.seed, labels.as_packed().as_bytes())
    }

    fn find_ref(&self, reference: SeriesRef) -> Result<u32, Unresolved> {
        let id = u32::try_from(reference.get()).map_err(|_| Unresolved::UnknownRef)?;
        match self.records.get(id) {
            Some(_) => Ok(id),
            None => Err(Unresolved::UnknownRef),
        }
    }

    fn find_or_create(&mut self, labels: &Labels) -> Result<u32, AppendError> {
        if let Some(id) = self.find_labels(labels, u32::MAX) {
            return Ok(id);
        }
        let id = self.next_id;
        if id == u32::MAX {
            return Err(AppendError::TooManySeries);
        }
        self.insert_at(id, labels);
        Ok(id)
    }

    fn restore(&mut self, id: u32, entry: &SeriesEntry) {
        let name = entry.labels.metric_name().unwrap_or("");
        self.metrics.insert(Arc::from(name), entry.metric);
        self.next_metric = self.next_metric.max(entry.metric.saturating_add(1));
        self.insert_at(id, &entry.labels);
    }

    fn insert_at(&mut self, id: u32, labels: &Labels) {
        let metric = self.metric_number(labels.metric_name().unwrap_or(""));
        let pairs = labels.packed_pairs().map(|pair| self.pairs.take(pair));
        let record = OwnedRecord::new(metric, pairs);
        self.records.insert(id, &record);
        self.by_labels.insert(self.hash(labels), id);
        self.next_id = self.next_id.max(id.saturating_add(1));
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

    fn entry(&self, record: Record<'_>) -> SeriesEntry {
        SeriesEntry {
            labels: self.labels(record),
            metric: record.metric(),
        }
    }

    fn labels(&self, record: Record<'_>) -> Labels {
        let mut packed = String::with_capacity(512);
        for pair in record.pairs() {
            packed.push_str(self.pairs.text(pair));
        }
        Labels::from_packed_pairs(&packed)
    }

    fn value_or_empty(&self, record: Record<'_>, name: &str) -> &str {
        let mut pairs = record
            .pairs()
            .filter_map(|pair| Labels::unpack_pair(self.pairs.text(pair)));
        let found = pairs.find(|(label, _)| *label >= name);
        found.map_or("", |(label, value)| if label == name { value } else { "" })
    }

    fn find_removed(&self, id: u32) -> Option<Record<'_>> {
        let record = self
            .removed
            .iter()
            .find_map(|removed| removed.records.get(&id));
        record.map(OwnedRecord::as_record)
    }

    /// Lets go of removed series that no pin can ask for: those before the first epoch that is
    /// still held.
    fn drop_removed(&mut self) {
        let is_free = |removed: &RemovedSeries| Arc::strong_count(&removed.epoch) == 1;
        let free = self.removed.iter().take_while(|removed| is_free(removed));
        let free = free.count();
        if free == 0 {
            return;
        }
        let records: Vec<OwnedRecord> = self
            .removed
            .drain(..free)
            .flat_map(|removed| removed.records.into_values())
            .collect();
        let pairs = records.iter().flat_map(|record| record.as_record().pairs());
        self.pairs.release(pairs);
    }
}

impl Record<'_> {
    fn place(self) -> Place {
        Place {
            metric: self.metric(),
        }
    }
}

#[cfg(test)]
mod tests;
