//! Histograms that still arrive: a log of differences from one to the next, never on disk.
//!
//! | field | |
//! | --- | --- |
//! | flags, 1 byte | bit 0: layout as before · bit 1: another start timestamp · bits 2, 3: hint |
//! | interval change | zigzag |
//! | start timestamp | zigzag of its change, if bit 1 |
//! | same layout | changes of sum, count, zero count, and of each bucket's absolute count |
//! | other layout | the histogram on its own |
//!
//! Changes of integers are zigzags, changes of floats the bytes of an XOR that are not zero.

use std::sync::Arc;

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{CounterResetHint, FloatHistogram, Histogram, IntegerHistogram};

use crate::histogram::{
    MAX_CHUNK_PARTS, absolute, deltas, hint_number, hint_of, put_single, read_single, same_layout,
};
use crate::varint::{Reader, put_zigzag};
use crate::{DecodeError, EncodeError, MAX_SAMPLES, OPEN_CHUNK_SAMPLES};

const SAME_LAYOUT: u8 = 1;
const NEW_START: u8 = 2;
const HINT_SHIFT: u32 = 2;
/// Buckets, spans and bounds at which an open chunk is due: one more histogram still fits.
const FULL_PARTS: usize = MAX_CHUNK_PARTS - MAX_HISTOGRAM_PARTS;

/// The newest histograms of one series, all with integer counts or all with float counts.
#[derive(Clone, Debug, Default)]
pub struct OpenHistograms {
    bytes: Vec<u8>,
    count: usize,
    parts: usize,
    first_timestamp: i64,
    last_timestamp: i64,
    last_interval: i64,
    last_start: i64,
    has_starts: bool,
    last: Option<Histogram>,
}

/// One sample of [`OpenHistograms`], times in milliseconds since the epoch.
#[derive(Clone, Debug)]
pub struct OpenHistogram {
    /// When it was taken.
    pub timestamp: i64,
    /// Since when it has been counting, 0 if that is not known.
    pub start_timestamp: i64,
    /// The histogram as it was appended.
    pub histogram: Histogram,
}

impl OpenHistograms {
    /// Appends a histogram; times in milliseconds since the epoch, in any order. A start timestamp
    /// of 0 is not known.
    ///
    /// # Errors
    /// [`EncodeError::MixedHistograms`] if the chunk holds those of the other kind,
    /// [`EncodeError::TooManyParts`] over [`MAX_HISTOGRAM_PARTS`] or when it is long due, and
    /// [`EncodeError::TooManySamples`]. The chunk is unchanged then.
    pub fn append(
        &mut self,
        timestamp: i64,
        start_timestamp: i64,
        histogram: &Histogram,
    ) -> Result<(), EncodeError> {
        self.check(histogram)?;
        if self.count == 0 {
            (self.first_timestamp, self.last_timestamp) = (timestamp, timestamp);
        }
        let same = self
            .last
            .as_ref()
            .filter(|last| same_layout(last, histogram));
        let hint = match histogram {
            Histogram::Integer(histogram) => histogram.counter_reset_hint,
            Histogram::Float(histogram) => histogram.counter_reset_hint,
        };
        let new_start = start_timestamp != self.last_start;
        let flags = if same.is_some() { SAME_LAYOUT } else { 0 }
            | if new_start { NEW_START } else { 0 }
            | hint_number(hint) << HINT_SHIFT;
        self.bytes.push(flags);
        let interval = timestamp.wrapping_sub(self.last_timestamp);
        put_zigzag(interval.wrapping_sub(self.last_interval), &mut self.bytes);
        if new_start {
            put_zigzag(
                start_timestamp.wrapping_sub(self.last_start),
                &mut self.bytes,
            );
        }
        match (same, histogram) {
            (Some(Histogram::Integer(last)), Histogram::Integer(next)) => {
                put_integer_change(last, next, &mut self.bytes);
            }
            (Some(Histogram::Float(last)), Histogram::Float(next)) => {
                put_float_change(last, next, &mut self.bytes);
            }
            _ => put_single(histogram, &mut self.bytes)?,
        }
        (self.last_timestamp, self.last_interval) = (timestamp, interval);
        self.last_start = start_timestamp;
        self.has_starts |= start_timestamp != 0;
        self.parts += histogram.parts();
        self.count += 1;
        self.last = Some(histogram.clone());
        Ok(())
    }

