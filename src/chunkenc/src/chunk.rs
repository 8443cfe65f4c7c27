//! A sealed chunk: format byte, count, timestamp column, start column if one is known, samples.

use crate::timestamps::{TimestampHead, decode_timestamps, encode_timestamps};
use crate::values::{decode_values, encode_values};
use crate::varint::{Reader, put_varint};
use crate::{DecodeError, EncodeError, MAX_SAMPLES, check_length, starts};

/// Set in the format byte of a chunk with a column of start timestamps.
const WITH_STARTS: u8 = 0x10;

/// What the samples of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkKind {
    /// Floats.
    Floats,
    /// Native histograms with integer counts.
    IntegerHistograms,
    /// Native histograms with float counts.
    FloatHistograms,
}

impl ChunkKind {
    /// The format byte, first version of each.
    const fn format(self) -> u8 {
        match self {
            Self::Floats => 0x01,
            Self::IntegerHistograms => 0x02,
            Self::FloatHistograms => 0x03,
        }
    }
}

/// What a chunk says of itself before its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// What its samples are.
    pub kind: ChunkKind,
    /// Whether it knows since when any of its samples has been counting.
    pub has_start_timestamps: bool,
    /// Samples in the chunk, at least one.
    pub count: usize,
    /// Milliseconds since the epoch.
    pub first_timestamp: i64,
    /// Milliseconds since the epoch.
    pub last_timestamp: i64,
}

/// The times of a chunk's samples, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct SampleTimes<'a> {
    /// When each was taken, strictly ascending.
    pub timestamps: &'a [i64],
    /// Since when each has been counting, 0 where not known; empty if none is.
    pub start_timestamps: &'a [i64],
}

impl SampleTimes<'_> {
    /// Checks that there is one of each for `values` values.
    pub(crate) const fn check(&self, values: usize) -> Result<(), EncodeError> {
        let (timestamps, starts) = (self.timestamps.len(), self.start_timestamps.len());
        if timestamps != values || (starts != 0 && starts != values) {
            return Err(EncodeError::LengthMismatch { timestamps, values });
        }
        Ok(())
    }
}

/// Both ends inclusive, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// Least timestamp wanted.
    pub min_timestamp: i64,
    /// Greatest timestamp wanted.
    pub max_timestamp: i64,
}

/// Appends a sealed chunk of 1 to [`MAX_SAMPLES`] samples, timestamps in milliseconds and
/// strictly ascending.
///
/// # Errors
/// [`EncodeError`], if the columns differ in length, are empty or too long. Nothing is appended
/// then.
pub fn encode(timestamps: &[i64], values: &[f64], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let times = SampleTimes {
        timestamps,
        start_timestamps: &[],
    };
    encode_with_starts(times, values, out)
}

/// As [`encode`], with start timestamps.
///
/// # Errors
/// As [`encode`].
pub fn encode_with_starts(
    times: SampleTimes<'_>,
    values: &[f64],
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    times.check(values.len())?;
    check_length(values.len())?;
    put_head(ChunkKind::Floats, times, out)?;
    encode_values(values, out)
}

/// Appends everything that stands before the samples, of which there is at least one.
pub(crate) fn put_head(
    kind: ChunkKind,
    times: SampleTimes<'_>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let SampleTimes {
        timestamps,
        start_timestamps,
    } = times;
    debug_assert!(
        timestamps.is_sorted_by(|a, b| a < b),
        "timestamps of a chunk ascend strictly"
    );
    let has_starts = start_timestamps.iter().any(|start| *start != 0);
    out.push(kind.format() | if has_starts { WITH_STARTS } else { 0 });
    put_varint(timestamps.len() as u64, out);
    encode_timestamps(timestamps, out)?;
    if has_starts {
        starts::encode(timestamps, start_timestamps, out);
    }
    Ok(())
}

