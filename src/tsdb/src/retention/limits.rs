//! How much is kept, and what the engine tells about it. Names of metrics are upstream's.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use base::metrics::{Counter, Gauge, Registry};
use model::PromDuration;

use crate::db::Tsdb;

/// How much is kept: what goes beyond either limit is dropped, oldest partitions first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionLimits {
    /// How long samples are kept; `None` for ever.
    pub time: Option<PromDuration>,
    /// Most bytes on disk, the write-ahead log included; `None` for no limit. The newest partition
    /// stays whatever its size.
    pub max_bytes: Option<u64>,
}

/// The limits in force, and figures about them.
#[derive(Debug)]
pub(crate) struct Retention {
    /// Zero for no limit.
    time_ms: AtomicI64,
    /// Zero for no limit.
    max_bytes: AtomicU64,
    limit_seconds: Gauge,
    limit_bytes: Gauge,
    pub(crate) by_time: Counter,
    pub(crate) by_size: Counter,
    pub(crate) partition_bytes: Gauge,
    pub(crate) log_bytes: Gauge,
}

impl Retention {
    pub(crate) fn new(limits: RetentionLimits, registry: &Registry) -> Self {
        let gauge = |name, help| registry.gauge(name, help, &[]);
        let counter = |name, help| registry.counter(name, help, &[]);
        let retention = Self {
            time_ms: AtomicI64::new(0),
            max_bytes: AtomicU64::new(0),
            limit_seconds: gauge(
                "prometheus_tsdb_retention_limit_seconds",
                "How long to retain samples, 0 means for ever.",
            ),
            limit_bytes: gauge(
                "prometheus_tsdb_retention_limit_bytes",
                "Max number of bytes to be retained on disk, 0 means no limit.",
            ),
            by_time: counter(
                "prometheus_tsdb_time_retentions_total",
                "Total number of times that partitions were dropped since they were too old.",
            ),
            by_size: counter(
                "prometheus_tsdb_size_retentions_total",
                "Total number of times that partitions were dropped to keep within the size limit.",
            ),
            partition_bytes: gauge(
                "prometheus_tsdb_storage_blocks_bytes",
                "Bytes of all partitions' chunks on disk.",
            ),
            log_bytes: gauge(
                "prometheus_tsdb_wal_storage_size_bytes",
                "Bytes of the write-ahead log's files.",
            ),
        };
        retention.set(limits);
        retention
    }

    fn set(&self, limits: RetentionLimits) {
        let time = limits.time.unwrap_or(PromDuration::ZERO);
        let time_ms = time.as_millis().max(0);
        let max_bytes = limits.max_bytes.unwrap_or(0);
        self.time_ms.store(time_ms, Ordering::Relaxed);
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "gauges are float64")]
        {
            self.limit_seconds.set(time_ms as f64 / 1000.0);
            self.limit_bytes.set(max_bytes as f64);
        }
    }

    /// How long samples are kept; `None` for ever.
    pub(crate) fn time(&self) -> Option<PromDuration> {
        let time_ms = self.time_ms.load(Ordering::Relaxed);
        (time_ms > 0).then(|| PromDuration::from_millis(time_ms))
    }

    /// Most bytes on disk; `None` for no limit.
    pub(crate) fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

impl Tsdb {
    /// Changes how much is kept. What goes beyond is dropped by the next round of upkeep.
    pub fn set_retention(&self, limits: RetentionLimits) {
        self.engine().retention.set(limits);
    }
}
