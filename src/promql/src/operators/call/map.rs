//! Functions that change each value on its own. Names stay: dropping them is the merge operator's
//! part. Only floats are changed; histograms are left out unless an operator says otherwise.

use std::ops::Range;
use std::sync::Arc;

use model::FloatHistogram;

use crate::calendar::CivilTime;
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limits::{Reservation, SAMPLE_BYTES};
use crate::numeric::go_i64;
use crate::operators::range_call::read_scalar;
use crate::operators::{Operator, SeriesMeta, Shared, seconds};
use crate::slice::SeriesSlice;

/// Applies a function to each value.
pub(crate) struct MapOperator {
    input: Box<dyn Operator>,
    function: fn(f64) -> f64,
}

impl MapOperator {
    pub(crate) fn new(input: Box<dyn Operator>, function: fn(f64) -> f64) -> Self {
        Self { input, function }
    }
}

impl Operator for MapOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        out.keep_floats();
        for value in &mut out.values {
            *value = (self.function)(*value);
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self::new(self.input.fork(series)?, self.function)))
    }
}

/// Changes the sign of each value, and of all counts of histograms.
pub(crate) struct NegateOperator {
    input: Box<dyn Operator>,
    shared: Shared,
    /// What histograms of the last series take.
    memory: Reservation,
}

impl NegateOperator {
    pub(crate) fn new(input: Box<dyn Operator>, shared: Shared) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            shared,
            memory,
        }
    }
}

impl Operator for NegateOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        for value in &mut out.values {
            *value = -*value;
        }
        if out.histograms.is_empty() {
            return Ok(());
        }
        let bytes = out.samples().saturating_mul(SAMPLE_BYTES);
        self.memory.set(bytes, 0)?;
        for histogram in out.histograms.iter_mut().flatten() {
            Arc::make_mut(histogram).scale(-1.0);
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        let input = self.input.fork(series)?;
        Some(Box::new(Self::new(input, self.shared.clone())))
    }
}

/// Makes a float of each histogram; floats are left out.
pub(crate) struct HistogramMapOperator {
    input: Box<dyn Operator>,
    function: fn(&FloatHistogram) -> f64,
}

impl HistogramMapOperator {
    pub(crate) fn new(input: Box<dyn Operator>, function: fn(&FloatHistogram) -> f64) -> Self {
        Self { input, function }
    }
}

impl Operator for HistogramMapOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        let SeriesSlice {
            values,
            present,
            histograms,
        } = out;
        present.retain(|step| match histograms.get(step) {
            Some(Some(histogram)) => {
                values[step] = (self.function)(histogram);
                true
            }
            Some(None) | None => false,
        });
        histograms.clear();
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self::new(self.input.fork(series)?, self.function)))
    }
}

/// Applies a function to each value and the scalars of its step.
pub(crate) struct MapWithOperator {
    input: Box<dyn Operator>,
    scalars: Vec<Box<dyn Operator>>,
    /// The scalars of all steps, step by step.
    by_step: Arc<[f64]>,
    /// How many scalars each step has.
    width: usize,
    function: fn(f64, &[f64]) -> Option<f64>,
}

impl MapWithOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        scalars: Vec<Box<dyn Operator>>,
        function: fn(f64, &[f64]) -> Option<f64>,
    ) -> Self {
        Self {
            input,
            scalars,
            by_step: Arc::default(),
            width: 0,
            function,
        }
    }
}

impl Operator for MapWithOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let mut columns = Vec::new();
        for scalar in &mut self.scalars {
            columns.push(read_scalar(&mut **scalar)?);
        }
        self.width = columns.len();
        let steps = columns.first().map_or(0, Vec::len);
        self.by_step = (0..steps)
            .flat_map(|step| columns.iter().map(move |column| column[step]))
            .collect();
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        out.keep_floats();
        let width = self.width;
        let SeriesSlice {
            values, present, ..
        } = out;
        present.retain(|step| {
            let scalars = &self.by_step[step * width..(step + 1) * width];
            match (self.function)(values[step], scalars) {
                Some(value) => {
                    values[step] = value;
                    true
                }
                None => false,
            }
        });
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self {
            input: self.input.fork(series)?,
            scalars: Vec::new(),
            by_step: Arc::clone(&self.by_step),
            width: self.width,
            function: self.function,
        }))
    }
}

/// Reads a part of the date from each value, which is taken for seconds since the epoch.
pub(crate) struct DateOperator {
    input: Box<dyn Operator>,
    part: fn(&CivilTime) -> i64,
}

impl DateOperator {
    pub(crate) fn new(input: Box<dyn Operator>, part: fn(&CivilTime) -> i64) -> Self {
        Self { input, part }
    }
}

impl Operator for DateOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        out.keep_floats();
        for value in &mut out.values {
            let time = CivilTime::from_seconds(go_i64(*value));
            *value = (self.part)(&time) as f64;
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self::new(self.input.fork(series)?, self.part)))
    }
}

/// `timestamp` of anything but a selector: the time of the step.
pub(crate) struct TimestampOperator {
    input: Box<dyn Operator>,
    grid: Grid,
}

impl TimestampOperator {
    pub(crate) fn new(input: Box<dyn Operator>, grid: Grid) -> Self {
        Self { input, grid }
    }
}

impl Operator for TimestampOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        // Histograms have a time too.
        out.histograms.clear();
        for (value, at_ms) in out.values.iter_mut().zip(self.grid.iter()) {
            *value = seconds(at_ms);
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self::new(self.input.fork(series)?, self.grid)))
    }
}

/// The series of its input without any point.
pub(crate) struct NoPointsOperator {
    input: Box<dyn Operator>,
}

impl NoPointsOperator {
    pub(crate) fn new(input: Box<dyn Operator>) -> Self {
        Self { input }
    }
}

impl Operator for NoPointsOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        out.reset(out.values.len());
        Ok(())
    }
}
