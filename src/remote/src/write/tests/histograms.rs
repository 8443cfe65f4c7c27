//! Native histograms of remote write: what is taken, as what, and what is refused.

use std::sync::Arc;

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{CounterResetHint, FloatHistogram, IntegerHistogram, Span};

use super::proto::{ProtoCount, ProtoHistogram, ProtoSpan, ProtoZeroCount};
use super::*;

fn spans(protos: &[ProtoSpan]) -> Vec<Span> {
    let span = |proto: &ProtoSpan| Span {
        offset: proto.offset,
        length: proto.length,
    };
    protos.iter().map(span).collect()
}

fn hint(proto: &ProtoHistogram) -> CounterResetHint {
    match proto.reset_hint {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn integer(proto: &ProtoHistogram, count: u64) -> IntegerHistogram {
    IntegerHistogram {
        counter_reset_hint: hint(proto),
        schema: proto.schema,
        zero_threshold: proto.zero_threshold,
        zero_count: match proto.zero_count {
            Some(ProtoZeroCount::Integer(count)) => count,
            _ => 0,
        },
        count,
        sum: proto.sum,
        positive_spans: spans(&proto.positive_spans),
        negative_spans: spans(&proto.negative_spans),
        positive_deltas: proto.positive_deltas.clone(),
        negative_deltas: proto.negative_deltas.clone(),
        custom_values: proto.custom_values.clone().into(),
    }
}

fn float(proto: &ProtoHistogram, count: f64) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: hint(proto),
        schema: proto.schema,
        zero_threshold: proto.zero_threshold,
        zero_count: match proto.zero_count {
            Some(ProtoZeroCount::Float(count)) => count,
            _ => 0.0,
        },
        count,
        sum: proto.sum,
        positive_spans: spans(&proto.positive_spans),
        negative_spans: spans(&proto.negative_spans),
        positive_buckets: proto.positive_counts.clone(),
        negative_buckets: proto.negative_counts.clone(),
        custom_values: proto.custom_values.clone().into(),
    }
}

/// What a receiver must store of a valid message.
pub(super) fn histogram_of(proto: &ProtoHistogram) -> Histogram {
    let too_fine = (9..=52).contains(&proto.schema);
    match proto.count {
        Some(ProtoCount::Float(count)) => {
            let mut histogram = float(proto, count);
            if too_fine {
                histogram.reduce_resolution(8);
            }
            Histogram::Float(Arc::new(histogram))
        }
        Some(ProtoCount::Integer(_)) | None => {
            let mut histogram = integer(proto, integer_count(proto));
            if too_fine {
                histogram.reduce_resolution(8);
            }
            Histogram::Integer(Arc::new(histogram))
        }
    }
}

fn integer_count(proto: &ProtoHistogram) -> u64 {
    match proto.count {
        Some(ProtoCount::Integer(count)) => count,
        _ => 0,
    }
}

/// Whether a receiver must take the message.
pub(super) fn is_valid(proto: &ProtoHistogram) -> bool {
    let mut proto = proto.clone();
    if (9..=52).contains(&proto.schema) {
        proto.schema = 8;
    }
    match proto.count {
        Some(ProtoCount::Float(count)) => float(&proto, count).validate().is_ok(),
        _ => integer(&proto, integer_count(&proto)).validate().is_ok(),
    }
}

