//! Random queries that are valid. Comparisons stand only between numbers that are exact whatever
//! the order of additions.

use proptest::prelude::*;
use proptest::strategy::Union;

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    proptest::sample::select(texts).prop_map(str::to_owned)
}

fn modifiers() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "",
        "",
        "",
        " offset 1m",
        " offset -2m",
        " @ 300",
        " @ end()",
        " @ start() offset 30s",
    ])
}

fn selector() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "a",
        "b",
        "c_total",
        "a{x=\"1\"}",
        "b{y!=\"2\"}",
        "{__name__=~\"a|b\",x=\"2\"}",
        "none",
    ])
}

fn instant() -> impl Strategy<Value = String> + Clone {
    (selector(), modifiers()).prop_map(|(selector, modifiers)| format!("{selector}{modifiers}"))
}

fn range() -> impl Strategy<Value = String> + Clone {
    let window = one_of(&["[10s]", "[30s]", "[2m]", "[10m]", "[45m]"]);
    (selector(), window, modifiers())
        .prop_map(|(selector, window, modifiers)| format!("{selector}{window}{modifiers}"))
}

fn over_range() -> impl Strategy<Value = String> + Clone {
    let function = one_of(&[
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "resets",
        "changes",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "stdvar_over_time",
        "absent_over_time",
    ]);
    (function, range()).prop_map(|(function, range)| format!("{function}({range})"))
}

fn grouping() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "",
        "by (x)",
        "by (y)",
        "without (x)",
        "without ()",
        "by (__name__)",
    ])
}

fn aggregation(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let op = one_of(&["sum", "avg", "min", "max", "count", "group", "stdvar"]);
    (op, grouping(), inner).prop_map(|(op, grouping, inner)| format!("{op} {grouping} ({inner})"))
}

fn matching() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "",
        "",
        "on (x, y)",
        "ignoring (y)",
        "on (x) group_left ()",
        "on (x) group_right (y)",
        "ignoring (y) group_left ()",
    ])
}

/// Vectors whose values are whole numbers.
fn exact() -> impl Strategy<Value = String> {
    instant().boxed().prop_recursive(2, 6, 2, |inner| {
        let op = one_of(&["sum", "min", "max", "count", "group"]);
        Union::new([
            (op, grouping(), inner.clone())
                .prop_map(|(op, grouping, inner)| format!("{op} {grouping} ({inner})"))
                .boxed(),
            inner
                .clone()
                .prop_map(|inner| format!("-({inner})"))
                .boxed(),
            inner.prop_map(|inner| format!("({inner} + 2)")).boxed(),
        ])
    })
}

fn comparison() -> impl Strategy<Value = String> {
    let op = one_of(&["==", "!=", "<", "<=", ">", ">=", "> bool", "== bool"]);
    let right = Union::new([
        (matching(), exact())
            .prop_map(|(matching, right)| format!("{matching} ({right})"))
            .boxed(),
        one_of(&["3", "5", "-1"]).boxed(),
    ]);
    (exact(), op, right).prop_map(|(left, op, right)| format!("({left}) {op} {right}"))
}

/// A query whose value is an instant vector.
pub(crate) fn query() -> impl Strategy<Value = String> {
    let leaf = Union::new([
        instant().boxed(),
        over_range().boxed(),
        comparison().boxed(),
    ]);
    leaf.boxed().prop_recursive(3, 12, 3, |inner| {
        let arithmetic = (
            inner.clone(),
            one_of(&["+", "-", "*", "/"]),
            matching(),
            inner.clone(),
        )
            .prop_map(|(left, op, matching, right)| format!("({left}) {op} {matching} ({right})"));
        let sets = (
            inner.clone(),
            one_of(&["and", "or", "unless"]),
            one_of(&["", "on (x)", "ignoring (y)"]),
            inner.clone(),
        )
            .prop_map(|(left, op, matching, right)| format!("({left}) {op} {matching} ({right})"));
        let subquery = (
            one_of(&[
                "max_over_time",
                "sum_over_time",
                "count_over_time",
                "last_over_time",
            ]),
            inner.clone(),
            one_of(&[
                "[2m:30s]",
                "[10m:1m]",
                "[5m:]",
                "[3m:70s] offset 1m",
                "[4m:1m] @ 600",
            ]),
        )
            .prop_map(|(function, inner, window)| format!("{function}(({inner}){window})"));
        let scalar = (
            inner.clone(),
            one_of(&["+", "*", "-"]),
            one_of(&["2", "time()", "scalar(a)"]),
        )
            .prop_map(|(left, op, right)| format!("({left}) {op} {right}"));
        let map = (one_of(&["abs", "timestamp", "absent"]), inner.clone())
            .prop_map(|(function, inner)| format!("{function}({inner})"));
        Union::new([
            aggregation(inner.clone()).boxed(),
            arithmetic.boxed(),
            sets.boxed(),
            subquery.boxed(),
            scalar.boxed(),
            map.boxed(),
        ])
    })
}
