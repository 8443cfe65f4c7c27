//! Repeats what was computed for one step at all steps.

use super::{Operator, SeriesMeta};
use crate::error::EngineError;
use crate::slice::SeriesSlice;

/// Repeats its input, which has one step.
pub(crate) struct InvariantOperator {
    input: Box<dyn Operator>,
    steps: usize,
}

impl InvariantOperator {
    pub(crate) fn new(input: Box<dyn Operator>, steps: usize) -> Self {
        Self { input, steps }
    }
}

impl Operator for InvariantOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        let point = out.present.get(0).then(|| out.values[0]);
        let histogram = out.histogram(0).cloned();
        out.reset(self.steps);
        match (point, histogram) {
            (None, _) => {}
            (Some(value), None) => out.fill(value),
            (Some(_), Some(histogram)) => {
                out.histograms.resize(self.steps, Some(histogram));
                out.present.set_all();
            }
        }
        Ok(())
    }
}
