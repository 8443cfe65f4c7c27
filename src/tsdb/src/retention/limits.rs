//! How much is kept, and what the engine tells about it. Names of metrics are upstream's.

use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};

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
    /// The same in hundredths of a percent of the disk, whose size is looked up whenever the limit is
    /// held against what is stored; it takes the place of `max_bytes` where that succeeds.
    pub disk_basis_points: Option<u16>,
}

/// The limits in force, and figures about them.
#[derive(Debug)]
pub(crate) struct Retention {
    /// Zero for no limit.
    time_ms: AtomicI64,
    /// Zero for no limit.
    max_bytes: AtomicU64,
    /// Zero for no limit.
    disk_basis_points: AtomicU16,
    limit_seconds: Gauge,
    limit_bytes: Gauge,
    limit_percentage: Gauge,
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
            disk_basis_points: AtomicU16::new(0),
            limit_seconds: gauge(
                "prometheus_tsdb_retention_limit_seconds",
                "How long to retain samples, 0 means for ever.",
            ),
            limit_bytes: gauge(
                "prometheus_tsdb_retention_limit_bytes",
                "Max number of bytes to be retained on disk, 0 means no limit.",
            ),
            limit_percentage: gauge(
                "prometheus_tsdb_retention_limit_percentage",
                "Max percentage of the disk's size to be retained, 0 means no limit.",
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
        let basis_points = limits.disk_basis_points.unwrap_or(0);
        self.disk_basis_points
            .store(basis_points, Ordering::Relaxed);
        self.limit_percentage.set(f64::from(basis_points) / 100.0);
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

    /// Most bytes on disk, whose size `disk_bytes` tells; `None` for no limit. Source: upstream
    /// `tsdb.BeyondSizeRetention`: the percentage counts, or the size where the disk's is not known.
    pub(crate) fn max_bytes(&self, disk_bytes: impl FnOnce() -> Option<u64>) -> Option<u64> {
        let basis_points = u64::from(self.disk_basis_points.load(Ordering::Relaxed));
        let part = if basis_points == 0 {
            None
        } else {
            disk_bytes().map(|bytes| bytes / 10_000 * basis_points)
        };
        part.or(Some(self.max_bytes.load(Ordering::Relaxed)))
            .filter(|bytes| *bytes > 0)
    }
}

impl Tsdb {
    /// Changes how much is kept. What goes beyond is dropped by the next round of upkeep.
    pub fn set_retention(&self, limits: RetentionLimits) {
        self.engine().retention.set(limits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_disk_follows_its_size() {
        for (disk_basis_points, max_bytes, disk_bytes, want) in [
            (None, None, Some(10_000), None),
            (None, Some(7), Some(10_000), Some(7)),
            (Some(2850), Some(7), Some(10_000), Some(2850)),
            (Some(2850), Some(7), Some(20_000), Some(5700)),
            (
                Some(10_000),
                None,
                Some(u64::MAX),
                Some(u64::MAX / 10_000 * 10_000),
            ),
            (Some(2850), Some(7), None, Some(7)),
            (Some(2850), None, None, None),
        ] {
            let limits = RetentionLimits {
                time: None,
                max_bytes,
                disk_basis_points,
            };
            let retention = Retention::new(limits, &Registry::new());
            assert_eq!(retention.max_bytes(|| disk_bytes), want, "{limits:?}");
        }
    }
}
