//! What range functions look at: one series' samples and, for each step, which of them its window
//! holds.

use std::collections::VecDeque;
use std::sync::Arc;

use model::FloatHistogram;
use promql_syntax::ast::{PosRange, WindowEdges};
use storage::Columns;

use super::start;
use crate::annotations::{Annotation, HistogramOperation, Notes};
use crate::error::EngineError;
use crate::grid::{Grid, Reference};
use crate::kahan::KahanSum;
use crate::limits::{Limits, Reservation, SAMPLE_BYTES};
use crate::operators::advance;
use crate::slice::SeriesSlice;

/// What the samples of a window are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowKind {
    Floats,
    Histograms,
    Mixed,
}

/// One series' samples in the windows of all steps. Windows only move forward.
#[derive(Clone, Copy)]
pub(crate) struct Windows<'a> {
    /// Times of the samples, increasing.
    pub(crate) timestamps: &'a [i64],
    /// Values of the samples.
    pub(crate) values: &'a [f64],
    /// Histograms, `None` where the sample is a float. Empty when all are.
    pub(crate) histograms: &'a [Option<Arc<FloatHistogram>>],
    /// For each sample how many before it are histograms, and how many there are at all. Empty when
    /// all are floats.
    pub(crate) histograms_before: &'a [u32],
    /// For each position how many samples there are before it: some stand for several. Empty when
    /// each stands for itself alone.
    pub(crate) samples_before: &'a [u64],
    /// Since when each sample has been counting, 0 where that is not known. Empty when none is.
    pub(crate) start_timestamps: &'a [i64],
    /// For each step the position of the first sample inside and behind the last.
    pub(crate) bounds: &'a [(usize, usize)],
    /// The right edges of the windows.
    pub(crate) reference: Reference,
    /// The steps.
    pub(crate) grid: Grid,
    /// The windows' length.
    pub(crate) range_ms: i64,
    /// How the windows' edges are treated. Unless they are plain, windows hold samples outside of
    /// their edges too.
    pub(crate) edges: WindowEdges,
}

impl<'a> Windows<'a> {
    /// Whether any sample is a histogram.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histograms_before
            .last()
            .is_some_and(|count| *count > 0)
    }

    /// What the samples `first..end` are, of which there is one at least.
    pub(crate) fn kind(&self, first: usize, end: usize) -> WindowKind {
        let (Some(before), Some(until)) = (
            self.histograms_before.get(first),
            self.histograms_before.get(end),
        ) else {
            return WindowKind::Floats;
        };
        match until.wrapping_sub(*before) as usize {
            0 => WindowKind::Floats,
            histograms if histograms == end - first => WindowKind::Histograms,
            _ => WindowKind::Mixed,
        }
    }

    /// The sample's histogram; `None` for a float.
    pub(crate) fn histogram(&self, index: usize) -> Option<&'a Arc<FloatHistogram>> {
        self.histograms.get(index)?.as_ref()
    }

    /// Whether the start timestamps tell of a reset between a sample and the one before it.
    pub(crate) fn starts_anew(&self, index: usize) -> bool {
        index > 0
            && !self.start_timestamps.is_empty()
            && start::is_reset(
                (self.start_timestamps[index - 1], self.timestamps[index - 1]),
                (self.start_timestamps[index], self.timestamps[index]),
            )
    }

    /// How many samples there are at the positions `first..end`.
    pub(crate) fn samples(&self, first: usize, end: usize) -> usize {
        match (self.samples_before.get(first), self.samples_before.get(end)) {
            (Some(before), Some(until)) => usize::try_from(until - before).unwrap_or(usize::MAX),
            _ => end - first,
        }
    }

    /// The left edge of a step's window.
    pub(crate) fn left_ms(&self, step: usize) -> i64 {
        self.reference.at(step).saturating_sub(self.range_ms)
    }

    /// Whether windows overlap so much that looking at each sample once per window is dear. Depends
    /// on the query alone, so that what a window gives does not depend on which others there are.
    pub(crate) fn overlap(&self) -> bool {
        /// From here on the bookkeeping of sliding windows costs less than it saves.
        const OVERLAP: i64 = 6;
        let step_ms = self.reference.step_ms();
        // A single instant has a step of one millisecond, a pinned one has none.
        let has_steps = step_ms > 1 || (step_ms == 1 && self.reference.count() > 1);
        has_steps && self.range_ms / step_ms > OVERLAP
    }

    /// The windows that hold a sample: step, first position, position behind the last.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        self.bounds
            .iter()
            .enumerate()
            .filter(|(_, (first, end))| first < end)
            .map(|(step, (first, end))| (step, *first, *end))
    }
}

/// Finds which samples each window `(instant - range, instant]` holds. One pass over samples and
/// steps.
pub(crate) fn find_bounds(
    columns: &Columns,
    reference: Reference,
    range_ms: i64,
    bounds: &mut Vec<(usize, usize)>,
) {
    bounds.clear();
    let timestamps = columns.timestamps.as_slice();
    let (mut first, mut end) = (0, 0);
    for step in 0..reference.count() {
        let right = reference.at(step);
        first += advance(&timestamps[first..], right.saturating_sub(range_ms));
        end = end.max(first);
        end += advance(&timestamps[end..], right);
        bounds.push((first, end));
    }
}

