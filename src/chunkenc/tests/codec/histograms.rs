//! Histograms come back bit for bit from every form; damaged chunks of them give an error.

use std::sync::Arc;

use chunkenc::{
    ChunkKind, DecodeError, EncodeError, HistogramChunk, MAX_CHUNK_PARTS, OpenHistograms,
    SampleTimes,
};
use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{CounterResetHint, FloatHistogram, Histogram, IntegerHistogram, Span};
use proptest::prelude::*;
use proptest::sample::select;

use crate::samples::ascending_timestamps;

fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-1000i32..100_000).prop_map(f64::from),
        1 => (0i32..100_000).prop_map(|m| f64::from(m) / 100.0),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => select(vec![-0.0, f64::INFINITY, f64::from_bits(0x7ff0_0000_0000_0002)]),
    ]
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0u64..5000, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just((1 << 53) + 1)]
}

fn any_delta() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -50i64..50, 1 => any::<i64>()]
}

fn any_hint() -> impl Strategy<Value = CounterResetHint> {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
    select(vec![
        Unknown,
        Unknown,
        NotCounterReset,
        NotCounterReset,
        CounterReset,
        Gauge,
    ])
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    let offset = prop_oneof![4 => -20i32..20, 1 => any::<i32>()];
    let length = prop_oneof![4 => 0u32..9, 1 => any::<u32>()];
    let span = (offset, length).prop_map(|(offset, length)| Span { offset, length });
    prop::collection::vec(span, 0..4)
}

/// A layout as a float histogram without counts, and its numbers of buckets.
fn any_layout() -> impl Strategy<Value = (FloatHistogram, usize, usize)> {
    let schema = prop_oneof![3 => -4i32..9, 1 => Just(-53), 1 => any::<i32>()];
    let bounds = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(any_double(), 1..6)];
    let shape = (any_spans(), any_spans(), 0usize..7, 0usize..4);
    (schema, any_double(), bounds, shape).prop_map(
        |(schema, zero_threshold, bounds, (positive_spans, negative_spans, positive, negative))| {
            let layout = FloatHistogram {
                schema,
                zero_threshold,
                positive_spans,
                negative_spans,
                custom_values: bounds.into(),
                ..FloatHistogram::default()
            };
            (layout, positive, negative)
        },
    )
}

fn float_of(
    (layout, positive, negative): &(FloatHistogram, usize, usize),
) -> impl Strategy<Value = Histogram> + use<> {
    let layout = layout.clone();
    let buckets = (
        prop::collection::vec(any_double(), *positive),
        prop::collection::vec(any_double(), *negative),
    );
    (
        any_hint(),
        any_double(),
        any_double(),
        any_double(),
        buckets,
    )
        .prop_map(
            move |(hint, sum, count, zero_count, (positive_buckets, negative_buckets))| {
                Histogram::Float(Arc::new(FloatHistogram {
                    counter_reset_hint: hint,
                    sum,
                    count,
                    zero_count,
                    positive_buckets,
                    negative_buckets,
                    ..layout.clone()
                }))
            },
        )
}

fn integer_of(
    (layout, positive, negative): &(FloatHistogram, usize, usize),
) -> impl Strategy<Value = Histogram> + use<> {
    let layout = layout.clone();
    let buckets = (
        prop::collection::vec(any_delta(), *positive),
        prop::collection::vec(any_delta(), *negative),
    );
    (any_hint(), any_double(), any_count(), any_count(), buckets).prop_map(
        move |(hint, sum, count, zero_count, (positive_deltas, negative_deltas))| {
            Histogram::Integer(Arc::new(IntegerHistogram {
                counter_reset_hint: hint,
                schema: layout.schema,
                zero_threshold: layout.zero_threshold,
                zero_count,
                count,
                sum,
                positive_spans: layout.positive_spans.clone(),
                negative_spans: layout.negative_spans.clone(),
                positive_deltas,
                negative_deltas,
                custom_values: Arc::clone(&layout.custom_values),
            }))
        },
    )
}

/// Runs of equal layouts, all of one kind.
fn any_histograms() -> impl Strategy<Value = Vec<Histogram>> {
    let run = |integer: bool| {
        any_layout().prop_flat_map(move |layout| {
            let one = if integer {
                integer_of(&layout).boxed()
            } else {
                float_of(&layout).boxed()
            };
            prop::collection::vec(one, 1..20)
        })
    };
    any::<bool>()
        .prop_flat_map(move |integer| prop::collection::vec(run(integer), 1..6))
        .prop_map(|runs| runs.concat())
}

