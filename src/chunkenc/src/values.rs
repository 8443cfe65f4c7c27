//! The value column: decimals as integers where they are exact, else float bits, else XOR.

use crate::decimal::{self, DecimalColumn, MAX_EXPONENT};
use crate::integers::{Column, ColumnHead, Shape};
use crate::varint::Reader;
use crate::{DecodeError, EncodeError, check_count, check_length, patches, xor};

/// What the integers of a column stand for: two bits of its tag byte.
const SOURCE_MASK: u8 = 0x30;
/// The integers are the values.
const SOURCE_INTEGERS: u8 = 0x00;
/// An exponent follows the tag, and the integers are mantissas.
const SOURCE_DECIMALS: u8 = 0x10;
/// The integers are the bits of the values, in the order of the values.
const SOURCE_BITS: u8 = 0x20;
/// There are no integers: XOR coding follows.
const SOURCE_XOR: u8 = 0x30;
/// A list of patches follows the integers.
const HAS_PATCHES: u8 = 0x40;
const KNOWN_BITS: u8 = SOURCE_MASK | HAS_PATCHES | ColumnHead::TAG_BITS;

/// Patches of more bytes per sample than this are no better than float bits.
const MAX_PATCH_BYTES_PER_SAMPLE: usize = 3;

/// Appends a column of values, any bits whatever.
///
/// # Errors
/// [`EncodeError::Empty`] and [`EncodeError::TooManySamples`].
pub fn encode_values(values: &[f64], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_length(values.len())?;
    let start = out.len();
    let constant = values
        .windows(2)
        .all(|pair| pair[0].to_bits() == pair[1].to_bits());
    // A constant column is decided by one value. The others only count.
    let looked_at = if constant { &values[..1] } else { values };
    if let Some(column) = DecimalColumn::from_values(looked_at)
        && (!constant || column.exceptions.is_empty())
    {
        encode_decimals(values, column, out);
        let patched = out.get(start).is_some_and(|tag| tag & HAS_PATCHES != 0);
        if !patched || out.len() - start <= values.len() * MAX_PATCH_BYTES_PER_SAMPLE {
            return Ok(());
        }
        out.truncate(start);
    }
    encode_doubles(looked_at, out);
    Ok(())
}

/// Appends a column of values by XOR alone, which [`decode_values`] reads as well. For
/// comparison: [`encode_values`] takes this way where it is the shortest.
///
/// # Errors
/// As [`encode_values`].
pub fn encode_values_as_xor(values: &[f64], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_length(values.len())?;
    out.push(SOURCE_XOR);
    xor::encode(values, usize::MAX, out);
    Ok(())
}

fn encode_decimals(values: &[f64], mut decimals: DecimalColumn, out: &mut Vec<u8>) {
    bridge(&mut decimals.mantissas, &decimals.exceptions);
    let column = Column::plan(decimals.mantissas, Shape::Free);
    let source = if decimals.exponent == 0 {
        SOURCE_INTEGERS
    } else {
        SOURCE_DECIMALS
    };
    let patched = if decimals.exceptions.is_empty() {
        0
    } else {
        HAS_PATCHES
    };
    out.push(column.tag() | source | patched);
    if decimals.exponent > 0 {
        out.push(decimals.exponent);
    }
    column.encode(out);
    if patched != 0 {
        patches::encode(values, &decimals.exceptions, out);
    }
}

/// Gives the places of exceptions integers that cost little: the first of a run continues with
/// the last step, so a counter keeps its rate, and the others hold, so a gauge keeps its range.
/// Either way a constant stays constant and a common divisor stays one.
fn bridge(mantissas: &mut [i64], exceptions: &[usize]) {
    let leading = exceptions
        .iter()
        .enumerate()
        .take_while(|&(i, &at)| i == at)
        .count();
    let value = mantissas.get(leading).copied().unwrap_or(0);
    mantissas[..leading].fill(value);
    let mut last_exception = 0;
    for &at in &exceptions[leading..] {
        let last = mantissas[at - 1];
        let continues = at >= 2 && last_exception + 1 != at;
        let before = if continues { mantissas[at - 2] } else { last };
        mantissas[at] = last.checked_add(last.wrapping_sub(before)).unwrap_or(last);
        last_exception = at;
    }
}

fn encode_doubles(values: &[f64], out: &mut Vec<u8>) {
    let bits = values
        .iter()
        .map(|value| ordered(value.to_bits()))
        .collect();
    let column = Column::plan(bits, Shape::Free);
    let start = out.len();
    let mut packed = Vec::with_capacity(values.len() * 8 + 16);
    column.encode(&mut packed);
    out.push(SOURCE_XOR);
    if packed.len() < 16 || !xor::encode(values, packed.len() - 1, out) {
        out.truncate(start);
        out.push(column.tag() | SOURCE_BITS);
        out.extend_from_slice(&packed);
    }
}

