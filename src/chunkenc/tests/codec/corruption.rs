//! Bytes that are no chunk give an error: no panic, no endless loop, no wild allocation.

use chunkenc::{DecodeError, MAX_SAMPLES, TimeBounds};
use proptest::prelude::*;

use crate::samples::{ascending_timestamps, value_column};

/// Runs every decoder over the bytes. What they return must be consistent.
fn decode_all(bytes: &[u8], count: usize) {
    let (mut timestamps, mut values) = (vec![1, 2], vec![0.5]);
    let header = chunkenc::header(bytes);
    match chunkenc::decode(bytes, &mut timestamps, &mut values) {
        Ok(decoded) => {
            assert_eq!((timestamps.len(), values.len()), (decoded + 2, decoded + 1));
            let header = header.expect("the header of a whole chunk");
            assert_eq!(header.count, decoded);
            assert_eq!(Some(&header.first_timestamp), timestamps.get(2));
            assert_eq!(Some(&header.last_timestamp), timestamps.last());
        }
        Err(_) => {
            assert_eq!((&timestamps[..], &values[..]), (&[1, 2][..], &[0.5][..]));
            assert!(
                timestamps.capacity() <= MAX_SAMPLES * 2 && values.capacity() <= MAX_SAMPLES * 2
            );
        }
    }
    let bounds = TimeBounds {
        min_timestamp: -5,
        max_timestamp: 1 << 40,
    };
    let ranged = chunkenc::decode_range(bytes, bounds, &mut timestamps, &mut values);
    assert!(ranged.unwrap_or(0) <= MAX_SAMPLES);
    let taken = chunkenc::decode_timestamps(bytes, count, &mut timestamps);
    assert!(taken.unwrap_or(0) <= bytes.len());
    let taken = chunkenc::decode_values(bytes, count, &mut values);
    assert!(taken.unwrap_or(0) <= bytes.len());
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    (value_column(300), ascending_timestamps(300)).prop_map(|(values, timestamps)| {
        let count = values.len().min(timestamps.len());
        let mut bytes = Vec::new();
        chunkenc::encode(&timestamps[..count], &values[..count], &mut bytes).unwrap();
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        count in 0..MAX_SAMPLES + 2,
    ) {
        decode_all(&bytes, count);
    }

    #[test]
    fn arbitrary_columns_are_survived(
        tags in (0u8..6, 0u8..128),
        bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..16, any::<u8>()], 0..300),
        count in 1usize..600,
    ) {
        // A plausible start leads further than wholly random bytes do.
        let mut chunk = vec![1, (count & 0x7f) as u8 | 0x80, (count >> 7) as u8, tags.0];
        chunk.extend_from_slice(&bytes);
        decode_all(&chunk, count);
        let mut column = vec![tags.1];
        column.extend_from_slice(&bytes);
        decode_all(&column, count);
    }

    #[test]
    fn every_truncation_is_an_error(bytes in chunk()) {
        for end in 0..bytes.len() {
            let result = chunkenc::decode(&bytes[..end], &mut Vec::new(), &mut Vec::new());
            prop_assert_eq!(result, Err(DecodeError::Truncated), "{} of {}", end, bytes.len());
        }
    }

    #[test]
    fn mutations_are_survived(
        bytes in chunk(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            decode_all(&bytes, 120);
        }
    }

    #[test]
    fn trailing_bytes_are_an_error(bytes in chunk(), extra in 1usize..4) {
        let mut bytes = bytes;
        bytes.extend(std::iter::repeat_n(0, extra));
        let result = chunkenc::decode(&bytes, &mut Vec::new(), &mut Vec::new());
        prop_assert_eq!(result, Err(DecodeError::TrailingBytes(extra)));
    }
}

#[test]
fn every_bit_flip_of_typical_chunks_is_survived() {
    let timestamps: Vec<i64> = (0..90)
        .map(|i| 1_700_000_000_000 + i * 15_000 + i % 4)
        .collect();
    let kinds: [fn(i64) -> f64; 4] = [
        |i| (i * 5) as f64,
        |i| ((i * i) % 70) as f64 / 100.0,
        |i| (i as f64).sqrt(),
        |i| if i % 9 == 0 { f64::NAN } else { (i / 5) as f64 },
    ];
    for kind in kinds {
        let values: Vec<f64> = (0..90).map(kind).collect();
        let mut bytes = Vec::new();
        chunkenc::encode(&timestamps, &values, &mut bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            decode_all(&bytes, 90);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn heads_with_impossible_fields_are_refused() {
    let cases: [(&[u8], DecodeError); 6] = [
        (&[], DecodeError::Truncated),
        (&[0], DecodeError::UnknownFormat(0)),
        (&[4, 1], DecodeError::UnknownFormat(4)),
        (&[1, 0], DecodeError::BadCount(0)),
        (&[1, 0x80, 0x80, 4], DecodeError::BadCount(65_536)),
        (
            &[1, 1, 0x10],
            DecodeError::Corrupt("unknown timestamp flags"),
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(chunkenc::header(bytes), Err(error), "{bytes:?}");
        let decoded = chunkenc::decode(bytes, &mut Vec::new(), &mut Vec::new());
        assert_eq!(decoded, Err(error), "{bytes:?}");
    }
}
