//! The chunk that still grows: compact in memory, appended to in nanoseconds, never on disk.
//!
//! Samples are records of whole bytes, so that appending shifts no bits:
//!
//! | first byte | meaning |
//! | --- | --- |
//! | `0zzzzzzz` | same interval as before; mantissa changed by zigzag `z` |
//! | `10rrrrrr` | `r + 1` samples with the same interval and the same value |
//! | `11ttvvvv` | interval change by class `t`, then value by class `v` |
//!
//! A value is an integer, a decimal mantissa or raw bits, as in a sealed chunk; here the exponent
//! changes whenever a value asks for it.

mod cursor;

use crate::decimal::{self, power_of_ten};
use crate::varint::zigzag;
use crate::{EncodeError, MAX_SAMPLES};

use cursor::Cursor;

/// Samples at which an open chunk is due for sealing.
pub const OPEN_CHUNK_SAMPLES: usize = 128;

/// In place of an exponent: the last value is raw bits.
const RAW: u8 = u8::MAX;
const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;
/// Mantissas from here on are left to raw bits: true doubles would look like decimals too often.
const MAX_NEW_MANTISSA: u64 = 1 << 47;

const RUN: u8 = 0b1000_0000;
const RUN_FULL: u8 = 0b1011_1111;
const GENERAL: u8 = 0b1100_0000;

/// Classes of interval changes, shifted to their place in the first byte.
const TIME_SAME: u8 = 0 << 4;
const TIME_1: u8 = 1 << 4;
const TIME_2: u8 = 2 << 4;
const TIME_VARINT: u8 = 3 << 4;
const TIME_MASK: u8 = 3 << 4;

/// Classes of values.
const VALUE_SAME: u8 = 0;
const VALUE_DELTA_1: u8 = 1;
const VALUE_DELTA_2: u8 = 2;
const VALUE_DELTA_3: u8 = 3;
const VALUE_DELTA_4: u8 = 4;
const VALUE_DELTA_8: u8 = 5;
const VALUE_RAW: u8 = 6;
const VALUE_STALE: u8 = 7;
const VALUE_EXPONENT: u8 = 8;
const VALUE_XOR_LOW_7: u8 = 9;
const VALUE_XOR_LOW_6: u8 = 10;
const VALUE_XOR_HIGH_5: u8 = 11;
const VALUE_XOR_MIDDLE_4: u8 = 12;
const VALUE_MASK: u8 = 15;

/// The newest samples of one series. Cloning copies one small buffer.
///
/// Takes 48 bytes and a buffer that grows in small steps: next to nothing per sample while the
/// value stays, one byte for small steps of counters and decimals at a regular interval, eight to
/// ten for true doubles.
#[derive(Clone, Debug, Default)]
pub struct OpenChunk {
    /// The first timestamp, eight bytes, then one record per sample.
    bytes: Vec<u8>,
    last_timestamp: i64,
    /// Mantissa of the last value, or its bits when `exponent` is [`RAW`].
    last_word: u64,
    /// In milliseconds; 0 when the interval does not fit.
    last_interval: u32,
    count: u16,
    exponent: u8,
    /// Whether the last byte is a run that may grow.
    in_run: bool,
}

