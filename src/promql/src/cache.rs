//! Results of range queries, kept so that a dashboard that moves on computes its new steps only.
//!
//! A value is used again when its step comes again and no sample that it depends on has changed
//! since: engines tell from which time on they changed. Nothing else makes it old, no clock and no
//! size of data, so that answers are those of an evaluation without the cache, bit for bit.

mod eligible;
mod entry;
mod lru;
mod notes;
mod refresh;

use base::metrics::{Counter, Gauge, Registry};
use base::{MemoryBudget, MemoryShare};
use parking_lot::Mutex;

use crate::operators::{NameRemoval, TypeLabels};
use entry::Entry;
use lru::Lru;
pub(crate) use refresh::{Evaluated, Request, run};

/// Results larger than this part of the cache are not kept: they would push out all others.
const LARGEST_PART: u64 = 4;

/// Which range queries may share values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// As it was written: annotations point into it.
    query: Box<str>,
    step_ms: i64,
    /// What is left of the steps' times when whole steps are taken away.
    phase_ms: i64,
    lookback_ms: i64,
    default_subquery_step_ms: i64,
    name_removal: NameRemoval,
    type_and_unit_labels: TypeLabels,
    use_start_timestamps: bool,
}

impl Key {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.query.len()
    }
}

/// Cached results of the range queries on one storage engine. Holds a bounded number of bytes; what
/// was not used for longest goes first.
#[derive(Debug)]
pub struct ResultCache {
    max_bytes: u64,
    lru: Mutex<Lru<Key, Entry>>,
    /// The cache's part of what all queries may hold together.
    share: Option<MemoryShare>,
    metrics: CacheMetrics,
}

/// What the cache is worth.
#[derive(Clone, Debug, Default)]
struct CacheMetrics {
    hits: Counter,
    misses: Counter,
    steps: Counter,
    bytes: Gauge,
}

impl ResultCache {
    /// An empty cache of at most so many bytes.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            lru: Mutex::default(),
            share: None,
            metrics: CacheMetrics::default(),
        }
    }

    /// Takes what the cache holds from a budget: it keeps no more than is free there.
    #[must_use]
    pub fn within(self, budget: &MemoryBudget) -> Self {
        Self {
            share: budget.try_share(0),
            ..self
        }
    }

    /// Tells of the cache on `/metrics`.
    #[must_use]
    pub fn measured(self, registry: &Registry) -> Self {
        let counter = |name: &'static str, help: &'static str| registry.counter(name, help, &[]);
        Self {
            metrics: CacheMetrics {
                hits: counter(
                    "firewatch_query_result_cache_hits_total",
                    "Range queries of which at least one step was in the result cache.",
                ),
                misses: counter(
                    "firewatch_query_result_cache_misses_total",
                    "Range queries that the result cache could have answered, but held no step of.",
                ),
                steps: counter(
                    "firewatch_query_result_cache_steps_total",
                    "Steps of range queries that came from the result cache.",
                ),
                bytes: registry.gauge(
                    "firewatch_query_result_cache_bytes",
                    "Bytes that the result cache holds.",
                    &[],
                ),
            },
            ..self
        }
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lru.lock().bytes()
    }

    fn insert(&self, key: Key, entry: Entry) {
        let bytes = key.size_bytes().saturating_add(entry.size_bytes());
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let mut lru = self.lru.lock();
        lru.remove(&key);
        if bytes <= self.max_bytes / LARGEST_PART {
            lru.shrink_to(self.max_bytes - bytes);
            let is_free = |held: u64| {
                let share = self.share.as_ref();
                share.is_none_or(|share| share.grow_to(held.saturating_add(bytes)))
            };
            while !is_free(lru.bytes()) && lru.remove_oldest() {}
            if is_free(lru.bytes()) {
                lru.insert(key, entry, bytes);
            }
        }
        if let Some(share) = &self.share {
            share.shrink_to(lru.bytes());
        }
        self.metrics.bytes.set(lru.bytes() as f64);
    }
}