    fn check(&self, histogram: &Histogram) -> Result<(), EncodeError> {
        let refuse = |parts, limit| Err(EncodeError::TooManyParts { parts, limit });
        let parts = histogram.parts();
        if !self.accepts(histogram) {
            Err(EncodeError::MixedHistograms)
        } else if parts > MAX_HISTOGRAM_PARTS {
            refuse(parts, MAX_HISTOGRAM_PARTS)
        } else if self.parts + parts > MAX_CHUNK_PARTS {
            refuse(self.parts + parts, MAX_CHUNK_PARTS)
        } else if self.count >= MAX_SAMPLES {
            Err(EncodeError::TooManySamples {
                count: self.count + 1,
            })
        } else {
            Ok(())
        }
    }

    /// Whether the chunk is empty or holds histograms of the same kind of counts.
    #[must_use]
    pub fn accepts(&self, histogram: &Histogram) -> bool {
        match &self.last {
            None => true,
            Some(last) => {
                matches!(last, Histogram::Integer(_)) == matches!(histogram, Histogram::Integer(_))
            }
        }
    }

    /// Histograms in the chunk.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True before the first histogram.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True from [`OPEN_CHUNK_SAMPLES`] histograms on, and from a bound on their buckets.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.count >= OPEN_CHUNK_SAMPLES || self.parts >= FULL_PARTS
    }

    /// The first timestamp, in milliseconds since the epoch.
    #[must_use]
    pub fn first_timestamp(&self) -> Option<i64> {
        (self.count > 0).then_some(self.first_timestamp)
    }

    /// The last timestamp, in milliseconds since the epoch.
    #[must_use]
    pub fn last_timestamp(&self) -> Option<i64> {
        (self.count > 0).then_some(self.last_timestamp)
    }

    /// Whether any start timestamp is known.
    #[must_use]
    pub const fn has_start_timestamps(&self) -> bool {
        self.has_starts
    }

    /// Memory that the chunk takes, itself included but for its newest histogram, in bytes.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }

    /// All histograms, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = OpenHistogram> {
        let mut reader = Reader::new(&self.bytes);
        let mut previous: Option<OpenHistogram> = None;
        let mut interval = 0;
        (0..self.count).map_while(move |_| {
            let next = match &previous {
                None => read_next(&mut reader, self.first_timestamp, 0, &mut interval, None),
                Some(last) => read_next(
                    &mut reader,
                    last.timestamp,
                    last.start_timestamp,
                    &mut interval,
                    Some(&last.histogram),
                ),
            };
            debug_assert!(next.is_ok(), "an open chunk reads back what it wrote");
            previous = next.ok();
            previous.clone()
        })
    }
}

fn read_next(
    reader: &mut Reader<'_>,
    last_timestamp: i64,
    last_start: i64,
    interval: &mut i64,
    last: Option<&Histogram>,
) -> Result<OpenHistogram, DecodeError> {
    let flags = reader.byte()?;
    *interval = interval.wrapping_add(reader.zigzag()?);
    let mut start_timestamp = last_start;
    if flags & NEW_START != 0 {
        start_timestamp = start_timestamp.wrapping_add(reader.zigzag()?);
    }
    let hint = hint_of(flags >> HINT_SHIFT);
    let histogram = match last {
        Some(Histogram::Integer(last)) if flags & SAME_LAYOUT != 0 => {
            Histogram::Integer(Arc::new(read_integer_change(last, hint, reader)?))
        }
        Some(Histogram::Float(last)) if flags & SAME_LAYOUT != 0 => {
            Histogram::Float(Arc::new(read_float_change(last, hint, reader)?))
        }
        _ => read_single(reader)?,
    };
    Ok(OpenHistogram {
        timestamp: last_timestamp.wrapping_add(*interval),
        start_timestamp,
        histogram,
    })
}