/// Mostly valid ones of either kind.
pub(super) fn any_histogram() -> impl Strategy<Value = ProtoHistogram> {
    let shape = (
        any::<bool>(),
        prop_oneof![4 => -4..13_i32, 1 => Just(-53), 1 => any::<i32>()],
    );
    let counts = proptest::collection::vec(0..100_i64, 0..6);
    let rest = (any::<u64>(), 0..6_i32, any::<i64>(), 0..8_u8, -9..9_i32);
    (shape, counts, rest).prop_map(
        |((is_float, schema), counts, (sum, reset_hint, timestamp, damage, offset))| {
            let custom = schema == -53;
            let zero = if custom { 0 } else { 3 };
            let total = zero + counts.iter().sum::<i64>().unsigned_abs() + u64::from(damage == 0);
            let length = u32::try_from(counts.len()).unwrap() + u32::from(damage == 1);
            let offset = if custom { offset.abs() } else { offset };
            let mut previous = 0;
            let deltas = counts.iter().map(|count| {
                let delta = count - previous;
                previous = *count;
                delta
            });
            let mut histogram = ProtoHistogram {
                sum: f64::from_bits(sum),
                schema,
                positive_spans: vec![ProtoSpan { offset, length }],
                reset_hint,
                timestamp,
                custom_values: if custom {
                    (0..15).map(f64::from).collect()
                } else {
                    vec![]
                },
                ..ProtoHistogram::default()
            };
            if is_float {
                histogram.count = Some(ProtoCount::Float(total as f64));
                histogram.zero_count = Some(ProtoZeroCount::Float(zero as f64));
                histogram.positive_counts = counts.iter().map(|count| *count as f64).collect();
            } else {
                histogram.count = Some(ProtoCount::Integer(total));
                histogram.zero_count = Some(ProtoZeroCount::Integer(zero));
                histogram.positive_deltas = deltas.collect();
            }
            histogram
        },
    )
}

/// Buckets 1, 2 and 5 with 2, 3 and 1 observations, one at zero, bucket 0 of the negative ones
/// with 4.
fn typical() -> ProtoHistogram {
    ProtoHistogram {
        count: Some(ProtoCount::Integer(11)),
        sum: 12.5,
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: Some(ProtoZeroCount::Integer(1)),
        negative_spans: vec![ProtoSpan {
            offset: 0,
            length: 1,
        }],
        negative_deltas: vec![4],
        positive_spans: vec![
            ProtoSpan {
                offset: 1,
                length: 2,
            },
            ProtoSpan {
                offset: 2,
                length: 1,
            },
        ],
        positive_deltas: vec![2, 1, -2],
        reset_hint: 2,
        timestamp: 5_000,
        ..ProtoHistogram::default()
    }
}

fn request(histogram: ProtoHistogram) -> WriteRequest {
    let series = TimeSeries {
        histograms: vec![histogram],
        ..one_series()
    };
    WriteRequest {
        timeseries: vec![series],
        ..WriteRequest::default()
    }
}

#[test]
fn takes_integer_float_and_custom_histograms() {
    let float = ProtoHistogram {
        count: Some(ProtoCount::Float(10.5)),
        zero_count: Some(ProtoZeroCount::Float(0.5)),
        negative_counts: vec![4.0],
        positive_counts: vec![2.0, 3.0, 1.0],
        negative_deltas: vec![],
        positive_deltas: vec![],
        reset_hint: 3,
        ..typical()
    };
    let custom = ProtoHistogram {
        count: Some(ProtoCount::Integer(3)),
        sum: f64::from_bits(model::STALE_NAN_BITS),
        schema: -53,
        positive_spans: vec![ProtoSpan {
            offset: 0,
            length: 2,
        }],
        positive_deltas: vec![1, 1],
        custom_values: vec![0.5],
        ..ProtoHistogram::default()
    };
    let mut decoder = WriteDecoder::new();
    for proto in [typical(), float, custom, ProtoHistogram::default()] {
        let request = request(proto.clone());
        let body = compress(&request.encode_to_vec());
        let decoded = decoder.decode(&body).unwrap();
        assert_eq!(plain(&decoded), expected(&request));
        assert_eq!(decoded.histograms.len(), 1);
        assert_eq!(decoded.histograms[0].timestamp.as_millis(), proto.timestamp);
    }
}

#[test]
fn series_of_histograms_alone_are_kept() {
    let mut request = request(typical());
    request.timeseries[0].samples.clear();
    let mut decoder = WriteDecoder::new();
    let body = compress(&request.encode_to_vec());
    let decoded = decoder.decode(&body).unwrap();
    assert_eq!((decoded.series.len(), decoded.histograms.len()), (1, 1));
}

