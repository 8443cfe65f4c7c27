//! The cached result of a range query: columns of values at neighbouring steps.

use model::{Labels, TimeRange, Timestamp};
use storage::{Queryable, WriteGeneration};

use super::notes::{self, CachedNote};
use crate::grid::Grid;
use crate::plan::ReadSpans;
use crate::result::Series;

/// Values at the steps of a grid, and what they depend on.
#[derive(Debug)]
pub(super) struct Entry {
    grid: Grid,
    series: Vec<Column>,
    notes: Vec<CachedNote>,
    spans: ReadSpans,
    /// The values are of data that has not changed since.
    generation: WriteGeneration,
}

/// One series.
#[derive(Debug)]
struct Column {
    labels: Labels,
    /// One bit for each step: whether there is a value.
    present: Box<[u64]>,
    values: Box<[f64]>,
}

/// What of an entry is still true, and asked for.
pub(super) struct Kept {
    /// The first and last of its steps.
    pub(super) steps: (i64, i64),
    pub(super) series: Vec<Series>,
    pub(super) notes: Vec<CachedNote>,
    pub(super) spans: ReadSpans,
}

impl Entry {
    /// Keeps a result without histograms.
    pub(super) fn new(
        (grid, generation): (Grid, WriteGeneration),
        series: &[Series],
        notes: Vec<CachedNote>,
        spans: ReadSpans,
    ) -> Self {
        Self {
            grid,
            series: series.iter().map(|one| Column::new(one, grid)).collect(),
            notes,
            spans,
            generation,
        }
    }

    /// About how much memory it takes.
    pub(super) fn size_bytes(&self) -> usize {
        let columns = self.series.iter().map(|column| {
            size_of::<Column>()
                + column.labels.as_packed().len()
                + size_of_val(&*column.present)
                + size_of_val(&*column.values)
        });
        let notes = self.notes.iter().map(|note| note.note.size_bytes());
        size_of::<Self>() + columns.sum::<usize>() + notes.sum::<usize>()
    }

    /// What is still true at the steps of `asked`, which are steps of the entry's grid if that were
    /// longer.
    pub(super) fn kept(&self, asked: Grid, storage: &dyn Queryable) -> Option<Kept> {
        let first = asked.first_ms().max(self.grid.first_ms());
        let last = asked.last_ms().min(self.grid.last_ms());
        let last = self.unchanged_until(first, last, storage)?;
        if first > last {
            return None;
        }
        let all = (self.grid.first_ms(), self.grid.last_ms());
        let notes = notes::within(&self.notes, (first, last), all)?;
        let steps = self.step_of(first)..self.step_of(last) + 1;
        let series = self.series.iter().filter_map(|column| {
            let points = column.points(steps.clone(), self.grid);
            let labels = || column.labels.clone();
            (!points.is_empty()).then(|| Series {
                labels: labels(),
                points,
                histograms: Vec::new(),
            })
        });
        Some(Kept {
            steps: (first, last),
            series: series.collect(),
            notes,
            spans: self.spans,
        })
    }

    /// The last of the steps from `first` to `last` that depends on unchanged samples only, as all
    /// before it do; `None` when all depend on changed ones.
    fn unchanged_until(&self, first: i64, last: i64, storage: &dyn Queryable) -> Option<i64> {
        let change = |(start, end)| {
            let range = TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end));
            storage.first_change(self.generation, range)
        };
        if self.spans.fixed.and_then(change).is_some() {
            return None;
        }
        let Some((before, behind)) = self.spans.moving else {
            return Some(last);
        };
        let read = (first.saturating_add(before), last.saturating_add(behind));
        let Some(changed) = change(read) else {
            return Some(last);
        };
        // The reading of a step ends `behind` after it, and has to end before the change.
        let until = i128::from(changed.as_millis()) - i128::from(behind) - 1;
        let start = i128::from(self.grid.first_ms());
        let step = i128::from(self.grid.step_ms());
        let last_step = (until - start).div_euclid(step) * step + start;
        i64::try_from(last_step).ok().map(|step| step.min(last))
    }

    fn step_of(&self, at_ms: i64) -> usize {
        step_of(self.grid, at_ms)
    }
}

fn step_of(grid: Grid, at_ms: i64) -> usize {
    let steps = at_ms.saturating_sub(grid.first_ms()) / grid.step_ms();
    usize::try_from(steps).unwrap_or(0).min(grid.count() - 1)
}

impl Column {
    fn new(series: &Series, grid: Grid) -> Self {
        let mut present = vec![0; grid.count().div_ceil(64)].into_boxed_slice();
        for (at_ms, _) in &series.points {
            let step = step_of(grid, *at_ms);
            present[step / 64] |= 1 << (step % 64);
        }
        Self {
            labels: series.labels.clone(),
            present,
            values: series.points.iter().map(|(_, value)| *value).collect(),
        }
    }

    fn has(&self, step: usize) -> bool {
        self.present[step / 64] >> (step % 64) & 1 == 1
    }

    fn points(&self, steps: std::ops::Range<usize>, grid: Grid) -> Vec<(i64, f64)> {
        let before = (0..steps.start).filter(|step| self.has(*step)).count();
        steps
            .filter(|step| self.has(*step))
            .zip(&self.values[before..])
            .map(|(step, value)| (grid.at(step), *value))
            .collect()
    }
}
