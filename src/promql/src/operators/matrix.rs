//! Range selectors: all samples that lie in any step's window.

use std::ops::Range;
use std::sync::Arc;

use model::PromDuration;
use storage::{Querier, SelectHints};

use super::selector::{Condensation, SeriesReader};
use super::{RangeOperator, RangeSamples, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::plan::Matrix;

/// A range selector.
pub(crate) struct MatrixOperator {
    reader: SeriesReader,
}

impl MatrixOperator {
    /// `asked` says what is asked of the samples, if that is less than all of them.
    pub(crate) fn new(
        (matrix, asked): (&Matrix, Option<Condensation>),
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        Self {
            reader: SeriesReader::new(&matrix.selector, grid, querier, shared).of_range(asked),
        }
    }
}

impl RangeOperator for MatrixOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.reader.series(SelectHints {
            step: PromDuration::from_millis(self.reader.reference().step_ms()),
            window: PromDuration::from_millis(self.reader.window_ms()),
        })
    }

    fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError> {
        self.reader.next(out)?;
        out.remove_stale();
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn RangeOperator>> {
        Some(Box::new(Self {
            reader: self.reader.fork(series.start),
        }))
    }
}
