//! Functions over range vectors: each series' windows become one slice.

use std::ops::Range;
use std::sync::Arc;

use model::Labels;
use promql_syntax::ast::{PosRange, WindowEdges};
use storage::Columns;

use super::{Operator, RangeOperator, RangeSamples, SeriesMeta, Shared, TypeLabels};
use crate::annotations::{Annotation, NoteSteps};
use crate::error::EngineError;
use crate::functions::floats::without_histograms;
use crate::functions::window::{RangeContext, Scratch, Windows, find_bounds};
use crate::functions::{RangeFunction, RangeTrait};
use crate::grid::{Grid, Reference};
use crate::limits::Reservation;
use crate::slice::{Bitmap, SeriesSlice};

/// The windows that a function looks at.
#[derive(Clone, Copy)]
pub(crate) struct WindowShape {
    /// The steps.
    pub(crate) grid: Grid,
    /// The right edges of the windows.
    pub(crate) reference: Reference,
    /// The windows' length.
    pub(crate) range_ms: i64,
    /// How the windows' edges are treated.
    pub(crate) edges: WindowEdges,
    /// How far before a window samples are wanted.
    pub(crate) before_ms: i64,
    /// How far behind a window samples are wanted.
    pub(crate) behind_ms: i64,
    /// Where annotations about the call point: to its first argument.
    pub(crate) pos: PosRange,
}

impl WindowShape {
    /// Finds which samples each window holds, those outside of its edges that are wanted included.
    pub(crate) fn find_bounds(&self, columns: &Columns, bounds: &mut Vec<(usize, usize)>) {
        let reach_ms = self
            .range_ms
            .saturating_add(self.before_ms)
            .saturating_add(self.behind_ms);
        find_bounds(
            columns,
            self.reference.later(self.behind_ms),
            reach_ms,
            bounds,
        );
    }
}

/// Samples of one series after the other, with the bounds of their windows.
struct WindowReader {
    input: Box<dyn RangeOperator>,
    shape: WindowShape,
    samples: RangeSamples,
    bounds: Vec<(usize, usize)>,
    histograms_before: Vec<u32>,
    samples_before: Vec<u64>,
    memory: Reservation,
}

impl WindowReader {
    fn new(input: Box<dyn RangeOperator>, shape: WindowShape, shared: &Shared) -> Self {
        Self {
            input,
            shape,
            samples: RangeSamples::default(),
            bounds: Vec::new(),
            histograms_before: Vec::new(),
            samples_before: Vec::new(),
            memory: Reservation::empty(&shared.limits),
        }
    }

    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let steps = self.shape.grid.count();
        self.memory
            .set(steps.saturating_mul(size_of::<(usize, usize)>()), 0)?;
        self.input.series()
    }

    fn next(&mut self, shared: &Shared) -> Result<Windows<'_>, EngineError> {
        self.input.next(&mut self.samples)?;
        let shape = self.shape;
        let columns = &self.samples.columns;
        shape.find_bounds(columns, &mut self.bounds);
        count_histograms(columns, &mut self.histograms_before);
        count_samples(&self.samples.stands_for, &mut self.samples_before);
        let queryable = self.samples.queryable(&self.bounds);
        shared.limits.count_queryable(queryable);
        if let Some(steps) = shared.limits.steps() {
            let sizes = self.samples.queryable_each(&self.bounds);
            steps.add_queryable(shape.reference, sizes.into_iter().enumerate());
        }
        Ok(Windows {
            timestamps: &columns.timestamps,
            values: &columns.values,
            histograms: &columns.histograms,
            histograms_before: &self.histograms_before,
            samples_before: &self.samples_before,
            start_timestamps: &columns.start_timestamps,
            bounds: &self.bounds,
            reference: shape.reference,
            grid: shape.grid,
            range_ms: shape.range_ms,
            edges: shape.edges,
        })
    }
}

/// Sets `before` to the number of histograms before each sample and before the end, or to nothing
/// when there is none.
fn count_histograms(columns: &Columns, before: &mut Vec<u32>) {
    before.clear();
    if columns.histograms.is_empty() {
        return;
    }
    before.push(0);
    let mut count = 0_u32;
    for histogram in &columns.histograms {
        count = count.wrapping_add(u32::from(histogram.is_some()));
        before.push(count);
    }
}

/// Sets `before` to how many samples there are before each one and before the end, or to nothing when
/// each stands for itself alone.
fn count_samples(stands_for: &[u32], before: &mut Vec<u64>) {
    before.clear();
    if stands_for.is_empty() {
        return;
    }
    let mut total = 0;
    before.push(0);
    before.extend(stands_for.iter().map(|count| {
        total += u64::from(*count);
        total
    }));
}

/// A function over the windows of each series. Names stay: dropping them is the merge operator's
/// part.
pub(crate) struct RangeCallOperator {
    reader: WindowReader,
    scalars: Vec<Box<dyn Operator>>,
    scalar_values: Arc<[Vec<f64>]>,
    function: RangeFunction,
    function_trait: RangeTrait,
    shared: Shared,
    scratch: Scratch,
    /// What histograms that were computed for the series take.
    memory: Reservation,
    /// The series' labels, for annotations.
    labels: Arc<[Labels]>,
    next_series: usize,
    /// The metric that was told of last, and at which steps it was.
    noted: Option<(String, NoteSteps)>,
}

