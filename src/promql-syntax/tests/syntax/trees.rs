//! What trees look like: nodes, values and places.

use promql_syntax::ast::{AtModifier, Expr, TimeModifiers, ValueType};
use promql_syntax::{ParserOptions, parse_expr};

/// Shows a tree with the text that each node covers.
fn outline(query: &str, expr: &Expr) -> String {
    let pos = expr.pos();
    let covered = &query[pos.start..pos.end];
    let name = match expr {
        Expr::Number(number) if number.is_duration => format!("duration {}", number.value),
        Expr::Number(number) => format!("number {}", number.value),
        Expr::String(string) => format!("string {:?}", string.value),
        Expr::VectorSelector(selector) => {
            let matchers: Vec<String> = selector.matchers.iter().map(ToString::to_string).collect();
            format!("vector {}{}", matchers.join(","), time(&selector.time))
        }
        Expr::MatrixSelector(matrix) => format!(
            "matrix {}{}{}",
            matrix.range,
            matrix
                .range_expr
                .as_ref()
                .map_or(String::new(), |range| format!(" ({range})")),
            time(&matrix.selector.time)
        ),
        Expr::Subquery(subquery) => format!(
            "subquery {}:{}{}",
            subquery.range,
            subquery
                .step
                .map_or_else(|| "-".to_owned(), |step| step.to_string()),
            time(&subquery.time)
        ),
        Expr::Aggregate(aggregate) => {
            let keyword = if aggregate.without { "without" } else { "by" };
            format!(
                "{} {keyword} {}",
                aggregate.op,
                aggregate.grouping.join("|")
            )
        }
        Expr::Binary(binary) => {
            let matching = binary
                .matching
                .as_ref()
                .map_or_else(String::new, |matching| {
                    let keyword = if matching.on { "on" } else { "ignoring" };
                    let (labels, include) = (matching.labels.join("|"), matching.include.join("|"));
                    format!(
                        " {} {keyword} {labels} include {include}",
                        matching.card.as_str()
                    )
                });
            let return_bool = if binary.return_bool { " bool" } else { "" };
            format!("{}{return_bool}{matching}", binary.op)
        }
        Expr::Unary(unary) => format!("unary {}", unary.op),
        Expr::Paren(_) => "paren".to_owned(),
        Expr::Call(call) => format!("call {}", call.func.name),
    };
    let mut lines = vec![format!("{} <{covered}>", name.trim_end())];
    for child in expr.children() {
        lines.extend(
            outline(query, child)
                .lines()
                .map(|line| format!(". {line}")),
        );
    }
    lines.join("\n")
}

fn time(time: &TimeModifiers) -> String {
    let mut shown = String::new();
    if time.offset.as_millis() != 0 {
        shown.push_str(&format!(" offset {}", time.offset));
    }
    if let Some(offset) = &time.offset_expr {
        shown.push_str(&format!(" offset ({offset})"));
    }
    match time.at {
        None => {}
        Some(AtModifier::Start) => shown.push_str(" at start"),
        Some(AtModifier::End) => shown.push_str(" at end"),
        Some(AtModifier::Timestamp(at)) => shown.push_str(&format!(" at {at}")),
    }
    shown
}

#[track_caller]
fn check(query: &str, want: &str) {
    let expr = parse_expr(query, &ParserOptions::all()).unwrap();
    let want: Vec<&str> = want
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(outline(query, &expr), want.join("\n"), "{query}");
}

#[test]
fn literals() {
    check("1_000.5", "number 1000.5 <1_000.5>");
    check("-0x1F", "number -31 <-0x1F>");
    check("+ + 017", "number 15 <+ + 017>");
    check("-1h30m", "duration -5400 <-1h30m>");
    check("- Inf", "number -inf <- Inf>");
    check("`a\\d` # tail", "string \"a\\\\d\" <`a\\d`>");
    check("'it\\'s'", "string \"it's\" <'it\\'s'>");
}

#[test]
fn selectors() {
    check(" up ", "vector __name__=\"up\" <up>");
    check(
        "a:b{by='c',}",
        "vector by=\"c\",__name__=\"a:b\" <a:b{by='c',}>",
    );
    check(
        "{\"my.metric\", \"label.name\"=~\"v\", sum!=\"\"}",
        "vector __name__=\"my.metric\",\"label.name\"=~\"v\",sum!=\"\" \
         <{\"my.metric\", \"label.name\"=~\"v\", sum!=\"\"}>",
    );
    check(
        "a offset -1d @ 10.5",
        "vector __name__=\"a\" offset -1d at 10.500 <a offset -1d @ 10.5>",
    );
    check(
        "a @ -1 offset 60",
        "vector __name__=\"a\" offset 1m at -1 <a @ -1 offset 60>",
    );
    check(
        "a offset 0 offset 5m",
        "vector __name__=\"a\" offset 5m <a offset 0 offset 5m>",
    );
    check("a[300] @ end()", "matrix 5m at end <a[300] @ end()>");
    check(
        "a[1.5] offset 0.0015",
        "matrix 1s500ms offset 1ms <a[1.5] offset 0.0015>",
    );
    check(
        "sum(a)[1h : 5m] @ start() offset 5m",
        "subquery 1h:5m offset 5m at start <sum(a)[1h : 5m] @ start() offset 5m>
         . sum by <sum(a)>
         . . vector __name__=\"a\" <a>",
    );
}

