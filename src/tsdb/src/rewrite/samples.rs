//! The samples of one series on their way into large chunks: runs of one kind, in order of time.

use std::collections::VecDeque;
use std::sync::Arc;

use chunkenc::{
    ChunkKind, HistogramChunk, LargeChunk, LargeColumns, MAX_LARGE_SAMPLES, TimeBounds,
};
use model::{CounterResetHint, Histogram};

use crate::error::TsdbError;

/// Most histograms in one chunk.
const MAX_HISTOGRAMS: usize = 1024;
/// Buckets, spans and bounds after which a chunk of histograms ends: an eighth of the codec's limit.
const MAX_HISTOGRAM_PARTS: usize = chunkenc::MAX_CHUNK_PARTS / 8;

/// Everything there is.
pub(crate) const ALL_TIMES: TimeBounds = TimeBounds {
    min_timestamp: i64::MIN,
    max_timestamp: i64::MAX,
};

/// Samples of one kind in order of time; all columns are of one length.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) timestamps: Vec<i64>,
    /// 0 where not known.
    pub(crate) starts: Vec<i64>,
    pub(crate) values: RunValues,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunValues {
    Floats(Vec<f64>),
    /// All with integer counts, or all with float counts.
    Histograms(Vec<Histogram>),
}

/// Which of two samples at one time counts where stored chunks overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// That of the chunk which was there before.
    Earlier,
    /// That of the chunk which is added: it was rewritten before.
    Added,
}

impl Run {
    /// Decodes a small chunk.
    pub(crate) fn of_small(bytes: &[u8]) -> Result<Self, TsdbError> {
        let corrupt = |error: chunkenc::DecodeError| TsdbError::corrupt("chunk", error.to_string());
        let kind = chunkenc::header(bytes).map_err(corrupt)?.kind;
        let (mut timestamps, mut starts) = (Vec::new(), Vec::new());
        let values = if kind == ChunkKind::Floats {
            let mut values = Vec::new();
            chunkenc::decode_with_starts(bytes, &mut timestamps, &mut starts, &mut values)
                .map_err(corrupt)?;
            RunValues::Floats(values)
        } else {
            let chunk = HistogramChunk::decode(bytes).map_err(corrupt)?;
            timestamps.extend_from_slice(chunk.timestamps());
            starts.extend_from_slice(chunk.start_timestamps());
            let histograms = (0..chunk.len()).filter_map(|index| chunk.histogram(index));
            RunValues::Histograms(histograms.collect())
        };
        starts.resize(timestamps.len(), 0);
        Ok(Self {
            timestamps,
            starts,
            values,
        })
    }

