//! A sealed chunk: format byte, count, timestamp column, value column.

use crate::timestamps::{TimestampHead, decode_timestamps, encode_timestamps};
use crate::values::{decode_values, encode_values};
use crate::varint::{Reader, put_varint};
use crate::{DecodeError, EncodeError, MAX_SAMPLES, check_length};

/// Float samples, first version.
const FORMAT_FLOATS: u8 = 0x01;

/// What a chunk says of itself before its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Samples in the chunk, at least one.
    pub count: usize,
    /// Milliseconds since the epoch.
    pub first_timestamp: i64,
    /// Milliseconds since the epoch.
    pub last_timestamp: i64,
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
    if timestamps.len() != values.len() {
        return Err(EncodeError::LengthMismatch {
            timestamps: timestamps.len(),
            values: values.len(),
        });
    }
    check_length(values.len())?;
    debug_assert!(
        timestamps.is_sorted_by(|a, b| a < b),
        "timestamps of a chunk ascend strictly"
    );
    out.push(FORMAT_FLOATS);
    put_varint(values.len() as u64, out);
    encode_timestamps(timestamps, out)?;
    encode_values(values, out)
}

/// Appends the samples of a chunk to both columns and returns how many there are. On an error the
/// columns are as they were.
///
/// # Errors
/// [`DecodeError`], if `bytes` are not exactly one whole chunk.
pub fn decode(
    bytes: &[u8],
    timestamps: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = read_count(&mut reader)?;
    let start = timestamps.len();
    let taken = decode_timestamps(reader.rest(), count, timestamps)?;
    reader.take(taken)?;
    decode_last_column(reader.rest(), count, values).inspect_err(|_| timestamps.truncate(start))?;
    Ok(count)
}

/// Appends the samples of a chunk that lie within `bounds` and returns how many there are. A
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
    let count = read_count(&mut reader)?;
    let head = TimestampHead::read(&mut reader, count)?;
    Ok(ChunkHeader {
        count,
        first_timestamp: head.first,
        last_timestamp: head.last,
    })
}

fn read_count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    match reader.byte()? {
        FORMAT_FLOATS => {}
        other => return Err(DecodeError::UnknownFormat(other)),
    }
    let count = reader.varint()?;
    match usize::try_from(count) {
        Ok(count @ 1..=MAX_SAMPLES) => Ok(count),
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
