//! Reading a sealed chunk of histograms.

use std::sync::Arc;

use model::{FloatHistogram, Histogram, IntegerHistogram};

use super::layout::{MAX_CHUNK_PARTS, OwnedLayout, TOO_LARGE};
use super::{deltas, hint_of};
use crate::chunk::{ChunkKind, read_head};
use crate::integers::decode_plain;
use crate::values::read_values;
use crate::varint::Reader;
use crate::{DecodeError, MAX_SAMPLES};

/// A decoded chunk of histograms, in columns: histograms are put together when asked for.
#[derive(Clone, Debug)]
pub struct HistogramChunk {
    timestamps: Vec<i64>,
    start_timestamps: Vec<i64>,
    runs: Vec<Run>,
    hints: Vec<i64>,
    sums: Vec<f64>,
    counts: Counts,
}

/// Neighbours of one layout.
#[derive(Clone, Debug)]
struct Run {
    layout: OwnedLayout,
    /// Position of the first sample.
    start: usize,
    length: usize,
    /// Where the first bucket's column starts in [`Columns::buckets`].
    buckets: usize,
}

#[derive(Clone, Debug)]
enum Counts {
    Integers(Columns<i64>),
    Floats(Columns<f64>),
}

#[derive(Clone, Debug)]
struct Columns<T> {
    counts: Vec<T>,
    zero_counts: Vec<T>,
    /// Run by run, bucket by bucket, sample by sample.
    buckets: Vec<T>,
}

/// Appends a number of values to a column.
type ReadColumn<T> = fn(&mut Reader<'_>, usize, &mut Vec<T>) -> Result<(), DecodeError>;

impl HistogramChunk {
    /// Reads a whole chunk.
    ///
    /// # Errors
    /// [`DecodeError`], if `bytes` are not exactly one whole chunk of histograms.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let (mut timestamps, mut start_timestamps) = (Vec::new(), Vec::new());
        let kind = read_head(&mut reader, &mut timestamps, &mut start_timestamps)?;
        let count = timestamps.len();
        let runs = read_runs(&mut reader, count)?;
        let mut hints = Vec::new();
        decode_plain(&mut reader, count, &mut hints)?;
        if hints.iter().any(|hint| !(0..=3).contains(hint)) {
            return Err(DecodeError::Corrupt("unknown counter reset hint"));
        }
        let mut sums = Vec::new();
        read_values(&mut reader, count, &mut sums)?;
        let counts = match kind {
            ChunkKind::IntegerHistograms => {
                Counts::Integers(Columns::read(&mut reader, count, &runs, decode_plain)?)
            }
            ChunkKind::FloatHistograms => {
                Counts::Floats(Columns::read(&mut reader, count, &runs, read_values)?)
            }
            ChunkKind::Floats => return Err(DecodeError::Corrupt("chunk holds floats")),
        };
        match reader.rest().len() {
            0 => Ok(Self {
                timestamps,
                start_timestamps,
                runs,
                hints,
                sums,
                counts,
            }),
            trailing => Err(DecodeError::TrailingBytes(trailing)),
        }
    }

    /// How many histograms there are, at least one.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Never true of a decoded chunk.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn timestamps(&self) -> &[i64] {
        &self.timestamps
    }

    /// Milliseconds since the epoch, 0 where not known; empty if none is.
    #[must_use]
    pub fn start_timestamps(&self) -> &[i64] {
        &self.start_timestamps
    }

    /// The histogram at `index`, as it was encoded; `None` outside of the chunk.
    #[must_use]
    pub fn histogram(&self, index: usize) -> Option<Histogram> {
        let run = self.run(index)?;
        match &self.counts {
            Counts::Integers(columns) => {
                let layout = run.layout.clone();
                let at = index - run.start;
                let histogram = IntegerHistogram {
                    sum: *self.sums.get(index)?,
                    count: columns.counts.get(index)?.cast_unsigned(),
                    zero_count: columns.zero_counts.get(index)?.cast_unsigned(),
                    positive_deltas: deltas(columns.positive(run, at)),
                    negative_deltas: deltas(columns.negative(run, at)),
                    ..layout.into_integer(self.hint(index))
                };
                Some(Histogram::Integer(Arc::new(histogram)))
            }
            Counts::Floats(_) => self
                .float_histogram(index)
                .map(|histogram| Histogram::Float(Arc::new(histogram))),
        }
    }

    /// The histogram at `index` with float counts, as [`Histogram::to_float`] gives it; `None`
    /// outside of the chunk.
    #[must_use]
    pub fn float_histogram(&self, index: usize) -> Option<FloatHistogram> {
        let run = self.run(index)?;
        let at = index - run.start;
        let empty = FloatHistogram {
            sum: *self.sums.get(index)?,
            ..run.layout.clone().into_float(self.hint(index))
        };
        Some(match &self.counts {
            Counts::Integers(columns) => FloatHistogram {
                count: columns.counts.get(index)?.cast_unsigned() as f64,
                zero_count: columns.zero_counts.get(index)?.cast_unsigned() as f64,
                positive_buckets: columns
                    .positive(run, at)
                    .map(|count| count as f64)
                    .collect(),
                negative_buckets: columns
                    .negative(run, at)
                    .map(|count| count as f64)
                    .collect(),
                ..empty
            },
            Counts::Floats(columns) => FloatHistogram {
                count: *columns.counts.get(index)?,
                zero_count: *columns.zero_counts.get(index)?,
                positive_buckets: columns.positive(run, at).collect(),
                negative_buckets: columns.negative(run, at).collect(),
                ..empty
            },
        })
    }

    fn run(&self, index: usize) -> Option<&Run> {
        let behind = self.runs.partition_point(|run| run.start <= index);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        (index - run.start < run.length).then_some(run)
    }

    fn hint(&self, index: usize) -> model::CounterResetHint {
        let number = self.hints.get(index).copied().unwrap_or(0);
        hint_of(u8::try_from(number).unwrap_or(0))
    }
}

