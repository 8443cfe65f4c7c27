//! Decodes the native histograms of remote write. Source: upstream `prompb` (field numbers, texts)
//! and `storage/remote/write_handler.go` (what is refused, what is reduced).

use std::sync::Arc;

use model::histogram::{MAX_EXPONENTIAL_SCHEMA, MAX_HISTOGRAM_PARTS};
use model::{CounterResetHint, FloatHistogram, Histogram, IntegerHistogram, Span, Timestamp};
use storage::HistogramSample;

use crate::wire::{Reader, Tag, WireError, WireType};
use crate::write::DecodeError;

/// Schemas above the finest one that histograms have here: taken with fewer buckets.
const REDUCIBLE_SCHEMAS: std::ops::RangeInclusive<i32> = MAX_EXPONENTIAL_SCHEMA + 1..=52;

/// Reads one histogram message, checks it and takes it to a schema that there is.
///
/// # Errors
/// The message is damaged, or its histogram is not well formed or too large.
pub(crate) fn read_histogram(message: &[u8]) -> Result<HistogramSample, DecodeError> {
    let fields = Fields::read(message)?;
    Ok(HistogramSample {
        timestamp: Timestamp::from_millis(fields.timestamp_ms),
        histogram: fields.into_histogram()?,
    })
}

/// Memory that a histogram takes, without the slack of its allocations.
pub(crate) fn size_bytes(sample: &HistogramSample) -> usize {
    const PART_BYTES: usize = size_of::<f64>();
    let fixed = size_of::<FloatHistogram>().max(size_of::<IntegerHistogram>());
    size_of::<HistogramSample>() + fixed + sample.histogram.parts() * PART_BYTES
}

/// One of two fields, of which the last one counts.
#[derive(Clone, Copy, Debug)]
enum Count {
    Integer(u64),
    Float(f64),
}

impl Count {
    /// 0 where the other kind was sent.
    const fn integer(self) -> u64 {
        match self {
            Self::Integer(count) => count,
            Self::Float(_) => 0,
        }
    }

    const fn float(self) -> f64 {
        match self {
            Self::Integer(_) => 0.0,
            Self::Float(count) => count,
        }
    }
}

/// The buckets of one side.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl Side {
    const fn parts(&self) -> usize {
        self.spans.len() + self.deltas.len() + self.counts.len()
    }
}

#[derive(Debug)]
struct Fields {
    count: Count,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: Count,
    negative: Side,
    positive: Side,
    hint: CounterResetHint,
    timestamp_ms: i64,
    custom_values: Vec<f64>,
}

impl Fields {
    fn read(message: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Self {
            count: Count::Integer(0),
            sum: 0.0,
            schema: 0,
            zero_threshold: 0.0,
            zero_count: Count::Integer(0),
            negative: Side::default(),
            positive: Side::default(),
            hint: CounterResetHint::Unknown,
            timestamp_ms: 0,
            custom_values: Vec::new(),
        };
        let mut reader = Reader::new(message);
        while let Some(tag) = reader.tag()? {
            fields.read_field(tag, &mut reader)?;
            let parts =
                fields.negative.parts() + fields.positive.parts() + fields.custom_values.len();
            if parts > MAX_HISTOGRAM_PARTS {
                return Err(DecodeError::HistogramTooLarge);
            }
        }
        Ok(fields)
    }

    fn read_field(&mut self, tag: Tag, reader: &mut Reader<'_>) -> Result<(), WireError> {
        let (negative, positive) = (&mut self.negative, &mut self.positive);
        match tag.field {
            1 => self.count = Count::Integer(varint(tag, "CountInt", reader)?),
            2 => self.count = Count::Float(double(tag, "CountFloat", reader)?),
            3 => self.sum = double(tag, "Sum", reader)?,
            4 => self.schema = signed_32(varint(tag, "Schema", reader)?),
            5 => self.zero_threshold = double(tag, "ZeroThreshold", reader)?,
            6 => self.zero_count = Count::Integer(varint(tag, "ZeroCountInt", reader)?),
            7 => self.zero_count = Count::Float(double(tag, "ZeroCountFloat", reader)?),
            8 => negative.spans.push(span(tag, "NegativeSpans", reader)?),
            9 => deltas(tag, "NegativeDeltas", reader, &mut negative.deltas)?,
            10 => doubles(tag, "NegativeCounts", reader, &mut negative.counts)?,
            11 => positive.spans.push(span(tag, "PositiveSpans", reader)?),
            12 => deltas(tag, "PositiveDeltas", reader, &mut positive.deltas)?,
            13 => doubles(tag, "PositiveCounts", reader, &mut positive.counts)?,
            14 => self.hint = hint(varint(tag, "ResetHint", reader)?),
            15 => self.timestamp_ms = varint(tag, "Timestamp", reader)?.cast_signed(),
            16 => doubles(tag, "CustomValues", reader, &mut self.custom_values)?,
            _ => reader.skip(tag.wire_type)?,
        }
        Ok(())
    }

