//! The large chunk: up to a day of floats of one series, with facts about its values in front.
//!
//! Its timestamps stand inside, or in a stream that many series share and the chunk refers to. Its
//! values are cut into segments, so that a short range of time decodes little.

mod decode;
mod facts;

pub use decode::{LargeChunk, LargeColumns};

use model::ValueSummary;

use crate::timestamps::encode_timestamps;
use crate::values::encode_values;
use crate::varint::{put_varint, put_zigzag};
use crate::{EncodeError, SampleTimes, starts};

/// Most samples in one large chunk.
pub const MAX_LARGE_SAMPLES: usize = 8192;

/// The format byte, first version.
const FORMAT: u8 = 0x04;
/// Set in the format byte of a chunk with a column of start timestamps.
const WITH_STARTS: u8 = 0x10;
/// Values of one segment, as a power of two.
const SEGMENT_BITS: u8 = 10;
/// In place of segments: all values are the same, and the facts say which.
const CONSTANT: u8 = u8::MAX;
/// Values that take no more bytes than this stay one segment.
const SHORT_COLUMN_BYTES: usize = 64;

/// Where a chunk's timestamps are, if not in the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRef {
    /// Number of the stream; its owner decides what it counts.
    pub id: u32,
    /// Position of the chunk's first timestamp in the stream.
    pub start: u32,
}

/// What a large chunk says of itself before its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LargeHeader {
    /// Samples in the chunk, 1 to [`MAX_LARGE_SAMPLES`].
    pub count: usize,
    /// Whether it knows since when any of its samples has been counting.
    pub has_start_timestamps: bool,
    /// Milliseconds since the epoch.
    pub first_timestamp: i64,
    /// Milliseconds since the epoch.
    pub last_timestamp: i64,
    /// The stream that holds its timestamps, if they are not inside.
    pub stream: Option<StreamRef>,
    /// Facts about its values; `None` where all are stale markers.
    pub facts: Option<ValueSummary>,
}

/// What a large chunk is made of.
#[derive(Clone, Copy, Debug)]
pub struct LargeSamples<'a> {
    /// When each sample was taken, and since when it has been counting.
    pub times: SampleTimes<'a>,
    /// The stream that has the timestamps, if they shall not stand in the chunk.
    pub stream: Option<StreamRef>,
    /// The values.
    pub values: &'a [f64],
    /// Facts about them, which are stored as they are.
    pub facts: Option<ValueSummary>,
}

/// Appends a large chunk of 1 to [`MAX_LARGE_SAMPLES`] samples, timestamps in milliseconds and
/// strictly ascending.
///
/// # Errors
/// [`EncodeError`], if the columns differ in length, are empty or too long. Nothing is appended
/// then.
pub fn encode_large(samples: &LargeSamples<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let LargeSamples {
        times,
        stream,
        values,
        facts,
    } = *samples;
    times.check(values.len())?;
    let (Some(first), Some(last)) = (times.timestamps.first(), times.timestamps.last()) else {
        return Err(EncodeError::Empty);
    };
    if values.len() > MAX_LARGE_SAMPLES {
        return Err(EncodeError::TooManySamples {
            count: values.len(),
        });
    }
    let has_starts = times.start_timestamps.iter().any(|start| *start != 0);
    out.push(FORMAT | if has_starts { WITH_STARTS } else { 0 });
    put_varint(values.len() as u64, out);
    put_zigzag(*first, out);
    put_varint(last.wrapping_sub(*first).cast_unsigned(), out);
    facts::encode(facts.as_ref(), values.len(), out);
    match stream {
        Some(StreamRef { id, start }) => {
            put_varint(u64::from(id) + 1, out);
            put_varint(u64::from(start), out);
        }
        None => {
            let mut column = Vec::new();
            encode_timestamps(times.timestamps, &mut column)?;
            put_varint(0, out);
            put_varint(column.len() as u64, out);
            out.append(&mut column);
        }
    }
    if has_starts {
        starts::encode(times.timestamps, times.start_timestamps, out);
    }
    encode_segments(values, facts.as_ref(), out)
}

fn encode_segments(
    values: &[f64],
    facts: Option<&ValueSummary>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let constant = |facts: &ValueSummary| {
        let first = facts.first.to_bits();
        values.iter().all(|value| value.to_bits() == first)
    };
    if facts.is_some_and(constant) {
        out.push(CONSTANT);
        return Ok(());
    }
    let segment = 1 << SEGMENT_BITS;
    let mut whole = Vec::new();
    if values.len() > segment {
        encode_segment_list(values, segment, &mut whole)?;
    }
    if whole.is_empty() || whole.len() <= SHORT_COLUMN_BYTES {
        out.push(0);
        return encode_values(values, out);
    }
    out.push(SEGMENT_BITS);
    out.append(&mut whole);
    Ok(())
}

/// Appends the lengths of all segments but the last, then the segments.
fn encode_segment_list(
    values: &[f64],
    segment: usize,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut bytes = Vec::new();
    let mut segments = values.chunks(segment).peekable();
    while let Some(values) = segments.next() {
        let begin = bytes.len();
        encode_values(values, &mut bytes)?;
        if segments.peek().is_some() {
            put_varint((bytes.len() - begin) as u64, out);
        }
    }
    out.append(&mut bytes);
    Ok(())
}
