//! Syntax trees as `parse_query` shows them. Keys in order of names, as Go writes maps. Source:
//! upstream `web/api/v1/translate_ast.go`.

use model::Matcher;
use promql_syntax::Expr;
use promql_syntax::ast::{
    AggregateExpr, AtModifier, BinaryExpr, Call, DurationExpr, DurationExprKind, MatrixSelector,
    NumberLiteral, SubqueryExpr, TimeModifiers, VectorMatching, VectorSelector, WindowEdges,
};

use crate::json::{Object, push_array, push_number, push_strings};

const NULL: &str = "null";

/// Appends a tree. Recursive but for chains of operators, as these are no levels to the parser,
/// which bounds the depth of trees.
pub(crate) fn push_expr(expr: &Expr, out: &mut String) {
    if let Expr::Binary(node) = expr {
        push_chain(node, out);
        return;
    }
    let mut object = Object::begin(out);
    match expr {
        Expr::Aggregate(node) => push_aggregate(node, &mut object),
        Expr::Binary(_) => {}
        Expr::Call(node) => push_call(node, &mut object),
        Expr::MatrixSelector(node) => push_matrix(node, &mut object),
        Expr::Subquery(node) => push_subquery(node, &mut object),
        Expr::VectorSelector(node) => push_vector(node, &mut object),
        Expr::Number(node) => push_literal("numberLiteral", &plain(node), &mut object),
        Expr::String(node) => push_literal("stringLiteral", &node.value, &mut object),
        Expr::Paren(node) => {
            push_expr(&node.expr, object.key("expr"));
            object.string("type", "parenExpr");
        }
        Expr::Unary(node) => {
            push_expr(&node.expr, object.key("expr"));
            object
                .string("op", node.op.as_str())
                .string("type", "unaryExpr");
        }
    }
    object.end();
}

fn push_literal(kind: &str, value: &str, object: &mut Object<'_>) {
    object.string("type", kind).string("val", value);
}

fn plain(number: &NumberLiteral) -> String {
    model::number::format_plain(number.value)
}

fn push_aggregate(node: &AggregateExpr, object: &mut Object<'_>) {
    push_expr(&node.expr, object.key("expr"));
    push_strings(&node.grouping, object.key("grouping"));
    object.string("op", node.op.as_str());
    push_optional(node.param.as_deref(), object.key("param"), push_expr);
    object
        .string("type", "aggregation")
        .boolean("without", node.without);
}

/// Appends operators that stand on each other's left: first all their beginnings, the outermost
/// one's first, then what they begin with, then their ends.
fn push_chain(node: &BinaryExpr, out: &mut String) {
    let chain = node.chain();
    for node in chain.iter().rev() {
        Object::begin(out)
            .boolean("bool", node.return_bool)
            .key("lhs");
    }
    if let Some(innermost) = chain.first() {
        push_expr(&innermost.lhs, out);
    }
    for node in chain {
        let mut object = Object::resume(out);
        push_right(node, &mut object);
        object.end();
    }
}

fn push_right(node: &BinaryExpr, object: &mut Object<'_>) {
    let matching = node.matching.as_deref();
    push_optional(matching, object.key("matching"), push_matching);
    object.string("op", node.op.as_str());
    push_expr(&node.rhs, object.key("rhs"));
    object.string("type", "binaryExpr");
}

fn push_matching(matching: &VectorMatching, out: &mut String) {
    let mut object = Object::begin(out);
    object.string("card", matching.card.as_str());
    let mut fill = Object::begin(object.key("fillValues"));
    push_optional(matching.fill.lhs, fill.key("lhs"), push_number);
    push_optional(matching.fill.rhs, fill.key("rhs"), push_number);
    fill.end();
    push_strings(&matching.include, object.key("include"));
    push_strings(&matching.labels, object.key("labels"));
    object.boolean("on", matching.on);
    object.end();
}

fn push_call(node: &Call, object: &mut Object<'_>) {
    push_array(&node.args, object.key("args"), push_expr);
    let function = node.func;
    let types: Vec<&str> = function
        .arg_types
        .iter()
        .map(|kind| kind.as_str())
        .collect();
    // As upstream counts: how often the last argument may be given, -1 for without end, 0 for a
    // function whose arguments all must be given.
    let variadic = match function.max_args {
        None => -1,
        Some(max) if max == function.min_args => 0,
        Some(max) => i64::try_from(max - function.min_args).unwrap_or(i64::MAX),
    };
    let mut shown = Object::begin(object.key("func"));
    push_strings(&types, shown.key("argTypes"));
    shown
        .string("name", function.name)
        .string("returnType", function.return_type.as_str())
        .integer("variadic", variadic);
    shown.end();
    object.string("type", "call");
}

