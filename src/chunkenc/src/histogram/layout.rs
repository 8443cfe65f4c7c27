//! The layout of a histogram: everything but its counts, its sum and its hint.

use std::sync::Arc;

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{CounterResetHint, FloatHistogram, Histogram, IntegerHistogram, Span};

use crate::values::{encode_values, read_values};
use crate::varint::{Reader, put_varint, put_zigzag};
use crate::{DecodeError, EncodeError};

/// Most of them in all histograms of a chunk, so that a few bytes cannot ask for all memory.
pub const MAX_CHUNK_PARTS: usize = 1 << 20;

/// A histogram's layout, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    schema: i32,
    zero_threshold: f64,
    positive_spans: &'a [Span],
    negative_spans: &'a [Span],
    custom_values: &'a [f64],
    pub(super) positive: usize,
    pub(super) negative: usize,
}

impl<'a> Layout<'a> {
    pub(super) fn of_integer(histogram: &'a IntegerHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive_spans: &histogram.positive_spans,
            negative_spans: &histogram.negative_spans,
            custom_values: &histogram.custom_values,
            positive: histogram.positive_deltas.len(),
            negative: histogram.negative_deltas.len(),
        }
    }

    pub(super) fn of_float(histogram: &'a FloatHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            positive_spans: &histogram.positive_spans,
            negative_spans: &histogram.negative_spans,
            custom_values: &histogram.custom_values,
            positive: histogram.positive_buckets.len(),
            negative: histogram.negative_buckets.len(),
        }
    }

    pub(super) fn of(histogram: &'a Histogram) -> Self {
        match histogram {
            Histogram::Integer(histogram) => Self::of_integer(histogram),
            Histogram::Float(histogram) => Self::of_float(histogram),
        }
    }

    pub(super) const fn buckets(&self) -> usize {
        self.positive + self.negative
    }

    /// Whether `other` is the same, bit for bit.
    pub(super) fn same(&self, other: &Layout<'_>) -> bool {
        let bits = |values: &'a [f64]| values.iter().map(|value| value.to_bits());
        self.schema == other.schema
            && self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
            && (self.positive, self.negative) == (other.positive, other.negative)
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.custom_values.len() == other.custom_values.len()
            && bits(self.custom_values).eq(other.custom_values.iter().map(|v| v.to_bits()))
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        put_zigzag(i64::from(self.schema), out);
        out.extend_from_slice(&self.zero_threshold.to_bits().to_le_bytes());
        put_varint(self.custom_values.len() as u64, out);
        if !self.custom_values.is_empty() {
            encode_values(self.custom_values, out)?;
        }
        put_spans(self.positive_spans, out);
        put_spans(self.negative_spans, out);
        put_varint(self.positive as u64, out);
        put_varint(self.negative as u64, out);
        Ok(())
    }
}

fn put_spans(spans: &[Span], out: &mut Vec<u8>) {
    put_varint(spans.len() as u64, out);
    for span in spans {
        put_zigzag(i64::from(span.offset), out);
        put_varint(u64::from(span.length), out);
    }
}

/// Whether two histograms differ in nothing but counts, sum and hint.
pub(crate) fn same_layout(a: &Histogram, b: &Histogram) -> bool {
    Layout::of(a).same(&Layout::of(b))
}

/// A layout read back; histograms that share it share its bounds.
#[derive(Clone, Debug)]
pub(crate) struct OwnedLayout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive_spans: Vec<Span>,
    pub(super) negative_spans: Vec<Span>,
    pub(super) custom_values: Arc<[f64]>,
    pub(super) positive: usize,
    pub(super) negative: usize,
}

impl OwnedLayout {
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let schema = narrow(reader.zigzag()?)?;
        let zero_threshold = f64::from_bits(reader.word()?);
        let mut custom_values = Vec::new();
        let bounds = read_length(reader)?;
        if bounds > 0 {
            read_values(reader, bounds, &mut custom_values)?;
        }
        let layout = Self {
            schema,
            zero_threshold,
            positive_spans: read_spans(reader)?,
            negative_spans: read_spans(reader)?,
            custom_values: custom_values.into(),
            positive: read_length(reader)?,
            negative: read_length(reader)?,
        };
        if layout.parts() > MAX_HISTOGRAM_PARTS {
            return Err(TOO_LARGE);
        }
        Ok(layout)
    }

    pub(super) fn parts(&self) -> usize {
        self.buckets()
            + self.positive_spans.len()
            + self.negative_spans.len()
            + self.custom_values.len()
    }

    pub(super) const fn buckets(&self) -> usize {
        self.positive + self.negative
    }
}

pub(super) const TOO_LARGE: DecodeError = DecodeError::Corrupt("histogram is too large");

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, DecodeError> {
    T::try_from(value).map_err(|_| DecodeError::Corrupt("integer over 32 bits"))
}

fn read_length(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    match usize::try_from(reader.varint()?) {
        Ok(length @ 0..=MAX_HISTOGRAM_PARTS) => Ok(length),
        _ => Err(TOO_LARGE),
    }
}

fn read_spans(reader: &mut Reader<'_>) -> Result<Vec<Span>, DecodeError> {
    let count = read_length(reader)?;
    // Every span takes at least two bytes.
    if count > reader.rest().len() / 2 {
        return Err(DecodeError::Truncated);
    }
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let offset = narrow(reader.zigzag()?)?;
        let length = u32::try_from(reader.varint()?)
            .map_err(|_| DecodeError::Corrupt("integer over 32 bits"))?;
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

impl OwnedLayout {
    /// An empty integer histogram of this layout.
    pub(super) fn into_integer(self, hint: CounterResetHint) -> IntegerHistogram {
        IntegerHistogram {
            counter_reset_hint: hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.positive_spans,
            negative_spans: self.negative_spans,
            custom_values: self.custom_values,
            ..IntegerHistogram::default()
        }
    }

    /// An empty float histogram of this layout.
    pub(super) fn into_float(self, hint: CounterResetHint) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.positive_spans,
            negative_spans: self.negative_spans,
            custom_values: self.custom_values,
            ..FloatHistogram::default()
        }
    }
}
