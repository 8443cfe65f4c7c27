//! Large chunks: exact, whole and in part, with timestamps inside or in a shared stream.

use chunkenc::{
    DecodeError, EncodeError, LargeChunk, LargeColumns, LargeSamples, MAX_LARGE_SAMPLES,
    SampleTimes, StreamRef, TimeBounds, encode_large,
};
use model::ValueSummary;
use proptest::prelude::*;

use crate::samples::{ascending_timestamps, same_bits, value_column};

const ALL: TimeBounds = TimeBounds {
    min_timestamp: i64::MIN,
    max_timestamp: i64::MAX,
};

type Decoded = (Vec<i64>, Vec<i64>, Vec<f64>);

fn decode(bytes: &[u8], stream: &[i64], bounds: TimeBounds) -> Result<Decoded, DecodeError> {
    let (mut timestamps, mut start_timestamps, mut values) = (vec![1, 2], vec![3], vec![0.5]);
    let chunk = LargeChunk::read(bytes)?;
    let mut columns = LargeColumns {
        timestamps: &mut timestamps,
        start_timestamps: &mut start_timestamps,
        values: &mut values,
    };
    let decoded = chunk.decode(stream, bounds, &mut columns);
    let count = decoded.unwrap_or(0);
    let starts = if chunk.header().has_start_timestamps {
        count
    } else {
        0
    };
    assert_eq!(timestamps.len(), count + 2);
    assert_eq!(start_timestamps.len(), starts + 1);
    assert_eq!(values.len(), count + 1);
    for capacity in [timestamps.capacity(), values.capacity()] {
        assert!(capacity <= MAX_LARGE_SAMPLES * 4);
    }
    decoded?;
    timestamps.drain(..2);
    start_timestamps.remove(0);
    values.remove(0);
    Ok((timestamps, start_timestamps, values))
}

fn encode(
    timestamps: &[i64],
    start_timestamps: &[i64],
    values: &[f64],
    stream: Option<StreamRef>,
) -> Vec<u8> {
    let samples = LargeSamples {
        times: SampleTimes {
            timestamps,
            start_timestamps,
        },
        stream,
        values,
        facts: ValueSummary::of(values),
    };
    let mut bytes = Vec::new();
    encode_large(&samples, &mut bytes).unwrap();
    bytes
}

#[derive(Clone, Debug)]
struct Samples {
    timestamps: Vec<i64>,
    starts: Vec<i64>,
    values: Vec<f64>,
}

