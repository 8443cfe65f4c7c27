//! XOR coding of doubles, for columns whose neighbours share most bits but no decimal form.
//!
//! The first value is eight bytes. Each later value is, lowest bits first: `0` when equal to the
//! one before; `1 0` and the middle bits of the XOR when they lie in the last window; `1 1`, six
//! bits of leading zeros, six bits of window length less one, and the window.

use crate::DecodeError;
use crate::bits::mask;
use crate::varint::Reader;

/// Bits that a new window costs before its content.
const WINDOW_HEAD_BITS: u32 = 14;

/// The bits of an XOR between its leading and trailing zeros.
#[derive(Clone, Copy)]
struct Window {
    leading: u32,
    length: u32,
}

impl Window {
    const fn trailing(self) -> u32 {
        u64::BITS - self.leading - self.length
    }

    const fn holds(self, xor: u64) -> bool {
        xor.leading_zeros() >= self.leading && xor.trailing_zeros() >= self.trailing()
    }
}

/// Appends the values, unless that takes more than `limit` bytes: then nothing is appended.
/// Returns whether it was.
pub(crate) fn encode(values: &[f64], limit: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let Some((first, rest)) = values.split_first() else {
        return false;
    };
    let mut previous = first.to_bits();
    out.extend_from_slice(&previous.to_le_bytes());
    let mut writer = BitWriter {
        out,
        word: 0,
        filled: 0,
    };
    let mut window = Window {
        leading: 0,
        length: 64,
    };
    for value in rest {
        let bits = value.to_bits();
        let xor = bits ^ previous;
        previous = bits;
        if xor == 0 {
            writer.put(0, 1);
            continue;
        }
        let leading = xor.leading_zeros();
        let length = u64::BITS - leading - xor.trailing_zeros();
        // A window much wider than needed is given up, else one wild value would make all
        // following ones long.
        if window.holds(xor) && window.length < length + WINDOW_HEAD_BITS {
            writer.put(0b01, 2);
        } else {
            window = Window { leading, length };
            let head = u64::from(leading) << 2 | u64::from(length - 1) << 8;
            writer.put(0b11 | head, WINDOW_HEAD_BITS);
        }
        writer.put(xor >> window.trailing(), window.length);
        if writer.out.len() - start > limit {
            break;
        }
    }
    writer.finish();
    let kept = out.len() - start <= limit;
    if !kept {
        out.truncate(start);
    }
    kept
}

/// Appends `count` values, at least one, to `out`.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    let mut previous = reader.word()?;
    out.push(f64::from_bits(previous));
    let mut input = BitReader {
        bytes: reader.rest(),
        position: 0,
    };
    let mut window = Window {
        leading: 0,
        length: 64,
    };
    for _ in 1..count {
        let control = input.peek();
        if control & 1 == 0 {
            input.skip(1)?;
        } else {
            if control & 2 == 0 {
                input.skip(2)?;
            } else {
                input.skip(WINDOW_HEAD_BITS)?;
                let leading = (control >> 2 & 63) as u32;
                let length = (control >> 8 & 63) as u32 + 1;
                if leading + length > u64::BITS {
                    return Err(DecodeError::Corrupt("XOR window over 64 bits"));
                }
                window = Window { leading, length };
            }
            previous ^= input.take(window.length)? << window.trailing();
        }
        out.push(f64::from_bits(previous));
    }
    reader.take(input.position.div_ceil(8))?;
    Ok(())
}

struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    word: u64,
    filled: u32,
}

impl BitWriter<'_> {
    fn put(&mut self, bits: u64, count: u32) {
        let bits = bits & mask(count);
        self.word |= bits << self.filled;
        self.filled += count;
        if self.filled >= u64::BITS {
            self.out.extend_from_slice(&self.word.to_le_bytes());
            self.filled -= u64::BITS;
            self.word = bits.checked_shr(count - self.filled).unwrap_or(0);
        }
    }

    fn finish(self) {
        let bytes = self.word.to_le_bytes();
        self.out
            .extend(bytes.iter().take(self.filled.div_ceil(8) as usize));
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    position: usize,
}

impl BitReader<'_> {
    /// At least the next 57 bits, zeros behind the end.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.position / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            None => {
                let mut word = [0u8; 8];
                word.iter_mut()
                    .zip(rest)
                    .for_each(|(slot, &byte)| *slot = byte);
                u64::from_le_bytes(word)
            }
        };
        word >> (self.position % 8)
    }

    fn skip(&mut self, count: u32) -> Result<(), DecodeError> {
        let position = self.position + count as usize;
        if position > self.bytes.len() * 8 {
            return Err(DecodeError::Truncated);
        }
        self.position = position;
        Ok(())
    }

    fn take(&mut self, count: u32) -> Result<u64, DecodeError> {
        let low = count.min(56);
        let mut bits = self.peek() & mask(low);
        self.skip(low)?;
        if count > low {
            bits |= (self.peek() & mask(count - low)) << low;
            self.skip(count - low)?;
        }
        Ok(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        assert!(encode(values, usize::MAX, &mut bytes));
        let mut reader = Reader::new(&bytes);
        let mut decoded = Vec::new();
        decode(&mut reader, values.len(), &mut decoded).unwrap();
        assert!(reader.rest().is_empty());
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&decoded), bits(values));
        for end in 0..bytes.len() {
            let mut reader = Reader::new(&bytes[..end]);
            assert_eq!(
                decode(&mut reader, values.len(), &mut Vec::new()),
                Err(DecodeError::Truncated)
            );
        }
        bytes.len()
    }

    #[test]
    fn repeats_take_a_bit_each() {
        assert_eq!(check(&[1.0 / 3.0; 121]), 8 + 15);
    }

    #[test]
    fn every_window_round_trips() {
        let mut values = vec![0.0];
        for shift in 0..64 {
            values.push(f64::from_bits(1 << shift));
            values.push(f64::from_bits(u64::MAX >> shift));
            values.push(f64::from_bits(0));
        }
        check(&values);
        check(&[-0.0, f64::NAN, f64::INFINITY, 0.1, 0.1, 0.2, -0.2]);
    }

    #[test]
    fn nothing_is_appended_over_the_limit() {
        let mut out = vec![9];
        assert!(!encode(&[1.0, 0.3, 0.7, 0.11], 20, &mut out));
        assert_eq!(out, [9]);
    }
}
