//! `label_replace` and `label_join`: other labels, the same data.

use std::ops::Range;

use crate::error::EngineError;
use crate::functions::labels::LabelChange;
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared};
use crate::slice::SeriesSlice;

/// Changes the labels of each series. Equal ones are the merge operator's part.
pub(crate) struct LabelOperator {
    input: Box<dyn Operator>,
    change: LabelChange,
    shared: Shared,
}

impl LabelOperator {
    pub(crate) fn new(input: Box<dyn Operator>, change: LabelChange, shared: Shared) -> Self {
        Self {
            input,
            change,
            shared,
        }
    }
}

impl Operator for LabelOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let metas = self.input.series()?;
        let mut changed = Vec::with_capacity(metas.len());
        for (index, meta) in metas.into_iter().enumerate() {
            // A pattern may take long for a label of many kilobytes.
            if index.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            changed.push(self.change.apply(meta)?);
        }
        Ok(changed)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        self.input.fork(series)
    }
}
