//! Functions over instant vectors and scalars.

mod histogram;
mod labels;
mod map;
mod scalar;

pub(crate) use histogram::{HistogramFunction, HistogramOperator, Positions};
pub(crate) use labels::LabelOperator;
pub(crate) use map::{
    DateOperator, HistogramMapOperator, MapOperator, MapWithOperator, NegateOperator,
    NoPointsOperator, TimestampOperator,
};
pub(crate) use scalar::{AbsentOperator, ScalarOperator, ScalarsOperator};
