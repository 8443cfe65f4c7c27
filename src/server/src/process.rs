//! `process_*` metrics, read from /proc each time metrics are gathered.

use base::metrics::{FamilyKind, MetricFamily, MetricSample, Registry};
use procfs::process::{LimitValue, Process};

/// Registers the metrics; names and help texts as upstream's client library.
pub(crate) fn register(registry: &Registry) {
    // Where /proc cannot be read, there are no such metrics; nothing else depends on them.
    registry.collector(|| collect().unwrap_or_default());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are exported as float64"
)]
fn collect() -> procfs::ProcResult<Vec<MetricFamily>> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let limits = process.limits()?;
    let ticks = procfs::ticks_per_second() as f64;
    let boot = procfs::boot_time_secs()? as f64;
    let resident = stat.rss.saturating_mul(procfs::page_size());
    let seconds = (stat.utime + stat.stime) as f64 / ticks;
    let gauge = FamilyKind::Gauge;
    Ok(vec![
        family(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            FamilyKind::Counter,
            seconds,
        ),
        family(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            gauge,
            resident as f64,
        ),
        family(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            gauge,
            stat.vsize as f64,
        ),
        family(
            "process_virtual_memory_max_bytes",
            "Maximum amount of virtual memory available in bytes.",
            gauge,
            limit(limits.max_address_space.soft_limit),
        ),
        family(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            gauge,
            boot + stat.starttime as f64 / ticks,
        ),
        family(
            "process_open_fds",
            "Number of open file descriptors.",
            gauge,
            process.fd_count()? as f64,
        ),
        family(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            gauge,
            limit(limits.max_open_files.soft_limit),
        ),
        family(
            "process_threads",
            "Number of operating system threads.",
            gauge,
            stat.num_threads as f64,
        ),
    ])
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are exported as float64"
)]
fn limit(value: LimitValue) -> f64 {
    match value {
        // Upstream exports the kernel's number for it.
        LimitValue::Unlimited => u64::MAX as f64,
        LimitValue::Value(value) => value as f64,
    }
}

/// A family that holds one gauge without labels.
pub(crate) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, FamilyKind::Gauge, value)
}

fn family(name: &str, help: &str, kind: FamilyKind, value: f64) -> MetricFamily {
    let sample = MetricSample {
        name: name.to_owned(),
        labels: Vec::new(),
        value,
    };
    MetricFamily {
        name: name.to_owned(),
        help: help.to_owned(),
        kind,
        samples: vec![sample],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_facts_about_this_process() {
        let families = collect().unwrap();
        let value = |name: &str| {
            families
                .iter()
                .find(|family| family.name == name)
                .map(|f| f.samples[0].value)
                .unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"));
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_start_time_seconds") > 1.0e9);
    }
}