fn samples() -> impl Strategy<Value = Samples> {
    let starts = prop_oneof![3 => Just(0_i64), 1 => Just(1_699_999_000_000), 1 => any::<i64>()];
    let columns = (
        value_column(3000),
        ascending_timestamps(3000),
        starts,
        0..4_usize,
    );
    columns.prop_map(|(mut values, mut timestamps, start, repeat)| {
        // Long enough for several segments.
        for _ in 0..repeat {
            values.extend_from_within(..);
        }
        let count = values.len().min(timestamps.len());
        values.truncate(count);
        timestamps.truncate(count);
        Samples {
            starts: vec![start; if start == 0 { 0 } else { count }],
            timestamps,
            values,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn large_chunks_round_trip(
        samples in samples(),
        cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        before in 0..5_usize,
    ) {
        let Samples { timestamps, starts, values } = samples;
        let count = timestamps.len();
        let stream: Vec<i64> = std::iter::repeat_n(i64::MIN, before)
            .chain(timestamps.iter().copied())
            .chain([i64::MAX])
            .collect();
        let reference = StreamRef { id: u32::MAX, start: before as u32 };
        let pick = |at: prop::sample::Index| timestamps[at.index(count)];
        let some = TimeBounds { min_timestamp: pick(cut.0), max_timestamp: pick(cut.1) };
        for stream_ref in [None, Some(reference)] {
            let bytes = encode(&timestamps, &starts, &values, stream_ref);
            let chunk = LargeChunk::read(&bytes).unwrap();
            let header = *chunk.header();
            prop_assert_eq!((header.count, header.stream), (count, stream_ref));
            let ends = (header.first_timestamp, header.last_timestamp);
            prop_assert_eq!(ends, (timestamps[0], timestamps[count - 1]));
            let (got, want) = (format!("{:?}", header.facts), format!("{:?}", ValueSummary::of(&values)));
            prop_assert_eq!(got, want);
            for bounds in [ALL, some] {
                let within: Vec<usize> = (0..count)
                    .filter(|at| (bounds.min_timestamp..=bounds.max_timestamp).contains(&timestamps[*at]))
                    .collect();
                let decoded = decode(&bytes, &stream, bounds).unwrap();
                let want: Vec<i64> = within.iter().map(|at| timestamps[*at]).collect();
                prop_assert_eq!(decoded.0, want);
                let known = starts.iter().any(|start| *start != 0);
                let want: Vec<i64> =
                    within.iter().filter(|_| known).map(|at| starts[*at]).collect();
                prop_assert_eq!(decoded.1, want);
                let want: Vec<f64> = within.iter().map(|at| values[*at]).collect();
                prop_assert!(same_bits(&decoded.2, &want));
            }
        }
    }

    #[test]
    fn damaged_large_chunks_are_survived(
        samples in samples(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let Samples { timestamps, starts, values } = samples;
        let reference = StreamRef { id: 7, start: 0 };
        for stream_ref in [None, Some(reference)] {
            let mut bytes = encode(&timestamps, &starts, &values, stream_ref);
            let cut = &bytes[..end.index(bytes.len())];
            prop_assert!(decode(cut, &timestamps, ALL).is_err());
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
                // What still decodes need not be what was there: blocks have checksums for that.
                let _survived = decode(&bytes, &timestamps, ALL);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_large_chunk_or_decode(
        head in prop::collection::vec(prop_oneof![Just(0_u8), 0..16_u8, any::<u8>()], 0..300),
        starts in any::<bool>(),
    ) {
        let mut bytes = vec![if starts { 0x14 } else { 0x04 }];
        bytes.extend(head);
        let _survived = decode(&bytes, &[1, 2, 3], ALL);
    }
}

#[test]
fn a_constant_day_takes_a_few_bytes() {
    let timestamps: Vec<i64> = (0..5760).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    for value in [0.0, 7.0, 12.25, 1.0 / 3.0] {
        let most = 26;
        let values = vec![value; 5760];
        let shared = encode(
            &timestamps,
            &[],
            &values,
            Some(StreamRef { id: 3, start: 0 }),
        );
        assert!(shared.len() <= most, "{value}: {} bytes", shared.len());
        let inline = encode(&timestamps, &[], &values, None);
        assert!(inline.len() <= most + 12, "{value}: {} bytes", inline.len());
    }
}

#[test]
fn streams_that_do_not_have_the_timestamps_are_refused() {
    let timestamps: Vec<i64> = (0..50).map(|i| i * 1000).collect();
    let reference = StreamRef { id: 0, start: 1 };
    let bytes = encode(&timestamps, &[], &[1.5; 50], Some(reference));
    let shifted: Vec<i64> = (0..60).map(|i| i * 1000).collect();
    for (stream, reason) in [
        (&timestamps[..], "timestamp stream is too short"),
        (&[], "timestamp stream is too short"),
        (&shifted, "timestamps differ from the head"),
    ] {
        let decoded = decode(&bytes, stream, ALL);
        assert_eq!(decoded, Err(DecodeError::Corrupt(reason)));
    }
}

#[test]
fn columns_that_make_no_large_chunk_are_refused() {
    let encode = |timestamps: &[i64], values: &[f64]| {
        let samples = LargeSamples {
            times: SampleTimes {
                timestamps,
                start_timestamps: &[],
            },
            stream: None,
            values,
            facts: None,
        };
        encode_large(&samples, &mut Vec::new())
    };
    assert_eq!(encode(&[], &[]), Err(EncodeError::Empty));
    let mismatch = EncodeError::LengthMismatch {
        timestamps: 1,
        values: 2,
    };
    assert_eq!(encode(&[1], &[1.0, 2.0]), Err(mismatch));
    let count = MAX_LARGE_SAMPLES + 1;
    let timestamps: Vec<i64> = (0..count as i64).collect();
    let long = EncodeError::TooManySamples { count };
    assert_eq!(encode(&timestamps, &vec![0.0; count]), Err(long));
    for bytes in [&[][..], &[1, 1], &[4, 0], &[4, 0x81, 0x40]] {
        assert!(LargeChunk::read(bytes).is_err(), "{bytes:?}");
    }
}
