//! Columns of samples that try every path of the codecs.

use proptest::prelude::*;
use proptest::sample::select;

pub(crate) fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

pub(crate) fn same_bits(a: &[f64], b: &[f64]) -> bool {
    bits(a) == bits(b)
}

const SPECIALS: [u64; 12] = [
    0x7ff0_0000_0000_0002,
    0x7ff8_0000_0000_0001,
    0x7ff8_0000_0000_0000,
    0xfff8_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x8000_0000_0000_0000,
    0x0000_0000_0000_0000,
    0x0000_0000_0000_0001,
    0x7fef_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
    0x43e0_0000_0000_0000,
];

fn special() -> impl Strategy<Value = f64> {
    select(&SPECIALS[..]).prop_map(f64::from_bits)
}

fn any_bits() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}

/// Running sum of small steps, with resets, as a decimal of `decimals` digits.
fn counter(length: usize) -> impl Strategy<Value = Vec<f64>> {
    let step = prop_oneof![8 => 0i64..20, 2 => 0i64..100_000, 1 => Just(-1i64)];
    (
        prop::collection::vec(step, 1..length),
        0i64..1 << 52,
        0i32..7,
        1i64..5000,
    )
        .prop_map(|(steps, start, decimals, unit)| {
            let mut sum = start % 1_000_000;
            let next = |step| {
                sum = if step < 0 { 0 } else { sum + step };
                (sum * unit) as f64 / 10f64.powi(decimals)
            };
            steps.into_iter().map(next).collect()
        })
}

fn homogeneous(length: usize) -> impl Strategy<Value = Vec<f64>> {
    let length = 1..length;
    prop_oneof![
        2 => prop::collection::vec(any_bits(), length.clone()),
        2 => prop::collection::vec(special(), length.clone()),
        2 => prop::collection::vec(-1.0..1.0f64, length.clone()),
        2 => prop::collection::vec((-100_000i32..100_000).prop_map(|m| f64::from(m) / 1000.0), length.clone()),
        1 => prop::collection::vec(any::<f32>().prop_map(f64::from), length.clone()),
        1 => prop::collection::vec(any::<i64>().prop_map(|m| m as f64), length.clone()),
        1 => prop::collection::vec(select(vec![1.0, 1.5, 1.0 / 3.0]), length.clone()),
        1 => (any_bits(), length.clone()).prop_map(|(value, count)| vec![value; count]),
        1 => prop::collection::vec((any::<u32>(), -300..300i32), length)
            .prop_map(|pairs| pairs.iter().map(|&(m, e)| f64::from(m) * 10f64.powi(e)).collect()),
        6 => counter(700),
    ]
}

/// A column of one kind with intruders: specials, other doubles, runs of them.
pub(crate) fn value_column(length: usize) -> impl Strategy<Value = Vec<f64>> {
    let intruder = (
        any::<prop::sample::Index>(),
        1usize..4,
        prop_oneof![4 => special(), 1 => any_bits(), 1 => -1.0..1.0f64],
    );
    (homogeneous(length), prop::collection::vec(intruder, 0..5)).prop_map(
        move |(mut values, intruders)| {
            values.truncate(length);
            for (at, run, value) in intruders {
                let at = at.index(values.len());
                values
                    .iter_mut()
                    .skip(at)
                    .take(run)
                    .for_each(|slot| *slot = value);
            }
            values
        },
    )
}

/// Strictly ascending: regular, jittered, with gaps, or anywhere from end to end of the range.
pub(crate) fn ascending_timestamps(length: usize) -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        20 => Just(0i64),
        2 => -40i64..40,
        1 => 0i64..10_000_000,
    ];
    let scraped = (
        any::<i32>(),
        50i64..100_000,
        prop::collection::vec(step, 1..length),
    )
        .prop_map(|(start, interval, noise)| {
            let mut timestamp = i64::from(start) * 1000;
            let next = |noise: i64| {
                timestamp += (interval + noise).max(1);
                timestamp
            };
            noise.into_iter().map(next).collect::<Vec<_>>()
        });
    let wild = prop::collection::btree_set(any::<i64>(), 1..length)
        .prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let edge = (0..length as i64).prop_map(|n| (i64::MAX - n..=i64::MAX).collect::<Vec<_>>());
    prop_oneof![6 => scraped, 2 => wild, 1 => edge]
}

/// In any order.
pub(crate) fn any_timestamps(length: usize) -> impl Strategy<Value = Vec<i64>> {
    let extreme = select(vec![
        i64::MIN,
        i64::MIN + 1,
        -1,
        0,
        1,
        i64::MAX - 1,
        i64::MAX,
    ]);
    prop_oneof![
        3 => ascending_timestamps(length),
        1 => prop::collection::vec(any::<i64>(), 1..length),
        1 => prop::collection::vec(extreme, 1..length),
        1 => prop::collection::vec(0i64..1000, 1..length),
    ]
}