    /// The kind of the count is that of the whole histogram.
    fn into_histogram(self) -> Result<Histogram, DecodeError> {
        let schema = self.schema;
        let reducible = REDUCIBLE_SCHEMAS.contains(&schema);
        // Upstream checks after reducing, which takes the same spans; it leaves what they add up to.
        let checked_schema = if reducible {
            MAX_EXPONENTIAL_SCHEMA
        } else {
            schema
        };
        match self.count {
            Count::Integer(_) => {
                let mut histogram = self.into_integer();
                histogram.schema = checked_schema;
                histogram.validate()?;
                if reducible {
                    histogram.schema = schema;
                    histogram.reduce_resolution(MAX_EXPONENTIAL_SCHEMA);
                }
                Ok(Histogram::Integer(Arc::new(histogram)))
            }
            Count::Float(_) => {
                let mut histogram = self.into_float();
                histogram.schema = checked_schema;
                histogram.validate()?;
                if reducible {
                    histogram.schema = schema;
                    histogram.reduce_resolution(MAX_EXPONENTIAL_SCHEMA);
                }
                Ok(Histogram::Float(Arc::new(histogram)))
            }
        }
    }

    fn into_integer(self) -> IntegerHistogram {
        IntegerHistogram {
            counter_reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.integer(),
            count: self.count.integer(),
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            positive_deltas: self.positive.deltas,
            negative_deltas: self.negative.deltas,
            custom_values: bounds(self.custom_values),
        }
    }

    fn into_float(self) -> FloatHistogram {
        FloatHistogram {
            counter_reset_hint: self.hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.float(),
            count: self.count.float(),
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            positive_buckets: self.positive.counts,
            negative_buckets: self.negative.counts,
            custom_values: bounds(self.custom_values),
        }
    }
}

/// All histograms without bounds share that they have none.
fn bounds(values: Vec<f64>) -> Arc<[f64]> {
    if values.is_empty() {
        Arc::default()
    } else {
        values.into()
    }
}

fn varint(tag: Tag, field: &'static str, reader: &mut Reader<'_>) -> Result<u64, WireError> {
    tag.expect(WireType::Varint, field)?;
    reader.varint()
}

fn double(tag: Tag, field: &'static str, reader: &mut Reader<'_>) -> Result<f64, WireError> {
    tag.expect(WireType::Fixed64, field)?;
    reader.fixed64().map(f64::from_bits)
}

/// The low 32 bits, as generated decoders take them.
#[expect(
    clippy::cast_possible_truncation,
    reason = "protobuf drops the high bits of 32-bit fields"
)]
const fn low_32(value: u64) -> u32 {
    value as u32
}

/// `sint32`.
const fn signed_32(value: u64) -> i32 {
    let value = low_32(value);
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// `sint64`.
const fn signed_64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Numbers that no hint has say nothing.
const fn hint(number: u64) -> CounterResetHint {
    match low_32(number) {
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

fn span(tag: Tag, field: &'static str, reader: &mut Reader<'_>) -> Result<Span, WireError> {
    tag.expect(WireType::Bytes, field)?;
    let mut message = Reader::new(reader.bytes()?);
    let mut span = Span::default();
    while let Some(tag) = message.tag()? {
        match tag.field {
            1 => span.offset = signed_32(varint(tag, "Offset", &mut message)?),
            2 => span.length = low_32(varint(tag, "Length", &mut message)?),
            _ => message.skip(tag.wire_type)?,
        }
    }
    Ok(span)
}

/// Repeated `sint64`, packed or one by one. Stops reading when there are too many, which the
/// caller refuses.
fn deltas(
    tag: Tag,
    field: &'static str,
    reader: &mut Reader<'_>,
    out: &mut Vec<i64>,
) -> Result<(), WireError> {
    if tag.wire_type == WireType::Varint {
        out.push(signed_64(reader.varint()?));
        return Ok(());
    }
    tag.expect(WireType::Bytes, field)?;
    let mut packed = Reader::new(reader.bytes()?);
    while !packed.is_at_end() && out.len() <= MAX_HISTOGRAM_PARTS {
        out.push(signed_64(packed.varint()?));
    }
    Ok(())
}

/// Repeated `double`, as [`deltas`].
fn doubles(
    tag: Tag,
    field: &'static str,
    reader: &mut Reader<'_>,
    out: &mut Vec<f64>,
) -> Result<(), WireError> {
    if tag.wire_type == WireType::Fixed64 {
        out.push(f64::from_bits(reader.fixed64()?));
        return Ok(());
    }
    tag.expect(WireType::Bytes, field)?;
    let mut packed = Reader::new(reader.bytes()?);
    while !packed.is_at_end() && out.len() <= MAX_HISTOGRAM_PARTS {
        out.push(f64::from_bits(packed.fixed64()?));
    }
    Ok(())
}
