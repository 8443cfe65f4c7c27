//! Start timestamps: since when samples have been counting, in milliseconds since the epoch, 0
//! where that is not known. A column of a sealed chunk, and the form in which they collect.

use crate::integers::{self, ColumnHead};
use crate::varint::{Reader, put_zigzag};
use crate::{DecodeError, integers::Column, integers::Shape};

/// Set in the tag of a start column whose integers are distances from each sample's timestamp.
const RELATIVE: u8 = 0x10;

/// Appends a column of start timestamps, one for each of `timestamps`: as they are or, where that
/// is shorter, as distances.
pub(crate) fn encode(timestamps: &[i64], starts: &[i64], out: &mut Vec<u8>) {
    let distances = timestamps
        .iter()
        .zip(starts)
        .map(|(at, start)| at.wrapping_sub(*start))
        .collect();
    let begin = out.len();
    put(starts.to_vec(), 0, out);
    let mut relative = Vec::new();
    put(distances, RELATIVE, &mut relative);
    if relative.len() < out.len() - begin {
        out.truncate(begin);
        out.append(&mut relative);
    }
}

fn put(integers: Vec<i64>, flags: u8, out: &mut Vec<u8>) {
    let column = Column::plan(integers, Shape::Free);
    out.push(column.tag() | flags);
    column.encode(out);
}

/// Appends the start timestamps of `timestamps` to `out`. After an error `out` holds a part.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    timestamps: &[i64],
    out: &mut Vec<i64>,
) -> Result<(), DecodeError> {
    let tag = reader.byte()?;
    if tag & !(ColumnHead::TAG_BITS | RELATIVE) != 0 {
        return Err(DecodeError::Corrupt("unknown start timestamp flags"));
    }
    let start = out.len();
    integers::decode_tagged(tag, timestamps.len(), reader, out)?;
    if tag & RELATIVE != 0
        && let Some(decoded) = out.get_mut(start..)
    {
        for (slot, at) in decoded.iter_mut().zip(timestamps) {
            *slot = at.wrapping_sub(*slot);
        }
    }
    Ok(())
}

/// Start timestamps of samples that still arrive. Equal neighbours take one entry; without a
/// known one nothing is allocated.
#[derive(Clone, Debug, Default)]
pub struct OpenStarts {
    /// Records of the zigzag difference from the run before, and its length less one.
    bytes: Vec<u8>,
    last: i64,
    /// Length of the run that still grows and is not in `bytes`.
    run: u64,
}

impl OpenStarts {
    /// Adds the start timestamp of the next sample.
    pub fn push(&mut self, start_timestamp: i64) {
        self.push_many(start_timestamp, 1);
    }

    /// Adds the same start timestamp for `count` samples.
    pub fn push_many(&mut self, start_timestamp: i64, count: usize) {
        if self.run > 0 && start_timestamp != self.last {
            self.close_run();
        }
        if self.run == 0 && count > 0 {
            let difference = start_timestamp.wrapping_sub(self.last);
            put_zigzag(difference, &mut self.bytes);
            self.last = start_timestamp;
        }
        self.run += count as u64;
    }

    fn close_run(&mut self) {
        crate::varint::put_varint(self.run - 1, &mut self.bytes);
        self.run = 0;
    }

    /// Whether a start timestamp other than 0 was added.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        // A first run of zeros is one byte, and no other begins with nothing behind it.
        self.last != 0 || self.bytes.len() > 1
    }

    /// Appends all start timestamps to `out`.
    pub fn decode_into(&self, out: &mut Vec<i64>) {
        let mut reader = Reader::new(&self.bytes);
        let mut start = 0_i64;
        while let Ok(difference) = reader.zigzag() {
            start = start.wrapping_add(difference);
            let count = match reader.varint() {
                Ok(more) => more.saturating_add(1),
                Err(_open_run) => self.run,
            };
            let count = usize::try_from(count).unwrap_or(0);
            out.extend(std::iter::repeat_n(start, count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(timestamps: &[i64], starts: &[i64]) -> usize {
        let mut bytes = Vec::new();
        encode(timestamps, starts, &mut bytes);
        let mut back = vec![7];
        let mut reader = Reader::new(&bytes);
        decode(&mut reader, timestamps, &mut back).unwrap();
        assert!(reader.rest().is_empty());
        assert_eq!(&back[1..], starts);
        let mut open = OpenStarts::default();
        starts.iter().for_each(|start| open.push(*start));
        back.clear();
        open.decode_into(&mut back);
        assert_eq!(back, starts);
        assert_eq!(open.is_known(), starts.iter().any(|start| *start != 0));
        bytes.len()
    }

    #[test]
    fn usual_columns_are_small() {
        let at: Vec<i64> = (0..120).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        assert!(size(&at, &[1_699_999_000_000; 120]) <= 8);
        // Deltas: each sample starts where the one before ended.
        let previous: Vec<i64> = at.iter().map(|at| at - 15_000).collect();
        assert!(size(&at, &previous) <= 5);
        assert!(size(&at, &[0; 120]) <= 2);
    }

    #[test]
    fn odd_columns_round_trip() {
        let at: Vec<i64> = (0..9).collect();
        size(&at, &[0, 0, 5, 5, 0, i64::MIN, i64::MAX, -1, 0]);
        size(&at, &[5, 0, 0, 0, 0, 0, 0, 0, 0]);
        size(&at[..1], &[-3]);
        let mut open = OpenStarts::default();
        open.push_many(0, 3);
        open.push_many(8, 0);
        open.push(8);
        let mut back = Vec::new();
        open.decode_into(&mut back);
        assert_eq!(back, [0, 0, 0, 8]);
        assert_eq!(OpenStarts::default().bytes.capacity(), 0);
    }
}
