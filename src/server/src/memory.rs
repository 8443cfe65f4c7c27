//! One limit for the memory of the process, and how it is shared out. See `docs/memory.md`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use base::metrics::{FamilyKind, MetricFamily, MetricSample, Registry};
use base::{MemoryBudget, Shutdown};
use tsdb::Tsdb;

use crate::flags::Options;
use crate::host;

/// The part of the machine that the process takes when nobody says otherwise: the rest is the page
/// cache's, which holds the files that are read, and other programs'.
const DEFAULT_PERCENT: u64 = 60;
/// Caches smaller than this are read past.
const LEAST_BLOCK_CACHE_BYTES: u64 = 16 << 20;
const LEAST_MEMTABLE_BYTES: u64 = 16 << 20;
/// More unflushed writes make nothing faster, and are there all the time.
const MOST_MEMTABLE_BYTES: u64 = 64 << 20;
/// How often queries are told what the head has left them.
const REVIEW_INTERVAL: Duration = Duration::from_secs(5);

/// Who may take how much, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryPlan {
    /// What all parts together should stay below.
    pub(crate) limit: u64,
    /// Uncompressed blocks of stored files.
    pub(crate) block_cache: u64,
    /// Writes that are not in files yet.
    pub(crate) memtables: u64,
    /// All running queries, before the head has grown.
    pub(crate) queries: u64,
    /// One query.
    pub(crate) query: u64,
    /// Cached results, out of what queries may take.
    pub(crate) result_cache: u64,
    /// Whether somebody has said what queries may take: then the head takes nothing of it.
    are_queries_fixed: bool,
}

impl MemoryPlan {
    /// The plan that the flags ask for.
    pub(crate) fn new(options: &Options) -> Self {
        let plan = Self::of(
            host::memory_bytes(),
            options.memory_limit,
            (options.query_max_total_memory, options.query_max_memory),
        );
        // Running queries have as much left even where the head has taken all it may.
        let most = plan.left_to_queries(u64::MAX) / 2;
        Self {
            result_cache: options.query_result_cache.min(most),
            ..plan
        }
    }

    /// `given` and both numbers of `queries`, for all and for one, may be 0 for the default.
    fn of(machine: u64, given: u64, queries: (u64, u64)) -> Self {
        let limit = match given {
            0 => machine / 100 * DEFAULT_PERCENT,
            given => given,
        };
        let block_cache = (limit / 16).max(LEAST_BLOCK_CACHE_BYTES);
        let memtables = (limit / 16).clamp(LEAST_MEMTABLE_BYTES, MOST_MEMTABLE_BYTES);
        let plan = Self {
            limit,
            block_cache,
            memtables,
            queries: queries.0,
            query: 0,
            result_cache: 0,
            are_queries_fixed: queries.0 > 0,
        };
        let total = plan.left_to_queries(0);
        Self {
            queries: total,
            query: match queries.1 {
                0 => total / 2,
                given => given.min(total),
            },
            ..plan
        }
    }

    /// What all queries may take beside a head of this size: at most two fifths of the limit, and
    /// at least a twentieth, so that somebody can look into what has filled the rest.
    fn left_to_queries(&self, head: u64) -> u64 {
        if self.are_queries_fixed {
            return self.queries;
        }
        let fixed = self.block_cache.saturating_add(self.memtables);
        let left = self.limit.saturating_sub(fixed).saturating_sub(head);
        left.clamp(self.limit / 20, self.limit / 5 * 2)
    }
}

/// Gives queries what the head leaves, again and again, until the signal.
pub(crate) async fn review(
    plan: MemoryPlan,
    storage: Weak<Tsdb>,
    queries: MemoryBudget,
    shutdown: Shutdown,
) {
    while let Some(storage) = storage.upgrade() {
        queries.set_total(plan.left_to_queries(storage.memory_use().head));
        drop(storage);
        tokio::select! {
            () = tokio::time::sleep(REVIEW_INTERVAL) => {}
            () = shutdown.wait() => return,
        }
    }
}

/// Registers what each part takes and may take.
pub(crate) fn register(
    registry: &Registry,
    plan: MemoryPlan,
    storage: &Arc<Tsdb>,
    queries: &MemoryBudget,
) {
    let (storage, queries) = (Arc::downgrade(storage), queries.clone());
    registry.collector(move || {
        let Some(storage) = storage.upgrade() else {
            return Vec::new();
        };
        let parts = storage.memory_use();
        let used = [
            ("block_cache", parts.block_cache),
            ("head", parts.head),
            ("memtables", parts.memtables),
            ("queries", queries.used()),
        ];
        let limits = [
            ("all", plan.limit),
            ("block_cache", plan.block_cache),
            ("memtables", plan.memtables),
            ("queries", queries.total()),
        ];
        vec![
            by_part(
                "firewatch_memory_used_bytes",
                "Memory that a part of the server holds, as it counts itself.",
                &used,
            ),
            by_part(
                "firewatch_memory_limit_bytes",
                "Memory that a part of the server may hold; --memory.limit is that of all.",
                &limits,
            ),
        ]
    });
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are exported as float64"
)]
fn by_part(name: &str, help: &str, parts: &[(&str, u64)]) -> MetricFamily {
    let samples = parts.iter().map(|(part, bytes)| MetricSample {
        name: name.to_owned(),
        labels: vec![("part".to_owned(), (*part).to_owned())],
        value: *bytes as f64,
    });
    MetricFamily {
        name: name.to_owned(),
        help: help.to_owned(),
        kind: FamilyKind::Gauge,
        samples: samples.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn parts_follow_from_the_limit() {
        let plan = MemoryPlan::of(100 * GIB, 0, (0, 0));
        assert_eq!(plan.limit / GIB, 60);
        assert_eq!(plan.block_cache, plan.limit / 16);
        assert_eq!(plan.memtables, MOST_MEMTABLE_BYTES);
        assert_eq!(plan.queries, plan.limit / 5 * 2);
        assert_eq!(plan.query, plan.queries / 2);
        let small = MemoryPlan::of(100 * GIB, GIB / 8, (0, 0));
        assert_eq!(small.limit, GIB / 8);
        assert_eq!(small.block_cache, LEAST_BLOCK_CACHE_BYTES);
        assert_eq!(small.memtables, LEAST_MEMTABLE_BYTES);
    }

    #[test]
    fn the_head_takes_from_queries_but_not_all() {
        let plan = MemoryPlan::of(0, 16 * GIB, (0, 0));
        assert_eq!(plan.left_to_queries(GIB), plan.queries);
        let fixed = plan.block_cache + plan.memtables;
        assert_eq!(plan.left_to_queries(12 * GIB), 4 * GIB - fixed);
        assert_eq!(plan.left_to_queries(15 * GIB), plan.limit / 20);
        assert_eq!(plan.left_to_queries(u64::MAX), plan.limit / 20);
    }

    #[test]
    fn what_somebody_has_said_holds() {
        let plan = MemoryPlan::of(0, 16 * GIB, (GIB, 2 * GIB));
        assert_eq!((plan.queries, plan.query), (GIB, GIB));
        assert_eq!(plan.left_to_queries(15 * GIB), GIB);
        let plan = MemoryPlan::of(0, 16 * GIB, (0, 5));
        assert_eq!(plan.query, 5);
        assert_eq!(MemoryPlan::of(0, 0, (0, 0)).queries, 0);
    }
}