#[test]
fn schemas_that_are_too_fine_are_reduced() {
    for (schema, buckets) in [(8, 3), (9, 2), (52, 1)] {
        let request = request(ProtoHistogram {
            schema,
            ..typical()
        });
        let mut decoder = WriteDecoder::new();
        let body = compress(&request.encode_to_vec());
        let decoded = decoder.decode(&body).unwrap();
        let Histogram::Integer(histogram) = &decoded.histograms[0].histogram else {
            panic!("an integer histogram")
        };
        assert_eq!((histogram.schema, histogram.count), (8, 11));
        assert_eq!(histogram.positive_deltas.len(), buckets, "schema {schema}");
        assert_eq!(
            histogram.counter_reset_hint,
            CounterResetHint::NotCounterReset
        );
    }
}

#[test]
fn histograms_that_are_not_well_formed_are_refused() {
    let cases = [
        (
            ProtoHistogram {
                count: Some(ProtoCount::Integer(12)),
                ..typical()
            },
            "11 observations found in buckets, but the Count field is 12: histogram's observation \
             count should equal the number of observations found in the buckets (in absence of NaN)",
        ),
        (
            ProtoHistogram {
                positive_deltas: vec![2, 1],
                ..typical()
            },
            "positive side: spans need 3 buckets, have 2 buckets: histogram spans specify \
             different number of buckets than provided",
        ),
        (
            ProtoHistogram {
                negative_deltas: vec![-4],
                ..typical()
            },
            "negative side: bucket number 1 has observation count of -4: histogram has a bucket \
             whose observation count is negative",
        ),
        (
            ProtoHistogram {
                schema: 53,
                ..typical()
            },
            "histogram has an invalid schema, which must be between -4 and 8 for exponential \
             buckets, or -53 for custom buckets, got schema 53",
        ),
        (
            ProtoHistogram {
                schema: 20,
                positive_deltas: vec![2, 1],
                ..typical()
            },
            "positive side: spans need 3 buckets, have 2 buckets: histogram spans specify \
             different number of buckets than provided",
        ),
        (
            ProtoHistogram {
                positive_deltas: vec![0; MAX_HISTOGRAM_PARTS],
                ..typical()
            },
            "histogram has more than 65535 buckets, spans and bounds",
        ),
    ];
    for (proto, want) in cases {
        check_error(&request(proto).encode_to_vec(), want);
    }
}

#[test]
fn numbers_are_read_packed_and_one_by_one() {
    let field = |tag: u8, bytes: &[u8]| [&[tag], bytes].concat();
    let message = [
        // Count 3; the zero count as a float, then as an integer, which is the one that counts.
        field(0x08, &[3]),
        field(0x39, &1.5_f64.to_le_bytes()),
        field(0x30, &[0]),
        // A span with offset and length beyond 32 bits, which lose their high bits.
        field(
            0x5a,
            &[
                12, 0x08, 0x82, 0x80, 0x80, 0x80, 0x10, 0x10, 0x82, 0x80, 0x80, 0x80, 0x10,
            ],
        ),
        field(0x60, &[2]),
        field(0x62, &[1, 2]),
        // An unknown hint and an unknown field.
        field(0x70, &[9]),
        field(0x88, &[0x01, 7]),
    ]
    .concat();
    let body = prefixed(0x0a, &prefixed(0x22, &message));
    let mut decoder = WriteDecoder::new();
    let compressed = compress(&body);
    let decoded = decoder.decode(&compressed).unwrap();
    let want = IntegerHistogram {
        count: 3,
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        positive_deltas: vec![1, 1],
        ..IntegerHistogram::default()
    };
    assert_eq!(
        decoded.histograms[0].histogram,
        Histogram::Integer(Arc::new(want))
    );
    check_error(
        &prefixed(0x0a, &prefixed(0x22, &[0x0a, 0])),
        "proto: wrong wireType = 2 for field CountInt",
    );
    check_error(
        &prefixed(0x0a, &prefixed(0x22, &[0x52, 3, 0, 0, 0])),
        "unexpected EOF",
    );
    check_error(
        &prefixed(0x0a, &prefixed(0x22, &[0x5d, 0, 0, 0, 0])),
        "proto: wrong wireType = 5 for field PositiveSpans",
    );
}

#[test]
fn floods_of_empty_histograms_are_refused() {
    // Two bytes of the message are one histogram.
    let flood = [0x22, 0].repeat(4 << 20);
    check_error(
        &prefixed(0x0a, &flood),
        "histograms of a request take more than 512 MiB",
    );
}
