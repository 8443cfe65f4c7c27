//! Binary operators between scalars and vectors.

mod elementwise;
mod fill;
mod join;
mod matching;
mod set;
mod with_scalar;

use promql_syntax::ast::BinaryOp;

pub(crate) use elementwise::Elementwise;
pub(crate) use fill::FillOperator;
pub(crate) use join::JoinOperator;
pub(crate) use set::SetOperator;
pub(crate) use with_scalar::{ScalarSide, WithScalarOperator};

use super::Operator;
use super::call::ScalarsOperator;
use crate::slice::SeriesSlice;

/// What an operator does with two values.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    /// A number.
    Arithmetic(fn(f64, f64) -> f64),
    /// A decision.
    Comparison(fn(&f64, &f64) -> bool),
}

/// What becomes of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComparisonResult {
    /// The left value stays where it is true.
    Filter,
    /// 1 or 0.
    Bool,
}

/// The operation of an operator between numbers, `None` for those between sets and of histograms.
pub(crate) fn operation(op: BinaryOp) -> Option<Operation> {
    Some(match op {
        BinaryOp::Add => Operation::Arithmetic(|left, right| left + right),
        BinaryOp::Sub => Operation::Arithmetic(|left, right| left - right),
        BinaryOp::Mul => Operation::Arithmetic(|left, right| left * right),
        BinaryOp::Div => Operation::Arithmetic(|left, right| left / right),
        BinaryOp::Mod => Operation::Arithmetic(|left, right| left % right),
        BinaryOp::Pow => Operation::Arithmetic(f64::powf),
        BinaryOp::Atan2 => Operation::Arithmetic(f64::atan2),
        BinaryOp::Eq => Operation::Comparison(f64::eq),
        BinaryOp::Ne => Operation::Comparison(f64::ne),
        BinaryOp::Lt => Operation::Comparison(f64::lt),
        BinaryOp::Le => Operation::Comparison(f64::le),
        BinaryOp::Gt => Operation::Comparison(f64::gt),
        BinaryOp::Ge => Operation::Comparison(f64::ge),
        BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Unless
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => return None,
    })
}

/// An operator between two scalars.
pub(crate) fn scalar_operator(
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    operation: Operation,
) -> Box<dyn Operator> {
    Box::new(ScalarsOperator::new(left, right, move |left, right| {
        operation.scalar(left, right)
    }))
}

impl Operation {
    /// The result for two numbers; comparisons give 1 or 0.
    pub(crate) fn scalar(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Arithmetic(function) => function(left, right),
            Self::Comparison(function) => f64::from(u8::from(function(&left, &right))),
        }
    }

    /// Computes `left op right` of floats into `left`; the steps are those of both. A true
    /// comparison that filters leaves the left value.
    fn apply(self, result: ComparisonResult, left: &mut SeriesSlice, right: &SeriesSlice) {
        match self {
            Self::Arithmetic(function) => {
                for (value, right) in left.values.iter_mut().zip(&right.values) {
                    *value = function(*value, *right);
                }
            }
            Self::Comparison(function) => match result {
                ComparisonResult::Filter => {
                    let SeriesSlice {
                        values, present, ..
                    } = left;
                    present.retain(|step| function(&values[step], &right.values[step]));
                }
                ComparisonResult::Bool => {
                    for (value, right) in left.values.iter_mut().zip(&right.values) {
                        *value = f64::from(u8::from(function(value, right)));
                    }
                }
            },
        }
    }
}
