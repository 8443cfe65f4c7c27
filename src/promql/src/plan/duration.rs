//! Durations that are computed from the query's step and range.

use model::PromDuration;
use promql_syntax::ast::{
    BinaryOp, DurationExpr, DurationExprKind, SubqueryExpr, TimeModifiers, UnaryOp,
};

use super::{PlanOptions, QueryTimes};
use crate::error::EngineError;

/// How deep duration expressions may be nested.
const MAX_DEPTH: usize = 200;

/// The offset of a selector or subquery in milliseconds.
pub(super) fn offset_of(time: &TimeModifiers, options: &PlanOptions) -> Result<i64, EngineError> {
    match time.offset_expr.as_deref() {
        Some(expr) => evaluate(expr, options),
        None => Ok(time.offset.as_millis()),
    }
}

/// The length of a window in milliseconds; positive.
pub(super) fn range_of(
    fixed: PromDuration,
    expr: Option<&DurationExpr>,
    options: &PlanOptions,
) -> Result<i64, EngineError> {
    match expr {
        Some(expr) => positive(evaluate(expr, options)?, expr),
        None => Ok(fixed.as_millis()),
    }
}

/// The distance of a subquery's evaluations in milliseconds; positive.
pub(super) fn step_of(subquery: &SubqueryExpr, options: &PlanOptions) -> Result<i64, EngineError> {
    match (subquery.step_expr.as_deref(), subquery.step) {
        (Some(expr), _) => positive(evaluate(expr, options)?, expr),
        (None, Some(step)) if step.as_millis() > 0 => Ok(step.as_millis()),
        (None, _) => Ok(options.default_subquery_step.as_millis().max(1)),
    }
}

fn positive(millis: i64, expr: &DurationExpr) -> Result<i64, EngineError> {
    if millis > 0 {
        return Ok(millis);
    }
    Err(failed(expr, "duration must be greater than 0"))
}

fn failed(expr: &DurationExpr, message: &str) -> EngineError {
    EngineError::BadQuery(format!("{}:{}: {message}", 1, expr.pos.start + 1))
}

fn evaluate(expr: &DurationExpr, options: &PlanOptions) -> Result<i64, EngineError> {
    let seconds = seconds(expr, &options.times, 0)?;
    PromDuration::from_seconds(seconds)
        .map(PromDuration::as_millis)
        .ok_or_else(|| failed(expr, "duration out of range"))
}

fn seconds(expr: &DurationExpr, times: &QueryTimes, depth: usize) -> Result<f64, EngineError> {
    if depth > MAX_DEPTH {
        return Err(failed(expr, "duration expression is nested too deep"));
    }
    let inner = |inner: &DurationExpr| seconds(inner, times, depth + 1);
    Ok(match &expr.kind {
        DurationExprKind::Number(number) => number.value,
        DurationExprKind::Step => PromDuration::from_millis(times.step_ms).as_seconds(),
        DurationExprKind::Range => {
            PromDuration::from_millis(times.end_ms.saturating_sub(times.start_ms)).as_seconds()
        }
        DurationExprKind::Unary(UnaryOp::Plus, operand) => inner(operand)?,
        DurationExprKind::Unary(UnaryOp::Minus, operand) => -inner(operand)?,
        DurationExprKind::MinOf(lhs, rhs) => inner(lhs)?.min(inner(rhs)?),
        DurationExprKind::MaxOf(lhs, rhs) => inner(lhs)?.max(inner(rhs)?),
        DurationExprKind::Binary(op, lhs, rhs) => {
            let (left, right) = (inner(lhs)?, inner(rhs)?);
            match op {
                BinaryOp::Add => left + right,
                BinaryOp::Sub => left - right,
                BinaryOp::Mul => left * right,
                BinaryOp::Div if right == 0.0 => return Err(failed(expr, "division by zero")),
                BinaryOp::Div => left / right,
                BinaryOp::Mod if right == 0.0 => return Err(failed(expr, "modulo by zero")),
                BinaryOp::Mod => left % right,
                BinaryOp::Pow => left.powf(right),
                other => {
                    return Err(failed(
                        expr,
                        &format!("unexpected operator {other} in duration"),
                    ));
                }
            }
        }
    })
}
