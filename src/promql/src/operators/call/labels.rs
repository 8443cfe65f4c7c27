//! `label_replace` and `label_join`: other labels, the same data.

use std::ops::Range;

use crate::error::EngineError;
use crate::functions::labels::LabelChange;
use crate::operators::{Operator, SeriesMeta};
use crate::slice::SeriesSlice;

/// Changes the labels of each series. Equal ones are the merge operator's part.
pub(crate) struct LabelOperator {
    input: Box<dyn Operator>,
    change: LabelChange,
}

impl LabelOperator {
    pub(crate) fn new(input: Box<dyn Operator>, change: LabelChange) -> Self {
        Self { input, change }
    }
}

impl Operator for LabelOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input
            .series()?
            .into_iter()
            .map(|meta| self.change.apply(meta))
            .collect()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        self.input.fork(series)
    }
}
