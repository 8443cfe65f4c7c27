//! What the engine tells about itself. Names are upstream's where the meaning is equal.

mod append;
mod exemplars;
mod metadata;

use base::metrics::{Counter, Gauge, Histogram, Registry};

use append::AppendMetrics;
use exemplars::ExemplarMetrics;
use metadata::MetadataMetrics;

/// The engine's metrics, registered once.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) head_series: Gauge,
    pub(crate) head_chunks: Gauge,
    pub(crate) series_removed: Counter,
    pub(crate) append: AppendMetrics,
    pub(crate) exemplars: ExemplarMetrics,
    pub(crate) metadata: MetadataMetrics,
    pub(crate) chunks_sealed: Counter,
    pub(crate) chunk_bytes: Counter,
    pub(crate) commits: CommitMetrics,
    pub(crate) replay: ReplayMetrics,
    pub(crate) upkeep_failures: Counter,
    pub(crate) tombstone_cleanup_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        let gauge = |name, help| registry.gauge(name, help, &[]);
        Self {
            head_series: gauge(
                "prometheus_tsdb_head_series",
                "Total number of series that the engine knows.",
            ),
            head_chunks: gauge(
                "prometheus_tsdb_head_chunks",
                "Total number of chunks that are not sealed yet.",
            ),
            series_removed: counter(
                "prometheus_tsdb_head_series_removed_total",
                "Total number of series removed after their last sample expired.",
            ),
            append: AppendMetrics::register(registry),
            exemplars: ExemplarMetrics::register(registry),
            metadata: MetadataMetrics::register(registry),
            chunks_sealed: counter(
                "prometheus_tsdb_head_chunks_removed_total",
                "Total number of chunks sealed and moved out of the head.",
            ),
            chunk_bytes: counter(
                "firewatch_tsdb_sealed_chunk_bytes_total",
                "Total size of sealed chunks before block compression.",
            ),
            commits: CommitMetrics::register(registry),
            replay: ReplayMetrics::register(registry),
            tombstone_cleanup_seconds: registry.histogram(
                "prometheus_tsdb_tombstone_cleanup_seconds",
                "The time taken to remove deleted samples from chunks.",
                &[],
                &[0.01, 0.1, 1.0, 10.0, 60.0, 600.0],
            ),
            upkeep_failures: counter(
                "firewatch_tsdb_upkeep_failures_total",
                "Total number of failed rounds of sealing, truncation and retention.",
            ),
        }
    }
}

/// What the replay of the log tells.
#[derive(Clone, Debug)]
pub(crate) struct ReplayMetrics {
    pub(crate) lost_commits: Counter,
    pub(crate) seconds: Gauge,
}

impl ReplayMetrics {
    fn register(registry: &Registry) -> Self {
        Self {
            lost_commits: registry.counter(
                "prometheus_tsdb_wal_corruptions_total",
                "Total number of commits found missing or damaged at start.",
                &[],
            ),
            seconds: registry.gauge(
                "prometheus_tsdb_data_replay_duration_seconds",
                "Time that the replay of the log took; 0 while it runs.",
                &[],
            ),
        }
    }
}

/// What the writing of commits tells.
#[derive(Clone, Debug)]
pub(crate) struct CommitMetrics {
    pub(crate) failures: Counter,
    pub(crate) writable: Gauge,
    pub(crate) bytes: Counter,
    pub(crate) seconds: Histogram,
}

impl CommitMetrics {
    fn register(registry: &Registry) -> Self {
        Self {
            failures: registry.counter(
                "prometheus_tsdb_wal_writes_failed_total",
                "Total number of commits that could not be written.",
                &[],
            ),
            writable: registry.gauge(
                "firewatch_tsdb_writable",
                "Whether the last commit could be written.",
                &[],
            ),
            bytes: registry.counter(
                "firewatch_tsdb_commit_bytes_total",
                "Total size of written commits.",
                &[],
            ),
            seconds: registry.histogram(
                "firewatch_tsdb_commit_duration_seconds",
                "Time to write and publish one commit.",
                &[],
                &[
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
                ],
            ),
        }
    }
}
