//! What is refused, with which words and where.

use promql_syntax::{ParserOptions, parse_expr};

const TABLE: &str = include_str!("../data/errors.txt");

#[test]
fn errors_have_upstreams_words_and_places() {
    let mut options = ParserOptions::default();
    let (mut checked, mut wrong) = (0, Vec::new());
    let mut lines = TABLE.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("== ") {
            match heading {
                "default options" => options = ParserOptions::default(),
                "all options" => options = ParserOptions::all(),
                _ => {}
            }
            continue;
        }
        let query = line.replace('␤', "\n").replace('␉', "\t").replace('∅', "");
        let mut want = Vec::new();
        while let Some(answer) = lines.next_if(|line| line.starts_with("  ")) {
            // The opinion of an older version is compared elsewhere.
            if !answer.starts_with("  2.42 ") {
                want.push(answer.trim_start().to_owned());
            }
        }
        let got = match parse_expr(&query, &options) {
            Ok(expr) => vec![format!("accepted as {expr}")],
            Err(errors) => errors.iter().map(|error| errors.describe(error)).collect(),
        };
        checked += 1;
        if got != want {
            let (want, got) = (want.join("\n       "), got.join("\n       "));
            wrong.push(format!("{query}\n  want {want}\n  got  {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 600, "only {checked} cases were found");
}

#[test]
fn switches_open_the_experimental_parts() {
    let queries = [
        (
            "mad_over_time(a[5m])",
            "function \"mad_over_time\" is not enabled",
        ),
        (
            "limitk(1, a)",
            "limitk() is experimental and must be enabled with \
             --enable-feature=promql-experimental-functions",
        ),
        (
            "a[5m] anchored",
            "anchored modifier is experimental and not enabled",
        ),
        (
            "a smoothed",
            "smoothed modifier is experimental and not enabled",
        ),
        (
            "a + fill(1) b",
            "binop fill modifiers are experimental and not enabled",
        ),
        (
            "a[5m+1m]",
            "experimental duration expression is not enabled",
        ),
        (
            "a offset (5m)",
            "experimental duration expression is not enabled",
        ),
        (
            "a[step()]",
            "experimental duration expression is not enabled",
        ),
        (
            "a[1m:min_of(1m,step())]",
            "experimental duration expression is not enabled",
        ),
    ];
    let none = ParserOptions {
        enable_duration_expressions: false,
        ..ParserOptions::default()
    };
    for (query, want) in queries {
        let errors = parse_expr(query, &none).expect_err(query);
        assert_eq!(errors.first().message, want, "{query}");
        assert!(parse_expr(query, &ParserOptions::all()).is_ok(), "{query}");
    }
    assert!(parse_expr("a[step() + 5m] offset (1m * 2)", &ParserOptions::default()).is_ok());
}
