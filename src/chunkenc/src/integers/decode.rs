//! Reading a column of integers.

use super::Transform;
use crate::DecodeError;
use crate::bits::{BLOCK, Unpacker};
use crate::packed;
use crate::varint::Reader;

/// What stands before a column's blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnHead {
    first: i64,
    divisor: u64,
    pub(crate) transform: Transform,
}

impl ColumnHead {
    /// All bits of a tag byte that belong to the integers.
    pub(crate) const TAG_BITS: u8 = Transform::TAG_MASK | Transform::TAG_DIVISOR;

    /// True if a column with this tag has no blocks.
    pub(crate) const fn is_constant_tag(tag: u8) -> bool {
        tag & Transform::TAG_MASK < 2
    }

    /// Reads what follows the first integer. Of `tag` only the bits in [`Transform::TAG_MASK`]
    /// and [`Transform::TAG_DIVISOR`] matter.
    pub(crate) fn read(tag: u8, first: i64, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let divisor = if tag & Transform::TAG_DIVISOR == 0 {
            1
        } else {
            reader.varint()?
        };
        let transform = match tag & Transform::TAG_MASK {
            0 => Transform::Constant,
            1 => Transform::ConstantDelta {
                step: reader.zigzag()?,
            },
            2 => Transform::Raw,
            3 => Transform::Delta,
            4 => Transform::DeltaOfDelta {
                first_delta: reader.zigzag()?,
            },
            5 => Transform::Line {
                slope: reader.zigzag()?,
            },
            _ => return Err(DecodeError::Corrupt("unknown transform")),
        };
        Ok(Self {
            first,
            divisor,
            transform,
        })
    }

    /// The last of `count` integers, where the head alone says it.
    pub(crate) const fn constant_last(&self, count: usize) -> Option<i64> {
        match self.transform {
            Transform::Constant => Some(self.first),
            Transform::ConstantDelta { step } => Some(
                self.first
                    .wrapping_add(step.wrapping_mul(count.saturating_sub(1) as i64)),
            ),
            _ => None,
        }
    }

    /// Decodes `count` integers, at least one, and hands them to `sink` in runs of at most
    /// [`BLOCK`].
    pub(crate) fn decode(
        &self,
        count: usize,
        reader: &mut Reader<'_>,
        mut sink: impl FnMut(&[i64]),
    ) -> Result<(), DecodeError> {
        let mut integers = [self.first; BLOCK];
        if self.transform.is_constant() {
            self.repeat(count, &mut integers, sink);
            return Ok(());
        }
        let mut state = State::new(self.transform);
        let implied = self.transform.implied().min(count);
        integers[implied - 1] = if implied == 2 {
            self.restore(state.last)
        } else {
            self.first
        };
        sink(&integers[..implied]);
        let mut unpacker = Unpacker::new();
        let mut block = [0u64; BLOCK];
        let mut left = count - implied;
        while left > 0 {
            let length = left.min(BLOCK);
            packed::decode_block(reader, length, &mut unpacker, &mut block)?;
            state.integrate(&mut block);
            for (integer, &offset) in integers.iter_mut().zip(&block) {
                *integer = self.restore(offset);
            }
            sink(&integers[..length]);
            left -= length;
        }
        Ok(())
    }

    #[inline(always)]
    const fn restore(&self, offset: u64) -> i64 {
        self.first
            .wrapping_add(offset.wrapping_mul(self.divisor).cast_signed())
    }

    fn repeat(&self, count: usize, integers: &mut [i64; BLOCK], mut sink: impl FnMut(&[i64])) {
        let step = self.transform.parameter().unwrap_or(0);
        let mut next = self.first;
        let mut left = count;
        while left > 0 {
            if step != 0 {
                for integer in integers.iter_mut() {
                    *integer = next;
                    next = next.wrapping_add(step);
                }
            }
            let length = left.min(BLOCK);
            sink(&integers[..length]);
            left -= length;
        }
    }
}

/// What the next block of residuals builds on.
struct State {
    transform: Transform,
    last: u64,
    delta: u64,
    position: u64,
}

impl State {
    const fn new(transform: Transform) -> Self {
        let (last, delta) = match transform {
            Transform::DeltaOfDelta { first_delta } => {
                (first_delta.cast_unsigned(), first_delta.cast_unsigned())
            }
            _ => (0, 0),
        };
        Self {
            transform,
            last,
            delta,
            position: 1,
        }
    }

    /// Turns residuals into offsets. What stands behind the last residual of a short block turns
    /// into something harmless, as no block follows it.
    fn integrate(&mut self, block: &mut [u64; BLOCK]) {
        match self.transform {
            Transform::Delta => {
                for value in block.iter_mut() {
                    self.last = self.last.wrapping_add(*value);
                    *value = self.last;
                }
            }
            Transform::DeltaOfDelta { .. } => {
                for value in block.iter_mut() {
                    self.delta = self.delta.wrapping_add(*value);
                    self.last = self.last.wrapping_add(self.delta);
                    *value = self.last;
                }
            }
            Transform::Line { slope } => {
                let slope = slope.cast_unsigned();
                for (value, at) in block.iter_mut().zip(self.position..) {
                    *value = value.wrapping_add(slope.wrapping_mul(at));
                }
                self.position += BLOCK as u64;
            }
            Transform::Constant | Transform::ConstantDelta { .. } | Transform::Raw => {}
        }
    }
}
