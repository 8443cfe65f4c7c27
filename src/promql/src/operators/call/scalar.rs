//! Between vectors and scalars: `scalar`, `absent`, functions of two scalars.

use model::Labels;

use crate::error::EngineError;
use crate::operators::range_call::read_scalar;
use crate::operators::{Operator, SeriesMeta};
use crate::slice::{Bitmap, SeriesSlice};

/// `scalar`: the value of the only point of a step, NaN where there is not exactly one.
pub(crate) struct ScalarOperator {
    input: Box<dyn Operator>,
    steps: usize,
    series: usize,
}

impl ScalarOperator {
    pub(crate) fn new(input: Box<dyn Operator>, steps: usize) -> Self {
        Self {
            input,
            steps,
            series: 0,
        }
    }
}

impl Operator for ScalarOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.series = self.input.series()?.len();
        Ok(vec![SeriesMeta::new(Labels::empty())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.steps);
        let mut several = Bitmap::none(self.steps);
        let mut slice = SeriesSlice::default();
        for _ in 0..self.series {
            self.input.next(&mut slice)?;
            for (step, value) in slice.floats() {
                if out.present.get(step) {
                    several.set(step);
                } else {
                    out.set(step, value);
                }
            }
        }
        out.present.subtract(&several);
        for step in 0..self.steps {
            if !out.present.get(step) {
                out.values[step] = f64::NAN;
            }
        }
        out.present.set_all();
        Ok(())
    }
}

/// `absent`: 1 at the steps without any point.
pub(crate) struct AbsentOperator {
    input: Box<dyn Operator>,
    labels: Labels,
    steps: usize,
    series: usize,
}

impl AbsentOperator {
    pub(crate) fn new(input: Box<dyn Operator>, labels: Labels, steps: usize) -> Self {
        Self {
            input,
            labels,
            steps,
            series: 0,
        }
    }
}

impl Operator for AbsentOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.series = self.input.series()?.len();
        Ok(vec![SeriesMeta::new(self.labels.clone())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let mut missing = Bitmap::all(self.steps);
        for _ in 0..self.series {
            self.input.next(out)?;
            missing.subtract(&out.present);
        }
        out.reset(self.steps);
        out.values.fill(1.0);
        out.present = missing;
        Ok(())
    }
}

/// A scalar made of two scalars.
pub(crate) struct ScalarsOperator<F> {
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    function: F,
}

impl<F: Fn(f64, f64) -> f64> ScalarsOperator<F> {
    pub(crate) fn new(left: Box<dyn Operator>, right: Box<dyn Operator>, function: F) -> Self {
        Self {
            left,
            right,
            function,
        }
    }
}

impl<F: Fn(f64, f64) -> f64 + Send> Operator for ScalarsOperator<F> {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(vec![SeriesMeta::new(Labels::empty())])
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let left = read_scalar(&mut *self.left)?;
        let right = read_scalar(&mut *self.right)?;
        out.reset(left.len());
        for (value, (left, right)) in out.values.iter_mut().zip(left.iter().zip(&right)) {
            *value = (self.function)(*left, *right);
        }
        out.present.set_all();
        Ok(())
    }
}
