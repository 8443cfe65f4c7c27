//! `info()`: adds labels of info metrics to the series of the same target. Which info series is the
//! newest at a step is worked out before the data; the series that get labels stream. Source:
//! upstream `promql/info.go`.

mod enrichment;
mod identity;
mod lookup;

use std::sync::Arc;

use model::{METRIC_NAME, Matcher};
use storage::Querier;

use self::enrichment::{Enrichment, Outcome};
use self::identity::{Identities, matches_all};
use self::lookup::{Faults, Lookup};
use super::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared, metas_bytes};
use crate::error::{EngineError, InfoError};
use crate::grid::Grid;
use crate::limits::Reservation;
use crate::plan::{Info, Selector};
use crate::slice::{Bitmap, SeriesSlice};

/// A call of `info()`. Equal labels are the merge operator's part.
pub(crate) struct InfoOperator {
    input: Box<dyn Operator>,
    names: Vec<Matcher>,
    data: Vec<Matcher>,
    series: Selector,
    grid: Grid,
    querier: Arc<dyn Querier>,
    shared: Shared,
    /// In order of the input's series.
    outputs: Vec<Output>,
    next_output: usize,
    /// Label conflicts, in order of the input's series.
    conflicts: std::collections::VecDeque<Conflict>,
    faults: Faults,
    inputs: usize,
    next_input: usize,
    /// The input series that was read last.
    current: SeriesSlice,
    memory: Reservation,
}

/// A series of the result.
struct Output {
    input: usize,
    /// The steps at which the input has these labels; `None` for all.
    steps: Option<Arc<Bitmap>>,
}

/// Info series of different metrics that do not agree, if the input has a point.
struct Conflict {
    input: usize,
    steps: Arc<Bitmap>,
    label: String,
}

impl InfoOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        info: &Info,
        (grid, querier): (Grid, Arc<dyn Querier>),
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            names: info.names.clone(),
            data: info.data.clone(),
            series: info.series.clone(),
            grid,
            querier,
            shared,
            outputs: Vec::new(),
            next_output: 0,
            conflicts: std::collections::VecDeque::new(),
            faults: Faults::default(),
            inputs: 0,
            next_input: 0,
            current: SeriesSlice::default(),
            memory,
        }
    }

    /// Works out the labels. Apart from [`Operator::series`], which calls itself for each operator
    /// below, as this takes much stack.
    #[inline(never)]
    fn start(&mut self, metas: Vec<SeriesMeta>) -> Result<Vec<SeriesMeta>, EngineError> {
        let is_info =
            |meta: &SeriesMeta| matches_all(&self.names, meta.labels.value_or_empty(METRIC_NAME));
        let mut identities = Identities::default();
        for meta in metas.iter().filter(|meta| !is_info(meta)) {
            identities.add(&meta.labels);
        }
        let source = (&self.series, self.grid);
        let lookup = Lookup::read(&identities, source, &self.querier, &self.shared)?;
        let steps = self.grid.count();
        let mut enrichment = Enrichment::new(&lookup, &self.data, steps);
        let mut results = Vec::new();
        for (input, meta) in metas.iter().enumerate() {
            if input.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            if is_info(meta) {
                self.outputs.push(Output { input, steps: None });
                results.push(meta.clone());
                continue;
            }
            for outcome in enrichment.of(&meta.labels)? {
                match outcome {
                    Outcome::Labels { labels, steps } => {
                        self.outputs.push(Output { input, steps });
                        results.push(SeriesMeta {
                            labels,
                            drop_name: meta.drop_name,
                        });
                    }
                    Outcome::Conflict { label, steps } => {
                        self.conflicts.push_back(Conflict {
                            input,
                            steps,
                            label,
                        });
                    }
                }
            }
        }
        let bytes = metas_bytes(&results)
            .saturating_add(self.outputs.len().saturating_mul(size_of::<Output>()))
            .saturating_add(enrichment.bytes());
        self.memory.set(bytes, 0)?;
        self.faults = lookup.into_faults();
        self.inputs = metas.len();
        if self.outputs.is_empty() {
            self.read_until(self.inputs)?;
        }
        Ok(results)
    }

    /// Reads the input up to and without series `end`, and refuses points where the info series
    /// cannot be used.
    fn read_until(&mut self, end: usize) -> Result<(), EngineError> {
        while self.next_input < end {
            let input = self.next_input;
            self.next_input += 1;
            if input.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            self.input.next(&mut self.current)?;
            self.faults.check(&self.current.present)?;
            while let Some(conflict) = self.conflicts.front()
                && conflict.input == input
            {
                if conflict.steps.intersects(&self.current.present) {
                    return Err(InfoError::ConflictingLabel(conflict.label.clone()).into());
                }
                self.conflicts.pop_front();
            }
        }
        Ok(())
    }
}

impl Operator for InfoOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let metas = self.input.series()?;
        self.start(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let index = self.next_output;
        self.next_output += 1;
        let Some(input) = self.outputs.get(index).map(|output| output.input) else {
            out.reset(self.grid.count());
            return Ok(());
        };
        self.read_until(input + 1)?;
        let following = self.outputs.get(index + 1).map(|output| output.input);
        if following == Some(input) {
            out.copy_from(&self.current);
        } else {
            std::mem::swap(out, &mut self.current);
        }
        if let Some(steps) = &self.outputs[index].steps {
            out.present.intersect(steps);
        }
        if following.is_none() {
            // Whether info series can be used depends on points that give nothing too.
            self.read_until(self.inputs)?;
        }
        Ok(())
    }
}
