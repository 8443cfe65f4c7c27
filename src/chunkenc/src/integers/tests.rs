//! The transforms: choice, size, exactness.

use super::*;
use crate::varint::Reader;

#[track_caller]
fn check(integers: &[i64], shape: Shape) -> (Transform, usize) {
    let column = Column::plan(integers.to_vec(), shape);
    let mut bytes = Vec::new();
    column.encode(&mut bytes);
    let mut reader = Reader::new(&bytes);
    let first = reader.zigzag().unwrap();
    let head = ColumnHead::read(column.tag(), first, &mut reader).unwrap();
    let mut decoded = Vec::new();
    head.decode(integers.len(), &mut reader, |run| {
        decoded.extend_from_slice(run)
    })
    .unwrap();
    assert_eq!(decoded, integers);
    assert!(reader.rest().is_empty());
    (column.transform, bytes.len())
}

#[test]
fn the_transform_follows_the_data() {
    let index = || 0..120i64;
    let noise = |i: i64| (i * i * 7919 + i * i * i) % 13;
    let cases: [(Vec<i64>, Shape, Transform, usize); 7] = [
        (vec![7; 120], Shape::Free, Transform::Constant, 1),
        (vec![i64::MIN], Shape::Free, Transform::Constant, 10),
        (
            index().map(|i| i * -15_000).collect(),
            Shape::Clocked,
            Transform::ConstantDelta { step: -15_000 },
            4,
        ),
        (
            index().map(|i| 900 + noise(i)).collect(),
            Shape::Free,
            Transform::Raw,
            65,
        ),
        (
            index().map(|i| i * 500 + noise(i)).collect(),
            Shape::Free,
            Transform::Delta,
            85,
        ),
        (
            index().map(|i| i * i * 50 + noise(i) / 12).collect(),
            Shape::Free,
            Transform::DeltaOfDelta { first_delta: 50 },
            50,
        ),
        (
            index().map(|i| i * 15_000 + noise(i)).collect(),
            Shape::Clocked,
            Transform::Line { slope: 15_000 },
            70,
        ),
    ];
    for (integers, shape, transform, most_bytes) in cases {
        let (chosen, bytes) = check(&integers, shape);
        assert_eq!(chosen, transform);
        assert!(bytes <= most_bytes, "{chosen:?}: {bytes} bytes");
    }
}

#[test]
fn common_divisors_are_taken_out() {
    for divisor in [3i64, 1000, 4096, 4096 * 9, 1 << 50] {
        let integers: Vec<i64> = (0..120).map(|i| -5 + divisor * ((i * i) % 11)).collect();
        let (_, bytes) = check(&integers, Shape::Free);
        assert!(bytes < 80, "{divisor}: {bytes} bytes");
    }
}

#[test]
fn extremes_wrap_and_come_back() {
    check(&[i64::MIN, i64::MAX], Shape::Clocked);
    check(&[i64::MIN, i64::MAX, 0, i64::MIN, 5], Shape::Free);
    check(&[0, i64::MIN, i64::MIN, 0], Shape::Free);
    check(&[i64::MAX, i64::MIN, i64::MAX, -1, 4, 4, 4], Shape::Clocked);
}

#[test]
fn block_borders_are_seamless() {
    for count in [1, 2, 3, 127, 128, 129, 130, 131, 256, 257, 258, 1000] {
        let jittered: Vec<i64> = (0..count).map(|i| i * 1000 + (i * i) % 7).collect();
        check(&jittered, Shape::Clocked);
        check(&jittered, Shape::Free);
        let cubes: Vec<i64> = (0..count).map(|i| i * i * i).collect();
        check(&cubes, Shape::Free);
        let noise: Vec<i64> = (0..count).map(|i| (i * 7919) % 101).collect();
        check(&noise, Shape::Free);
    }
}