/// Appends the samples of a chunk of floats to both columns and returns how many there are. Start
/// timestamps are passed over. On an error the columns are as they were.
///
/// # Errors
/// [`DecodeError`], if `bytes` are not exactly one whole chunk of floats.
pub fn decode(
    bytes: &[u8],
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<usize, DecodeError> {
    decode_with_starts(bytes, timestamps, &mut Vec::new(), values)
}

/// As [`decode`]; appends one start timestamp per sample to `start_timestamps` if the chunk knows
/// any, otherwise none.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_starts(
    bytes: &[u8],
    timestamps: &mut Vec<i64>,
    start_timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<usize, DecodeError> {
    let (times, starts) = (timestamps.len(), start_timestamps.len());
    let mut reader = Reader::new(bytes);
    let decoded = match read_head(&mut reader, timestamps, start_timestamps) {
        Ok(ChunkKind::Floats) => {
            let count = timestamps.len() - times;
            decode_last_column(reader.rest(), count, values).map(|()| count)
        }
        Ok(_) => Err(DecodeError::Corrupt("chunk holds histograms")),
        Err(error) => Err(error),
    };
    decoded.inspect_err(|_| {
        timestamps.truncate(times);
        start_timestamps.truncate(starts);
    })
}

/// Reads everything that stands before the samples. After an error the columns hold a part.
pub(crate) fn read_head(
    reader: &mut Reader<'_>,
    timestamps: &mut Vec<i64>,
    start_timestamps: &mut Vec<i64>,
) -> Result<ChunkKind, DecodeError> {
    let (kind, has_starts, count) = read_format(reader)?;
    let begin = timestamps.len();
    let taken = decode_timestamps(reader.rest(), count, timestamps)?;
    reader.take(taken)?;
    if has_starts && let Some(decoded) = timestamps.get(begin..) {
        starts::decode(reader, decoded, start_timestamps)?;
    }
    Ok(kind)
}

/// Appends the samples of a chunk of floats that lie within `bounds` and returns how many there are. A
/// chunk outside the bounds costs a look at its header. On an error the columns are as they were.
///
/// # Errors
/// [`DecodeError`], if `bytes` are not exactly one whole chunk; what a chunk outside the bounds
/// holds behind its header is not checked.
pub fn decode_range(
    bytes: &[u8],
    bounds: TimeBounds,
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<usize, DecodeError> {
    let header = header(bytes)?;
    let TimeBounds {
        min_timestamp,
        max_timestamp,
    } = bounds;
    if header.last_timestamp < min_timestamp || header.first_timestamp > max_timestamp {
        return Ok(0);
    }
    let (first_timestamp, first_value) = (timestamps.len(), values.len());
    decode(bytes, timestamps, values)?;
    let decoded = &timestamps[first_timestamp..];
    let end = decoded.partition_point(|&timestamp| timestamp <= max_timestamp);
    let start = decoded
        .partition_point(|&timestamp| timestamp < min_timestamp)
        .min(end);
    timestamps.truncate(first_timestamp + end);
    timestamps.drain(first_timestamp..first_timestamp + start);
    values.truncate(first_value + end);
    values.drain(first_value..first_value + start);
    Ok(end - start)
}

/// The count and time range of a chunk, without decoding its columns.
///
/// # Errors
/// [`DecodeError`], if `bytes` do not start with a chunk's header.
pub fn header(bytes: &[u8]) -> Result<ChunkHeader, DecodeError> {
    let mut reader = Reader::new(bytes);
    let (kind, has_start_timestamps, count) = read_format(&mut reader)?;
    let head = TimestampHead::read(&mut reader, count)?;
    Ok(ChunkHeader {
        kind,
        has_start_timestamps,
        count,
        first_timestamp: head.first,
        last_timestamp: head.last,
    })
}

/// Reads the format byte (kind, and whether there is a start column) and the count.
fn read_format(reader: &mut Reader<'_>) -> Result<(ChunkKind, bool, usize), DecodeError> {
    let format = reader.byte()?;
    let kind = match format & !WITH_STARTS {
        0x01 => ChunkKind::Floats,
        0x02 => ChunkKind::IntegerHistograms,
        0x03 => ChunkKind::FloatHistograms,
        _ => return Err(DecodeError::UnknownFormat(format)),
    };
    let count = reader.varint()?;
    match usize::try_from(count) {
        Ok(count @ 1..=MAX_SAMPLES) => Ok((kind, format & WITH_STARTS != 0, count)),
        _ => Err(DecodeError::BadCount(count)),
    }
}

/// Decodes values that must end where `bytes` end.
fn decode_last_column(
    bytes: &[u8],
    count: usize,
    values: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    let start = values.len();
    let taken = decode_values(bytes, count, values)?;
    let trailing = bytes.len() - taken;
    if trailing > 0 {
        values.truncate(start);
        return Err(DecodeError::TrailingBytes(trailing));
    }
    Ok(())
}