fn push_vector(node: &VectorSelector, object: &mut Object<'_>) {
    push_selector_head(node, object);
    object.boolean("smoothed", node.edges == WindowEdges::Smoothed);
    push_at(&node.time, object);
    object.string("type", "vectorSelector");
}

fn push_matrix(node: &MatrixSelector, object: &mut Object<'_>) {
    push_selector_head(&node.selector, object);
    object.integer("range", node.range.as_millis());
    push_duration_expr(node.range_expr.as_deref(), object.key("rangeExpr"));
    object.boolean("smoothed", node.selector.edges == WindowEdges::Smoothed);
    push_at(&node.selector.time, object);
    object.string("type", "matrixSelector");
}

fn push_selector_head(node: &VectorSelector, object: &mut Object<'_>) {
    object.boolean("anchored", node.edges == WindowEdges::Anchored);
    push_array(&node.matchers, object.key("matchers"), push_matcher);
    object.string("name", &node.name);
    push_offset(&node.time, object);
}

fn push_matcher(matcher: &Matcher, out: &mut String) {
    let mut object = Object::begin(out);
    object
        .string("name", matcher.name())
        .string("type", matcher.op().as_str())
        .string("value", matcher.value());
    object.end();
}

fn push_subquery(node: &SubqueryExpr, object: &mut Object<'_>) {
    push_expr(&node.expr, object.key("expr"));
    push_offset(&node.time, object);
    object.integer("range", node.range.as_millis());
    push_duration_expr(node.range_expr.as_deref(), object.key("rangeExpr"));
    let (timestamp, start_or_end) = at(&node.time);
    object.key("startOrEnd").push_str(&start_or_end);
    object.integer("step", node.step.map_or(0, model::PromDuration::as_millis));
    push_duration_expr(node.step_expr.as_deref(), object.key("stepExpr"));
    object.key("timestamp").push_str(&timestamp);
    object.string("type", "subquery");
}

fn push_offset(time: &TimeModifiers, object: &mut Object<'_>) {
    object.integer("offset", time.offset.as_millis());
    push_duration_expr(time.offset_expr.as_deref(), object.key("offsetExpr"));
}

fn push_at(time: &TimeModifiers, object: &mut Object<'_>) {
    let (timestamp, start_or_end) = at(time);
    object.key("startOrEnd").push_str(&start_or_end);
    object.key("timestamp").push_str(&timestamp);
}

/// The values of `timestamp`, in milliseconds, and `startOrEnd`.
fn at(time: &TimeModifiers) -> (String, String) {
    let null = || NULL.to_owned();
    match time.at {
        None => (null(), null()),
        Some(AtModifier::Timestamp(at)) => (at.as_millis().to_string(), null()),
        Some(AtModifier::Start) => (null(), "\"start\"".to_owned()),
        Some(AtModifier::End) => (null(), "\"end\"".to_owned()),
    }
}

fn push_duration_expr(expr: Option<&DurationExpr>, out: &mut String) {
    let Some(expr) = expr else {
        out.push_str(NULL);
        return;
    };
    let mut object = Object::begin(out);
    if let DurationExprKind::Number(number) = &expr.kind {
        object.boolean("duration", number.is_duration);
        push_literal("numberLiteral", &plain(number), &mut object);
        object.end();
        return;
    }
    let (op, lhs, rhs) = parts(&expr.kind);
    push_duration_expr(lhs, object.key("lhs"));
    object.string("op", op);
    push_duration_expr(rhs, object.key("rhs"));
    object
        .string("type", "durationExpr")
        .boolean("wrapped", expr.wrapped);
    object.end();
}

fn parts(kind: &DurationExprKind) -> (&str, Option<&DurationExpr>, Option<&DurationExpr>) {
    match kind {
        DurationExprKind::Number(_) => ("", None, None),
        DurationExprKind::Step => ("step", None, None),
        DurationExprKind::Range => ("range", None, None),
        DurationExprKind::Unary(op, expr) => (op.as_str(), None, Some(expr)),
        DurationExprKind::Binary(op, lhs, rhs) => (op.as_str(), Some(lhs), Some(rhs)),
        DurationExprKind::MinOf(lhs, rhs) => ("min_of", Some(lhs), Some(rhs)),
        DurationExprKind::MaxOf(lhs, rhs) => ("max_of", Some(lhs), Some(rhs)),
    }
}

fn push_optional<T>(value: Option<T>, out: &mut String, push: impl FnOnce(T, &mut String)) {
    match value {
        Some(value) => push(value, out),
        None => out.push_str(NULL),
    }
}

#[cfg(test)]
mod tests {
    use promql_syntax::{ParserOptions, parse_expr};

    use super::*;

    #[track_caller]
    fn check(query: &str, want: &str) {
        let expr = parse_expr(query, &ParserOptions::all()).unwrap();
        let mut got = String::new();
        push_expr(&expr, &mut got);
        assert_eq!(got, want.replace('\n', ""), "{query}");
    }

