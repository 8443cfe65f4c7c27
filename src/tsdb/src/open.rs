//! Unsealed samples of a series: of one kind, in the form that the kind needs.
//!
//! Most series only ever have floats without start timestamps, and pay for nothing else: what
//! others need stands behind a pointer in their place.

use std::sync::Arc;

use chunkenc::{EncodeError, OpenChunk, OpenHistograms, OpenStarts, SampleTimes};
use model::Histogram;
use storage::Columns;

use crate::rows::{Extra, Row};

/// A chunk that is not sealed.
#[derive(Clone, Debug)]
pub(crate) enum HeadChunk {
    Floats(OpenChunk),
    /// Floats, of which some have start timestamps.
    StartedFloats(Box<StartedFloats>),
    Histograms(Box<OpenHistograms>),
}

#[derive(Clone, Debug)]
pub(crate) struct StartedFloats {
    floats: OpenChunk,
    starts: OpenStarts,
}

impl Default for HeadChunk {
    fn default() -> Self {
        Self::Floats(OpenChunk::new())
    }
}

impl HeadChunk {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::StartedFloats(started) => started.floats.len(),
            Self::Histograms(histograms) => histograms.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Floats(floats) => floats.is_full(),
            Self::StartedFloats(started) => started.floats.is_full(),
            Self::Histograms(histograms) => histograms.is_full(),
        }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn first_timestamp(&self) -> Option<i64> {
        match self {
            Self::Floats(floats) => floats.first_timestamp(),
            Self::StartedFloats(started) => started.floats.first_timestamp(),
            Self::Histograms(histograms) => histograms.first_timestamp(),
        }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn last_timestamp(&self) -> Option<i64> {
        match self {
            Self::Floats(floats) => floats.last().map(|(at, _)| at),
            Self::StartedFloats(started) => started.floats.last().map(|(at, _)| at),
            Self::Histograms(histograms) => histograms.last_timestamp(),
        }
    }

    /// Time and value of the newest sample, where it is a float without more.
    pub(crate) fn newest_float(&self) -> Option<(i64, f64)> {
        match self {
            Self::Floats(floats) => floats.last(),
            Self::StartedFloats(_) | Self::Histograms(_) => None,
        }
    }

    /// Whether a sample is of the chunk's kind; an empty chunk has none.
    pub(crate) fn accepts(&self, extra: Option<&Extra>) -> bool {
        let histogram = extra.and_then(|extra| extra.histogram.as_ref());
        self.is_empty()
            || match (self, histogram) {
                (Self::Histograms(histograms), Some(histogram)) => histograms.accepts(histogram),
                (Self::Histograms(_), None) => false,
                (Self::Floats(_) | Self::StartedFloats(_), histogram) => histogram.is_none(),
            }
    }

    /// Adds a sample that the chunk accepts.
    ///
    /// # Errors
    /// The chunk is long due.
    pub(crate) fn append(&mut self, row: &Row, extra: Option<&Extra>) -> Result<(), EncodeError> {
        match extra {
            None => self.append_float(row, 0),
            Some(Extra {
                start_timestamp_ms,
                histogram: None,
                ..
            }) => self.append_float(row, *start_timestamp_ms),
            Some(Extra {
                start_timestamp_ms,
                histogram: Some(histogram),
                ..
            }) => self.append_histogram(row.timestamp_ms, *start_timestamp_ms, histogram),
        }
    }

    fn append_float(&mut self, row: &Row, start_timestamp_ms: i64) -> Result<(), EncodeError> {
        if let Self::Histograms(_) = self {
            *self = Self::default();
        }
        if let Self::Floats(floats) = self
            && start_timestamp_ms != 0
        {
            let floats = std::mem::take(floats);
            let mut starts = OpenStarts::default();
            starts.push_many(0, floats.len());
            *self = Self::StartedFloats(Box::new(StartedFloats { floats, starts }));
        }
        match self {
            Self::Floats(floats) => floats.append(row.timestamp_ms, row.value),
            Self::StartedFloats(started) => {
                started.floats.append(row.timestamp_ms, row.value)?;
                started.starts.push(start_timestamp_ms);
                Ok(())
            }
            Self::Histograms(_) => Err(EncodeError::MixedHistograms),
        }
    }

    fn append_histogram(
        &mut self,
        timestamp_ms: i64,
        start_timestamp_ms: i64,
        histogram: &Histogram,
    ) -> Result<(), EncodeError> {
        if !matches!(self, Self::Histograms(_)) {
            *self = Self::Histograms(Box::default());
        }
        match self {
            Self::Histograms(histograms) => {
                histograms.append(timestamp_ms, start_timestamp_ms, histogram)
            }
            _ => Err(EncodeError::MixedHistograms),
        }
    }

    /// Adds all samples to `columns`.
    pub(crate) fn decode_into(&self, columns: &mut Columns) {
        match self {
            Self::Floats(floats) => {
                floats.decode_into(&mut columns.timestamps, &mut columns.values);
            }
            Self::StartedFloats(started) => {
                columns.start_timestamps.resize(columns.timestamps.len(), 0);
                started
                    .floats
                    .decode_into(&mut columns.timestamps, &mut columns.values);
                started.starts.decode_into(&mut columns.start_timestamps);
            }
            Self::Histograms(histograms) => {
                for sample in histograms.iter() {
                    columns.push_histogram(sample.timestamp, sample.histogram.to_float());
                    columns.set_last_start(sample.start_timestamp);
                }
            }
        }
        columns.pad();
    }

    /// Appends the sealed form of a chunk that is not empty.
    pub(crate) fn seal(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let (mut timestamps, mut starts) = (Vec::new(), Vec::new());
        let floats = match self {
            Self::Floats(floats) => floats,
            Self::StartedFloats(started) => {
                started.starts.decode_into(&mut starts);
                &started.floats
            }
            Self::Histograms(histograms) => return seal_histograms(histograms, out),
        };
        let mut values = Vec::new();
        floats.decode_into(&mut timestamps, &mut values);
        let times = SampleTimes {
            timestamps: &timestamps,
            start_timestamps: &starts,
        };
        chunkenc::encode_with_starts(times, &values, out)
    }
}

