//! The chunk that still grows: compact in memory, appended to in nanoseconds, never on disk.
//!
//! Samples are records of whole bytes, so that appending shifts no bits:
//!
//! | first byte | meaning |
//! | --- | --- |
//! | `0zzzzzzz` | same interval as before; mantissa changed by zigzag `z` |
//! | `100rrrrr` | `r + 1` samples with the same interval and the same value |
//! | `1010tttt` | same value; interval changed by unzigzag `t + 1` |
//! | `1011tttt` | as before, and a byte by which the mantissa changed |
//! | `11ttvvvv` | interval change by class `t`, then value by class `v` |
//!
//! In front of them stands the first timestamp. A value is an integer, a decimal mantissa or raw bits, as in a sealed chunk; here the exponent
//! changes whenever a value asks for it.

mod cursor;

use crate::EncodeError;
use crate::decimal::{self, power_of_ten};
use crate::varint::{Reader, zigzag};

use cursor::Cursor;

/// Samples at which an open chunk is due for sealing.
pub const OPEN_CHUNK_SAMPLES: usize = 128;
/// Most samples in an open chunk, far behind the [`OPEN_CHUNK_SAMPLES`] at which it is sealed.
pub const MAX_OPEN_SAMPLES: usize = u8::MAX as usize;

/// In place of an exponent: the last value is raw bits.
const RAW: u8 = 0x7f;
/// Beside the exponent: the last byte is a run that may grow.
const IN_RUN: u8 = 0x80;
const STALE_MARKER: u64 = 0x7ff0_0000_0000_0002;
/// Mantissas from here on are left to raw bits: true doubles would look like decimals too often.
const MAX_NEW_MANTISSA: u64 = 1 << 47;

const RUN: u8 = 0b1000_0000;
const RUN_FULL: u8 = 0b1001_1111;
const NUDGE: u8 = 0b1010_0000;
const NUDGED_STEP: u8 = 0b1011_0000;
/// Zigzag of the largest interval change that a nudge holds.
const MAX_NUDGE: u64 = 16;
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
/// Takes 40 bytes and a buffer that grows in small steps: next to nothing per sample while the
/// value stays or its interval changes a little, one byte for small steps of counters and decimals at
/// a regular interval, two where both change, eight to ten for true doubles.
#[derive(Clone, Debug, Default)]
pub struct OpenChunk {
    /// The buffer: the first timestamp as a zigzag, then the records.
    bytes: Box<[u8]>,
    last_timestamp: i64,
    /// Mantissa of the last value, or its bits when the exponent is [`RAW`].
    last_word: u64,
    /// In milliseconds; 0 when the interval does not fit.
    last_interval: u32,
    /// Bytes of the buffer that are in use: a few thousand at most, as samples are few.
    length: u16,
    count: u8,
    /// The exponent, and [`IN_RUN`].
    form: u8,
}

