//! Which queries give at a step what they give there in any other range of the same steps.

use promql_syntax::Expr;
use promql_syntax::ast::{AtModifier, TimeModifiers};

/// Functions whose values depend on the query's range, and those that look at all of it.
const RANGE_FUNCTIONS: [&str; 4] = ["end", "info", "range", "start"];

/// Whether each step's values depend on stored samples and the step alone.
pub(super) fn is_eligible(expr: &Expr) -> bool {
    let (mut is_eligible, mut reads) = (true, false);
    expr.walk(|node| match node {
        Expr::Call(call) => is_eligible &= !RANGE_FUNCTIONS.contains(&call.func.name),
        Expr::VectorSelector(selector) => {
            reads = true;
            is_eligible &= is_independent(&selector.time);
        }
        Expr::MatrixSelector(matrix) => {
            reads = true;
            is_eligible &= is_independent(&matrix.selector.time) && matrix.range_expr.is_none();
        }
        Expr::Subquery(subquery) => {
            let has_durations = subquery.range_expr.is_some() || subquery.step_expr.is_some();
            is_eligible &= is_independent(&subquery.time) && !has_durations;
        }
        _ => {}
    });
    is_eligible && reads
}

fn is_independent(time: &TimeModifiers) -> bool {
    // Durations that are computed may be so from the query's range.
    let is_pinned_to_range = matches!(time.at, Some(AtModifier::Start | AtModifier::End));
    !is_pinned_to_range && time.offset_expr.is_none()
}

#[cfg(test)]
mod tests {
    use promql_syntax::{ParserOptions, parse_expr};

    use super::*;

    #[test]
    fn what_depends_on_the_range_is_not_eligible() {
        for (query, want) in [
            ("sum by (job) (rate(x_total[5m]))", true),
            ("x offset 5m @ 100 + time()", true),
            ("max_over_time(x[1h:1m]) > step()", true),
            ("x @ start()", false),
            ("1 - max_over_time((x + 1)[1h:1m] @ end())", false),
            ("x > range()", false),
            ("x + start()", false),
            ("rate(x[5m] @ end())", false),
            ("rate(x[step() * 2])", false),
            ("x offset (range() / 2)", false),
            ("info(x)", false),
            ("time()", false),
            ("1 + 2", false),
        ] {
            let expr = parse_expr(query, &ParserOptions::all()).expect(query);
            assert_eq!(is_eligible(&expr), want, "{query}");
        }
    }
}
