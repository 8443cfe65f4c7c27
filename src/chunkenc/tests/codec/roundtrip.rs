//! Every bit of every sample comes back, whatever the samples are.

use chunkenc::{OpenChunk, TimeBounds};
use proptest::prelude::*;

use crate::samples::{any_timestamps, ascending_timestamps, bits, same_bits, value_column};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn value_columns_round_trip(values in value_column(700)) {
        let mut bytes = vec![0xee];
        chunkenc::encode_values(&values, &mut bytes).unwrap();
        let mut decoded = vec![3.5];
        let taken = chunkenc::decode_values(&bytes[1..], values.len(), &mut decoded).unwrap();
        prop_assert_eq!(taken, bytes.len() - 1);
        prop_assert_eq!(bits(&decoded[1..]), bits(&values));
        // Packed bits never take more than the bits themselves; blocks and heads add a little.
        prop_assert!(bytes.len() <= values.len() * 8 + values.len() / 4 + 32);

        bytes.clear();
        chunkenc::encode_values_as_xor(&values, &mut bytes).unwrap();
        decoded.clear();
        chunkenc::decode_values(&bytes, values.len(), &mut decoded).unwrap();
        prop_assert!(same_bits(&decoded, &values));
    }

    #[test]
    fn timestamp_columns_round_trip(timestamps in any_timestamps(700)) {
        let mut bytes = Vec::new();
        chunkenc::encode_timestamps(&timestamps, &mut bytes).unwrap();
        let mut decoded = vec![7];
        let taken = chunkenc::decode_timestamps(&bytes, timestamps.len(), &mut decoded).unwrap();
        prop_assert_eq!(taken, bytes.len());
        prop_assert_eq!(&decoded[1..], &timestamps[..]);
    }

    #[test]
    fn chunks_round_trip_and_tell_their_range(
        values in value_column(400),
        seed in ascending_timestamps(400),
        cut in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let count = values.len().min(seed.len());
        let (timestamps, values) = (&seed[..count], &values[..count]);
        let mut bytes = Vec::new();
        chunkenc::encode(timestamps, values, &mut bytes).unwrap();
        let header = chunkenc::header(&bytes).unwrap();
        prop_assert_eq!(header.count, count);
        prop_assert_eq!(header.first_timestamp, timestamps[0]);
        prop_assert_eq!(header.last_timestamp, timestamps[count - 1]);
        let (mut decoded_timestamps, mut decoded_values) = (vec![], vec![]);
        let decoded = chunkenc::decode(&bytes, &mut decoded_timestamps, &mut decoded_values);
        prop_assert_eq!(decoded, Ok(count));
        prop_assert_eq!(&decoded_timestamps[..], timestamps);
        prop_assert!(same_bits(&decoded_values, values));

        let pick = |at: prop::sample::Index| timestamps[at.index(count)];
        let bounds = TimeBounds { min_timestamp: pick(cut.0), max_timestamp: pick(cut.1) };
        let within: Vec<usize> = (0..count)
            .filter(|&i| (bounds.min_timestamp..=bounds.max_timestamp).contains(&timestamps[i]))
            .collect();
        let (mut some_timestamps, mut some_values) = (vec![1], vec![0.5]);
        let some =
            chunkenc::decode_range(&bytes, bounds, &mut some_timestamps, &mut some_values);
        prop_assert_eq!(some, Ok(within.len()));
        let expected: Vec<i64> = within.iter().map(|&i| timestamps[i]).collect();
        prop_assert_eq!(&some_timestamps[1..], &expected[..]);
        let expected: Vec<f64> = within.iter().map(|&i| values[i]).collect();
        prop_assert!(same_bits(&some_values[1..], &expected));
    }

    #[test]
    fn open_chunks_round_trip(values in value_column(chunkenc::MAX_OPEN_SAMPLES), timestamps in any_timestamps(chunkenc::MAX_OPEN_SAMPLES)) {
        let mut chunk = OpenChunk::new();
        let mut snapshot = chunk.clone();
        for (&timestamp, &value) in timestamps.iter().zip(&values) {
            chunk.append(timestamp, value).unwrap();
            if chunk.len() == 50 {
                snapshot = chunk.clone();
            }
        }
        let count = values.len().min(timestamps.len());
        for (chunk, count) in [(&chunk, count), (&snapshot, snapshot.len())] {
            let (mut decoded_timestamps, mut decoded_values) = (vec![], vec![]);
            prop_assert_eq!(chunk.decode_into(&mut decoded_timestamps, &mut decoded_values), count);
            prop_assert_eq!(&decoded_timestamps[..], &timestamps[..count]);
            prop_assert!(same_bits(&decoded_values, &values[..count]));
        }
        let (timestamp, value) = chunk.last().unwrap();
        prop_assert_eq!(timestamp, timestamps[count - 1]);
        prop_assert_eq!(value.to_bits(), values[count - 1].to_bits());
    }
}

#[test]
fn the_longest_chunk_round_trips() {
    let timestamps: Vec<i64> = (0..chunkenc::MAX_SAMPLES as i64)
        .map(|i| i * 1000 + i % 3)
        .collect();
    let values: Vec<f64> = timestamps.iter().map(|&t| (t / 7) as f64 / 100.0).collect();
    let mut bytes = Vec::new();
    chunkenc::encode(&timestamps, &values, &mut bytes).unwrap();
    let (mut decoded_timestamps, mut decoded_values) = (vec![], vec![]);
    let count = chunkenc::decode(&bytes, &mut decoded_timestamps, &mut decoded_values).unwrap();
    assert_eq!(
        (count, decoded_timestamps),
        (chunkenc::MAX_SAMPLES, timestamps)
    );
    assert!(same_bits(&decoded_values, &values));
}

#[test]
fn columns_that_make_no_chunk_are_refused() {
    use chunkenc::EncodeError::{Empty, LengthMismatch, TooManySamples};
    let mut out = vec![1];
    let mismatch = chunkenc::encode(&[1, 2], &[1.0], &mut out);
    assert_eq!(
        mismatch,
        Err(LengthMismatch {
            timestamps: 2,
            values: 1
        })
    );
    assert_eq!(chunkenc::encode(&[], &[], &mut out), Err(Empty));
    let count = chunkenc::MAX_SAMPLES + 1;
    let long = chunkenc::encode_values(&vec![0.0; count], &mut out);
    assert_eq!(long, Err(TooManySamples { count }));
    assert_eq!(out, [1]);
}

#[test]
fn a_constant_chunk_is_small() {
    let timestamps: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    let mut bytes = Vec::new();
    chunkenc::encode(&timestamps, &[1.0; 120], &mut bytes).unwrap();
    assert_eq!(bytes.len(), 14);
}