impl OpenChunk {
    /// An empty chunk without a buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a sample; the timestamp is in milliseconds since the epoch. Order is the caller's
    /// business: any timestamp comes back as it was.
    ///
    /// # Errors
    /// [`EncodeError::TooManySamples`] at [`MAX_OPEN_SAMPLES`]. The chunk is unchanged then.
    #[inline]
    pub fn append(&mut self, timestamp: i64, value: f64) -> Result<(), EncodeError> {
        let Some(count) = self.count.checked_add(1) else {
            return Err(EncodeError::TooManySamples {
                count: MAX_OPEN_SAMPLES + 1,
            });
        };
        if self.count == 0 {
            self.start(timestamp);
        }
        let interval = timestamp.wrapping_sub(self.last_timestamp);
        let change = interval.wrapping_sub(i64::from(self.last_interval));
        let step = self.step_to(value);
        let nudge = ((zigzag(change).wrapping_sub(1)) & 0xf) as u8;
        let is_nudge = (1..=MAX_NUDGE).contains(&zigzag(change));
        match step {
            Some(0) if change == 0 => self.extend_run(),
            Some(0) if is_nudge => self.push(&[NUDGE | nudge]),
            Some(step) if change == 0 && zigzag(step) < 0x80 => {
                self.push(&[(zigzag(step) & 0x7f) as u8]);
                self.last_word = self.last_word.wrapping_add(step.cast_unsigned());
            }
            Some(step) if is_nudge && zigzag(step) < 0x100 && self.exponent() != RAW => {
                self.push(&[NUDGED_STEP | nudge, (zigzag(step) & 0xff) as u8]);
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
        Reader::new(self.records()).zigzag().ok()
    }

    /// The last sample: milliseconds since the epoch, and value.
    #[must_use]
    pub fn last(&self) -> Option<(i64, f64)> {
        (self.count > 0).then(|| self.newest())
    }

    /// As [`OpenChunk::last`]; of an empty chunk the last sample before it, as [`OpenChunk::take`]
    /// or [`OpenChunk::set_newest`] left it, else zeros.
    #[must_use]
    #[inline]
    pub fn newest(&self) -> (i64, f64) {
        (
            self.last_timestamp,
            restore(self.last_word, self.exponent()),
        )
    }

    /// Tells an empty chunk the last sample before it. Does nothing to one with samples.
    pub fn set_newest(&mut self, timestamp: i64, value: f64) {
        if self.is_empty() {
            self.last_timestamp = timestamp;
            (self.last_word, self.form) = (value.to_bits(), RAW);
        }
    }

    /// Takes the samples out. What stays behind is empty but for [`OpenChunk::newest`].
    #[must_use]
    pub fn take(&mut self) -> Self {
        let taken = Self {
            bytes: std::mem::take(&mut self.bytes),
            ..*self
        };
        (self.length, self.count) = (0, 0);
        taken
    }

    /// Memory that the chunk takes, itself included, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    /// Appends all samples to both columns and returns how many there are.
    pub fn decode_into(&self, timestamps: &mut Vec<i64>, values: &mut Vec<f64>) -> usize {
        let count = self.len();
        timestamps.reserve(count);
        values.reserve(count);
        let start = timestamps.len();
        let mut cursor = Cursor::new(self.records());
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
        (self.last_word, self.last_interval, self.form) = (0, 0, 0);
        self.last_timestamp = timestamp;
        let mut record = Record {
            bytes: [0; Record::SIZE],
            length: 0,
        };
        record.put_varint(zigzag(timestamp));
        self.push(&record.bytes[..record.length]);
    }

    /// The part of the buffer that is in use.
    fn records(&self) -> &[u8] {
        self.bytes.get(..self.length.into()).unwrap_or_default()
    }

    const fn exponent(&self) -> u8 {
        self.form & !IN_RUN
    }

    /// The change of the mantissa that leads to `value`, if it has one at this exponent; in raw
    /// bits only no change is one.
    #[inline(always)]
    fn step_to(&self, value: f64) -> Option<i64> {
        let mantissa = match self.exponent() {
            0 => decimal::integer(value),
            RAW => return (value.to_bits() == self.last_word).then_some(0),
            exponent => decimal::mantissa(value, power_of_ten(exponent)),
        };
        mantissa.map(|mantissa| mantissa.wrapping_sub(self.last_word.cast_signed()))
    }

    #[inline]
    fn extend_run(&mut self) {
        let last = usize::from(self.length).wrapping_sub(1);
        match self.bytes.get_mut(last) {
            Some(run) if self.form & IN_RUN != 0 && *run < RUN_FULL => *run += 1,
            _ => {
                self.push(&[RUN]);
                self.form |= IN_RUN;
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
            (self.form, self.last_word) = (exponent, mantissa.cast_unsigned());
            record.put(u64::from(exponent), 1);
            record.put_varint(zigzag(mantissa));
            return VALUE_EXPONENT;
        }
        let xor = bits ^ restore(self.last_word, self.exponent()).to_bits();
        (self.form, self.last_word) = (RAW, bits);
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

    #[expect(clippy::cast_possible_truncation, reason = "a record is a few bytes")]
    #[inline(always)]
    fn push(&mut self, record: &[u8]) {
        let length = usize::from(self.length);
        if self.bytes.len() - length < record.len() {
            self.grow(record.len());
        }
        if let Some(free) = self.bytes.get_mut(length..length + record.len()) {
            free.copy_from_slice(record);
            self.length += record.len() as u16;
        }
        self.form &= !IN_RUN;
    }

    /// Most chunks of a large head stay small, so the buffer does not double. The steps are those
    /// in which allocators give memory.
    #[cold]
    fn grow(&mut self, least: usize) {
        let step = match self.bytes.len() {
            0..128 => 16,
            128..256 => 32,
            256..512 => 64,
            _ => 128,
        };
        let mut bytes = std::mem::take(&mut self.bytes).into_vec();
        let grown = bytes.len() + step.max(least.next_multiple_of(16));
        bytes.reserve_exact(grown - bytes.len());
        bytes.resize(grown, 0);
        self.bytes = bytes.into_boxed_slice();
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
