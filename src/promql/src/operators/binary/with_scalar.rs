//! Operators between a vector and a scalar.

use std::ops::Range;
use std::sync::Arc;

use super::elementwise::{Elementwise, Problem};
use super::{ComparisonResult, Operation};
use crate::error::EngineError;
use crate::operators::range_call::read_scalar;
use crate::operators::{Operator, SeriesMeta, Shared};
use crate::slice::SeriesSlice;

/// On which side the scalar stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarSide {
    Left,
    Right,
}

/// An operator between a vector and a scalar. Names stay: dropping them is the merge operator's
/// part.
pub(crate) struct WithScalarOperator {
    input: Box<dyn Operator>,
    /// Read with the labels; not there in readers on other threads.
    scalar: Option<Box<dyn Operator>>,
    scalar_values: Arc<[f64]>,
    side: ScalarSide,
    element: Elementwise,
    shared: Shared,
    /// The problem that was reported last.
    reported: Option<Problem>,
}

impl WithScalarOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (scalar, side): (Box<dyn Operator>, ScalarSide),
        element: Elementwise,
        shared: Shared,
    ) -> Self {
        Self {
            input,
            scalar: Some(scalar),
            scalar_values: Arc::default(),
            side,
            element,
            shared,
            reported: None,
        }
    }

    fn apply_to_points(&mut self, slice: &mut SeriesSlice) {
        let (element, notes) = (self.element, &self.shared.notes);
        let is_scalar_left = self.side == ScalarSide::Left;
        element.apply_scalars(slice, &self.scalar_values, is_scalar_left, |problem| {
            if self.reported.replace(problem) != Some(problem) {
                element.report(problem, notes);
            }
        });
    }

    fn compare(&self, function: fn(&f64, &f64) -> bool, value: &f64, scalar: &f64) -> bool {
        match self.side {
            ScalarSide::Left => function(scalar, value),
            ScalarSide::Right => function(value, scalar),
        }
    }
}

impl Operator for WithScalarOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        if let Some(scalar) = &mut self.scalar {
            self.scalar_values = read_scalar(&mut **scalar)?.into();
        }
        self.input.series()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        let Some(operation) = self.element.numbers().filter(|_| out.histograms.is_empty()) else {
            self.apply_to_points(out);
            return Ok(());
        };
        let SeriesSlice {
            values, present, ..
        } = out;
        let scalars = &*self.scalar_values;
        match (operation, self.element.result()) {
            (Operation::Arithmetic(function), _) => {
                let pairs = values.iter_mut().zip(scalars);
                match self.side {
                    ScalarSide::Left => pairs.for_each(|(value, scalar)| {
                        *value = function(*scalar, *value);
                    }),
                    ScalarSide::Right => pairs.for_each(|(value, scalar)| {
                        *value = function(*value, *scalar);
                    }),
                }
            }
            // The vector's value stays, whichever side it stands on.
            (Operation::Comparison(function), ComparisonResult::Filter) => {
                present.retain(|step| self.compare(function, &values[step], &scalars[step]));
            }
            (Operation::Comparison(function), ComparisonResult::Bool) => {
                for (value, scalar) in values.iter_mut().zip(scalars) {
                    *value = f64::from(u8::from(self.compare(function, value, scalar)));
                }
            }
        }
        Ok(())
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        Some(Box::new(Self {
            input: self.input.fork(series)?,
            scalar: None,
            scalar_values: Arc::clone(&self.scalar_values),
            side: self.side,
            element: self.element,
            shared: self.shared.clone(),
            reported: None,
        }))
    }
}