fn any_starts() -> impl Strategy<Value = Vec<i64>> {
    let start = prop_oneof![4 => Just(1_700_000_000_000i64), 2 => Just(0i64), 1 => any::<i64>()];
    prop::collection::vec(start, 1..100)
}

/// A chunk's columns, of one length; start timestamps may be empty.
fn any_chunk() -> impl Strategy<Value = (Vec<i64>, Vec<i64>, Vec<Histogram>)> {
    (
        any_histograms(),
        ascending_timestamps(100),
        prop::option::of(any_starts()),
    )
        .prop_map(|(mut histograms, mut timestamps, starts)| {
            let starts = starts.unwrap_or_default();
            let mut count = histograms.len().min(timestamps.len());
            if !starts.is_empty() {
                count = count.min(starts.len());
            }
            histograms.truncate(count);
            timestamps.truncate(count);
            (
                timestamps,
                starts.into_iter().take(count).collect(),
                histograms,
            )
        })
}

fn encode(timestamps: &[i64], start_timestamps: &[i64], histograms: &[Histogram]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let times = SampleTimes {
        timestamps,
        start_timestamps,
    };
    chunkenc::encode_histograms(times, histograms, &mut bytes).unwrap();
    bytes
}

fn known(starts: &[i64]) -> &[i64] {
    if starts.iter().any(|start| *start != 0) {
        starts
    } else {
        &[]
    }
}

#[track_caller]
fn check_sealed(timestamps: &[i64], starts: &[i64], histograms: &[Histogram]) -> usize {
    let bytes = encode(timestamps, starts, histograms);
    let header = chunkenc::header(&bytes).unwrap();
    let integer = matches!(histograms[0], Histogram::Integer(_));
    let kind = if integer {
        ChunkKind::IntegerHistograms
    } else {
        ChunkKind::FloatHistograms
    };
    assert_eq!((header.kind, header.count), (kind, histograms.len()));
    assert_eq!(header.has_start_timestamps, !known(starts).is_empty());
    assert_eq!(Some(&header.first_timestamp), timestamps.first());
    assert_eq!(Some(&header.last_timestamp), timestamps.last());
    let chunk = HistogramChunk::decode(&bytes).unwrap();
    assert_eq!(chunk.timestamps(), timestamps);
    assert_eq!(chunk.start_timestamps(), known(starts));
    assert_eq!(chunk.len(), histograms.len());
    for (index, histogram) in histograms.iter().enumerate() {
        assert_eq!(chunk.histogram(index).as_ref(), Some(histogram));
        assert_eq!(
            chunk.float_histogram(index).as_ref(),
            Some(&*histogram.to_float())
        );
    }
    assert_eq!(chunk.histogram(histograms.len()), None);
    let floats = chunkenc::decode(&bytes, &mut Vec::new(), &mut Vec::new());
    assert_eq!(floats, Err(DecodeError::Corrupt("chunk holds histograms")));
    bytes.len()
}

#[track_caller]
fn check_open(timestamps: &[i64], starts: &[i64], histograms: &[Histogram]) -> usize {
    let start = |index: usize| starts.get(index).copied().unwrap_or(0);
    let mut open = OpenHistograms::default();
    for (index, (at, histogram)) in timestamps.iter().zip(histograms).enumerate() {
        open.append(*at, start(index), histogram).unwrap();
    }
    assert_eq!(open.has_start_timestamps(), !known(starts).is_empty());
    assert_eq!(open.first_timestamp().as_ref(), timestamps.first());
    assert_eq!(open.last_timestamp().as_ref(), timestamps.last());
    let mut count = 0;
    for (index, sample) in open.iter().enumerate() {
        assert_eq!(sample.timestamp, timestamps[index]);
        assert_eq!(sample.start_timestamp, start(index));
        assert_eq!(sample.histogram, histograms[index]);
        count += 1;
    }
    assert_eq!((count, open.len()), (histograms.len(), histograms.len()));
    open.size_bytes()
}

