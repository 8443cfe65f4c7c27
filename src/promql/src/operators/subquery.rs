//! Subqueries: the values of an instant vector, at steps of their own, as samples of windows.

use std::ops::Range;
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::{Operator, RangeOperator, RangeSamples, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limits::Reservation;
use crate::slice::SeriesSlice;

/// Steps that may be read between two looks at the deadline.
const STEPS_PER_CHECK: usize = 1 << 16;

/// A subquery.
pub(crate) struct SubqueryOperator {
    input: Box<dyn Operator>,
    grid: Grid,
    shared: Shared,
    slice: SeriesSlice,
    /// Steps read since the deadline was last looked at.
    steps_since_check: usize,
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
            // The first series is checked.
            steps_since_check: STEPS_PER_CHECK,
            memory,
        }
    }

    /// The steps can be many more than those of the query, whatever the data is.
    fn reserve(&mut self) -> Result<(), EngineError> {
        let bytes = self
            .grid
            .count()
            .saturating_mul(size_of::<(i64, f64, f64)>());
        self.memory.set(bytes, 0)
    }
}

impl RangeOperator for SubqueryOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.reserve()?;
        self.input.series()
    }

    fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError> {
        // A series may have millions of steps, so that the look at the deadline counts them.
        self.steps_since_check = self.steps_since_check.saturating_add(self.grid.count());
        if self.steps_since_check >= STEPS_PER_CHECK {
            self.steps_since_check = 0;
            self.shared.limits.check()?;
        }
        self.reserve()?;
        out.clear();
        self.input.next(&mut self.slice)?;
        for step in self.slice.present.iter() {
            let at_ms = self.grid.at(step);
            match self.slice.histograms.get_mut(step).and_then(Option::take) {
                Some(mut histogram) => {
                    forget_resets(&mut histogram);
                    out.columns.push_histogram(at_ms, histogram);
                }
                None => out.columns.push(at_ms, self.slice.values[step]),
            }
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn RangeOperator>> {
        let input = self.input.fork(series)?;
        Some(Box::new(Self::new(input, self.grid, self.shared.clone())))
    }
}

/// A histogram knows of resets before it among all samples, of which a subquery sees a choice.
fn forget_resets(histogram: &mut Arc<FloatHistogram>) {
    match histogram.counter_reset_hint {
        CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        CounterResetHint::CounterReset | CounterResetHint::NotCounterReset => {
            Arc::make_mut(histogram).counter_reset_hint = CounterResetHint::Unknown;
        }
    }
}

/// A range vector without series.
pub(crate) struct EmptyRange;

impl RangeOperator for EmptyRange {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(Vec::new())
    }

    fn next(&mut self, out: &mut RangeSamples) -> Result<(), EngineError> {
        out.clear();
        Ok(())
    }
}
