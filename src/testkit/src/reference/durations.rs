//! Durations that are computed when a query runs.

use promql_syntax::ast::{BinaryOp, DurationExpr, DurationExprKind, UnaryOp};

use super::{Outcome, ReferenceError, ReferenceTimes};

/// The value of a duration in milliseconds; refused where it must be positive and is not.
pub(super) fn duration_ms(
    expr: &DurationExpr,
    times: ReferenceTimes,
    must_be_positive: bool,
) -> Outcome<i64> {
    let seconds = seconds(expr, times)?;
    if !seconds.is_finite() || seconds.abs() > 9.0e9 || (must_be_positive && seconds <= 0.0) {
        return Err(ReferenceError::Duration);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked above; upstream truncates"
    )]
    let millis = (seconds * 1000.0) as i64;
    if must_be_positive && millis <= 0 {
        return Err(ReferenceError::Duration);
    }
    Ok(millis)
}

fn seconds(expr: &DurationExpr, times: ReferenceTimes) -> Outcome<f64> {
    let range_ms = times.end.as_millis() - times.start.as_millis();
    Ok(match &expr.kind {
        DurationExprKind::Number(number) => number.value,
        DurationExprKind::Step => times.step_ms as f64 / 1000.0,
        DurationExprKind::Range => range_ms as f64 / 1000.0,
        DurationExprKind::Unary(UnaryOp::Plus, inner) => seconds(inner, times)?,
        DurationExprKind::Unary(UnaryOp::Minus, inner) => -seconds(inner, times)?,
        DurationExprKind::MinOf(a, b) => seconds(a, times)?.min(seconds(b, times)?),
        DurationExprKind::MaxOf(a, b) => seconds(a, times)?.max(seconds(b, times)?),
        DurationExprKind::Binary(op, a, b) => {
            let (a, b) = (seconds(a, times)?, seconds(b, times)?);
            match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Pow => a.powf(b),
                BinaryOp::Div | BinaryOp::Mod if b == 0.0 => return Err(ReferenceError::Duration),
                BinaryOp::Div => a / b,
                BinaryOp::Mod => a % b,
                _ => return Err(ReferenceError::Duration),
            }
        }
    })
}
