//! Instant selectors with `smoothed`: values between samples.

use std::sync::Arc;

use model::{Labels, PromDuration};
use promql_syntax::ast::PosRange;
use storage::{Querier, SelectHints};

use super::selector::SeriesReader;
use super::{Operator, RangeSamples, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::functions::extended::Extended;
use crate::functions::extended_histogram::ExtendedHistograms;
use crate::functions::window::{WindowNote, find_bounds};
use crate::grid::Grid;
use crate::limits::{Reservation, SAMPLE_BYTES};
use crate::plan::Selector;
use crate::slice::SeriesSlice;

/// A smoothed instant selector.
pub(crate) struct SmoothedOperator {
    reader: SeriesReader,
    selector: Selector,
    shared: Shared,
    samples: RangeSamples,
    bounds: Vec<(usize, usize)>,
    /// The series' labels, for annotations, and where these point to.
    labels: Vec<Labels>,
    pos: PosRange,
    next_series: usize,
    /// What interpolated histograms take.
    memory: Reservation,
}

impl SmoothedOperator {
    pub(crate) fn new(
        (selector, pos): (&Selector, PosRange),
        grid: Grid,
        querier: Arc<dyn Querier>,
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            reader: SeriesReader::new(selector, grid, querier, shared.clone()),
            selector: selector.clone(),
            shared,
            samples: RangeSamples::default(),
            bounds: Vec::new(),
            labels: Vec::new(),
            pos,
            next_series: 0,
            memory,
        }
    }

    /// Says of a series what came up at its steps, each once.
    fn tell(&self, index: usize, mut notes: Vec<WindowNote>) {
        let labels = self.labels.get(index);
        let metric = labels.and_then(Labels::metric_name).unwrap_or_default();
        while let Some(note) = notes.first().copied() {
            notes.retain(|other| *other != note);
            self.shared.notes.add(&note.annotation(metric), self.pos);
        }
    }
}

impl Operator for SmoothedOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let step = PromDuration::from_millis(self.reader.reference().step_ms());
        let metas = self.reader.series(SelectHints {
            step,
            window: PromDuration::ZERO,
        })?;
        self.labels = metas.iter().map(|meta| meta.labels.clone()).collect();
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.reader.next(&mut self.samples)?;
        self.samples.remove_stale();
        let columns = &self.samples.columns;
        let reference = self.reader.reference();
        let (window_ms, behind_ms) = (self.selector.window_ms, self.selector.behind_ms);
        let reach_ms = window_ms.saturating_add(behind_ms);
        find_bounds(
            columns,
            reference.later(behind_ms),
            reach_ms,
            &mut self.bounds,
        );
        out.reset(reference.count());
        let index = self.next_series;
        self.next_series += 1;
        let mut notes = Vec::new();
        self.memory.set(0, 0)?;
        for (step, (first, end)) in self.bounds.iter().enumerate() {
            let at_ms = reference.at(step);
            let samples = Extended {
                timestamps: &columns.timestamps[*first..*end],
                values: &columns.values[*first..*end],
                left_ms: at_ms.saturating_sub(window_ms),
                right_ms: at_ms.saturating_add(behind_ms),
                edges: self.selector.edges,
            };
            let histograms = columns.histograms.get(*first..*end).unwrap_or(&[]);
            match histograms.iter().flatten().count() {
                0 => {
                    if let Some(value) = samples.value_at(at_ms) {
                        out.set(step, value);
                    }
                }
                count if count == samples.timestamps.len() => {
                    let samples = ExtendedHistograms {
                        edges: samples,
                        histograms,
                    };
                    if let Some(histogram) = samples.value_at(at_ms, &mut notes) {
                        let size = histogram.size_in_samples();
                        self.memory.add_bytes(size.saturating_mul(SAMPLE_BYTES))?;
                        out.set_histogram(step, Arc::new(histogram));
                    }
                }
                _ => notes.push(WindowNote::Mixed),
            }
        }
        self.tell(index, notes);
        self.shared.limits.count_queryable(out.samples());
        if let Some(steps) = self.shared.limits.steps() {
            steps.add_queryable(reference, out.sizes());
        }
        Ok(())
    }
}