impl<T: Copy> Columns<T> {
    fn read(
        reader: &mut Reader<'_>,
        count: usize,
        runs: &[Run],
        read: ReadColumn<T>,
    ) -> Result<Self, DecodeError> {
        let mut columns = Self {
            counts: Vec::new(),
            zero_counts: Vec::new(),
            buckets: Vec::new(),
        };
        read(reader, count, &mut columns.counts)?;
        read(reader, count, &mut columns.zero_counts)?;
        for run in runs {
            for _ in 0..run.layout.buckets() {
                read(reader, run.length, &mut columns.buckets)?;
            }
        }
        Ok(columns)
    }

    /// Positive buckets of sample `at` of a run.
    fn positive(&self, run: &Run, at: usize) -> impl Iterator<Item = T> {
        self.gather(run.buckets + at, run.length, run.layout.positive)
    }

    fn negative(&self, run: &Run, at: usize) -> impl Iterator<Item = T> {
        let first = run.buckets + run.layout.positive * run.length;
        self.gather(first + at, run.length, run.layout.negative)
    }

    fn gather(&self, first: usize, step: usize, count: usize) -> impl Iterator<Item = T> {
        let from = self.buckets.get(first..).unwrap_or_default();
        from.iter().copied().step_by(step.max(1)).take(count)
    }
}

fn read_runs(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Run>, DecodeError> {
    const LENGTHS: DecodeError = DecodeError::Corrupt("runs of layouts do not fit the samples");
    let number = match usize::try_from(reader.varint()?) {
        Ok(number @ 1..=MAX_SAMPLES) if number <= count => number,
        _ => return Err(LENGTHS),
    };
    let mut runs = Vec::new();
    let (mut start, mut buckets, mut parts) = (0, 0, 0);
    for _ in 0..number {
        let length = match usize::try_from(reader.varint()?) {
            Ok(length) if length > 0 && length <= count - start => length,
            _ => return Err(LENGTHS),
        };
        let layout = OwnedLayout::decode(reader)?;
        parts += layout.parts() * length;
        if parts > MAX_CHUNK_PARTS {
            return Err(TOO_LARGE);
        }
        let width = layout.buckets();
        runs.push(Run {
            layout,
            start,
            length,
            buckets,
        });
        start += length;
        buckets += width * length;
    }
    if start != count {
        return Err(LENGTHS);
    }
    Ok(runs)
}
