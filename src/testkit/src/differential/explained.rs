//! Where Prometheus 2.42 answers otherwise than 3.14 does, on purpose.

use promql_syntax::Expr;
use promql_syntax::ast::{AggregateOp, BinaryOp, ValueType, VectorSelector};

/// A change between the two releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Explanation {
    /// What changed.
    pub what: &'static str,
    /// Where upstream does it now.
    pub source: &'static str,
}

const ATAN2_NAME: Explanation = Explanation {
    what: "atan2 drops the metric's name",
    source: "promql/engine.go, changesMetricSchema; 2.42 left it out of shouldDropMetricName",
};
const INFINITE_VARIANCE: Explanation = Explanation {
    what: "stddev and stdvar of a first value that is infinite or NaN are NaN, not 0",
    source: "promql/engine.go, aggregation, STDVAR and STDDEV",
};
const TIMESTAMP_OFFSET: Explanation = Explanation {
    what: "timestamp() of a selector with @ keeps the selector's offset",
    source: "promql/engine.go, rangeEvalTimestampFunctionOverVectorSelector, overwrites the offset \
             in either release; documented semantics of offset and @ are followed here",
};
const PINNED_PREDICTION: Explanation = Explanation {
    what: "predict_linear() of a window with @ is evaluated at every step",
    source: "promql/functions.go, AtModifierUnsafeFunctions, and promql/engine.go, *parser.Call",
};

const ZERO_OF_COUNTERS: Explanation = Explanation {
    what: "rate() and increase() look for the time at which a counter was zero after they have \
           decided how far to extrapolate",
    source: "promql/functions.go, extrapolatedRate; in 2.42 that came first",
};
const INFINITE_SUMS: Explanation = Explanation {
    what: "sums that reach infinity lose their compensation, so that regressions over infinite \
           values may be infinite instead of NaN",
    source: "util/kahansum, Inc; promql/functions.go, kahanSumInc in 2.42",
};
const FAR_DATES: Explanation = Explanation {
    what: "dates of numbers beyond what Go's time package can hold",
    source: "promql/functions.go, dateWrapper: what comes out is up to the release of Go",
};

const FILTERED_MATCHES: Explanation = Explanation {
    what: "pairs that a comparison filters out count as matches, of which there may be one",
    source: "promql/engine.go, VectorBinop; 2.42 counted those only that stay",
};
const LAST_DIGITS: Explanation = Explanation {
    what: "last digits that differ between mathematical libraries decide: count_values() shows \
           them, angles of huge numbers depend on them",
    source: "arguments are within the tolerance, results are not",
};

/// The first change that a query touches and that a difference may come from, if any.
#[must_use]
pub fn explained(expr: &Expr, difference: &str) -> Option<Explanation> {
    let (mut found, mut counts_values, mut compares) = (None, false, false);
    let (mut has_angle, mut has_growth) = (false, false);
    expr.walk(|node| {
        found = found.or(touched(node));
        match node {
            Expr::Call(call) => {
                has_angle |= matches!(call.func.name, "sin" | "cos" | "tan");
                has_growth |= matches!(call.func.name, "sinh" | "cosh" | "exp" | "tan");
            }
            Expr::Aggregate(aggregate) => {
                counts_values |= aggregate.op == AggregateOp::CountValues;
            }
            Expr::Binary(binary) => {
                compares |= binary.op.is_comparison() && !binary.return_bool;
                has_growth |= binary.op == BinaryOp::Pow;
            }
            _ => {}
        }
    });
    if compares && difference.contains("multiple matches for labels") {
        return Some(FILTERED_MATCHES);
    }
    if counts_values && difference.contains("too many: {") && has_many_digits(difference) {
        return Some(LAST_DIGITS);
    }
    if has_angle && has_growth {
        return Some(LAST_DIGITS);
    }
    found
}

/// Whether a label's value has as many digits as a double can.
fn has_many_digits(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    numbers.map(str::len).any(|digits| digits > 13)
}

fn touched(node: &Expr) -> Option<Explanation> {
    match node {
        Expr::Binary(binary)
            if binary.op == BinaryOp::Atan2 && node.value_type() == ValueType::Vector =>
        {
            Some(ATAN2_NAME)
        }
        Expr::Aggregate(aggregate)
            if matches!(aggregate.op, AggregateOp::Stddev | AggregateOp::Stdvar) =>
        {
            Some(INFINITE_VARIANCE)
        }
        Expr::Call(call) if call.func.name == "timestamp" => {
            let selector = selector_of(call.args.first()?)?;
            let has_both = selector.time.at.is_some() && selector.time.offset.as_millis() != 0;
            has_both.then_some(TIMESTAMP_OFFSET)
        }
        Expr::Call(call) if matches!(call.func.name, "rate" | "increase") => Some(ZERO_OF_COUNTERS),
        Expr::Call(call) if is_date(call.func.name) && !call.args.is_empty() => Some(FAR_DATES),
        Expr::Call(call) if call.func.name == "predict_linear" => {
            let time = match call.args.first()?.unwrap_parens() {
                Expr::MatrixSelector(matrix) => &matrix.selector.time,
                Expr::Subquery(subquery) => &subquery.time,
                _ => return None,
            };
            Some(if time.at.is_some() {
                PINNED_PREDICTION
            } else {
                INFINITE_SUMS
            })
        }
        Expr::Call(call) if call.func.name == "deriv" => Some(INFINITE_SUMS),
        _ => None,
    }
}

fn is_date(function: &str) -> bool {
    matches!(
        function,
        "minute" | "hour" | "month" | "year" | "days_in_month"
    ) || function.starts_with("day_of_")
}

fn selector_of(expr: &Expr) -> Option<&VectorSelector> {
    match expr.unwrap_parens() {
        Expr::VectorSelector(selector) => Some(selector),
        _ => None,
    }
}