fn put_integer_change(last: &IntegerHistogram, next: &IntegerHistogram, out: &mut Vec<u8>) {
    put_xor(last.sum, next.sum, out);
    let mut put = |last: i64, next: i64| put_zigzag(next.wrapping_sub(last), out);
    put(last.count.cast_signed(), next.count.cast_signed());
    put(last.zero_count.cast_signed(), next.zero_count.cast_signed());
    for (last, next) in [
        (&last.positive_deltas, &next.positive_deltas),
        (&last.negative_deltas, &next.negative_deltas),
    ] {
        absolute(last)
            .zip(absolute(next))
            .for_each(|(last, next)| put(last, next));
    }
}

fn read_integer_change(
    last: &IntegerHistogram,
    hint: CounterResetHint,
    reader: &mut Reader<'_>,
) -> Result<IntegerHistogram, DecodeError> {
    let mut next = last.clone();
    next.counter_reset_hint = hint;
    next.sum = read_xor(last.sum, reader)?;
    next.count = next.count.wrapping_add_signed(reader.zigzag()?);
    next.zero_count = next.zero_count.wrapping_add_signed(reader.zigzag()?);
    for buckets in [&mut next.positive_deltas, &mut next.negative_deltas] {
        let counts: Result<Vec<i64>, DecodeError> = absolute(buckets)
            .map(|count| Ok(count.wrapping_add(reader.zigzag()?)))
            .collect();
        *buckets = deltas(counts?.into_iter());
    }
    Ok(next)
}

fn put_float_change(last: &FloatHistogram, next: &FloatHistogram, out: &mut Vec<u8>) {
    put_xor(last.sum, next.sum, out);
    put_xor(last.count, next.count, out);
    put_xor(last.zero_count, next.zero_count, out);
    for (last, next) in [
        (&last.positive_buckets, &next.positive_buckets),
        (&last.negative_buckets, &next.negative_buckets),
    ] {
        last.iter()
            .zip(next)
            .for_each(|(last, next)| put_xor(*last, *next, out));
    }
}

fn read_float_change(
    last: &FloatHistogram,
    hint: CounterResetHint,
    reader: &mut Reader<'_>,
) -> Result<FloatHistogram, DecodeError> {
    let mut next = last.clone();
    next.counter_reset_hint = hint;
    for value in [&mut next.sum, &mut next.count, &mut next.zero_count] {
        *value = read_xor(*value, reader)?;
    }
    let buckets = [&mut next.positive_buckets, &mut next.negative_buckets];
    for value in buckets.into_iter().flatten() {
        *value = read_xor(*value, reader)?;
    }
    Ok(next)
}

/// A byte with the number of zero bytes below (bits 4 to 6) and of bytes that follow (bits 0 to 3).
fn put_xor(last: f64, next: f64, out: &mut Vec<u8>) {
    let xor = last.to_bits() ^ next.to_bits();
    if xor == 0 {
        out.push(0);
        return;
    }
    let below = xor.trailing_zeros() / 8;
    let length = 8 - below - xor.leading_zeros() / 8;
    out.push(u8::try_from(below << 4 | length).unwrap_or(0));
    let bytes = (xor >> (8 * below)).to_le_bytes();
    out.extend(bytes.iter().take(length as usize));
}

fn read_xor(last: f64, reader: &mut Reader<'_>) -> Result<f64, DecodeError> {
    let head = reader.byte()?;
    let (below, length) = (head >> 4 & 7, usize::from(head & 15));
    let mut word = [0_u8; 8];
    let bytes = reader.take(length)?;
    let slots = word
        .get_mut(..length)
        .ok_or(DecodeError::Corrupt("XOR over 64 bits"))?;
    slots.copy_from_slice(bytes);
    let xor = u64::from_le_bytes(word) << (8 * u32::from(below));
    Ok(f64::from_bits(last.to_bits() ^ xor))
}
