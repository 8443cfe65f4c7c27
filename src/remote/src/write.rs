//! Decodes remote write 1.0 requests: snappy block, then a walk over the message that copies
//! samples into one column and histograms into another and leaves labels where they are. Never
//! interprets labels.

use std::ops::Range;

use model::Timestamp;
use model::histogram::{HistogramError, MAX_HISTOGRAM_PARTS};
use storage::{
    AppendRequest, AppendSeries, HistogramSample, MetadataEntry, Sample, SeriesExemplars, SeriesKey,
};

use crate::MAX_BODY_BYTES;
use crate::exemplars::read_exemplars;
use crate::histogram::{read_histogram, size_bytes};
use crate::labels::{LABEL_TAG, check_label, parse_labels, skip_plain_labels};
use crate::metadata::{METADATA_FIELD, MetadataEntries, read_metadata};
use crate::wire::{Reader, Tag, WireError, WireType, push_varint};

/// A decoder whose message is larger than this gives its memory back.
const KEEP_BYTES: usize = 4 << 20;

/// Memory that the native histograms of a request may take: several times of what senders get into
/// a message, and far less than empty ones of two bytes each would.
const MAX_HISTOGRAM_BYTES: usize = 512 << 20;

const VALUE_TAG: u8 = 0x09;
const TIMESTAMP_TAG: u8 = 0x10;

/// Why a request is answered 400. Texts as upstream's where it has one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body is no snappy block.
    #[error("snappy: corrupt input")]
    CorruptSnappy,
    /// The message would be larger than [`MAX_BODY_BYTES`].
    #[error("snappy: decoded block is too large")]
    TooLarge,
    /// The message does not decode.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A native histogram is not well formed.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// A native histogram is larger than engines keep; upstream has no such bound.
    #[error("histogram has more than {MAX_HISTOGRAM_PARTS} buckets, spans and bounds")]
    HistogramTooLarge,
    /// The native histograms of a request would take too much memory; upstream has no such bound.
    #[error("histograms of a request take more than {} MiB", MAX_HISTOGRAM_BYTES >> 20)]
    TooManyHistograms,
}

/// Decodes requests one after the other and keeps its memory between them.
#[derive(Debug, Default)]
pub struct WriteDecoder {
    /// The decompressed message, followed by the label fields of series that scatter them.
    message: Vec<u8>,
    /// Length of the message alone.
    message_bytes: usize,
    has_metadata: bool,
    series: Vec<SeriesParts>,
    scratch: Vec<u8>,
}

/// One series, by position in the decoder's memory.
#[derive(Clone, Debug)]
struct SeriesParts {
    span: Range<usize>,
    samples: Range<u32>,
    histograms: Range<u32>,
}

/// The label fields of one series.
#[derive(Clone, Debug)]
enum LabelSpan {
    /// They lie side by side in the message.
    Adjacent(Range<usize>),
    /// They do not, or are not encoded as usual.
    Scattered,
}

impl WriteDecoder {
    /// A decoder without memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes the body of a request. Series without samples are left out. Exemplars are
    /// read by [`WriteDecoder::exemplars`], metadata by [`WriteDecoder::metadata`].
    ///
    /// # Errors
    /// The body is corrupt, too large, or holds what cannot be stored.
    pub fn decode(&mut self, body: &[u8]) -> Result<AppendRequest<'_>, DecodeError> {
        self.decompress(body)?;
        self.decode_message()
    }

    /// The exemplars of the request that was decoded last, for those who keep any. Series with
    /// labels that form no set are left out.
    ///
    /// # Errors
    /// They do not decode.
    pub fn exemplars(&self) -> Result<Vec<SeriesExemplars>, DecodeError> {
        let message = self.message.get(..self.message_bytes).unwrap_or_default();
        Ok(read_exemplars(message)?)
    }

    /// Whether the request that was decoded last has metadata.
    #[must_use]
    pub const fn has_metadata(&self) -> bool {
        self.has_metadata
    }

    /// The metadata of the request that was decoded last, in its order. Entries with texts that
    /// are not UTF-8 are left out.
    pub fn metadata(&self) -> impl Iterator<Item = MetadataEntry<'_>> {
        MetadataEntries::of(self.message.get(..self.message_bytes).unwrap_or_default())
    }

    /// Gives back the memory of an unusually large request; call it when a request is done with.
    pub fn release_excess(&mut self) {
        if self.message.capacity() > KEEP_BYTES {
            *self = Self::default();
        }
    }

    fn decompress(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        if body.is_empty() {
            return Err(DecodeError::CorruptSnappy);
        }
        let length = snap::raw::decompress_len(body).map_err(|_| DecodeError::CorruptSnappy)?;
        if length > MAX_BODY_BYTES {
            return Err(DecodeError::TooLarge);
        }
        self.message.resize(length, 0);
        let written = snap::raw::Decoder::new()
            .decompress(body, &mut self.message)
            .map_err(|_| DecodeError::CorruptSnappy)?;
        self.message.truncate(written);
        Ok(())
    }

    fn decode_message(&mut self) -> Result<AppendRequest<'_>, DecodeError> {
        self.series.clear();
        self.scratch.clear();
        let mut columns = Columns {
            samples: Vec::with_capacity(self.message.len() / 128),
            histograms: Vec::new(),
            histogram_bytes: 0,
        };
        let message_bytes = self.message.len();
        self.message_bytes = message_bytes;
        self.has_metadata = false;
        let mut reader = Reader::new(&self.message);
        while let Some(tag) = reader.tag()? {
            if tag.field != 1 {
                self.has_metadata |= skip_field(tag, &mut reader)?;
                continue;
            }
            tag.expect(WireType::Bytes, "Timeseries")?;
            let series = reader.bytes()?;
            let series_start = reader.position() - series.len();
            let first = columns.lengths();
            let span = match walk_series(series, &mut columns)? {
                LabelSpan::Adjacent(span) => span.start + series_start..span.end + series_start,
                LabelSpan::Scattered => {
                    let start = message_bytes + self.scratch.len();
                    gather_labels(series, &mut self.scratch)?;
                    start..message_bytes + self.scratch.len()
                }
            };
            let end = columns.lengths();
            if end != first {
                self.series.push(SeriesParts {
                    span,
                    samples: first.0..end.0,
                    histograms: first.1..end.1,
                });
            }
        }
        self.message.extend_from_slice(&self.scratch);
        let series = self.series.iter().map(|parts| AppendSeries {
            key: SeriesKey::Raw {
                span: &self.message[parts.span.clone()],
                parse: parse_labels,
            },
            samples: parts.samples.clone(),
            histograms: parts.histograms.clone(),
        });
        Ok(AppendRequest {
            series: series.collect(),
            samples: columns.samples,
            histograms: columns.histograms,
            ..AppendRequest::default()
        })
    }
}