/// Whatever decodes can be put together.
fn survive(bytes: &[u8]) {
    if let Ok(chunk) = HistogramChunk::decode(bytes) {
        let parts: usize = (0..chunk.len())
            .filter_map(|index| chunk.histogram(index))
            .map(|histogram| histogram.parts())
            .sum();
        assert!(parts <= MAX_CHUNK_PARTS);
        assert!((0..chunk.len()).all(|index| chunk.float_histogram(index).is_some()));
        assert!(chunkenc::header(bytes).is_ok());
    }
    if let Ok((histogram, taken)) = chunkenc::take_histogram(bytes) {
        assert!(taken <= bytes.len());
        let mut again = Vec::new();
        chunkenc::put_histogram(&histogram, &mut again).unwrap();
        assert_eq!(chunkenc::take_histogram(&again).unwrap().0, histogram);
    }
    let (mut timestamps, mut starts, mut values) = (vec![1], vec![2], vec![0.5]);
    if chunkenc::decode_with_starts(bytes, &mut timestamps, &mut starts, &mut values).is_err() {
        assert_eq!((timestamps.len(), starts.len(), values.len()), (1, 1, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn histograms_round_trip((timestamps, starts, histograms) in any_chunk()) {
        check_sealed(&timestamps, &starts, &histograms);
        check_open(&timestamps, &starts, &histograms);
        let mut bytes = Vec::new();
        for histogram in &histograms {
            chunkenc::put_histogram(histogram, &mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        for histogram in &histograms {
            let (back, taken) = chunkenc::take_histogram(rest).unwrap();
            prop_assert_eq!(&back, histogram);
            rest = &rest[taken..];
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn floats_keep_their_starts(
        timestamps in ascending_timestamps(60),
        starts in any_starts(),
        values in prop::collection::vec(any_double(), 60),
    ) {
        let count = timestamps.len().min(starts.len());
        let (timestamps, starts) = (&timestamps[..count], &starts[..count]);
        let times = SampleTimes { timestamps, start_timestamps: starts };
        let mut bytes = Vec::new();
        chunkenc::encode_with_starts(times, &values[..count], &mut bytes).unwrap();
        let (mut at, mut since, mut back) = (vec![], vec![], vec![]);
        let decoded = chunkenc::decode_with_starts(&bytes, &mut at, &mut since, &mut back);
        prop_assert_eq!(decoded, Ok(count));
        prop_assert_eq!((&at[..], &since[..]), (timestamps, known(starts)));
        prop_assert!(crate::samples::same_bits(&back, &values[..count]));
        // Whoever does not ask for them reads the same floats.
        let (mut at, mut back) = (vec![], vec![]);
        prop_assert_eq!(chunkenc::decode(&bytes, &mut at, &mut back), Ok(count));
        prop_assert!(crate::samples::same_bits(&back, &values[..count]));
    }

    #[test]
    fn truncated_and_longer_chunks_are_errors((timestamps, starts, histograms) in any_chunk()) {
        let mut bytes = encode(&timestamps, &starts, &histograms);
        for end in 0..bytes.len() {
            let result = HistogramChunk::decode(&bytes[..end]).map(drop);
            prop_assert_eq!(result, Err(DecodeError::Truncated), "{} of {}", end, bytes.len());
        }
        bytes.push(0);
        prop_assert_eq!(
            HistogramChunk::decode(&bytes).map(drop),
            Err(DecodeError::TrailingBytes(1))
        );
    }

    #[test]
    fn mutations_are_survived(
        (timestamps, starts, histograms) in any_chunk(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encode(&timestamps, &starts, &histograms);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            survive(&bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_survived(
        head in (select(vec![0x02u8, 0x03, 0x11, 0x12, 0x13]), 1u8..100),
        bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..16, any::<u8>()], 0..200),
    ) {
        survive(&bytes);
        survive(&[&[head.0, head.1, 0, 0], &bytes[..]].concat());
    }
}

/// A latency histogram of a busy service, scrape `n`.
fn typical(n: i64) -> Histogram {
    let count = |bucket: i64| n * (40 - (bucket - 20).abs()) + n * bucket * 7 % 11;
    let counts: Vec<i64> = (0..40).map(count).collect();
    let mut previous = 0;
    let deltas = counts.iter().map(|count| {
        let delta = count - previous;
        previous = *count;
        delta
    });
    Histogram::Integer(Arc::new(IntegerHistogram {
        schema: 3,
        zero_threshold: 2.938735877055719e-39,
        count: counts.iter().sum::<i64>().unsigned_abs(),
        sum: n as f64 * 12.345,
        positive_spans: vec![Span {
            offset: -10,
            length: 40,
        }],
        positive_deltas: deltas.collect(),
        ..IntegerHistogram::default()
    }))
}

#[test]
fn typical_chunks_are_small() {
    let timestamps: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    let starts = vec![1_699_000_000_000; 120];
    let histograms: Vec<Histogram> = (0..120).map(typical).collect();
    // 40 buckets and 4 numbers per sample: below a byte each.
    assert!(check_sealed(&timestamps, &starts, &histograms) <= 120 * 44);
    assert!(check_open(&timestamps, &starts, &histograms) <= 120 * 120);
    let same = vec![typical(7); 120];
    let without = check_sealed(&timestamps, &[], &same);
    assert!(without <= 240, "{without} bytes");
    assert!(check_sealed(&timestamps, &starts, &same) <= without + 8);
}

fn with_buckets(buckets: usize) -> Histogram {
    Histogram::Integer(Arc::new(IntegerHistogram {
        positive_deltas: vec![0; buckets],
        ..IntegerHistogram::default()
    }))
}

#[test]
fn sizes_are_bounded_when_encoding() {
    let timestamps: Vec<i64> = (0..17).collect();
    let try_encode = |histograms: &[Histogram]| {
        let times = SampleTimes {
            timestamps: &timestamps[..histograms.len()],
            start_timestamps: &[],
        };
        let mut out = vec![1];
        let refused = chunkenc::encode_histograms(times, histograms, &mut out);
        assert_eq!(out.len() > 1, refused.is_ok());
        refused
    };
    let large = with_buckets(MAX_HISTOGRAM_PARTS);
    assert_eq!(try_encode(&vec![large.clone(); 16]), Ok(()));
    let refused = try_encode(&vec![large.clone(); 17]);
    assert!(
        matches!(refused, Err(EncodeError::TooManyParts { .. })),
        "{refused:?}"
    );
    let refused = try_encode(&[with_buckets(MAX_HISTOGRAM_PARTS + 1)]);
    assert!(
        matches!(refused, Err(EncodeError::TooManyParts { .. })),
        "{refused:?}"
    );
    let mixed = [typical(1), Histogram::Float(typical(1).to_float())];
    assert_eq!(try_encode(&mixed), Err(EncodeError::MixedHistograms));
    assert_eq!(try_encode(&[]), Err(EncodeError::Empty));

    let mut open = OpenHistograms::default();
    let mut taken = 0;
    while !open.is_full() {
        open.append(taken, 0, &large).unwrap();
        taken += 1;
    }
    assert_eq!(taken, 16);
    assert_eq!(
        open.append(9, 0, &mixed[1]),
        Err(EncodeError::MixedHistograms)
    );
    let refused = OpenHistograms::default().append(0, 0, &with_buckets(MAX_HISTOGRAM_PARTS + 1));
    assert!(
        matches!(refused, Err(EncodeError::TooManyParts { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_few_bytes_cannot_ask_for_all_memory() {
    // 60 000 samples at one step, one run, a layout with 60 000 positive buckets.
    let count = [0xe0, 0xd4, 0x03];
    let head = [&[0x02], &count[..], &[1, 0, 2], &[1], &count[..]].concat();
    let layout = [&[0_u8; 9][..], &[0, 0, 0], &count[..], &[0]].concat();
    let bytes = [head, layout, vec![0; 120_000]].concat();
    assert_eq!(
        HistogramChunk::decode(&bytes).map(drop),
        Err(DecodeError::Corrupt("histogram is too large"))
    );
    // Spans and buckets that are not there are not reserved either.
    for layout in [
        [&[0_u8; 9][..], &[0], &count[..]].concat(),
        [&[0_u8; 9][..], &[0, 0, 0], &count[..], &[0]].concat(),
    ] {
        let bytes = [vec![0], layout, vec![0; 100]].concat();
        assert_eq!(
            chunkenc::take_histogram(&bytes).map(drop),
            Err(DecodeError::Truncated)
        );
    }
}

#[test]
fn every_bit_flip_of_a_typical_chunk_is_survived() {
    let timestamps: Vec<i64> = (0..20).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    for float in [false, true] {
        let histograms: Vec<Histogram> = (0..20)
            .map(|n| {
                let histogram = typical(n);
                if float {
                    Histogram::Float(histogram.to_float())
                } else {
                    histogram
                }
            })
            .collect();
        let mut bytes = encode(&timestamps, &timestamps, &histograms);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            survive(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}
