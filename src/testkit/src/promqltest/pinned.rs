//! Variants of a query that must have the same value: all selectors pinned with `@`, evaluated at
//! other times.

use model::Timestamp;
use promql_syntax::ast::{AtModifier, Expr, TimeModifiers};

/// Functions whose value depends on the evaluation time even when their selectors are pinned.
/// Source: upstream `promql.AtModifierUnsafeFunctions`, and the query's own times.
const TIME_DEPENDENT: [&str; 17] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "info",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "start_timestamp",
    "step",
    "time",
    "timestamp",
    "year",
];

/// The query with everything pinned to `at`, and the times at which it must have the value it has
/// at `at`. `None` for a query that cannot be pinned. Source: upstream's runner.
pub(super) fn pinned_variant(query: &Expr, at: Timestamp) -> Option<(String, Vec<Timestamp>)> {
    let mut pinned = query.clone();
    if !pin(&mut pinned, at) {
        return None;
    }
    let millis = at.as_millis();
    let times = if millis == 0 {
        vec![-1_000, 0, 1_000]
    } else {
        vec![
            millis.saturating_mul(-10),
            0,
            millis / 5,
            millis,
            millis.saturating_mul(10),
        ]
    };
    Some((
        pinned.to_string(),
        times.into_iter().map(Timestamp::from_millis).collect(),
    ))
}

/// Pins the outermost selectors and subqueries; what stands below a pinned subquery is evaluated at
/// the subquery's own steps. Returns whether the value no longer depends on the evaluation time.
fn pin(query: &mut Expr, at: Timestamp) -> bool {
    let mut pending = vec![query];
    while let Some(expr) = pending.pop() {
        match expr {
            Expr::VectorSelector(selector) => pin_time(&mut selector.time, at),
            Expr::MatrixSelector(matrix) => pin_time(&mut matrix.selector.time, at),
            Expr::Subquery(subquery) => pin_time(&mut subquery.time, at),
            Expr::Call(call) if TIME_DEPENDENT.contains(&call.func.name) => return false,
            _ => pending.extend(expr.children_mut()),
        }
    }
    true
}

/// Whether the query refers to its own range, so that the same text means something else in a
/// range query: `start()`, `end()`, `step()`, `range()`.
pub(super) fn follows_query_range(query: &Expr) -> bool {
    let mut follows = false;
    query.walk(|expr| {
        follows |= match expr {
            Expr::VectorSelector(selector) => time_follows(&selector.time),
            Expr::MatrixSelector(matrix) => {
                time_follows(&matrix.selector.time) || matrix.range_expr.is_some()
            }
            Expr::Subquery(subquery) => {
                time_follows(&subquery.time)
                    || subquery.range_expr.is_some()
                    || subquery.step_expr.is_some()
            }
            Expr::Call(call) => matches!(call.func.name, "start" | "end" | "step" | "range"),
            _ => false,
        };
    });
    follows
}

/// A computed duration may read the query's step and range.
fn time_follows(time: &TimeModifiers) -> bool {
    matches!(time.at, Some(AtModifier::Start | AtModifier::End)) || time.offset_expr.is_some()
}

fn pin_time(time: &mut TimeModifiers, at: Timestamp) {
    if !matches!(time.at, Some(AtModifier::Timestamp(_))) {
        time.at = Some(AtModifier::Timestamp(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_the_outermost_selectors() {
        for (query, want) in [
            ("a + b offset 5m", Some("a @ 60.000 + b @ 60.000 offset 5m")),
            ("rate(a[5m]) @ 3", None),
            ("sum(a @ 3)", Some("sum(a @ 3.000)")),
            ("rate(a[5m] @ end())", Some("rate(a[5m] @ 60.000)")),
            (
                "max_over_time(a[5m:1m])",
                Some("max_over_time(a[5m:1m] @ 60.000)"),
            ),
            (
                "max_over_time(timestamp(a)[5m:1m])",
                Some("max_over_time(timestamp(a)[5m:1m] @ 60.000)"),
            ),
            ("timestamp(a)", None),
            ("a * time()", None),
            ("1", Some("1")),
        ] {
            let pinned = promql_syntax::parse_expr(query, &promql_syntax::ParserOptions::all())
                .ok()
                .and_then(|expr| pinned_variant(&expr, Timestamp::from_millis(60_000)));
            assert_eq!(pinned.map(|(text, _)| text).as_deref(), want, "{query}");
        }
    }
}