/// Moves behind a field that holds no series; tells whether it holds metadata, which is checked.
fn skip_field(tag: Tag, reader: &mut Reader<'_>) -> Result<bool, WireError> {
    if tag.field != METADATA_FIELD {
        return reader.skip(tag.wire_type).map(|()| false);
    }
    tag.expect(WireType::Bytes, "Metadata")?;
    read_metadata(reader.bytes()?).map(|_entry| true)
}

/// All samples of a request.
struct Columns {
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    /// Memory that `histograms` take.
    histogram_bytes: usize,
}

impl Columns {
    fn push_histogram(&mut self, sample: HistogramSample) -> Result<(), DecodeError> {
        self.histogram_bytes += size_bytes(&sample);
        if self.histogram_bytes > MAX_HISTOGRAM_BYTES {
            return Err(DecodeError::TooManyHistograms);
        }
        self.histograms.push(sample);
        Ok(())
    }

    /// A sample takes at least two bytes of a message that is limited to 32 MiB, so lengths fit.
    fn lengths(&self) -> (u32, u32) {
        let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        (length(self.samples.len()), length(self.histograms.len()))
    }
}

/// Appends the samples of a series and finds its label fields.
fn walk_series(series: &[u8], columns: &mut Columns) -> Result<LabelSpan, DecodeError> {
    let mut span = 0..skip_plain_labels(series);
    let mut reader = Reader::starting_at(series, span.end);
    let mut scattered = false;
    loop {
        let field_start = reader.position();
        let Some(tag) = reader.tag()? else { break };
        match tag {
            Tag { field: 1, .. } => {
                tag.expect(WireType::Bytes, "Labels")?;
                let usual_tag = reader.position() == field_start + 1;
                check_label(reader.bytes()?)?;
                if span.is_empty() {
                    span.start = field_start;
                } else if span.end != field_start {
                    scattered = true;
                }
                scattered |= !usual_tag;
                span.end = reader.position();
            }
            Tag { field: 2, .. } => {
                tag.expect(WireType::Bytes, "Samples")?;
                columns.samples.push(read_sample(reader.bytes()?)?);
            }
            Tag { field: 4, .. } => {
                tag.expect(WireType::Bytes, "Histograms")?;
                columns.push_histogram(read_histogram(reader.bytes()?)?)?;
            }
            _ => reader.skip(tag.wire_type)?,
        }
    }
    Ok(if scattered {
        LabelSpan::Scattered
    } else {
        LabelSpan::Adjacent(span)
    })
}

/// Copies the label fields of a series side by side, in the usual encoding.
fn gather_labels(series: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut reader = Reader::new(series);
    while let Some(tag) = reader.tag()? {
        if tag.field == 1 && tag.wire_type == WireType::Bytes {
            let label = reader.bytes()?;
            out.push(LABEL_TAG);
            push_varint(label.len() as u64, out);
            out.extend_from_slice(label);
        } else {
            reader.skip(tag.wire_type)?;
        }
    }
    Ok(())
}

#[inline]
fn read_sample(bytes: &[u8]) -> Result<Sample, WireError> {
    match read_plain_sample(bytes) {
        Some(sample) => Ok(sample),
        None => read_any_sample(bytes),
    }
}

/// Reads a sample as every sender lays it out: value, then time, and nothing else.
#[inline]
fn read_plain_sample(bytes: &[u8]) -> Option<Sample> {
    let (value, rest) = bytes.strip_prefix(&[VALUE_TAG])?.split_first_chunk()?;
    let mut reader = Reader::new(rest.strip_prefix(&[TIMESTAMP_TAG])?);
    let timestamp_ms = reader.varint().ok()?.cast_signed();
    reader.is_at_end().then(|| Sample {
        timestamp: Timestamp::from_millis(timestamp_ms),
        value: f64::from_le_bytes(*value),
    })
}

fn read_any_sample(bytes: &[u8]) -> Result<Sample, WireError> {
    let (mut value_bits, mut timestamp_ms) = (0, 0);
    let mut reader = Reader::new(bytes);
    while let Some(tag) = reader.tag()? {
        match tag.field {
            1 => {
                tag.expect(WireType::Fixed64, "Value")?;
                value_bits = reader.fixed64()?;
            }
            2 => {
                tag.expect(WireType::Varint, "Timestamp")?;
                timestamp_ms = reader.varint()?.cast_signed();
            }
            _ => reader.skip(tag.wire_type)?,
        }
    }
    Ok(Sample {
        timestamp: Timestamp::from_millis(timestamp_ms),
        value: f64::from_bits(value_bits),
    })
}

#[cfg(test)]
mod tests;
