//! Load shaped like that of node exporters: about a thousand series a target, ten labels each.

use model::{LabelError, Labels, Timestamp};
use storage::{AppendRequest, Sample, SeriesKey};

/// Series of one target.
const SERIES_PER_TARGET: u32 = 1000;
/// Series in one request.
pub(crate) const SERIES_PER_REQUEST: usize = 2000;
/// Distance of samples.
pub(crate) const INTERVAL_MS: i64 = 15_000;

/// The labels of one series, as bytes on a wire.
pub(crate) fn span(number: u32) -> Vec<u8> {
    let (target, metric) = (number / SERIES_PER_TARGET, number % SERIES_PER_TARGET);
    let name = format!("node_subsystem_measure_{}_total", metric / 10);
    let device = format!("device-{}", metric % 10);
    let instance = format!("host-node-{target}.eu-west-1.example.com:9100");
    let rack = format!("rack-{}", target % 40);
    let labels = Labels::from_pairs([
        ("__name__", name.as_str()),
        ("availability_zone", "eu-west-1b"),
        ("cluster", "production-eu-west-1"),
        ("device", device.as_str()),
        ("environment", "production"),
        ("instance", instance.as_str()),
        ("job", "node_exporter"),
        ("rack", rack.as_str()),
        ("region", "eu-west-1"),
        ("team", "infrastructure"),
    ]);
    labels
        .expect("the labels form a set")
        .as_packed()
        .as_bytes()
        .to_vec()
}

/// Reads [`span`].
pub(crate) fn parse(span: &[u8]) -> Result<Labels, LabelError> {
    let text = std::str::from_utf8(span).map_err(|_| LabelError::Malformed)?;
    Labels::from_packed(text).ok_or(LabelError::Malformed)
}

/// One sample of each series, 60 % constant, 25 % counters, 15 % gauges, all of a target at the same
/// time, which is up to 2 ms off the grid.
pub(crate) fn request(
    spans: &[Vec<u8>],
    first: u32,
    step: u32,
    start_ms: i64,
) -> AppendRequest<'_> {
    let mut request = AppendRequest::default();
    for (number, span) in (first..).zip(spans) {
        let jitter = i64::from(noise(number / SERIES_PER_TARGET, step) % 5) - 2;
        let at = start_ms + i64::from(step) * INTERVAL_MS + jitter;
        let sample = Sample {
            timestamp: Timestamp::from_millis(at),
            value: value(number, step),
        };
        request.push(SeriesKey::Raw { span, parse }, [sample]);
    }
    request
}

fn value(number: u32, step: u32) -> f64 {
    let noise = noise(number, step);
    match number % 20 {
        0..12 => f64::from(number % 7),
        12..15 => f64::from(step) * f64::from(number % 50 + 1) + f64::from(noise % 5),
        15..17 => (f64::from(step) * 1500.0 + f64::from(noise % 1400)) / 100.0,
        17..19 => f64::from(1_000_000 + noise % 50_000) * 4096.0,
        _ => f64::from(noise) / f64::from(u32::MAX),
    }
}

/// A well-mixed number; the same on every run.
pub(crate) fn noise(number: u32, step: u32) -> u32 {
    let mut x = number.wrapping_mul(0x9e37_79b9) ^ step.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}
