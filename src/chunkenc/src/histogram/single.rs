//! One histogram on its own, for records that hold histograms of many series.

use std::sync::Arc;

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{FloatHistogram, Histogram, IntegerHistogram};

use super::layout::{Layout, OwnedLayout};
use super::{hint_number, hint_of};
use crate::varint::{Reader, put_double, put_varint, put_zigzag};
use crate::{DecodeError, EncodeError};

/// Set in the first byte of a histogram with float counts; the hint stands above it.
const FLOAT: u8 = 1;
const HINT_SHIFT: u32 = 1;
const KNOWN_BITS: u8 = 7;

/// Appends one histogram. The bytes are those of "Histogram" in `docs/formats/chunk.md`; whoever
/// stores them says in which version.
///
/// # Errors
/// [`EncodeError::TooManyParts`] over [`MAX_HISTOGRAM_PARTS`]; nothing is appended then.
pub fn put_histogram(histogram: &Histogram, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let parts = histogram.parts();
    if parts > MAX_HISTOGRAM_PARTS {
        return Err(EncodeError::TooManyParts {
            parts,
            limit: MAX_HISTOGRAM_PARTS,
        });
    }
    put_single(histogram, out)
}

/// Takes one histogram off the front of `bytes` and returns it with the number of bytes it took.
///
/// # Errors
/// [`DecodeError::Truncated`] and [`DecodeError::Corrupt`].
pub fn take_histogram(bytes: &[u8]) -> Result<(Histogram, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    let histogram = read_single(&mut reader)?;
    Ok((histogram, bytes.len() - reader.rest().len()))
}

/// As [`put_histogram`], of a histogram whose size was checked.
pub(crate) fn put_single(histogram: &Histogram, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (kind, hint) = match histogram {
        Histogram::Integer(histogram) => (0, histogram.counter_reset_hint),
        Histogram::Float(histogram) => (FLOAT, histogram.counter_reset_hint),
    };
    out.push(kind | hint_number(hint) << HINT_SHIFT);
    Layout::of(histogram).encode(out)?;
    match histogram {
        Histogram::Integer(histogram) => {
            put_double(histogram.sum, out);
            put_varint(histogram.count, out);
            put_varint(histogram.zero_count, out);
            let deltas = [&histogram.positive_deltas, &histogram.negative_deltas];
            deltas
                .into_iter()
                .flatten()
                .for_each(|delta| put_zigzag(*delta, out));
        }
        Histogram::Float(histogram) => {
            for value in [histogram.sum, histogram.count, histogram.zero_count] {
                put_double(value, out);
            }
            let buckets = [&histogram.positive_buckets, &histogram.negative_buckets];
            buckets
                .into_iter()
                .flatten()
                .for_each(|count| put_double(*count, out));
        }
    }
    Ok(())
}

/// As [`take_histogram`].
pub(crate) fn read_single(reader: &mut Reader<'_>) -> Result<Histogram, DecodeError> {
    let head = reader.byte()?;
    if head & !KNOWN_BITS != 0 {
        return Err(DecodeError::Corrupt("unknown histogram flags"));
    }
    let hint = hint_of(head >> HINT_SHIFT);
    let layout = OwnedLayout::decode(reader)?;
    // Every bucket takes at least one byte.
    if layout.buckets() > reader.rest().len() {
        return Err(DecodeError::Truncated);
    }
    let (positive, negative) = (layout.positive, layout.negative);
    if head & FLOAT == 0 {
        let histogram = IntegerHistogram {
            sum: reader.double()?,
            count: reader.varint()?,
            zero_count: reader.varint()?,
            positive_deltas: collect(positive, || reader.zigzag())?,
            negative_deltas: collect(negative, || reader.zigzag())?,
            ..layout.into_integer(hint)
        };
        return Ok(Histogram::Integer(Arc::new(histogram)));
    }
    let histogram = FloatHistogram {
        sum: reader.double()?,
        count: reader.double()?,
        zero_count: reader.double()?,
        positive_buckets: collect(positive, || reader.double())?,
        negative_buckets: collect(negative, || reader.double())?,
        ..layout.into_float(hint)
    };
    Ok(Histogram::Float(Arc::new(histogram)))
}

fn collect<T>(
    count: usize,
    mut read: impl FnMut() -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    (0..count).map(|_| read()).collect()
}