/// Float bits as an integer that grows with the float. Its own inverse but for the type.
#[inline(always)]
const fn ordered(bits: u64) -> i64 {
    let bits = bits.cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Appends the `count` values of a column to `out` and returns how many bytes it took. On an
/// error `out` is as it was.
///
/// # Errors
/// [`DecodeError::BadCount`], [`DecodeError::Truncated`] and [`DecodeError::Corrupt`].
pub fn decode_values(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    let start = out.len();
    match read_values(&mut reader, count, out) {
        Ok(()) => Ok(bytes.len() - reader.rest().len()),
        Err(err) => {
            out.truncate(start);
            Err(err)
        }
    }
}

/// Appends `count` values to `out`. After an error `out` holds a part.
pub(crate) fn read_values(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    check_count(count)?;
    let tag = reader.byte()?;
    let source = tag & SOURCE_MASK;
    let plain_xor = source == SOURCE_XOR && tag != SOURCE_XOR;
    if tag & !KNOWN_BITS != 0 || plain_xor {
        return Err(DecodeError::Corrupt("unknown value flags"));
    }
    let start = out.len();
    out.reserve(count);
    match source {
        SOURCE_XOR => xor::decode(reader, count, out)?,
        SOURCE_BITS => {
            let head = read_head(tag, reader)?;
            let restore = |bits: i64| f64::from_bits(ordered(bits.cast_unsigned()).cast_unsigned());
            head.decode(count, reader, |run| {
                out.extend(run.iter().map(|&bits| restore(bits)))
            })?;
        }
        SOURCE_DECIMALS => {
            let exponent = reader.byte()?;
            if exponent == 0 || exponent > MAX_EXPONENT {
                return Err(DecodeError::Corrupt("decimal exponent out of range"));
            }
            let power = decimal::power_of_ten(exponent);
            let head = read_head(tag, reader)?;
            let restore = |mantissa: i64| decimal::restore(mantissa, power);
            head.decode(count, reader, |run| {
                out.extend(run.iter().map(|&m| restore(m)))
            })?;
        }
        _ => {
            let head = read_head(tag, reader)?;
            head.decode(count, reader, |run| {
                out.extend(run.iter().map(|&m| m as f64))
            })?;
        }
    }
    match out.get_mut(start..) {
        Some(values) if tag & HAS_PATCHES != 0 => patches::decode(reader, values),
        _ => Ok(()),
    }
}

fn read_head(tag: u8, reader: &mut Reader<'_>) -> Result<ColumnHead, DecodeError> {
    let first = reader.zigzag()?;
    ColumnHead::read(tag, first, reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

    #[track_caller]
    fn check(values: &[f64], source: u8, most_bytes: usize) {
        let mut bytes = Vec::new();
        encode_values(values, &mut bytes).unwrap();
        let mut decoded = vec![1.5];
        assert_eq!(
            decode_values(&bytes, values.len(), &mut decoded),
            Ok(bytes.len())
        );
        let same = decoded[1..]
            .iter()
            .zip(values)
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(
            same && decoded.len() == values.len() + 1,
            "{values:?}\n{decoded:?}"
        );
        assert_eq!(bytes[0] & SOURCE_MASK, source, "{} bytes", bytes.len());
        assert!(bytes.len() <= most_bytes, "{} bytes", bytes.len());
    }

    #[test]
    fn constants_are_a_few_bytes() {
        check(&[0.0; 128], SOURCE_INTEGERS, 2);
        check(&[1_048_576.0; 5000], SOURCE_INTEGERS, 5);
        check(&[12.25; 128], SOURCE_DECIMALS, 4);
        check(&[1.0 / 3.0; 128], SOURCE_BITS, 11);
        check(&[f64::NAN; 128], SOURCE_BITS, 11);
        check(&[STALE], SOURCE_BITS, 11);
        check(&[-0.0], SOURCE_BITS, 11);
    }

    #[test]
    fn one_stale_marker_costs_a_few_bytes() {
        for at in [0, 1, 2, 60, 119] {
            let mut counter: Vec<f64> = (0..120).map(|i| f64::from(i * 15)).collect();
            counter[at] = STALE;
            check(&counter, SOURCE_INTEGERS, 13);
            let mut gauge: Vec<f64> = (0..120).map(|i| f64::from(i * i % 7 * 4096)).collect();
            gauge[at] = -0.0;
            check(&gauge, SOURCE_INTEGERS, 60);
        }
        check(
            &[STALE, f64::INFINITY, f64::NEG_INFINITY, 5.0, -0.0],
            SOURCE_INTEGERS,
            20,
        );
        check(&[STALE, STALE, f64::NAN, f64::NAN], SOURCE_INTEGERS, 10);
    }

    #[test]
    fn long_decimals_and_wide_integers_stay_integers() {
        let seconds: Vec<f64> = (0..120)
            .map(|i| f64::from(170_000_000 + i * i) / 100.0)
            .collect();
        check(&seconds, SOURCE_DECIMALS, 90);
        let nanoseconds: Vec<f64> = (0..120).map(|i| 1.7e18 + f64::from(i) * 1e9).collect();
        check(&nanoseconds, SOURCE_INTEGERS, 20);
        check(
            &[-9.223_372_036_854_776e18, 9e18, 0.0, 1.0],
            SOURCE_INTEGERS,
            60,
        );
    }

    #[test]
    fn single_precision_values_lose_their_empty_bits() {
        let values: Vec<f64> = (1u16..121)
            .map(|i| f64::from(f32::from(i).sqrt()))
            .collect();
        check(&values, SOURCE_BITS, 120 * 4);
    }

    #[test]
    fn true_doubles_never_take_more_than_raw() {
        let values: Vec<f64> = (0..120u64)
            .map(|i| f64::from_bits((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        check(&values, SOURCE_BITS, 120 * 8 + 16);
    }

    #[test]
    fn repeated_doubles_are_xored() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i / 3 % 5 + 2).sqrt()).collect();
        check(&values, SOURCE_XOR, 1200);
    }

    #[test]
    fn unknown_flags_and_exponents_are_refused() {
        for bytes in [
            [0x80, 0],
            [0x34, 0],
            [0x70, 0],
            [0x06, 0],
            [0x10, 0],
            [0x10, 23],
        ] {
            let result = decode_values(&bytes, 3, &mut Vec::new());
            assert!(
                matches!(result, Err(DecodeError::Corrupt(_))),
                "{bytes:?}: {result:?}"
            );
        }
    }
}
