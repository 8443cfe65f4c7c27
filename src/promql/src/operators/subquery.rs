//! Subqueries: the values of an instant vector, at steps of their own, as samples of windows.

use storage::Columns;

use super::{Operator, RangeOperator, SERIES_PER_CHECK, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limits::Reservation;
use crate::slice::SeriesSlice;

/// A subquery.
pub(crate) struct SubqueryOperator {
    input: Box<dyn Operator>,
    grid: Grid,
    shared: Shared,
    slice: SeriesSlice,
    next_series: usize,
    memory: Reservation,
}

impl SubqueryOperator {
    /// `input` is evaluated on `grid`.
    pub(crate) fn new(input: Box<dyn Operator>, grid: Grid, shared: Shared) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            grid,
            shared,
            slice: SeriesSlice::default(),
            next_series: 0,
            memory,
        }
    }
}

impl RangeOperator for SubqueryOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        // The steps can be many more than those of the query, whatever the data is.
        let steps = self.grid.count();
        self.memory
            .set(steps.saturating_mul(size_of::<(i64, f64, f64)>()), 0)?;
        self.input.series()
    }

    fn next(&mut self, out: &mut Columns) -> Result<(), EngineError> {
        if self.next_series.is_multiple_of(SERIES_PER_CHECK) {
            self.shared.limits.check()?;
        }
        self.next_series += 1;
        out.clear();
        self.input.next(&mut self.slice)?;
        for (step, value) in self.slice.points() {
            out.push(self.grid.at(step), value);
        }
        Ok(())
    }
}

/// A range vector without series.
pub(crate) struct EmptyRange;

impl RangeOperator for EmptyRange {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(Vec::new())
    }

    fn next(&mut self, out: &mut Columns) -> Result<(), EngineError> {
        out.clear();
        Ok(())
    }
}
