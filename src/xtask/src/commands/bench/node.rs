//! What a target exposes: a node exporter and one web service, under the names that dashboards and
//! alerts ask for. 60 % of the series never change, 25 % are counters, 15 % are gauges.

use super::load::{INSTANCE, Model, NODE_NAME, Template};

const CPU_MODES: [&str; 8] = [
    "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
];
const BUCKETS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];
const HANDLERS: [&str; 10] = [
    "/", "/api", "/login", "/logout", "/cart", "/search", "/item", "/pay", "/help", "/static",
];
/// Series of the metric that has most.
const LARGE_METRIC_SERIES: u32 = 620;
/// Kernel counters, and how many of them count.
const VMSTAT_SERIES: u32 = 344;
const VMSTAT_MOVING: u32 = 66;

/// The series of every target, in the order of an exposition.
pub(super) fn templates() -> Vec<Template> {
    let mut target = Target::default();
    target.add("up", &[], Model::Constant(1.0));
    for name in ["node_load1", "node_load5", "node_load15"] {
        target.add(name, &[], Model::Gauge(8.0));
    }
    let uname = [
        ("nodename", NODE_NAME),
        ("release", "6.1.0"),
        ("sysname", "Linux"),
    ];
    target.add("node_uname_info", &uname, Model::Constant(1.0));
    target.add("node_context_switches_total", &[], Model::Counter(91_000.0));
    target.add("node_memory_MemAvailable_bytes", &[], Model::Bytes(3e9));
    target.add(
        "node_memory_MemTotal_bytes",
        &[],
        Model::Constant(33_554_432_000.0),
    );
    target.add_cpus();
    target.add_devices();
    target.add_service();
    target.add_large_metric();
    target.add_vmstat();
    target.0
}

#[derive(Default)]
struct Target(Vec<Template>);

impl Target {
    fn add(&mut self, name: &str, more: &[(&str, &str)], model: Model) {
        // Senders add what names their cluster to every series.
        let shared = [
            ("__name__", name),
            ("cluster", "production-eu-west-1"),
            ("environment", "production"),
            ("instance", INSTANCE),
            ("job", "node_exporter"),
        ];
        let mut labels: Vec<(String, String)> = shared
            .iter()
            .chain(more)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort_unstable();
        self.0.push(Template { labels, model });
    }

    fn add_cpus(&mut self) {
        for cpu in 0..12_u8 {
            let cpu = cpu.to_string();
            for (number, mode) in (1_u8..).zip(CPU_MODES) {
                let more = [("cpu", cpu.as_str()), ("mode", mode)];
                let rate = 12.0 / f64::from(number) / f64::from(number);
                self.add("node_cpu_seconds_total", &more, Model::Seconds(rate));
            }
        }
    }

    fn add_devices(&mut self) {
        for number in 0..6_u8 {
            let (eth, disk) = (format!("eth{number}"), format!("/dev/sd{number}"));
            let rate = 15_000.0 * f64::from(number + 1);
            for name in [
                "node_network_receive_bytes_total",
                "node_network_transmit_bytes_total",
            ] {
                self.add(name, &[("device", &eth)], Model::Counter(rate));
            }
            let disk_label = [("device", disk.as_str())];
            let rate = f64::from(number + 1);
            self.add(
                "node_disk_read_time_seconds_total",
                &disk_label,
                Model::Seconds(0.4 * rate),
            );
            self.add(
                "node_disk_reads_completed_total",
                &disk_label,
                Model::Counter(120.0 * rate),
            );
            let mountpoint = format!("/data{number}");
            let more = [
                ("device", disk.as_str()),
                ("fstype", if number == 5 { "tmpfs" } else { "ext4" }),
                ("mountpoint", mountpoint.as_str()),
            ];
            let free = if number == 0 { 4e9 } else { 6e10 };
            self.add("node_filesystem_avail_bytes", &more, Model::Bytes(free));
            self.add("node_filesystem_size_bytes", &more, Model::Constant(1e11));
            self.add("node_filesystem_readonly", &more, Model::Constant(0.0));
        }
    }

    fn add_service(&mut self) {
        for (place, handler) in (1_u8..).zip(HANDLERS) {
            for (number, le) in (1_u8..).zip(BUCKETS) {
                let more = [("handler", handler), ("le", le)];
                let rate = 30.0 * f64::from(number) / f64::from(place);
                self.add(
                    "http_request_duration_seconds_bucket",
                    &more,
                    Model::Counter(rate.round()),
                );
            }
        }
    }

    fn add_large_metric(&mut self) {
        for number in 0..LARGE_METRIC_SERIES {
            let device = format!("device-{number}");
            let model = if number % 7 < 2 {
                Model::Gauge(f64::from(number % 100 + 1))
            } else {
                Model::Constant(f64::from(number % 7))
            };
            self.add("node_large_metric", &[("device", &device)], model);
        }
    }

    fn add_vmstat(&mut self) {
        for number in 0..VMSTAT_SERIES {
            let model = if number < VMSTAT_MOVING {
                Model::Counter(f64::from(number + 1))
            } else {
                Model::Constant(f64::from(number))
            };
            self.add(&format!("node_vmstat_{number}_total"), &[], model);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_1230_series_of_the_promised_mix() {
        let templates = templates();
        assert_eq!(templates.len(), 1230);
        let share = |is_wanted: fn(&Model) -> bool| {
            let count = templates.iter().filter(|t| is_wanted(&t.model)).count();
            (count * 100 + 615) / 1230
        };
        assert_eq!(share(|model| matches!(model, Model::Constant(_))), 60);
        assert_eq!(
            share(|model| matches!(model, Model::Counter(_) | Model::Seconds(_))),
            25
        );
        assert_eq!(
            share(|model| matches!(model, Model::Gauge(_) | Model::Bytes(_))),
            15
        );
        let mut names: Vec<_> = templates.iter().map(|t| &t.labels).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 1230);
    }
}
