//! Scalars that need no input: constants and the times of the query.

use model::Labels;

use super::{Operator, SeriesMeta};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::slice::SeriesSlice;

/// A scalar that is a function of the step's time.
pub(crate) struct TimeOperator {
    grid: Grid,
    value: fn(i64) -> f64,
}

impl TimeOperator {
    pub(crate) fn new(grid: Grid, value: fn(i64) -> f64) -> Self {
        Self { grid, value }
    }
}

impl Operator for TimeOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(vec![SeriesMeta::new(Labels::empty())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.grid.count());
        for (value, at_ms) in out.values.iter_mut().zip(self.grid.iter()) {
            *value = (self.value)(at_ms);
        }
        out.present.set_all();
        Ok(())
    }
}

/// The same number at all steps.
pub(crate) struct NumberOperator {
    steps: usize,
    value: f64,
}

impl NumberOperator {
    pub(crate) fn new(steps: usize, value: f64) -> Self {
        Self { steps, value }
    }
}

impl Operator for NumberOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(vec![SeriesMeta::new(Labels::empty())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.steps);
        out.fill(self.value);
        Ok(())
    }
}
