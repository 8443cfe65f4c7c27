//! Reading a large chunk: its header alone, or the samples within a range of time.

use super::{CONSTANT, FORMAT, LargeHeader, MAX_LARGE_SAMPLES, StreamRef, WITH_STARTS, facts};
use crate::timestamps::decode_timestamps;
use crate::values::decode_values;
use crate::varint::Reader;
use crate::{DecodeError, TimeBounds, starts};

/// Longest segment, as a power of two: the bound of a chunk.
const MAX_SEGMENT_BITS: u8 = 13;

/// A large chunk whose header is read.
#[derive(Clone, Debug)]
pub struct LargeChunk<'a> {
    header: LargeHeader,
    /// Inline timestamps, if there is no stream.
    timestamps: &'a [u8],
    /// Everything behind the timestamps.
    rest: Reader<'a>,
}

/// Where decoded samples are appended.
#[derive(Debug)]
pub struct LargeColumns<'a> {
    /// Milliseconds since the epoch.
    pub timestamps: &'a mut Vec<i64>,
    /// Milliseconds since the epoch, 0 where not known; untouched if the chunk knows none.
    pub start_timestamps: &'a mut Vec<i64>,
    /// Values.
    pub values: &'a mut Vec<f64>,
}

impl<'a> LargeChunk<'a> {
    /// Whether bytes claim to be a large chunk of a version that is known.
    #[must_use]
    pub fn is_large(bytes: &[u8]) -> bool {
        bytes
            .first()
            .is_some_and(|format| format & !WITH_STARTS == FORMAT)
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`DecodeError`], if `bytes` do not start with the header of a large chunk.
    pub fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let format = reader.byte()?;
        if format & !WITH_STARTS != FORMAT {
            return Err(DecodeError::UnknownFormat(format));
        }
        let claimed = reader.varint()?;
        let Ok(count @ 1..=MAX_LARGE_SAMPLES) = usize::try_from(claimed) else {
            return Err(DecodeError::BadCount(claimed));
        };
        let first_timestamp = reader.zigzag()?;
        let span = reader.varint()?.cast_signed();
        let facts = facts::decode(&mut reader, count)?;
        let stream = match reader.varint()? {
            0 => None,
            id => Some(StreamRef {
                id: u32::try_from(id - 1)
                    .map_err(|_| DecodeError::Corrupt("stream number over 32 bits"))?,
                start: u32::try_from(reader.varint()?)
                    .map_err(|_| DecodeError::Corrupt("stream position over 32 bits"))?,
            }),
        };
        let timestamps = match stream {
            Some(_) => &[],
            None => {
                let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                reader.take(length)?
            }
        };
        Ok(Self {
            header: LargeHeader {
                count,
                has_start_timestamps: format & WITH_STARTS != 0,
                first_timestamp,
                last_timestamp: first_timestamp.wrapping_add(span),
                stream,
                facts,
            },
            timestamps,
            rest: reader,
        })
    }

    /// What the chunk says of itself.
    #[must_use]
    pub const fn header(&self) -> &LargeHeader {
        &self.header
    }

    /// Appends the samples that lie within `bounds` and returns how many there are. `stream` is
    /// the whole stream that the header names, and not looked at if it names none. On an error
    /// the columns are as they were.
    ///
    /// # Errors
    /// [`DecodeError`], if the chunk or what its stream has in its place is corrupt. Segments
    /// outside the bounds are not checked.
    pub fn decode(
        &self,
        stream: &[i64],
        bounds: TimeBounds,
        columns: &mut LargeColumns<'_>,
    ) -> Result<usize, DecodeError> {
        let before = [
            columns.timestamps.len(),
            columns.start_timestamps.len(),
            columns.values.len(),
        ];
        let mut inline = Vec::new();
        let decoded = self
            .times(stream, &mut inline)
            .and_then(|times| self.decode_within(times, bounds, columns));
        if decoded.is_err() {
            columns.timestamps.truncate(before[0]);
            columns.start_timestamps.truncate(before[1]);
            columns.values.truncate(before[2]);
        }
        decoded
    }

    /// The chunk's timestamps, from the stream or from the chunk.
    fn times<'t>(
        &self,
        stream: &'t [i64],
        inline: &'t mut Vec<i64>,
    ) -> Result<&'t [i64], DecodeError> {
        let LargeHeader { count, .. } = self.header;
        let times = match self.header.stream {
            Some(StreamRef { start, .. }) => stream
                .get(start as usize..)
                .and_then(|from| from.get(..count))
                .ok_or(DecodeError::Corrupt("timestamp stream is too short"))?,
            None => {
                let taken = decode_timestamps(self.timestamps, count, inline)?;
                if taken < self.timestamps.len() {
                    return Err(DecodeError::TrailingBytes(self.timestamps.len() - taken));
                }
                inline
            }
        };
        let ends = (times.first().copied(), times.last().copied());
        let (first, last) = (self.header.first_timestamp, self.header.last_timestamp);
        if ends != (Some(first), Some(last)) {
            return Err(DecodeError::Corrupt("timestamps differ from the head"));
        }
        Ok(times)
    }

    fn decode_within(
        &self,
        times: &[i64],
        bounds: TimeBounds,
        columns: &mut LargeColumns<'_>,
    ) -> Result<usize, DecodeError> {
        let end = times.partition_point(|at| *at <= bounds.max_timestamp);
        let start = times.partition_point(|at| *at < bounds.min_timestamp);
        let Some(within) = times.get(start..end).filter(|within| !within.is_empty()) else {
            return Ok(0);
        };
        let mut reader = self.rest.clone();
        if self.header.has_start_timestamps {
            let from = columns.start_timestamps.len();
            starts::decode(&mut reader, times, columns.start_timestamps)?;
            columns.start_timestamps.truncate(from + end);
            columns.start_timestamps.drain(from..from + start);
        }
        columns.timestamps.extend_from_slice(within);
        self.decode_segments(&mut reader, (start, end), columns.values)?;
        Ok(within.len())
    }

    fn decode_segments(
        &self,
        reader: &mut Reader<'_>,
        (start, end): (usize, usize),
        values: &mut Vec<f64>,
    ) -> Result<(), DecodeError> {
        let count = self.header.count;
        let segment = match reader.byte()? {
            CONSTANT => {
                let facts = self.header.facts;
                let value = facts.ok_or(DecodeError::Corrupt("constant without a value"))?;
                expect_end(reader.rest())?;
                values.resize(values.len() + end - start, value.first);
                return Ok(());
            }
            0 => count,
            bits @ 1..=MAX_SEGMENT_BITS => 1 << bits,
            _ => return Err(DecodeError::Corrupt("segment too long")),
        };
        let segments = count.div_ceil(segment);
        let mut lengths = reader.clone();
        for _ in 1..segments {
            reader.varint()?;
        }
        for number in 0..segments {
            let bytes = if number + 1 < segments {
                let length = usize::try_from(lengths.varint()?).unwrap_or(usize::MAX);
                reader.take(length)?
            } else {
                reader.rest()
            };
            let from = number * segment;
            let to = count.min(from + segment);
            if from >= end || to <= start {
                continue;
            }
            let begin = values.len();
            let taken = decode_values(bytes, to - from, values)?;
            expect_end(bytes.get(taken..).unwrap_or_default())?;
            values.truncate(begin + end.min(to) - from);
            values.drain(begin..begin + start.saturating_sub(from));
        }
        Ok(())
    }
}

fn expect_end(rest: &[u8]) -> Result<(), DecodeError> {
    match rest.len() {
        0 => Ok(()),
        trailing => Err(DecodeError::TrailingBytes(trailing)),
    }
}
