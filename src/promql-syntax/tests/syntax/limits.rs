//! Queries that are built to exhaust the parser.

use promql_syntax::{DEFAULT_MAX_DEPTH, ParserOptions, parse_expr, prettify};

fn error_of(query: &str) -> String {
    let errors = parse_expr(query, &ParserOptions::default()).expect_err("the query is too deep");
    assert!(errors.iter().count() <= 100);
    errors.first().message.clone()
}

#[test]
fn endless_queries_are_refused_early() {
    let n = 100_000;
    let deep = |levels: usize| {
        format!("expression is nested too deeply, at most {levels} levels are supported")
    };
    for (query, levels) in [
        (vec!["a"; n].join("+"), 1000),
        (vec!["a"; n].join(" or "), 1000),
        (vec!["a"; n].join("^"), 250),
        ("(".repeat(n), 250),
        ("-".repeat(n), 250),
        ("abs(".repeat(n), 250),
        ("sum by (a) (".repeat(n), 250),
        (format!("a{}", "[5m:]".repeat(n)), 1000),
        (format!("a[{}1]", "1+".repeat(n)), 1000),
        (format!("a[{}1]", "(".repeat(n)), 250),
        (format!("a[{}1]", "-".repeat(n)), 250),
        (format!("a[{}1]", "min_of(1,".repeat(n)), 250),
        (format!("a offset {}1", "-".repeat(n)), 250),
    ] {
        assert_eq!(error_of(&query), deep(levels), "{}", &query[..20]);
    }
    let repeated = error_of(&format!("a{}", " offset 5m".repeat(n)));
    assert_eq!(repeated, "offset may not be set multiple times");
}

#[test]
fn long_lists_are_fine() {
    let n = 20_000;
    for query in [
        format!("a{{{}}}", "b=\"c\",".repeat(n)),
        format!("sum by ({}) (a)", "b,".repeat(n)),
        format!("label_join(a, \"b\"{})", ", \"c\"".repeat(n)),
    ] {
        assert!(parse_expr(&query, &ParserOptions::default()).is_ok());
    }
}

/// The deepest trees can be walked by recursion on the stack that threads have by default.
#[test]
fn deepest_trees_can_be_used() {
    let nested = 250;
    let chain = DEFAULT_MAX_DEPTH;
    let too_deep = format!("{}a{}", "(".repeat(nested), " + b + c - d)".repeat(nested));
    for query in [
        vec!["a"; chain].join(" + "),
        vec!["1"; chain].join(" * "),
        format!("{}a{}", "(".repeat(nested), ")".repeat(nested)),
        format!("{}a", "-".repeat(nested)),
        format!("{}a{}", "sum(".repeat(nested), ")".repeat(nested)),
        format!("a[{}1{}]", "(".repeat(nested), ")".repeat(nested)),
        vec!["a"; nested].join(" ^ "),
    ] {
        let expr = parse_expr(&query, &ParserOptions::default()).unwrap();
        let copy = expr.clone();
        assert_eq!(copy, expr);
        assert!(format!("{copy:?}").len() > query.len());
        assert!(prettify(&copy).len() >= expr.to_string().len());
        assert_eq!(copy.normalized().value_type(), expr.value_type());
    }
    assert!(error_of(&too_deep).contains("at most 1000 levels"));
}

#[test]
fn the_limit_can_be_set() {
    let query = "a + b + c";
    let with = |max_depth| {
        parse_expr(
            query,
            &ParserOptions {
                max_depth,
                ..ParserOptions::default()
            },
        )
    };
    assert!(with(3).is_ok());
    let errors = with(2).expect_err("three levels");
    assert_eq!(
        errors.to_string(),
        "1:10: parse error: expression is nested too deeply, at most 2 levels are supported"
    );
    assert!(with(0).is_err());
}
