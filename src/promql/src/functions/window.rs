//! What range functions look at: one series' samples and, for each step, which of them its window
//! holds.

use std::collections::VecDeque;
use std::sync::Arc;

use model::FloatHistogram;
use promql_syntax::ast::{PosRange, WindowEdges};
use storage::Columns;

use crate::annotations::{Annotation, Notes};
use crate::grid::{Grid, Reference};
use crate::kahan::KahanSum;
use crate::operators::advance;

/// One series' samples in the windows of all steps. Windows only move forward.
pub(crate) struct Windows<'a> {
    /// Times of the samples, increasing.
    pub(crate) timestamps: &'a [i64],
    /// Values of the samples.
    pub(crate) values: &'a [f64],
    /// Histograms, `None` where the sample is a float. Empty when all are.
    pub(crate) histograms: &'a [Option<Arc<FloatHistogram>>],
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

impl Windows<'_> {
    /// How many samples all windows hold together.
    pub(crate) fn total(&self) -> usize {
        self.bounds.iter().map(|(first, end)| end - first).sum()
    }

    /// Whether windows overlap so much that looking at each sample once per window is dear.
    pub(crate) fn overlap(&self) -> bool {
        /// From here on the bookkeeping of sliding windows costs less than it saves.
        const OVERLAP: usize = 6;
        self.total() > self.values.len().saturating_mul(OVERLAP)
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
