//! Printed forms: those of `format_query`, and what one line has.

use promql_syntax::{ParserOptions, parse_expr, prettify};

const TABLE: &str = include_str!("../data/formats.txt");

#[test]
fn formatted_queries_are_upstreams_and_parse_to_the_same_tree() {
    let mut options = ParserOptions::default();
    let (mut checked, mut wrong) = (0, Vec::new());
    let mut lines = TABLE.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("== ") {
            if heading == "all options" {
                options = ParserOptions::all();
            }
            continue;
        }
        let query = line.replace('␤', "\n").replace('␉', "\t");
        let mut want = Vec::new();
        while let Some(answer) = lines.next_if(|line| line.starts_with("  ")) {
            // The opinion of an older version is compared elsewhere.
            want.extend(answer.strip_prefix("  |"));
        }
        let expr = parse_expr(&query, &options).unwrap();
        let got = prettify(&expr);
        if got != want.join("\n") {
            wrong.push(format!("{query}\n{got}"));
        }
        for printed in [got, expr.to_string()] {
            let again = parse_expr(&printed, &options).unwrap();
            assert_eq!(again.normalized(), expr.normalized(), "{query}");
        }
        checked += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 300, "only {checked} cases were found");
}