/// What a range function gets beside the windows.
pub(crate) struct RangeContext<'a> {
    /// The scalar arguments, one value per step each.
    pub(crate) scalars: &'a [Vec<f64>],
    /// Buffers to be used freely.
    pub(crate) scratch: &'a mut Scratch,
    /// Where annotations go.
    pub(crate) notes: &'a Notes,
    /// Where the first argument stands.
    pub(crate) first_argument: PosRange,
    /// The name of the series' metric; empty when it has none.
    pub(crate) metric: &'a str,
    /// What says when to stop.
    pub(crate) limits: &'a Limits,
    /// What histograms that were computed for the series take.
    pub(crate) memory: &'a mut Reservation,
}

/// Samples that may be looked at between two looks at the deadline.
const SAMPLES_PER_CHECK: usize = 1 << 14;

/// What is to be said of a window. Metric and position are the call's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WindowNote {
    Mixed,
    NotCounter,
    NotGauge,
    MixedBuckets,
    ResetCollision,
    MismatchedBounds(HistogramOperation),
    IgnoredHistograms,
    StartOverlap,
}

impl WindowNote {
    pub(crate) fn annotation(self, metric: &str) -> Annotation<'_> {
        match self {
            Self::Mixed => Annotation::MixedFloatsHistograms(metric),
            Self::NotCounter => Annotation::HistogramNotCounter(metric),
            Self::NotGauge => Annotation::HistogramNotGauge(metric),
            Self::MixedBuckets => Annotation::MixedBuckets(metric),
            Self::ResetCollision => {
                Annotation::CounterResetCollision(HistogramOperation::Aggregation)
            }
            Self::MismatchedBounds(operation) => Annotation::MismatchedBounds(operation),
            Self::IgnoredHistograms => Annotation::IgnoredHistograms(metric),
            Self::StartOverlap => Annotation::StartOverlap(metric),
        }
    }
}

impl RangeContext<'_> {
    /// The scalar argument `index` at a step.
    pub(crate) fn scalar(&self, index: usize, step: usize) -> f64 {
        self.scalars
            .get(index)
            .and_then(|values| values.get(step))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// Counts samples that were looked at; fails when the query has to stop. For functions that look
    /// at the same samples window by window.
    pub(crate) fn spend(&mut self, samples: usize) -> Result<(), EngineError> {
        self.scratch.spent = self.scratch.spent.saturating_add(samples);
        if self.scratch.spent < SAMPLES_PER_CHECK {
            return Ok(());
        }
        self.scratch.spent = 0;
        self.limits.check()
    }

    /// Sets a window's point to a histogram that was computed for it.
    pub(crate) fn set_histogram(
        &mut self,
        out: &mut SeriesSlice,
        step: usize,
        histogram: FloatHistogram,
    ) -> Result<(), EngineError> {
        let samples = histogram.size_in_samples();
        self.memory
            .add_bytes(samples.saturating_mul(SAMPLE_BYTES))?;
        out.set_histogram(step, Arc::new(histogram));
        self.spend(samples)
    }

    /// Says it, once for each series.
    pub(crate) fn note(&mut self, note: WindowNote) {
        if !self.scratch.noted.contains(&note) {
            self.scratch.noted.push(note);
            let annotation = note.annotation(self.metric);
            self.notes.add(&annotation, self.first_argument);
        }
    }

    /// Warns of a φ outside of 0 to 1, once as long as it stays the same.
    pub(crate) fn check_quantile(&mut self, quantile: f64) {
        let is_valid = (0.0..=1.0).contains(&quantile);
        if is_valid || self.scratch.warned_of == Some(quantile.to_bits()) {
            return;
        }
        self.scratch.warned_of = Some(quantile.to_bits());
        self.notes
            .add(&Annotation::InvalidQuantile(quantile), self.first_argument);
    }
}

/// Buffers that range functions use again for each series.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Positions in a queue.
    pub(crate) queue: VecDeque<usize>,
    /// Positions.
    pub(crate) positions: Vec<usize>,
    /// Counts.
    pub(crate) counts: Vec<u32>,
    /// Sums.
    pub(crate) sums: Vec<KahanSum>,
    /// Values.
    pub(crate) values: Vec<f64>,
    /// Bits of the φ that was last warned of.
    pub(crate) warned_of: Option<u64>,
    /// Samples looked at since the deadline was.
    pub(crate) spent: usize,
    /// What was said of the series.
    pub(crate) noted: Vec<WindowNote>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_on_the_left() {
        let mut columns = Columns::default();
        (0..30).for_each(|number| columns.push(number * 10, 0.0));
        let reference = Grid::range(-5, 400, 15).expect("steps").reference(None, 5);
        for range in [1, 10, 35, 1000] {
            let mut bounds = Vec::new();
            find_bounds(&columns, reference, range, &mut bounds);
            for (step, (first, end)) in bounds.iter().enumerate() {
                let right = reference.at(step);
                let want = columns
                    .timestamps
                    .iter()
                    .filter(|at| **at > right - range && **at <= right);
                assert_eq!(end - first, want.count());
            }
        }
    }
}
