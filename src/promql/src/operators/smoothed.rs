//! Instant selectors with `smoothed`: values between samples.

use std::sync::Arc;

use model::PromDuration;
use storage::{Columns, Querier, SelectHints};

use super::matrix::remove_stale;
use super::selector::SeriesReader;
use super::{Operator, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::functions::extended::Extended;
use crate::functions::window::find_bounds;
use crate::grid::Grid;
use crate::plan::Selector;
use crate::slice::SeriesSlice;

/// A smoothed instant selector.
pub(crate) struct SmoothedOperator {
    reader: SeriesReader,
    selector: Selector,
    shared: Shared,
    columns: Columns,
    bounds: Vec<(usize, usize)>,
}

impl SmoothedOperator {
    pub(crate) fn new(
        selector: &Selector,
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        Self {
            reader: SeriesReader::new(selector, grid, querier, shared.clone()),
            selector: selector.clone(),
            shared,
            columns: Columns::default(),
            bounds: Vec::new(),
        }
    }
}

impl Operator for SmoothedOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let step = PromDuration::from_millis(self.reader.reference().step_ms());
        self.reader.series(SelectHints {
            step,
            window: PromDuration::ZERO,
        })
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.reader.next(&mut self.columns)?;
        remove_stale(&mut self.columns);
        let reference = self.reader.reference();
        let (window_ms, behind_ms) = (self.selector.window_ms, self.selector.behind_ms);
        let reach_ms = window_ms.saturating_add(behind_ms);
        find_bounds(
            &self.columns,
            reference.later(behind_ms),
            reach_ms,
            &mut self.bounds,
        );
        out.reset(reference.count());
        for (step, (first, end)) in self.bounds.iter().enumerate() {
            let at_ms = reference.at(step);
            let samples = Extended {
                timestamps: &self.columns.timestamps[*first..*end],
                values: &self.columns.values[*first..*end],
                left_ms: at_ms.saturating_sub(window_ms),
                right_ms: at_ms.saturating_add(behind_ms),
                edges: self.selector.edges,
            };
            if let Some(value) = samples.value_at(at_ms) {
                out.set(step, value);
            }
        }
        self.shared.limits.count_queryable(out.present.count());
        Ok(())
    }
}
