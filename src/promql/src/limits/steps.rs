//! What a query costs step by step. Counted only for those who ask, as it takes time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::grid::{Grid, Reference};
use crate::operators::RangeSamples;
use crate::result::StepStats;

/// Counters of every step of a query.
pub(crate) struct StepCounts {
    grid: Grid,
    queryable: Vec<AtomicU64>,
    read: Vec<AtomicU64>,
}

impl StepCounts {
    /// Counters for a query evaluated on `grid`.
    pub(crate) fn new(grid: Grid) -> Self {
        let zeros = || (0..grid.count()).map(|_| AtomicU64::new(0)).collect();
        Self {
            grid,
            queryable: zeros(),
            read: zeros(),
        }
    }

    /// Counts samples that took part: pairs of a step of `reference` and its samples.
    pub(crate) fn add_queryable(
        &self,
        reference: Reference,
        sizes: impl Iterator<Item = (usize, usize)>,
    ) {
        for (step, size) in sizes {
            add(&self.queryable, self.step_of(reference, step), size);
        }
    }

    /// Counts samples that came from storage, in order of time, each for the first step that is not
    /// before it. No step lies between samples of which one stands for the others.
    pub(crate) fn add_read(&self, reference: Reference, samples: &RangeSamples) {
        let last = reference.count().saturating_sub(1);
        let mut step = 0;
        for (index, timestamp) in samples.columns.timestamps.iter().enumerate() {
            while step < last && reference.at(step) < *timestamp {
                step += 1;
            }
            let count = samples
                .stands_for
                .get(index)
                .map_or(1, |count| *count as usize);
            add(&self.read, self.step_of(reference, step), count);
        }
    }

    /// The step of the query that a step of one of its parts counts for. A part with as many steps
    /// goes with them; one that is evaluated once, or more often as subqueries are, counts for the
    /// first step of the query that is not before its own time.
    fn step_of(&self, reference: Reference, step: usize) -> usize {
        let count = self.grid.count();
        if reference.count() == count {
            return step.min(count - 1);
        }
        let after_ms = i128::from(reference.at(step)) - i128::from(self.grid.first_ms());
        let steps = (after_ms + i128::from(self.grid.step_ms()) - 1)
            .div_euclid(i128::from(self.grid.step_ms()));
        usize::try_from(steps.max(0))
            .unwrap_or(usize::MAX)
            .min(count - 1)
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> StepStats {
        let counts = |counters: &[AtomicU64]| {
            let counts = counters.iter().map(|count| count.load(Ordering::Relaxed));
            counts.collect()
        };
        StepStats {
            times_ms: self.grid.iter().collect(),
            queryable_samples: counts(&self.queryable),
            samples_read: counts(&self.read),
        }
    }
}

fn add(counters: &[AtomicU64], step: usize, samples: usize) {
    if let Some(counter) = counters.get(step) {
        let samples = u64::try_from(samples).unwrap_or(u64::MAX);
        counter.fetch_add(samples, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(start_ms: i64, end_ms: i64, step_ms: i64) -> Grid {
        Grid::range(start_ms, end_ms, step_ms).expect("has steps")
    }

    #[test]
    fn parts_count_for_the_steps_that_need_them() {
        let query = grid(100, 130, 10);
        let counts = StepCounts::new(query);
        // The same steps, an hour before.
        let earlier = query.reference(None, 3_600_000);
        counts.add_queryable(earlier, [(0, 1), (3, 5)].into_iter());
        let first_ms = earlier.at(0);
        let mut samples = RangeSamples::default();
        for at_ms in [first_ms - 50, first_ms, first_ms + 1, first_ms + 99] {
            samples.columns.push(at_ms, 1.0);
        }
        counts.add_read(earlier, &samples);
        // Evaluated once.
        counts.add_queryable(Grid::instant(100).reference(None, 0), [(0, 7)].into_iter());
        // A subquery's steps.
        let inner = grid(95, 131, 1).reference(None, 0);
        counts.add_queryable(inner, [(0, 100), (6, 1000), (36, 10_000)].into_iter());
        let stats = counts.stats();
        assert_eq!(stats.times_ms, [100, 110, 120, 130]);
        assert_eq!(stats.queryable_samples, [108, 1000, 0, 10_005]);
        assert_eq!(stats.samples_read, [2, 1, 0, 1]);
    }
}
