//! The load of the query benchmark: what node exporters and one web service expose, under the names
//! that dashboards and alerts ask for, in remote-write bodies of many samples a series.

use testkit::remote_write::{Sample, TimeSeries, body, labels};

use super::load::{INTERVAL_MS, Shape, noise};

/// Series of one target.
const SERIES_PER_TARGET: usize = 1000;
/// Samples of a series in one request: loading is not what is measured.
const SAMPLES_PER_SERIES: u32 = 24;
const SERIES_PER_REQUEST: usize = 500;

const CPU_MODES: [&str; 8] = [
    "idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user",
];
const BUCKETS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];
const HANDLERS: [&str; 10] = [
    "/", "/api", "/login", "/logout", "/cart", "/search", "/item", "/pay", "/help", "/static",
];

/// How values move.
#[derive(Clone, Copy)]
enum Model {
    Constant(f64),
    /// So much each step, a little unevenly.
    Counter(f64),
    /// Around a value, by a fraction of it.
    Gauge(f64),
}

/// A series and its values.
pub(super) struct NodeSeries {
    labels: Vec<(&'static str, String)>,
    model: Model,
    number: u32,
}

/// All series of the load, target by target.
pub(super) fn series(shape: &Shape) -> Vec<NodeSeries> {
    let targets = (shape.series as usize).div_ceil(SERIES_PER_TARGET);
    let mut all = Vec::new();
    for target in 0..targets {
        let mut of_target = Target::new(target);
        of_target.add_all();
        of_target.series.truncate(SERIES_PER_TARGET);
        all.append(&mut of_target.series);
    }
    all.truncate(shape.series as usize);
    for (number, series) in (0_u32..).zip(&mut all) {
        series.number = number;
    }
    all
}

/// The bodies of a stretch of the load: steps `from..from + SAMPLES_PER_SERIES`.
pub(super) fn bodies(
    shape: &Shape,
    series: &[NodeSeries],
    from: u32,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let steps = from..(from + SAMPLES_PER_SERIES).min(shape.samples);
    let request = |series: &[NodeSeries]| {
        let timeseries = series.iter().map(|series| TimeSeries {
            labels: series.wire_labels(),
            samples: steps
                .clone()
                .map(|step| Sample {
                    value: series.value(step),
                    timestamp: shape.start_ms + i64::from(step) * INTERVAL_MS,
                })
                .collect(),
            ..TimeSeries::default()
        });
        Ok(body(timeseries.collect())?)
    };
    series.chunks(SERIES_PER_REQUEST).map(request).collect()
}

/// First steps of the stretches.
pub(super) fn stretches(shape: &Shape) -> impl Iterator<Item = u32> + use<> {
    (0..shape.samples).step_by(SAMPLES_PER_SERIES as usize)
}

impl NodeSeries {
    fn wire_labels(&self) -> Vec<testkit::remote_write::Label> {
        let pairs: Vec<(&str, &str)> = self
            .labels
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        labels(&pairs)
    }

    fn value(&self, step: u32) -> f64 {
        let random = f64::from(noise(self.number, step) % 1024) / 1024.0;
        match self.model {
            Model::Constant(value) => value,
            Model::Counter(rate) => {
                (rate * (f64::from(step) + 0.9 * random) * 100.0).round() / 100.0
            }
            Model::Gauge(center) => (center * (0.8 + 0.4 * random)).round(),
        }
    }
}

/// The series of one target being made.
struct Target {
    number: usize,
    instance: String,
    series: Vec<NodeSeries>,
}

impl Target {
    fn new(number: usize) -> Self {
        Self {
            number,
            instance: format!("host-node-{number}:9100"),
            series: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, more: &[(&'static str, &str)], model: Model) {
        let mut labels = vec![
            ("__name__", name.to_owned()),
            ("instance", self.instance.clone()),
            ("job", "node_exporter".to_owned()),
        ];
        labels.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        labels.sort_unstable_by_key(|(name, _)| *name);
        self.series.push(NodeSeries {
            labels,
            model,
            number: 0,
        });
    }

    fn add_all(&mut self) {
        self.add("up", &[], Model::Constant(1.0));
        for name in ["node_load1", "node_load5", "node_load15"] {
            self.add(name, &[], Model::Gauge(40.0));
        }
        let nodename = format!("host-node-{}", self.number);
        let uname = [
            ("nodename", nodename.as_str()),
            ("release", "6.1.0"),
            ("sysname", "Linux"),
        ];
        self.add("node_uname_info", &uname, Model::Constant(1.0));
        self.add("node_context_switches_total", &[], Model::Counter(91_000.0));
        self.add("node_memory_MemAvailable_bytes", &[], Model::Gauge(3e9));
        self.add("node_memory_MemTotal_bytes", &[], Model::Constant(3.2e10));
        self.add_cpus();
        self.add_devices();
        self.add_service();
        for number in 0..500 {
            let device = format!("device-{number}");
            let model = if number % 4 == 0 {
                Model::Gauge(1000.0)
            } else {
                Model::Constant(f64::from(number % 7))
            };
            self.add("node_large_metric", &[("device", &device)], model);
        }
        for number in 0..200 {
            let name = format!("node_vmstat_{number}_total");
            let model = if number % 3 == 0 {
                Model::Counter(f64::from(number + 1))
            } else {
                Model::Constant(f64::from(number))
            };
            self.add(&name, &[], model);
        }
    }

    fn add_cpus(&mut self) {
        for cpu in 0..12_u8 {
            let cpu = cpu.to_string();
            for (number, mode) in (1_u8..).zip(CPU_MODES) {
                let more = [("cpu", cpu.as_str()), ("mode", mode)];
                let rate = 12.0 / f64::from(number) / f64::from(number);
                self.add("node_cpu_seconds_total", &more, Model::Counter(rate));
            }
        }
    }

    fn add_devices(&mut self) {
        for number in 0..6_u8 {
            let (eth, disk) = (format!("eth{number}"), format!("/dev/sd{number}"));
            let rate = 15_000.0 * f64::from(number + 1) + self.number as f64;
            for name in [
                "node_network_receive_bytes_total",
                "node_network_transmit_bytes_total",
            ] {
                self.add(name, &[("device", &eth)], Model::Counter(rate));
            }
            for (name, rate) in [
                ("node_disk_read_time_seconds_total", 0.4),
                ("node_disk_reads_completed_total", 120.0),
            ] {
                self.add(
                    name,
                    &[("device", &disk)],
                    Model::Counter(rate * f64::from(number + 1)),
                );
            }
            let mountpoint = format!("/data{number}");
            let more = [
                ("device", disk.as_str()),
                ("fstype", if number == 5 { "tmpfs" } else { "ext4" }),
                ("mountpoint", mountpoint.as_str()),
            ];
            let free = if number == 0 { 4e9 } else { 6e10 };
            self.add("node_filesystem_avail_bytes", &more, Model::Gauge(free));
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
}