    /// Decodes a large chunk with the stream that it needs.
    pub(crate) fn of_large(chunk: &LargeChunk<'_>, stream: &[i64]) -> Result<Self, TsdbError> {
        let (mut timestamps, mut starts, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let mut columns = LargeColumns {
            timestamps: &mut timestamps,
            start_timestamps: &mut starts,
            values: &mut values,
        };
        chunk
            .decode(stream, ALL_TIMES, &mut columns)
            .map_err(|error| TsdbError::corrupt("large chunk", error.to_string()))?;
        starts.resize(timestamps.len(), 0);
        Ok(Self {
            timestamps,
            starts,
            values: RunValues::Floats(values),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Keeps the samples whose time passes `keep`. What a histogram says of the one before it holds
    /// no longer where that one goes.
    pub(crate) fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        let passes: Vec<bool> = self.timestamps.iter().map(|at| keep(*at)).collect();
        retain(&mut self.timestamps, &passes);
        retain(&mut self.starts, &passes);
        match &mut self.values {
            RunValues::Floats(values) => retain(values, &passes),
            RunValues::Histograms(histograms) => {
                let follows_gap = passes.windows(2).map(|pair| pair == [false, true]);
                for (histogram, _) in histograms
                    .iter_mut()
                    .skip(1)
                    .zip(follows_gap)
                    .filter(|it| it.1)
                {
                    forget_predecessor(histogram);
                }
                retain(histograms, &passes);
            }
        }
    }

    fn first(&self) -> i64 {
        self.timestamps.first().copied().unwrap_or(i64::MAX)
    }

    fn last(&self) -> i64 {
        self.timestamps.last().copied().unwrap_or(i64::MIN)
    }

    /// Adds a later run, if it is of the same kind.
    fn extend(&mut self, later: Self) -> Option<Self> {
        match (&mut self.values, later.values) {
            (RunValues::Floats(values), RunValues::Floats(more)) => values.extend(more),
            (RunValues::Histograms(histograms), RunValues::Histograms(more))
                if same_counts(histograms, &more) =>
            {
                histograms.extend(more);
            }
            (_, values) => return Some(Self { values, ..later }),
        }
        self.timestamps.extend(later.timestamps);
        self.starts.extend(later.starts);
        None
    }

    /// Keeps the first `count` samples and returns the others.
    fn split_off(&mut self, count: usize) -> Self {
        Self {
            timestamps: self.timestamps.split_off(count),
            starts: self.starts.split_off(count),
            values: match &mut self.values {
                RunValues::Floats(values) => RunValues::Floats(values.split_off(count)),
                RunValues::Histograms(histograms) => {
                    RunValues::Histograms(histograms.split_off(count))
                }
            },
        }
    }

    /// How many samples fill a chunk.
    fn full(&self) -> usize {
        let RunValues::Histograms(histograms) = &self.values else {
            return MAX_LARGE_SAMPLES;
        };
        let mut parts = 0;
        let fits = histograms
            .iter()
            .take(MAX_HISTOGRAMS)
            .take_while(|histogram| {
                parts += histogram.parts() + 8;
                parts <= MAX_HISTOGRAM_PARTS
            });
        fits.count().max(1)
    }

    fn sample(&self, position: usize) -> Option<Sample> {
        let value = match &self.values {
            RunValues::Floats(values) => Ok(*values.get(position)?),
            RunValues::Histograms(histograms) => Err(histograms.get(position)?.clone()),
        };
        Some(Sample {
            at: *self.timestamps.get(position)?,
            start: self.starts.get(position).copied().unwrap_or(0),
            value,
        })
    }
}

/// Keeps the items at positions that pass.
fn retain<T>(items: &mut Vec<T>, passes: &[bool]) {
    let mut passes = passes.iter();
    items.retain(|_| passes.next().copied().unwrap_or(true));
}

fn same_counts(a: &[Histogram], b: &[Histogram]) -> bool {
    let is_integer = |histograms: &[Histogram]| {
        histograms
            .first()
            .map(|it| matches!(it, Histogram::Integer(_)))
    };
    is_integer(a) == is_integer(b)
}

/// A sample on its own, where chunks overlap.
struct Sample {
    at: i64,
    start: i64,
    value: Result<f64, Histogram>,
}

impl Sample {
    fn into_run(self) -> Run {
        Run {
            timestamps: vec![self.at],
            starts: vec![self.start],
            values: match self.value {
                Ok(value) => RunValues::Floats(vec![value]),
                Err(histogram) => RunValues::Histograms(vec![histogram]),
            },
        }
    }
}

/// What was read of a series and is not written yet.
#[derive(Debug, Default)]
pub(crate) struct SeriesSamples {
    runs: VecDeque<Run>,
}

impl SeriesSamples {
    /// Adds the samples of a chunk that begins no earlier than those before it.
    pub(crate) fn push(&mut self, run: Run, precedence: Precedence) {
        if run.len() == 0 {
            return;
        }
        match self.runs.back_mut() {
            Some(last) if last.last() < run.first() => {
                if let Some(other_kind) = last.extend(run) {
                    self.runs.push_back(other_kind);
                }
            }
            Some(_) => self.merge(run, precedence),
            None => self.runs.push_back(run),
        }
    }

    /// Merges a chunk with those that it overlaps. What a histogram says of the one before it holds
    /// no longer where another one came between. Source: upstream `storage/merge.go`,
    /// `chainSampleIterator`.
    fn merge(&mut self, added: Run, precedence: Precedence) {
        let from = self.runs.partition_point(|run| run.last() < added.first());
        let there: Vec<Run> = self.runs.drain(from..).collect();
        let of = |part: usize, run: &Run| -> Vec<(usize, Sample)> {
            (0..run.len())
                .filter_map(|at| Some((part, run.sample(at)?)))
                .collect()
        };
        let mut samples: Vec<(usize, Sample)> = there.iter().flat_map(|run| of(0, run)).collect();
        let added = of(1, &added);
        match precedence {
            Precedence::Earlier => samples.extend(added),
            Precedence::Added => drop(samples.splice(..0, added)),
        }
        // Stable: of equal times the one that counts stays in front.
        samples.sort_by_key(|(_, sample)| sample.at);
        let mut previous: Option<(usize, i64)> = None;
        for (part, mut sample) in samples {
            if previous.is_some_and(|(_, at)| at == sample.at) {
                continue;
            }
            if previous.is_some_and(|(before, _)| before != part)
                && let Err(histogram) = &mut sample.value
            {
                forget_predecessor(histogram);
            }
            previous = Some((part, sample.at));
            self.append(sample.into_run());
        }
    }

    fn append(&mut self, run: Run) {
        let run = match self.runs.back_mut() {
            Some(last) => last.extend(run),
            None => Some(run),
        };
        self.runs.extend(run);
    }

    /// Takes out the next chunk's samples, if there are enough of them or nothing more will join:
    /// no sample will come that is older than `below`; without it, none at all.
    pub(crate) fn take(&mut self, below: Option<i64>) -> Option<Run> {
        let is_last = self.runs.len() == 1;
        let front = self.runs.front_mut()?;
        let ready = below.map_or(front.len(), |below| {
            front.timestamps.partition_point(|at| *at < below)
        });
        if ready == 0 {
            return None;
        }
        let full = front.full();
        if ready >= full && full < front.len() {
            let rest = front.split_off(full);
            return Some(std::mem::replace(front, rest));
        }
        let complete = ready == front.len() && (below.is_none() || !is_last || ready >= full);
        if complete {
            self.runs.pop_front()
        } else {
            None
        }
    }
}

fn forget_predecessor(histogram: &mut Histogram) {
    let hint = match histogram {
        Histogram::Integer(histogram) => &mut Arc::make_mut(histogram).counter_reset_hint,
        Histogram::Float(histogram) => &mut Arc::make_mut(histogram).counter_reset_hint,
    };
    if *hint == CounterResetHint::NotCounterReset {
        *hint = CounterResetHint::Unknown;
    }
}

#[cfg(test)]
mod tests {
    use model::FloatHistogram;

    use super::*;

    fn floats(points: &[(i64, f64)]) -> Run {
        Run {
            timestamps: points.iter().map(|(at, _)| *at).collect(),
            starts: vec![0; points.len()],
            values: RunValues::Floats(points.iter().map(|(_, value)| *value).collect()),
        }
    }

    fn drain(samples: &mut SeriesSamples) -> Vec<Run> {
        std::iter::from_fn(|| samples.take(None)).collect()
    }

    #[test]
    fn chunks_that_overlap_are_merged_and_one_of_equal_times_counts() {
        for (precedence, kept) in [(Precedence::Earlier, 2.0), (Precedence::Added, -2.0)] {
            let mut samples = SeriesSamples::default();
            samples.push(floats(&[(1, 1.0), (2, 2.0)]), Precedence::Earlier);
            samples.push(floats(&[(4, 4.0)]), Precedence::Earlier);
            samples.push(floats(&[(2, -2.0), (3, -3.0), (5, -5.0)]), precedence);
            let want = floats(&[(1, 1.0), (2, kept), (3, -3.0), (4, 4.0), (5, -5.0)]);
            assert_eq!(drain(&mut samples), [want]);
        }
    }

    #[test]
    fn histograms_between_others_make_them_unsure() {
        let known = FloatHistogram {
            counter_reset_hint: CounterResetHint::NotCounterReset,
            ..FloatHistogram::default()
        };
        let known = Histogram::Float(Arc::new(known));
        let known = |timestamps: &[i64]| Run {
            timestamps: timestamps.to_vec(),
            starts: vec![0; timestamps.len()],
            values: RunValues::Histograms(vec![known.clone(); timestamps.len()]),
        };
        let mut samples = SeriesSamples::default();
        samples.push(known(&[10, 20, 30, 40]), Precedence::Earlier);
        samples.push(known(&[25]), Precedence::Earlier);
        let runs = drain(&mut samples);
        let [
            Run {
                timestamps,
                values: RunValues::Histograms(histograms),
                ..
            },
        ] = &runs[..]
        else {
            panic!("one run of histograms expected: {runs:?}");
        };
        assert_eq!(timestamps, &[10, 20, 25, 30, 40]);
        let sure: Vec<bool> = histograms
            .iter()
            .map(|it| it.to_float().counter_reset_hint == CounterResetHint::NotCounterReset)
            .collect();
        assert_eq!(sure, [true, true, false, false, true]);
    }

    #[test]
    fn what_is_left_out_takes_what_was_said_of_it_along() {
        let known = FloatHistogram {
            counter_reset_hint: CounterResetHint::NotCounterReset,
            ..FloatHistogram::default()
        };
        let mut run = Run {
            timestamps: vec![1, 2, 3, 4, 5],
            starts: vec![0; 5],
            values: RunValues::Histograms(vec![Histogram::Float(Arc::new(known)); 5]),
        };
        run.retain(|at| at != 2 && at != 3);
        assert_eq!(run.timestamps, [1, 4, 5]);
        let RunValues::Histograms(histograms) = &run.values else {
            panic!("histograms expected");
        };
        let hints = histograms.iter().map(|it| it.to_float().counter_reset_hint);
        let want = [
            CounterResetHint::NotCounterReset,
            CounterResetHint::Unknown,
            CounterResetHint::NotCounterReset,
        ];
        assert!(hints.eq(want));
        let mut run = floats(&[(1, 1.0), (2, 2.0)]);
        run.retain(|at| at == 2);
        assert_eq!(run, floats(&[(2, 2.0)]));
    }

    #[test]
    fn only_what_is_complete_is_taken() {
        let mut samples = SeriesSamples::default();
        let count = i64::try_from(MAX_LARGE_SAMPLES).unwrap();
        let points: Vec<(i64, f64)> = (0..count + 10).map(|at| (at, 1.0)).collect();
        samples.push(floats(&points[..100]), Precedence::Earlier);
        assert_eq!(samples.take(Some(100)), None);
        samples.push(floats(&points[100..]), Precedence::Earlier);
        assert_eq!(samples.take(Some(count - 1)), None);
        let first = samples.take(Some(count)).map(|run| run.len());
        assert_eq!(first, Some(MAX_LARGE_SAMPLES));
        assert_eq!(samples.take(Some(count + 10)), None);
        assert_eq!(samples.take(None).map(|run| run.len()), Some(10));
        assert_eq!(samples.take(None), None);
    }
}
