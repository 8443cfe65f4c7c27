//! A column of integers: common divisor, best of five transforms, packed blocks.
//!
//! Timestamps, decimal mantissas and ordered float bits all go through here. All arithmetic
//! wraps, in both directions, so every column of integers comes back as it was.

mod decode;
mod encode;

pub(crate) use decode::ColumnHead;
pub(crate) use encode::{Column, Shape};

use crate::DecodeError;
use crate::varint::Reader;

/// What is stored instead of the integers themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// All integers are the same.
    Constant,
    /// Every integer is the one before plus `step`.
    ConstantDelta { step: i64 },
    /// Distance from the first integer.
    Raw,
    /// Distance from the integer before.
    Delta,
    /// Change of the distance from the integer before; `first_delta` is where it starts.
    DeltaOfDelta { first_delta: i64 },
    /// Distance from a straight line through the first integer.
    Line { slope: i64 },
}

impl Transform {
    /// Bits of a column's tag byte that name the transform.
    const TAG_MASK: u8 = 0x07;
    /// Set in a column's tag byte when a divisor follows the first integer.
    const TAG_DIVISOR: u8 = 0x08;

    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Constant => 0,
            Self::ConstantDelta { .. } => 1,
            Self::Raw => 2,
            Self::Delta => 3,
            Self::DeltaOfDelta { .. } => 4,
            Self::Line { .. } => 5,
        }
    }

    pub(super) const fn parameter(self) -> Option<i64> {
        match self {
            Self::Constant | Self::Raw | Self::Delta => None,
            Self::ConstantDelta { step } => Some(step),
            Self::DeltaOfDelta { first_delta } => Some(first_delta),
            Self::Line { slope } => Some(slope),
        }
    }

    /// True if the column's head says everything and no blocks follow.
    pub(crate) const fn is_constant(self) -> bool {
        matches!(self, Self::Constant | Self::ConstantDelta { .. })
    }

    /// Leading integers that need no residual.
    pub(super) const fn implied(self) -> usize {
        match self {
            Self::DeltaOfDelta { .. } => 2,
            _ => 1,
        }
    }
}

/// Appends a column of at least one integer that stands alone: its tag and all behind it.
pub(crate) fn encode_plain(integers: Vec<i64>, out: &mut Vec<u8>) {
    let column = Column::plan(integers, Shape::Free);
    out.push(column.tag());
    column.encode(out);
}

/// Appends the `count` integers of [`encode_plain`], at least one, to `out`. After an error `out`
/// holds a part.
pub(crate) fn decode_plain(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let tag = reader.byte()?;
    if tag & !ColumnHead::TAG_BITS != 0 {
        return Err(DecodeError::Corrupt("unknown integer flags"));
    }
    decode_tagged(tag, count, reader, out)
}

/// As [`decode_plain`], behind a tag whose other bits the caller has read.
pub(crate) fn decode_tagged(
    tag: u8,
    count: usize,
    reader: &mut Reader<'_>,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let first = reader.zigzag()?;
    let head = ColumnHead::read(tag, first, reader)?;
    out.reserve(count);
    head.decode(count, reader, |run| out.extend_from_slice(run))
}

#[cfg(test)]
mod tests;