fn seal_histograms(open: &OpenHistograms, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let (mut timestamps, mut starts, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
    for sample in open.iter() {
        timestamps.push(sample.timestamp);
        starts.push(sample.start_timestamp);
        histograms.push(sample.histogram);
    }
    let times = SampleTimes {
        timestamps: &timestamps,
        start_timestamps: &starts,
    };
    chunkenc::encode_histograms(times, &histograms, out)
}

/// Adds the samples of a sealed chunk of any kind to `columns`.
pub(crate) fn decode_sealed(
    bytes: &[u8],
    columns: &mut Columns,
) -> Result<(), chunkenc::DecodeError> {
    let header = chunkenc::header(bytes)?;
    if header.kind != chunkenc::ChunkKind::Floats {
        let chunk = chunkenc::HistogramChunk::decode(bytes)?;
        let starts = chunk.start_timestamps();
        for (index, at) in chunk.timestamps().iter().enumerate() {
            if let Some(histogram) = chunk.float_histogram(index) {
                columns.push_histogram(*at, Arc::new(histogram));
                columns.set_last_start(starts.get(index).copied().unwrap_or(0));
            }
        }
        return Ok(());
    }
    if header.has_start_timestamps {
        columns.start_timestamps.resize(columns.timestamps.len(), 0);
    }
    chunkenc::decode_with_starts(
        bytes,
        &mut columns.timestamps,
        &mut columns.start_timestamps,
        &mut columns.values,
    )?;
    columns.pad();
    Ok(())
}

/// The newest chunk of a series, and its newest histograms if it ever had one.
#[derive(Debug)]
pub(crate) enum Open {
    Floats(OpenChunk),
    Rich(Box<Rich>),
}

/// A series that has or had more than plain floats.
#[derive(Debug, Default)]
pub(crate) struct Rich {
    chunk: HeadChunk,
    /// The newest accepted sample, where that is a histogram.
    pub(crate) reserved: Option<Histogram>,
    /// The newest published sample, where that is a histogram.
    pub(crate) published: Option<Histogram>,
    /// Time and float of the newest published sample.
    newest: (i64, f64),
}

impl Default for Open {
    fn default() -> Self {
        Self::Floats(OpenChunk::new())
    }
}

impl Open {
    /// The part that only series with more than plain floats have, made if it is not there.
    pub(crate) fn rich(&mut self) -> &mut Rich {
        if let Self::Floats(floats) = self {
            let newest = floats.newest();
            let chunk = HeadChunk::Floats(std::mem::take(floats));
            *self = Self::Rich(Box::new(Rich {
                chunk,
                newest,
                ..Rich::default()
            }));
        }
        self.as_rich_mut()
            .expect("what is not there was made above")
    }

    /// As [`Open::rich`], if it is there.
    pub(crate) fn as_rich(&self) -> Option<&Rich> {
        match self {
            Self::Floats(_) => None,
            Self::Rich(rich) => Some(rich),
        }
    }

    #[inline]
    pub(crate) fn as_rich_mut(&mut self) -> Option<&mut Rich> {
        match self {
            Self::Floats(_) => None,
            Self::Rich(rich) => Some(rich),
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Floats(floats) => floats.len(),
            Self::Rich(rich) => rich.chunk.len(),
        }
    }

    /// As [`HeadChunk::newest_float`].
    pub(crate) fn newest_float(&self) -> Option<(i64, f64)> {
        match self {
            Self::Floats(floats) => floats.last(),
            Self::Rich(rich) => rich.chunk.newest_float(),
        }
    }

    /// Time and float of the newest published sample, sealed or not.
    #[inline]
    pub(crate) fn newest(&self) -> (i64, f64) {
        match self {
            Self::Floats(floats) => floats.newest(),
            Self::Rich(rich) => rich.newest,
        }
    }

    /// Tells an empty chunk the newest published sample.
    pub(crate) fn set_newest(&mut self, timestamp_ms: i64, value: f64) {
        match self {
            Self::Floats(floats) => floats.set_newest(timestamp_ms, value),
            Self::Rich(rich) => rich.newest = (timestamp_ms, value),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Floats(floats) => floats.is_full(),
            Self::Rich(rich) => rich.chunk.is_full(),
        }
    }

    /// Milliseconds since the epoch.
    pub(crate) fn first_timestamp(&self) -> Option<i64> {
        match self {
            Self::Floats(floats) => floats.first_timestamp(),
            Self::Rich(rich) => rich.chunk.first_timestamp(),
        }
    }

    /// Whether a sample is of the kind of those that are there.
    #[inline]
    pub(crate) fn accepts(&self, extra: Option<&Extra>) -> bool {
        match self {
            Self::Floats(floats) => {
                extra.is_none_or(|extra| extra.histogram.is_none()) || floats.is_empty()
            }
            Self::Rich(rich) => rich.chunk.accepts(extra),
        }
    }

    /// Adds a sample that is accepted.
    ///
    /// # Errors
    /// The chunk is long due.
    #[inline]
    pub(crate) fn append(&mut self, row: &Row, extra: Option<&Extra>) -> Result<(), EncodeError> {
        match self {
            Self::Floats(floats) if extra.is_none() => floats.append(row.timestamp_ms, row.value),
            _ => {
                let rich = self.rich();
                rich.chunk.append(row, extra)?;
                rich.newest = (row.timestamp_ms, row.value);
                Ok(())
            }
        }
    }

    /// Takes the samples out.
    #[inline]
    pub(crate) fn take(&mut self) -> HeadChunk {
        match self {
            Self::Floats(floats) => HeadChunk::Floats(floats.take()),
            Self::Rich(rich) => std::mem::take(&mut rich.chunk),
        }
    }

    /// A copy of the samples.
    pub(crate) fn snapshot(&self) -> HeadChunk {
        match self {
            Self::Floats(floats) => HeadChunk::Floats(floats.clone()),
            Self::Rich(rich) => rich.chunk.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_floats_pay_nothing() {
        assert_eq!(size_of::<Open>(), size_of::<OpenChunk>());
        assert_eq!(size_of::<Row>(), 24);
    }
}