impl OpenChunk {
    /// An empty chunk without a buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            last_timestamp: 0,
            last_word: 0,
            last_interval: 0,
            count: 0,
            exponent: 0,
            in_run: false,
        }
    }

    /// Appends a sample; the timestamp is in milliseconds since the epoch. Order is the caller's
    /// business: any timestamp comes back as it was.
    ///
    /// # Errors
    /// [`EncodeError::TooManySamples`] at [`MAX_SAMPLES`], far behind the [`OPEN_CHUNK_SAMPLES`]
    /// at which a caller seals the chunk. The chunk is unchanged then.
    #[inline]
    pub fn append(&mut self, timestamp: i64, value: f64) -> Result<(), EncodeError> {
        let Some(count) = self.count.checked_add(1) else {
            return Err(EncodeError::TooManySamples {
                count: MAX_SAMPLES + 1,
            });
        };
        if self.count == 0 {
            self.start(timestamp);
        }
        let interval = timestamp.wrapping_sub(self.last_timestamp);
        let change = interval.wrapping_sub(i64::from(self.last_interval));
        let step = self.step_to(value);
        match step {
            Some(0) if change == 0 => self.extend_run(),
            Some(step) if change == 0 && zigzag(step) < 0x80 => {
                self.push(&[(zigzag(step) & 0x7f) as u8]);
                self.last_word = self.last_word.wrapping_add(step.cast_unsigned());
            }
            _ => self.append_general(change, step, value),
        }
        self.last_timestamp = timestamp;
        self.last_interval = u32::try_from(interval).unwrap_or(0);
        self.count = count;
        Ok(())
    }

    /// Samples in the chunk.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// True before the first sample.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True from [`OPEN_CHUNK_SAMPLES`] samples on.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.len() >= OPEN_CHUNK_SAMPLES
    }

    /// The first timestamp, in milliseconds since the epoch.
    #[must_use]
    pub fn first_timestamp(&self) -> Option<i64> {
        self.bytes
            .first_chunk::<8>()
            .map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// The last sample: milliseconds since the epoch, and value.
    #[must_use]
    pub fn last(&self) -> Option<(i64, f64)> {
        (self.count > 0).then(|| (self.last_timestamp, restore(self.last_word, self.exponent)))
    }

    /// Memory that the chunk takes, itself included, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// Appends all samples to both columns and returns how many there are.
    pub fn decode_into(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        let count = self.len();
        timestamps.reserve(count);
        values.reserve(count);
        let start = timestamps.len();
        let mut cursor = Cursor::new(&self.bytes);
        let mut left = count;
        while left > 0 {
            let Ok(samples) = cursor.next(left) else {
                break;
            };
            for _ in 0..samples {
                cursor.timestamp = cursor.timestamp.wrapping_add(cursor.interval);
                timestamps.push(cursor.timestamp);
                values.push(cursor.value);
            }
            left -= samples;
        }
        debug_assert_eq!(left, 0, "an open chunk reads back what it wrote");
        timestamps.len() - start
    }

    #[cold]
    fn start(&mut self, timestamp: i64) {
        self.push(&timestamp.to_le_bytes());
        self.last_timestamp = timestamp;
    }

    /// The change of the mantissa that leads to `value`, if it has one at this exponent; in raw
    /// bits only no change is one.
    #[inline(always)]
    fn step_to(&self, value: f64) -> Option<i64> {
        let mantissa = match self.exponent {
            0 => decimal::integer(value),
            RAW => return (value.to_bits() == self.last_word).then_some(0),
            exponent => decimal::mantissa(value, power_of_ten(exponent)),
        };
        mantissa.map(|mantissa| mantissa.wrapping_sub(self.last_word.cast_signed()))
    }

    #[inline]
    fn extend_run(&mut self) {
        match self.bytes.last_mut() {
            Some(run) if self.in_run && *run < RUN_FULL => *run += 1,
            _ => {
                self.push(&[RUN]);
                self.in_run = true;
            }
        }
    }

    fn append_general(&mut self, change: i64, step: Option<i64>, value: f64) {
        let mut record = Record {
            bytes: [0; Record::SIZE],
            length: 1,
        };
        let time = record.put_change(change);
        let class = match step {
            Some(step) => {
                self.last_word = self.last_word.wrapping_add(step.cast_unsigned());
                record.put_step(step)
            }
            None => self.put_other(value, &mut record),
        };
        record.bytes[0] = GENERAL | time | class;
        self.push(&record.bytes[..record.length]);
    }

    /// A value that the exponent does not hold: another exponent, the stale marker, or raw bits.
    fn put_other(&mut self, value: f64, record: &mut Record) -> u8 {
        let bits = value.to_bits();
        if let Some((exponent, mantissa)) = new_mantissa(value) {
            (self.exponent, self.last_word) = (exponent, mantissa.cast_unsigned());
            record.put(u64::from(exponent), 1);
            record.put_varint(zigzag(mantissa));
            return VALUE_EXPONENT;
        }
        let xor = bits ^ restore(self.last_word, self.exponent).to_bits();
        (self.exponent, self.last_word) = (RAW, bits);
        let (word, length, class) = if bits == STALE_MARKER {
            (0, 0, VALUE_STALE)
        } else if xor.trailing_zeros() >= 24 && xor.leading_zeros() >= 8 {
            (xor >> 24, 4, VALUE_XOR_MIDDLE_4)
        } else if xor.trailing_zeros() >= 24 {
            (xor >> 24, 5, VALUE_XOR_HIGH_5)
        } else if xor.leading_zeros() >= 16 {
            (xor, 6, VALUE_XOR_LOW_6)
        } else if xor.leading_zeros() >= 8 {
            (xor, 7, VALUE_XOR_LOW_7)
        } else {
            (bits, 8, VALUE_RAW)
        };
        record.put(word, length);
        class
    }

    #[inline(always)]
    fn push(&mut self, record: &[u8]) {
        if self.bytes.capacity() - self.bytes.len() < record.len() {
            self.grow(record.len());
        }
        self.bytes.extend_from_slice(record);
        self.in_run = false;
    }

    /// Most chunks of a large head stay small, so the buffer does not double.
    #[cold]
    fn grow(&mut self, least: usize) {
        let step = match self.bytes.capacity() {
            0..64 => 16,
            64..192 => 32,
            _ => 64,
        };
        self.bytes.reserve_exact(least.max(step));
    }
}

