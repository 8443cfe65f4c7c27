//! What rewrites tell about themselves. Names are upstream's where the meaning is equal.

use std::time::Duration;

use base::metrics::{Counter, Histogram, Registry};

/// Registered once.
#[derive(Clone, Debug)]
pub(crate) struct RewriteMetrics {
    rewrites: Counter,
    failures: Counter,
    seconds: Histogram,
}

impl RewriteMetrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        Self {
            rewrites: registry.counter(
                "prometheus_tsdb_compactions_total",
                "Total number of rewrites of partitions that were executed.",
                &[],
            ),
            failures: registry.counter(
                "prometheus_tsdb_compactions_failed_total",
                "Total number of rewrites of partitions that failed.",
                &[],
            ),
            seconds: registry.histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "Duration of rewrites of partitions.",
                &[],
                &[
                    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0,
                    4096.0, 8192.0,
                ],
            ),
        }
    }

    pub(crate) fn note(&self, took: Duration, succeeded: bool) {
        if succeeded {
            self.rewrites.inc();
            self.seconds.observe(took.as_secs_f64());
        } else {
            self.failures.inc();
        }
    }
}
