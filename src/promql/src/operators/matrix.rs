//! Range selectors: all samples that lie in any step's window.

use std::ops::Range;
use std::sync::Arc;

use model::PromDuration;
use storage::{Columns, Querier, SelectHints};

use super::selector::SeriesReader;
use super::{RangeOperator, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::plan::Matrix;

/// A range selector.
pub(crate) struct MatrixOperator {
    reader: SeriesReader,
}

impl MatrixOperator {
    pub(crate) fn new(
        matrix: &Matrix,
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        Self {
            reader: SeriesReader::new(&matrix.selector, grid, querier, shared).of_range(),
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

    fn next(&mut self, out: &mut Columns) -> Result<(), EngineError> {
        self.reader.next(out)?;
        remove_stale(out);
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn RangeOperator>> {
        Some(Box::new(Self {
            reader: self.reader.fork(series.start),
        }))
    }
}

/// Removes stale markers; windows do not see them.
pub(super) fn remove_stale(columns: &mut Columns) {
    let is_stale = |value: &f64| model::is_stale_nan(*value);
    if columns.values.iter().any(is_stale) {
        columns.retain(|columns, index| !is_stale(&columns.values[index]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_markers_are_removed_and_order_stays() {
        let mut columns = Columns::default();
        for at in 0..10_i64 {
            columns.push(
                at,
                if at % 3 == 1 {
                    model::stale_nan()
                } else {
                    model::sample::normal_nan()
                },
            );
        }
        remove_stale(&mut columns);
        assert_eq!(columns.timestamps, [0, 2, 3, 5, 6, 8, 9]);
        assert!(
            columns
                .values
                .iter()
                .all(|value| !model::is_stale_nan(*value))
        );
    }
}