/// The shortest decimal form of a value that has one, as exponent and mantissa.
fn new_mantissa(value: f64) -> Option<(u8, i64)> {
    let exponent = decimal::least_exponent(value)?;
    let mantissa = match exponent {
        0 => decimal::integer(value)?,
        exponent => decimal::mantissa(value, power_of_ten(exponent))?,
    };
    (exponent == 0 || mantissa.unsigned_abs() < MAX_NEW_MANTISSA).then_some((exponent, mantissa))
}

#[inline(always)]
fn restore(word: u64, exponent: u8) -> f64 {
    match exponent {
        RAW => f64::from_bits(word),
        0 => word.cast_signed() as f64,
        exponent => decimal::restore(word.cast_signed(), power_of_ten(exponent)),
    }
}

/// One record under construction; its first byte comes last.
struct Record {
    bytes: [u8; Self::SIZE],
    length: usize,
}

impl Record {
    /// First byte, ten of a long interval change, exponent and ten of a long mantissa; then slack,
    /// as every store is a whole word.
    const SIZE: usize = 1 + 10 + 1 + 10 + 8;

    /// Adds the low `length` bytes of `word`.
    #[inline(always)]
    fn put(&mut self, word: u64, length: usize) {
        if let Some(free) = self
            .bytes
            .get_mut(self.length..)
            .and_then(<[u8]>::first_chunk_mut)
        {
            *free = word.to_le_bytes();
            self.length += length;
        }
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(value & 0x7f | 0x80, 1);
            value >>= 7;
        }
        self.put(value, 1);
    }

    /// Returns the class.
    fn put_change(&mut self, change: i64) -> u8 {
        if change == 0 {
            return TIME_SAME;
        }
        let (length, class) = match signed_bytes(change) {
            1 => (1, TIME_1),
            2 => (2, TIME_2),
            _ => {
                self.put_varint(zigzag(change));
                return TIME_VARINT;
            }
        };
        self.put(change.cast_unsigned(), length);
        class
    }

    /// Returns the class.
    fn put_step(&mut self, step: i64) -> u8 {
        if step == 0 {
            return VALUE_SAME;
        }
        let (length, class) = match signed_bytes(step) {
            1 => (1, VALUE_DELTA_1),
            2 => (2, VALUE_DELTA_2),
            3 => (3, VALUE_DELTA_3),
            4 => (4, VALUE_DELTA_4),
            _ => (8, VALUE_DELTA_8),
        };
        self.put(step.cast_unsigned(), length);
        class
    }
}

/// Bytes that hold `value` in two's complement.
const fn signed_bytes(value: i64) -> u32 {
    (u64::BITS - zigzag(value).leading_zeros()).div_ceil(8)
}

#[cfg(test)]
mod tests;
