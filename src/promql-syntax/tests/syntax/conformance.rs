//! Real expressions: parse, print, parse again. `CONFORMANCE_DIR` names a folder with more of them.

use std::path::Path;

use promql_syntax::{Expr, ParserOptions, parse_expr, parse_series_description, prettify};

const OWN_SAMPLE: &str = include_str!("../data/expressions.txt");

#[track_caller]
fn parse(query: &str) -> Expr {
    match parse_expr(query, &ParserOptions::all()) {
        Ok(expr) => expr,
        Err(errors) => panic!("{query}\n{errors}"),
    }
}

#[track_caller]
fn check_round_trip(query: &str) {
    let expr = parse(query);
    let tree = expr.normalized();
    let printed = expr.to_string();
    let again = parse(&printed);
    assert_eq!(again.normalized(), tree, "{query}");
    assert_eq!(again.to_string(), printed, "{query}");
    let pretty = prettify(&expr);
    let from_pretty = parse(&pretty);
    assert_eq!(from_pretty.normalized(), tree, "{pretty}");
    assert_eq!(prettify(&from_pretty), pretty, "{query}");
}

#[test]
fn expressions_survive_printing() {
    let sample = match std::env::var_os("CONFORMANCE_DIR") {
        Some(dir) => {
            std::fs::read_to_string(Path::new(&dir).join("promql-expressions.txt")).unwrap()
        }
        None => OWN_SAMPLE.to_owned(),
    };
    let mut checked = 0;
    for query in sample.lines().filter(|line| !line.is_empty()) {
        check_round_trip(query);
        checked += 1;
    }
    assert!(checked >= 50, "only {checked} expressions were found");
}

/// Parses the expressions and the series of test scripts. Scripts expect failures of queries too,
/// but at evaluation.
#[test]
fn test_scripts_parse() {
    let Some(dir) = std::env::var_os("CONFORMANCE_DIR") else {
        check_script("load 5m\n  a{b=\"c\"} 0+1x10 _ stale\n\neval instant at 5m rate(a[5m])\n");
        return;
    };
    let scripts = std::fs::read_dir(Path::new(&dir).join("promqltest")).unwrap();
    for script in scripts {
        check_script(&std::fs::read_to_string(script.unwrap().path()).unwrap());
    }
}

fn check_script(script: &str) {
    let mut lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .peekable();
    let mut loading = false;
    while let Some(line) = lines.next() {
        if line.starts_with("eval") {
            loading = false;
            let words = if line.contains(" range from ") { 8 } else { 4 };
            let query = line.splitn(words + 1, ' ').last().unwrap_or("");
            let mut may_fail = line.starts_with("eval_fail");
            while let Some(expectation) = lines.next_if(|line| line.starts_with("expect")) {
                may_fail |= expectation.starts_with("expect fail");
            }
            if !may_fail || parse_expr(query, &ParserOptions::all()).is_ok() {
                check_round_trip(query);
            }
        } else if line.is_empty() || line == "clear" {
            loading = false;
        } else if line.starts_with("load") {
            loading = true;
        } else if loading && !line.contains("@st ") {
            let description = parse_series_description(line);
            assert!(description.is_ok(), "{line}: {description:?}");
        }
    }
}
