//! The open chunk: exactness, sizes, growth.

use super::*;

const STALE: f64 = f64::from_bits(STALE_MARKER);

/// Appends the samples, compares everything that can be read back, returns the size in bytes.
#[track_caller]
fn check(timestamps: &[i64], values: &[f64]) -> usize {
    let mut chunk = OpenChunk::new();
    for (i, (&timestamp, &value)) in timestamps.iter().zip(values).enumerate() {
        chunk.append(timestamp, value).unwrap();
        assert_eq!(chunk.len(), i + 1);
        let (last_timestamp, last_value) = chunk.last().unwrap();
        assert_eq!(
            (last_timestamp, last_value.to_bits()),
            (timestamp, value.to_bits())
        );
    }
    assert_eq!(chunk.first_timestamp(), timestamps.first().copied());
    let (mut decoded_timestamps, mut decoded_values) = (vec![1], vec![2.0]);
    let count = chunk
        .clone()
        .decode_into(&mut decoded_timestamps, &mut decoded_values);
    assert_eq!(count, timestamps.len());
    assert_eq!(&decoded_timestamps[1..], timestamps);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&decoded_values[1..]), bits(values));
    chunk.size_bytes()
}

fn regular(count: usize) -> Vec<i64> {
    (0..count as i64)
        .map(|i| 1_700_000_000_000 + i * 15_000)
        .collect()
}

#[test]
fn the_empty_chunk_has_nothing() {
    assert_eq!(check(&[], &[]), 40);
    let chunk = OpenChunk::new();
    assert!(chunk.is_empty() && chunk.last().is_none() && chunk.first_timestamp().is_none());
}

#[test]
fn constants_hardly_grow() {
    assert!(check(&regular(128), &[3.0; 128]) <= 40 + 16);
    assert!(check(&regular(128), &[0.125; 128]) <= 40 + 32);
    assert!(check(&regular(255), &[f64::NAN; 255]) <= 40 + 32);
}

#[test]
fn small_steps_are_a_byte() {
    let counter: Vec<f64> = (0..128).map(|i| f64::from(i * 3 + i % 5)).collect();
    assert!(check(&regular(128), &counter) <= 40 + 160);
    let decimals: Vec<f64> = (0..128)
        .map(|i| f64::from(2000 + (i * i) % 60) / 100.0)
        .collect();
    assert!(check(&regular(128), &decimals) <= 40 + 192);
}

#[test]
fn jitter_is_at_most_a_byte_more() {
    let jittered: Vec<i64> = regular(128)
        .iter()
        .enumerate()
        .map(|(i, t)| t + (i as i64 * i as i64) % 5)
        .collect();
    assert!(check(&jittered, &[7.0; 128]) <= 40 + 160);
    let counter: Vec<f64> = (0..128).map(|i| f64::from(i * 3 + i % 5)).collect();
    assert!(check(&jittered, &counter) <= 40 + 320);
}

#[test]
fn extremes_and_specials_come_back() {
    let timestamps = [
        i64::MIN,
        i64::MAX,
        0,
        -1,
        5,
        4,
        1 << 40,
        (1 << 40) + 1,
        (1 << 40) + 2,
    ];
    let values = [
        STALE,
        -0.0,
        0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::from_bits(u64::MAX),
        5e-324,
        f64::MAX,
        1e22,
    ];
    check(&timestamps, &values);
    check(&regular(9), &values);
    let integers = [
        9e18,
        -9.223_372_036_854_776e18,
        1.0,
        -1e15,
        4e9,
        3.0,
        9.223_372_036_854_776e18,
    ];
    check(&regular(7), &integers);
}

#[test]
fn intervals_that_do_not_fit_are_forgotten() {
    let long = 1i64 << 32;
    check(
        &[0, long, 2 * long, 2 * long, 2 * long + 5, 2 * long + 10],
        &[1.0; 6],
    );
    check(&[0, -5, -10, -15, -10, -5], &[1.0; 6]);
}

#[test]
fn exponents_follow_the_values() {
    let values = [
        1.0,
        1.5,
        1.25,
        2.0,
        1e-9,
        100.0,
        0.1,
        STALE,
        0.1,
        0.2,
        1.0 / 3.0,
        0.3,
        7.0,
    ];
    check(&regular(values.len()), &values);
    let singles: Vec<f64> = (1u8..100).map(|i| f64::from(f32::from(i).sqrt())).collect();
    assert!(check(&regular(99), &singles) <= 40 + 99 * 6 + 64);
    let doubles: Vec<f64> = (1..100).map(|i| f64::from(i).sqrt()).collect();
    assert!(check(&regular(99), &doubles) <= 40 + 99 * 9 + 64);
}

#[test]
fn a_chunk_remembers_what_was_taken() {
    let mut chunk = OpenChunk::new();
    assert_eq!(chunk.newest(), (0, 0.0));
    chunk.set_newest(5, 1.5);
    assert_eq!(chunk.newest(), (5, 1.5));
    assert!(chunk.is_empty() && chunk.last().is_none());
    for value in [0.0, 0.0, 0.1, 0.1] {
        chunk.append(7, value).unwrap();
    }
    chunk.set_newest(8, 3.0);
    assert_eq!(chunk.newest(), (7, 0.1));
    let taken = chunk.take();
    assert_eq!((taken.len(), taken.last()), (4, Some((7, 0.1))));
    assert!(chunk.is_empty() && chunk.first_timestamp().is_none());
    assert_eq!(chunk.newest(), (7, 0.1));
    let mut values = Vec::new();
    assert_eq!(taken.decode_into(&mut Vec::new(), &mut values), 4);
    assert_eq!(values, [0.0, 0.0, 0.1, 0.1]);
    // What was there before does not shape the next samples.
    for value in [0.1, 0.0] {
        chunk.append(9, value).unwrap();
    }
    values.clear();
    chunk.decode_into(&mut Vec::new(), &mut values);
    assert_eq!(values, [0.1, 0.0]);
}

#[test]
fn the_count_is_bounded() {
    let mut chunk = OpenChunk::new();
    for timestamp in 0..MAX_OPEN_SAMPLES as i64 {
        chunk.append(timestamp, 1.0).unwrap();
        assert_eq!(chunk.is_full(), timestamp + 1 >= OPEN_CHUNK_SAMPLES as i64);
    }
    let refused = chunk.append(0, 1.0);
    assert_eq!(
        refused,
        Err(EncodeError::TooManySamples {
            count: MAX_OPEN_SAMPLES + 1
        })
    );
    assert_eq!(
        chunk.decode_into(&mut Vec::new(), &mut Vec::new()),
        MAX_OPEN_SAMPLES
    );
}