    const X: &str = r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x","offset":0,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":null,"type":"vectorSelector"}"#;

    #[test]
    fn selectors() {
        check("x", X);
        check(
            r#"{a=~"<b>"} offset -5m @ 1.5"#,
            r#"{"anchored":false,"matchers":[{"name":"a","type":"=~","value":"\u003cb\u003e"}],
"name":"","offset":-300000,"offsetExpr":null,"smoothed":false,"startOrEnd":null,"timestamp":1500,
"type":"vectorSelector"}"#,
        );
        check(
            "x[1m] smoothed @ end()",
            r#"{"anchored":false,"matchers":[{"name":"__name__","type":"=","value":"x"}],"name":"x",
"offset":0,"offsetExpr":null,"range":60000,"rangeExpr":null,"smoothed":true,"startOrEnd":"end",
"timestamp":null,"type":"matrixSelector"}"#,
        );
        check(
            "x[1m:]",
            &format!(
                r#"{{"expr":{X},"offset":0,"offsetExpr":null,"range":60000,"rangeExpr":null,
"startOrEnd":null,"step":0,"stepExpr":null,"timestamp":null,"type":"subquery"}}"#
            ),
        );
    }

    #[test]
    fn computed_durations() {
        let number = |value: &str, duration: bool| {
            format!(r#"{{"duration":{duration},"type":"numberLiteral","val":"{value}"}}"#)
        };
        let five = number("5", true);
        check(
            "x[5s + step():max_of(5s, 2) * 2] @ start() offset (5s - 8)",
            &format!(
                r#"{{"expr":{X},"offset":0,
"offsetExpr":{{"lhs":{five},"op":"-","rhs":{eight},"type":"durationExpr","wrapped":true}},
"range":0,"rangeExpr":{{"lhs":{five},"op":"+",
"rhs":{{"lhs":null,"op":"step","rhs":null,"type":"durationExpr","wrapped":false}},
"type":"durationExpr","wrapped":false}},"startOrEnd":"start","step":0,
"stepExpr":{{"lhs":{{"lhs":{five},"op":"max_of","rhs":{two},"type":"durationExpr","wrapped":false}},
"op":"*","rhs":{two},"type":"durationExpr","wrapped":false}},"timestamp":null,
"type":"subquery"}}"#,
                two = number("2", false),
                eight = number("8", false),
            ),
        );
    }

    #[test]
    fn chains_need_no_stack() {
        let query = vec!["a"; 50_000].join(" + ");
        let expr = parse_expr(&query, &ParserOptions::all()).unwrap();
        let mut out = String::new();
        push_expr(&expr, &mut out);
        assert_eq!(out.matches("binaryExpr").count(), 49_999);
        assert_eq!(out.matches('{').count(), out.matches('}').count());
    }

    #[test]
    fn operations() {
        check(
            "topk without (a) (1e21, x)",
            &format!(
                r#"{{"expr":{X},"grouping":["a"],"op":"topk",
"param":{{"type":"numberLiteral","val":"1000000000000000000000"}},"type":"aggregation",
"without":true}}"#
            ),
        );
        check(
            "sum(x)",
            &format!(
                r#"{{"expr":{X},"grouping":[],"op":"sum","param":null,"type":"aggregation",
"without":false}}"#
            ),
        );
        check(
            "x == bool on (a) group_left (b) fill_right (2.5) x",
            &format!(
                r#"{{"bool":true,"lhs":{X},"matching":{{"card":"many-to-one",
"fillValues":{{"lhs":null,"rhs":2.5}},"include":["b"],"labels":["a"],"on":true}},"op":"==",
"rhs":{X},"type":"binaryExpr"}}"#
            ),
        );
        check(
            r#"-(2) ^ Inf"#,
            r#"{"expr":{"bool":false,
"lhs":{"expr":{"type":"numberLiteral","val":"2"},"type":"parenExpr"},"matching":null,"op":"^",
"rhs":{"type":"numberLiteral","val":"+Inf"},"type":"binaryExpr"},"op":"-","type":"unaryExpr"}"#,
        );
    }

    #[test]
    fn calls() {
        for (query, signature) in [
            (
                "time()",
                r#"{"argTypes":[],"name":"time","returnType":"scalar","variadic":0}"#,
            ),
            (
                "minute()",
                r#"{"argTypes":["vector"],"name":"minute","returnType":"vector","variadic":1}"#,
            ),
        ] {
            check(
                query,
                &format!(r#"{{"args":[],"func":{signature},"type":"call"}}"#),
            );
        }
        check(
            r#"sort_by_label(x, "a")"#,
            &format!(
                r#"{{"args":[{X},{{"type":"stringLiteral","val":"a"}}],
"func":{{"argTypes":["vector","string"],"name":"sort_by_label","returnType":"vector",
"variadic":-1}},"type":"call"}}"#
            ),
        );
    }
}
