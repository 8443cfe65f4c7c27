//! The load: series shaped like those of a node exporter, as remote-write bodies made beforehand.

use anyhow::Context as _;
use clap::ArgMatches;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

/// Samples in one request, as senders batch them by default.
const SAMPLES_PER_REQUEST: usize = 2000;
/// Series of one target, about as many as a node exporter has.
const SERIES_PER_TARGET: u32 = 1000;
/// Distance of samples.
pub(super) const INTERVAL_MS: i64 = 15_000;

/// How much load, and on which servers.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) series: u32,
    pub(super) samples: u32,
    pub(super) senders: usize,
    pub(super) firewatch: String,
    pub(super) prometheus: Option<String>,
    /// Time of the first sample.
    pub(super) start_ms: i64,
}

impl Shape {
    /// Reads the command line. The load ends now, so that every server takes it.
    pub(super) fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        let number = |name| {
            matches
                .get_one::<u32>(name)
                .copied()
                .context("missing default")
        };
        let text = |name| {
            matches
                .get_one::<String>(name)
                .cloned()
                .context("missing default")
        };
        let samples = number("samples")?;
        let now_ms = base::Clock::now(&base::SystemClock).as_millis();
        let length_ms = i64::from(samples) * INTERVAL_MS;
        Ok(Self {
            series: number("series")?,
            samples,
            senders: usize::try_from(number("senders")?)?.max(1),
            firewatch: text("firewatch")?,
            prometheus: Some(text("prometheus")?).filter(|program| program != "none"),
            start_ms: (now_ms - length_ms) / INTERVAL_MS * INTERVAL_MS,
        })
    }

    pub(super) fn total_samples(&self) -> u64 {
        u64::from(self.series) * u64::from(self.samples)
    }

    pub(super) fn end_ms(&self) -> i64 {
        self.start_ms + i64::from(self.samples.saturating_sub(1)) * INTERVAL_MS
    }

    /// The bodies of one scrape interval: `step` counts from 0.
    pub(super) fn bodies(&self, step: u32) -> anyhow::Result<Vec<Vec<u8>>> {
        let all: Vec<u32> = (0..self.series).collect();
        let request = |series: &[u32]| {
            let timeseries = series
                .iter()
                .map(|number| self.series(*number, step))
                .collect();
            Ok(body(timeseries)?)
        };
        all.chunks(SAMPLES_PER_REQUEST).map(request).collect()
    }

    fn series(&self, number: u32, step: u32) -> TimeSeries {
        let (target, metric) = (number / SERIES_PER_TARGET, number % SERIES_PER_TARGET);
        let (kind, device) = (metric % 20, metric / 20);
        let name = format!(
            "node_{}_{kind}{}",
            MODELS[kind as usize].0, MODELS[kind as usize].1
        );
        let instance = format!("host-node-{target}:9100");
        let device = format!("device-{device}");
        let pairs = [
            ("__name__", name.as_str()),
            ("cluster", "production-eu-west-1"),
            ("device", device.as_str()),
            ("environment", "production"),
            ("instance", instance.as_str()),
            ("job", "node_exporter"),
        ];
        let value = (MODELS[kind as usize].2)(number, step);
        let timestamp = self.start_ms + i64::from(step) * INTERVAL_MS;
        TimeSeries {
            labels: labels(&pairs),
            samples: vec![Sample { value, timestamp }],
            ..TimeSeries::default()
        }
    }
}

type Model = fn(u32, u32) -> f64;

fn constant(number: u32, _step: u32) -> f64 {
    f64::from(number % 7)
}

fn counter(number: u32, step: u32) -> f64 {
    f64::from(step) * f64::from(number % 50 + 1) + f64::from(noise(number, step) % 5)
}

fn cpu_seconds(number: u32, step: u32) -> f64 {
    (f64::from(step) * 1500.0 + f64::from(noise(number, step) % 1400)) / 100.0
}

fn memory_bytes(number: u32, step: u32) -> f64 {
    f64::from(1_000_000 + noise(number, step) % 50_000) * 4096.0
}

fn ratio(number: u32, step: u32) -> f64 {
    f64::from(noise(number, step)) / f64::from(u32::MAX)
}

/// A well-mixed number for a series at a step; the same on every run.
pub(super) fn noise(number: u32, step: u32) -> u32 {
    let mut x = number.wrapping_mul(0x9e37_79b9) ^ step.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

/// Twenty kinds: 60 % constant, 25 % counters, 15 % gauges, as on real nodes.
const MODELS: [(&str, &str, Model); 20] = [
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("constant", "", constant),
    ("counter", "_total", counter),
    ("counter", "_total", counter),
    ("counter", "_total", counter),
    ("cpu_seconds", "_total", cpu_seconds),
    ("cpu_seconds", "_total", cpu_seconds),
    ("memory", "_bytes", memory_bytes),
    ("memory", "_bytes", memory_bytes),
    ("load", "_ratio", ratio),
];
