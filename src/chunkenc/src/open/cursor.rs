//! Reading an open chunk's records back.

use super::{
    GENERAL, NUDGE, NUDGED_STEP, RAW, RUN, STALE_MARKER, TIME_1, TIME_2, TIME_MASK, TIME_SAME,
    VALUE_DELTA_1, VALUE_DELTA_4, VALUE_DELTA_8, VALUE_EXPONENT, VALUE_MASK, VALUE_RAW, VALUE_SAME,
    VALUE_STALE, VALUE_XOR_HIGH_5, VALUE_XOR_LOW_6, VALUE_XOR_LOW_7, VALUE_XOR_MIDDLE_4, restore,
};
use crate::DecodeError;
use crate::varint::{Reader, unzigzag};

/// Reads records; its state is what the writer's was.
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    pub(super) timestamp: i64,
    pub(super) interval: i64,
    word: u64,
    exponent: u8,
    pub(super) value: f64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Reader::new(bytes);
        let timestamp = reader.zigzag().unwrap_or(0);
        Self {
            reader,
            timestamp,
            interval: 0,
            word: 0,
            exponent: 0,
            value: 0.0,
        }
    }

    /// Moves to the next record and returns how many samples, at most `left`, it stands for.
    pub(super) fn next(&mut self, left: usize) -> Result<usize, DecodeError> {
        let first = self.reader.byte()?;
        if first < RUN {
            self.keep_interval();
            self.advance(unzigzag(u64::from(first)));
            return Ok(1);
        }
        if first < NUDGE {
            self.keep_interval();
            return Ok(usize::from(first - RUN + 1).min(left));
        }
        if first < GENERAL {
            self.keep_interval();
            let change = unzigzag(u64::from(first & 0xf) + 1);
            self.interval = self.interval.wrapping_add(change);
            if first >= NUDGED_STEP {
                let step = self.reader.byte()?;
                self.advance(unzigzag(u64::from(step)));
            }
            return Ok(1);
        }
        self.keep_interval();
        let change = match first & TIME_MASK {
            TIME_SAME => 0,
            TIME_1 => self.signed(1)?,
            TIME_2 => self.signed(2)?,
            _ => self.reader.zigzag()?,
        };
        self.interval = self.interval.wrapping_add(change);
        self.read_value(first & VALUE_MASK)?;
        Ok(1)
    }

    /// An interval that the writer could not remember counts as zero.
    fn keep_interval(&mut self) {
        if u32::try_from(self.interval).is_err() {
            self.interval = 0;
        }
    }

    fn advance(&mut self, step: i64) {
        self.word = self.word.wrapping_add(step.cast_unsigned());
        self.value = restore(self.word, self.exponent);
    }

    fn read_value(&mut self, class: u8) -> Result<(), DecodeError> {
        match class {
            VALUE_SAME => {}
            VALUE_DELTA_1..=VALUE_DELTA_4 => {
                let step = self.signed(usize::from(class))?;
                self.advance(step);
            }
            VALUE_DELTA_8 => {
                let step = self.reader.word()?.cast_signed();
                self.advance(step);
            }
            VALUE_EXPONENT => {
                self.exponent = self.reader.byte()?;
                self.word = self.reader.zigzag()?.cast_unsigned();
                self.value = restore(self.word, self.exponent);
            }
            VALUE_STALE => self.set_bits(STALE_MARKER),
            VALUE_RAW => {
                let bits = self.reader.word()?;
                self.set_bits(bits);
            }
            VALUE_XOR_LOW_7 => self.xor(7, 0)?,
            VALUE_XOR_LOW_6 => self.xor(6, 0)?,
            VALUE_XOR_HIGH_5 => self.xor(5, 24)?,
            VALUE_XOR_MIDDLE_4 => self.xor(4, 24)?,
            _ => return Err(DecodeError::Corrupt("unknown value class")),
        }
        Ok(())
    }

    fn xor(&mut self, length: usize, shift: u32) -> Result<(), DecodeError> {
        let bits = self.unsigned(length)? << shift;
        self.set_bits(self.value.to_bits() ^ bits);
        Ok(())
    }

    fn set_bits(&mut self, bits: u64) {
        self.exponent = RAW;
        self.word = bits;
        self.value = f64::from_bits(bits);
    }

    /// The next `length` bytes, 1 to 8, little-endian.
    #[inline(always)]
    fn unsigned(&mut self, length: usize) -> Result<u64, DecodeError> {
        let mut word = [0u8; 8];
        match self.reader.rest().first_chunk::<8>() {
            Some(whole) => word = *whole,
            None => word
                .iter_mut()
                .zip(self.reader.rest())
                .for_each(|(slot, &byte)| *slot = byte),
        }
        self.reader.take(length)?;
        let unused = (u64::BITS as usize).saturating_sub(8 * length);
        Ok(u64::from_le_bytes(word) << unused >> unused)
    }

    /// The next `length` bytes, 1 to 8, in two's complement.
    #[inline(always)]
    fn signed(&mut self, length: usize) -> Result<i64, DecodeError> {
        let unused = (u64::BITS as usize).saturating_sub(8 * length);
        Ok((self.unsigned(length)? << unused).cast_signed() >> unused)
    }
}