impl RangeCallOperator {
    pub(crate) fn new(
        input: Box<dyn RangeOperator>,
        shape: WindowShape,
        scalars: Vec<Box<dyn Operator>>,
        (function_trait, function): (RangeTrait, RangeFunction),
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            reader: WindowReader::new(input, shape, &shared),
            scalars,
            scalar_values: Arc::default(),
            function,
            function_trait,
            shared,
            scratch: Scratch::default(),
            memory,
            labels: Arc::default(),
            next_series: 0,
            noted: None,
        }
    }

    /// Tells of a series that has results at these steps but does not look like a counter.
    fn note_non_counter(&mut self, index: usize, steps: NoteSteps) {
        let Some(labels) = self.labels.get(index) else {
            return;
        };
        let Some(name) = labels.metric_name() else {
            return;
        };
        let is_noted = |(noted, at): &(String, NoteSteps)| noted == name && *at == steps;
        if self.noted.as_ref().is_some_and(is_noted) {
            return;
        }
        let annotation = match self.shared.type_and_unit_labels {
            TypeLabels::Trusted => {
                let kind = labels.value_or_empty("__type__");
                let is_counter = matches!(kind, "counter" | "histogram");
                (!is_counter).then_some(Annotation::NonCounterType { metric: name, kind })
            }
            TypeLabels::Ignored => {
                let suffixes = ["_total", "_sum", "_count", "_bucket"];
                let is_counter = suffixes.iter().any(|suffix| name.ends_with(suffix));
                (!is_counter).then_some(Annotation::PossibleNonCounter(name))
            }
        };
        if let Some(annotation) = annotation {
            let pos = self.reader.shape.pos;
            self.shared.notes.add_at(&annotation, pos, steps);
            if self.shared.type_and_unit_labels == TypeLabels::Ignored {
                self.noted = Some((name.to_owned(), steps));
            }
        }
    }
}

impl Operator for RangeCallOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.scalar_values = self
            .scalars
            .iter_mut()
            .map(|scalar| read_scalar(&mut **scalar))
            .collect::<Result<_, _>>()?;
        let metas = self.reader.series()?;
        self.labels = metas.iter().map(|meta| meta.labels.clone()).collect();
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let index = self.next_series;
        self.next_series += 1;
        let pos = self.reader.shape.pos;
        let windows = self.reader.next(&self.shared)?;
        out.reset(windows.bounds.len());
        self.scratch.noted.clear();
        self.memory.set(0, 0)?;
        let labels = self.labels.get(index);
        let mut context = RangeContext {
            scalars: &self.scalar_values,
            scratch: &mut self.scratch,
            notes: &self.shared.notes,
            first_argument: pos,
            metric: labels.and_then(Labels::metric_name).unwrap_or_default(),
            limits: &self.shared.limits,
            memory: &mut self.memory,
        };
        match self.function_trait {
            RangeTrait::FloatsOnly => {
                without_histograms(&windows, &mut context, out, self.function)?;
            }
            RangeTrait::Plain | RangeTrait::KeepsName | RangeTrait::ForCounters => {
                (self.function)(&windows, &mut context, out)?;
            }
        }
        if self.function_trait == RangeTrait::ForCounters
            && let Some((first, _)) = out.floats().next()
        {
            let last = out.floats().last().map_or(first, |(last, _)| last);
            self.note_non_counter(index, NoteSteps::Between(first, last));
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        let input = self.reader.input.fork(series.clone())?;
        Some(Box::new(Self {
            reader: WindowReader::new(input, self.reader.shape, &self.shared),
            scalars: Vec::new(),
            scalar_values: Arc::clone(&self.scalar_values),
            function: self.function,
            function_trait: self.function_trait,
            shared: self.shared.clone(),
            scratch: Scratch::default(),
            memory: Reservation::empty(&self.shared.limits),
            labels: Arc::clone(&self.labels),
            next_series: series.start,
            noted: None,
        }))
    }
}

/// The values of a scalar at all steps.
pub(crate) fn read_scalar(scalar: &mut dyn Operator) -> Result<Vec<f64>, EngineError> {
    scalar.series()?;
    let mut slice = SeriesSlice::default();
    scalar.next(&mut slice)?;
    Ok(slice.values)
}

/// `absent_over_time`: 1 at the steps whose window holds no sample of any series.
pub(crate) struct AbsentOverTimeOperator {
    reader: WindowReader,
    labels: Labels,
    shared: Shared,
    series: usize,
}

impl AbsentOverTimeOperator {
    pub(crate) fn new(
        input: Box<dyn RangeOperator>,
        shape: WindowShape,
        labels: Labels,
        shared: Shared,
    ) -> Self {
        Self {
            reader: WindowReader::new(input, shape, &shared),
            labels,
            shared,
            series: 0,
        }
    }
}

impl Operator for AbsentOverTimeOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.series = self.reader.series()?.len();
        Ok(vec![SeriesMeta::new(self.labels.clone())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let steps = self.reader.shape.grid.count();
        let mut missing = Bitmap::all(steps);
        for _ in 0..self.series {
            let windows = self.reader.next(&self.shared)?;
            for (step, _, _) in windows.filled() {
                missing.unset(step);
            }
            if missing.is_empty() {
                break;
            }
        }
        out.reset(steps);
        out.values.fill(1.0);
        out.present = missing;
        Ok(())
    }
}
