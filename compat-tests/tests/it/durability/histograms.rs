//! The writer of native histograms: its series turn from integer histograms into such of floats,
//! into plain floats and back, and every sample of them is compared after a kill.

use serde_json::Value;
use testkit::remote_write::{
    BucketSpan, Histogram, HistogramCount, Sample, TimeSeries, body, labels,
};

use crate::support::Running;

pub(super) const SERIES: u32 = 40;
/// Requests after which a series changes between kinds of samples.
const KIND_REQUESTS: u32 = 30;
/// Requests after which a histogram has other buckets.
const LAYOUT_REQUESTS: u32 = 7;

#[derive(Clone, Copy)]
enum Kind {
    Integers,
    FloatCounts,
    Floats,
}

fn kind(request: u32, series: u32) -> Kind {
    match (request / KIND_REQUESTS + series) % 5 {
        0..=2 => Kind::Integers,
        3 => Kind::FloatCounts,
        _ => Kind::Floats,
    }
}

/// Observations in each bucket; bucket `i` reaches from 2^(i-1) to 2^i.
fn buckets(request: u32, series: u32) -> Vec<u32> {
    let number = 1 + (request / LAYOUT_REQUESTS + series) % 6;
    (0..number)
        .map(|bucket| 1 + (request * (bucket + 1) + series) % 250)
        .collect()
}

/// Also the value of a float.
fn sum(request: u32, series: u32) -> f64 {
    f64::from(request) + f64::from(series) / 8.0
}

fn histogram(request: u32, series: u32, timestamp: i64, kind: Kind) -> Histogram {
    let counts = buckets(request, series);
    let mut histogram = Histogram {
        sum: sum(request, series),
        timestamp,
        positive_spans: vec![BucketSpan {
            offset: 0,
            length: u32::try_from(counts.len()).unwrap(),
        }],
        ..Histogram::default()
    };
    let count: u32 = counts.iter().sum();
    if let Kind::FloatCounts = kind {
        histogram.count = Some(HistogramCount::Float(count.into()));
        histogram.positive_counts = counts.into_iter().map(f64::from).collect();
    } else {
        let mut previous = 0;
        histogram.count = Some(HistogramCount::Integer(count.into()));
        for count in counts.into_iter().map(i64::from) {
            histogram.positive_deltas.push(count - previous);
            previous = count;
        }
    }
    histogram
}

pub(super) fn request(request: u32, timestamp: i64) -> Vec<u8> {
    let series = |series: u32| {
        let pairs = [
            ("__name__", "kill_test_histogram"),
            ("series", &series.to_string()),
        ];
        let mut sent = TimeSeries {
            labels: labels(&pairs),
            ..TimeSeries::default()
        };
        match kind(request, series) {
            Kind::Floats => sent.samples.push(Sample {
                value: sum(request, series),
                timestamp,
            }),
            kind => sent
                .histograms
                .push(histogram(request, series, timestamp, kind)),
        }
        sent
    };
    body((0..SERIES).map(series).collect()).unwrap()
}

/// Every series has the samples of all acknowledged requests as they were sent, and at most one
/// more.
#[track_caller]
pub(super) fn verify(running: &Running, acknowledged: u32) {
    let result = running.query("kill_test_histogram[6d]", "");
    let result = result.as_array().unwrap();
    if acknowledged > 0 {
        assert_eq!(result.len(), SERIES as usize);
    }
    for found in result {
        let series: u32 = found["metric"]["series"].as_str().unwrap().parse().unwrap();
        let none = Vec::new();
        let mut floats = found["values"].as_array().unwrap_or(&none).iter();
        let mut histograms = found["histograms"].as_array().unwrap_or(&none).iter();
        let samples = u32::try_from(floats.len() + histograms.len()).unwrap();
        assert!(
            (acknowledged..=acknowledged + 1).contains(&samples),
            "series {series}: {samples} histograms and floats, {acknowledged} acknowledged"
        );
        for request in 0..samples {
            let what = || format!("series {series}, request {request}");
            match kind(request, series) {
                Kind::Floats => {
                    let point = floats.next().ok_or_else(what).expect("a float");
                    assert_eq!(number(&point[1]), sum(request, series), "{}", what());
                }
                _ => {
                    let point = histograms.next().ok_or_else(what).expect("a histogram");
                    check(&point[1], request, series, &what());
                }
            }
        }
    }
}

#[track_caller]
fn check(found: &Value, request: u32, series: u32, what: &str) {
    let counts = buckets(request, series);
    let count: u32 = counts.iter().sum();
    assert_eq!(number(&found["sum"]), sum(request, series), "{what}");
    assert_eq!(number(&found["count"]), f64::from(count), "{what}");
    let found = found["buckets"].as_array().unwrap();
    assert_eq!(found.len(), counts.len(), "{what}");
    for ((exponent, count), bucket) in (0_i32..).zip(counts).zip(found) {
        let bounds = (number(&bucket[1]), number(&bucket[2]));
        let want = (2_f64.powi(exponent - 1), 2_f64.powi(exponent));
        assert_eq!(
            (bounds, number(&bucket[3])),
            (want, f64::from(count)),
            "{what}"
        );
    }
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}
