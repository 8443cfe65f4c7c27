//! Variable-length integers and the bounds-checked reader that all decoders share.

use crate::DecodeError;

/// Longest encoding of a 64-bit integer, in bytes.
const MAX_VARINT_BYTES: u32 = 10;

/// Appends `value` as little-endian base 128, low groups first.
pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends a signed integer so that small magnitudes are short.
pub(crate) fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_varint(zigzag(value), out);
}

/// A value that is no whole number: its eight bytes follow.
const RAW_VALUE: u64 = 1;
/// Whole numbers below this magnitude are doubles without rounding, and fit a tagged varint.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Appends a double: a whole number as its zigzag form shifted left by one, any other as 1 and
/// its bytes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the magnitude is checked first"
)]
pub(crate) fn put_double(value: f64, out: &mut Vec<u8>) {
    if value.abs() < MAX_WHOLE {
        let whole = value as i64;
        if (whole as f64).to_bits() == value.to_bits() {
            put_varint(zigzag(whole) << 1, out);
            return;
        }
    }
    put_varint(RAW_VALUE, out);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Maps 0, -1, 1, -2, … to 0, 1, 2, 3, ….
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// A cursor over untrusted bytes: every read is checked, none allocates.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.bytes.split_first().ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(first)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Eight bytes, little-endian.
    pub(crate) fn word(&mut self) -> Result<u64, DecodeError> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk::<8>()
            .ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(u64::from_le_bytes(*taken))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for group in 0..MAX_VARINT_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if group == MAX_VARINT_BYTES - 1 && byte > 1 {
                break;
            }
            value |= bits << (7 * group);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Corrupt("integer over 64 bits"))
    }

    /// The double of [`put_double`].
    pub(crate) fn double(&mut self) -> Result<f64, DecodeError> {
        let tagged = self.varint()?;
        if tagged & RAW_VALUE == 0 {
            return Ok(unzigzag(tagged >> 1) as f64);
        }
        self.word().map(f64::from_bits)
    }

    pub(crate) fn zigzag(&mut self) -> Result<i64, DecodeError> {
        self.varint().map(unzigzag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_round_trip_at_every_bit_length() {
        for shift in 0..64 {
            for value in [
                (1u64 << shift) - 1,
                1 << shift,
                u64::MAX >> shift,
                !(1 << shift),
            ] {
                let mut out = Vec::new();
                put_varint(value, &mut out);
                put_zigzag(value.cast_signed(), &mut out);
                let mut reader = Reader::new(&out);
                assert_eq!(reader.varint(), Ok(value));
                assert_eq!(reader.zigzag(), Ok(value.cast_signed()));
                assert!(reader.rest().is_empty());
            }
        }
    }

    #[test]
    fn overlong_and_truncated_integers_are_refused() {
        let overlong = [0xff; 11];
        assert_eq!(
            Reader::new(&overlong).varint(),
            Err(DecodeError::Corrupt("integer over 64 bits"))
        );
        let mut ten = [0x80; 10];
        ten[9] = 2;
        assert!(Reader::new(&ten).varint().is_err());
        assert_eq!(Reader::new(&[0x80]).varint(), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[1, 2, 3]).word(), Err(DecodeError::Truncated));
    }
}
