//! The timestamp column: milliseconds as integers, with the last one readable from the head.

use crate::integers::{Column, ColumnHead, Shape};
use crate::varint::{Reader, put_zigzag};
use crate::{DecodeError, EncodeError, check_count, check_length};

/// Appends a column of timestamps, in milliseconds since the epoch, in any order.
///
/// # Errors
/// [`EncodeError::Empty`] and [`EncodeError::TooManySamples`].
pub fn encode_timestamps(timestamps: &[i64], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    check_length(timestamps.len())?;
    let last = timestamps.last().copied().unwrap_or(0);
    let column = Column::plan(timestamps.to_vec(), Shape::Clocked);
    out.push(column.tag());
    put_zigzag(column.first(), out);
    if !column.transform.is_constant() {
        put_zigzag(last.wrapping_sub(column.first()), out);
    }
    column.encode_tail(out);
    Ok(())
}

/// Appends the `count` timestamps of a column to `out` and returns how many bytes it took. On an
/// error `out` is as it was.
///
/// # Errors
/// [`DecodeError::BadCount`], [`DecodeError::Truncated`] and [`DecodeError::Corrupt`].
pub fn decode_timestamps(
    bytes: &[u8],
    count: usize,
    out: &mut Vec<i64>,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    let start = out.len();
    match read_timestamps(&mut reader, count, out) {
        Ok(()) => Ok(bytes.len() - reader.rest().len()),
        Err(err) => {
            out.truncate(start);
            Err(err)
        }
    }
}

fn read_timestamps(
    reader: &mut Reader<'_>,
    count: usize,
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    check_count(count)?;
    let head = TimestampHead::read(reader, count)?;
    out.reserve(count);
    head.column
        .decode(count, reader, |run| out.extend_from_slice(run))?;
    if out.last() != Some(&head.last) {
        return Err(DecodeError::Corrupt("last timestamp differs from the head"));
    }
    Ok(())
}

/// What can be said of a timestamp column without decoding it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimestampHead {
    pub(crate) first: i64,
    pub(crate) last: i64,
    column: ColumnHead,
}

impl TimestampHead {
    pub(crate) fn read(reader: &mut Reader<'_>, count: usize) -> Result<Self, DecodeError> {
        let tag = reader.byte()?;
        if tag & !ColumnHead::TAG_BITS != 0 {
            return Err(DecodeError::Corrupt("unknown timestamp flags"));
        }
        let first = reader.zigzag()?;
        let constant = ColumnHead::is_constant_tag(tag);
        let span = if constant { 0 } else { reader.zigzag()? };
        let column = ColumnHead::read(tag, first, reader)?;
        let last = column
            .constant_last(count)
            .unwrap_or_else(|| first.wrapping_add(span));
        Ok(Self {
            first,
            last,
            column,
        })
    }
}