#[test]
fn computed_durations() {
    check("a[(5m)]", "matrix 0s ((5m)) <a[(5m)]>");
    check(
        "a[1m+2*step()^2]",
        "matrix 0s (1m + 2 * step() ^ 2) <a[1m+2*step()^2]>",
    );
    check(
        "a[-1m+max_of(step(),5)]",
        "matrix 0s (-1m + max_of(step(), 5)) <a[-1m+max_of(step(),5)]>",
    );
    check(
        "a offset -(1^2)",
        "vector __name__=\"a\" offset (-(1 ^ 2)) <a offset -(1^2)>",
    );
    check(
        "a offset range()",
        "vector __name__=\"a\" offset (range()) <a offset range()>",
    );
    check(
        "a offset -2^2",
        "^ <a offset -2^2>
         . vector __name__=\"a\" offset -2s <a offset -2>
         . number 2 <2>",
    );
    check(
        "a[1h:(30s*2)]",
        "subquery 1h:- <a[1h:(30s*2)]>
         . vector __name__=\"a\" <a>",
    );
}

#[test]
fn precedence_and_signs() {
    check(
        "-1^2",
        "unary - <-1^2>
         . ^ <1^2>
         . . number 1 <1>
         . . number 2 <2>",
    );
    check(
        "-a * b",
        "* one-to-one ignoring  include <-a * b>
         . unary - <-a>
         . . vector __name__=\"a\" <a>
         . vector __name__=\"b\" <b>",
    );
    check(
        "2^3^4 - 5 - 6",
        "- <2^3^4 - 5 - 6>
         . - <2^3^4 - 5>
         . . ^ <2^3^4>
         . . . number 2 <2>
         . . . ^ <3^4>
         . . . . number 3 <3>
         . . . . number 4 <4>
         . . number 5 <5>
         . number 6 <6>",
    );
    check(
        "a or b and c",
        "or many-to-many ignoring  include <a or b and c>
         . vector __name__=\"a\" <a>
         . and many-to-many ignoring  include <b and c>
         . . vector __name__=\"b\" <b>
         . . vector __name__=\"c\" <c>",
    );
    check(
        "-a offset 5m",
        "unary - <-a offset 5m>
         . vector __name__=\"a\" offset 5m <a offset 5m>",
    );
    check(
        "a </ 1 == bool 2",
        "== bool <a </ 1 == bool 2>
         . </ <a </ 1>
         . . vector __name__=\"a\" <a>
         . . number 1 <1>
         . number 2 <2>",
    );
}

#[test]
fn matching() {
    check(
        "a > bool on(x, \"y z\",) group_left(z) b",
        "> bool many-to-one on x|y z include z <a > bool on(x, \"y z\",) group_left(z) b>
         . vector __name__=\"a\" <a>
         . vector __name__=\"b\" <b>",
    );
    check(
        "a / ignoring() group_right b",
        "/ one-to-many ignoring  include <a / ignoring() group_right b>
         . vector __name__=\"a\" <a>
         . vector __name__=\"b\" <b>",
    );
}

#[test]
fn calls_and_aggregations() {
    check(
        "topk by (a) (3, b) + SUM(c) WITHOUT (d, offset,)",
        "+ one-to-one ignoring  include <topk by (a) (3, b) + SUM(c) WITHOUT (d, offset,)>
         . topk by a <topk by (a) (3, b)>
         . . number 3 <3>
         . . vector __name__=\"b\" <b>
         . sum without d|offset <SUM(c) WITHOUT (d, offset,)>
         . . vector __name__=\"c\" <c>",
    );
    check(
        "(time( ))",
        "paren <(time( ))>
         . call time <time( )>",
    );
    check(
        "sum + min",
        "+ one-to-one ignoring  include <sum + min>
         . vector __name__=\"sum\" <sum>
         . vector __name__=\"min\" <min>",
    );
    check(
        "start() - step",
        "- <start() - step>
         . call start <start()>
         . vector __name__=\"step\" <step>",
    );
}

#[test]
fn words_name_metrics_and_labels() {
    for word in [
        "and",
        "or",
        "unless",
        "by",
        "without",
        "offset",
        "start",
        "end",
        "step",
        "range",
        "sum",
        "topk",
        "limitk",
        "anchored",
        "smoothed",
        "fill",
        "fill_left",
        "max_of",
        "AVG",
    ] {
        let expr = parse_expr(word, &ParserOptions::all()).unwrap();
        assert_eq!(expr.to_string(), word);
        assert_eq!(expr.value_type(), ValueType::Vector);
    }
    for word in [
        "bool",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "atan2",
        "and",
        "offset",
    ] {
        let query = format!("sum by ({word}) ({{{word}=\"x\"}})");
        let expr = parse_expr(&query, &ParserOptions::all()).unwrap();
        assert_eq!(expr.to_string(), query);
    }
}

#[test]
fn types() {
    for (query, want) in [
        ("1", "scalar"),
        ("-(1 + 2)", "scalar"),
        ("1 + a", "instant vector"),
        ("a == bool 1", "instant vector"),
        ("1 == bool 1", "scalar"),
        ("\"x\"", "string"),
        ("a[5m]", "range vector"),
        ("rate(a[5m])[1h:]", "range vector"),
        ("scalar(a)", "scalar"),
        ("(sum(a))", "instant vector"),
    ] {
        let expr = parse_expr(query, &ParserOptions::default()).unwrap();
        assert_eq!(expr.value_type().to_string(), want, "{query}");
    }
}

#[test]
fn selectors_are_found_everywhere() {
    let query = "sum(a) + rate(b[5m]) / max_over_time((c - d)[1h:]) + topk(scalar(e), f)";
    let expr = parse_expr(query, &ParserOptions::default()).unwrap();
    let names: Vec<&str> = expr
        .selectors()
        .into_iter()
        .map(|selector| selector.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
}
