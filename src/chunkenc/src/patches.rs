//! Values that no decimal stands for, listed behind a decimal column.
//!
//! Equal neighbours make one run. The usual ones (stale marker, NaN, infinities, negative zero)
//! have a class of their own and take two bytes per run; any other value carries its bits.

use crate::DecodeError;
use crate::varint::{Reader, put_varint};

/// The NaN by which Prometheus marks the end of a series (model/value in its sources).
const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;
/// The NaN of Go programs; Rust's and C's has the last bit clear.
const GO_NAN: u64 = 0x7ff8_0000_0000_0001;
const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;
const INFINITY: u64 = 0x7ff0_0000_0000_0000;
const NEGATIVE_INFINITY: u64 = 0xfff0_0000_0000_0000;
const NEGATIVE_ZERO: u64 = 0x8000_0000_0000_0000;

/// Classes of values, by index. The bits of all others follow their run.
const CLASSES: [u64; 6] = [
    STALE_MARKER,
    GO_NAN,
    QUIET_NAN,
    INFINITY,
    NEGATIVE_INFINITY,
    NEGATIVE_ZERO,
];
const OTHER: u64 = 6;
/// Bits of a run's second number that hold the class.
const CLASS_BITS: u32 = 3;

/// Appends the values at `positions`, which ascend.
pub(crate) fn encode(values: &[f64], positions: &[usize], out: &mut Vec<u8>) {
    let runs =
        || positions.chunk_by(|&a, &b| b == a + 1 && values[a].to_bits() == values[b].to_bits());
    put_varint(runs().count() as u64, out);
    let mut end = 0;
    for run in runs() {
        let start = run[0];
        let bits = values[start].to_bits();
        let class = (0..OTHER).zip(CLASSES).find(|&(_, class)| class == bits);
        let class = class.map_or(OTHER, |(index, _)| index);
        put_varint((start - end) as u64, out);
        put_varint((run.len() as u64 - 1) << CLASS_BITS | class, out);
        if class == OTHER {
            out.extend_from_slice(&bits.to_le_bytes());
        }
        end = start + run.len();
    }
}

/// Reads a list and writes its values over those that stand in `values`.
pub(crate) fn decode(reader: &mut Reader<'_>, values: &mut [f64]) -> Result<(), DecodeError> {
    const OUTSIDE: DecodeError = DecodeError::Corrupt("patch outside the chunk");
    let runs = reader.varint()?;
    let mut rest = values;
    for _ in 0..runs {
        let gap = usize::try_from(reader.varint()?).map_err(|_| OUTSIDE)?;
        let word = reader.varint()?;
        let length = usize::try_from(word >> CLASS_BITS).map_err(|_| OUTSIDE)? + 1;
        let class = word & ((1 << CLASS_BITS) - 1);
        let bits = match (0..).zip(CLASSES).find(|&(index, _)| index == class) {
            Some((_, bits)) => bits,
            None if class == OTHER => reader.word()?,
            None => return Err(DecodeError::Corrupt("unknown patch class")),
        };
        let behind = rest.get_mut(gap..).ok_or(OUTSIDE)?;
        let (run, after) = behind.split_at_mut_checked(length).ok_or(OUTSIDE)?;
        run.fill(f64::from_bits(bits));
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_equal_values_are_one_entry() {
        let mut values = vec![0.0; 100];
        values[3..60].fill(f64::from_bits(STALE_MARKER));
        values[60] = f64::from_bits(0xfff8_dead_beef_0001);
        values[99] = -0.0;
        let positions: Vec<usize> = (3..61).chain([99]).collect();
        let mut bytes = Vec::new();
        encode(&values, &positions, &mut bytes);
        assert_eq!(bytes.len(), 1 + 3 + 10 + 2);
        let mut decoded = vec![0.0; 100];
        decode(&mut Reader::new(&bytes), &mut decoded).unwrap();
        assert!(
            decoded
                .iter()
                .zip(&values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
    }

    #[test]
    fn runs_outside_the_chunk_are_refused() {
        for bytes in [vec![1, 5, 0], vec![1, 0, 5 << 3], vec![2, 4, 0, 0, 0]] {
            let result = decode(&mut Reader::new(&bytes), &mut [0.0; 5]);
            assert_eq!(
                result,
                Err(DecodeError::Corrupt("patch outside the chunk")),
                "{bytes:?}"
            );
        }
        let result = decode(&mut Reader::new(&[1, 0, 7]), &mut [0.0; 5]);
        assert_eq!(result, Err(DecodeError::Corrupt("unknown patch class")));
    }
}
