//! Queries that are built to exhaust the parser.

use promql_syntax::{DEFAULT_MAX_CHAIN, Expr, ParserOptions, parse_expr, prettify};

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
    let too_long = format!(
        "expression has too many binary operators in a row, at most {DEFAULT_MAX_CHAIN} are supported"
    );
    for operator in ["+", " or ", "*"] {
        assert_eq!(error_of(&vec!["a"; n + 2].join(operator)), too_long);
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

/// Does everything with a tree that walks it, on the stack that threads have by default.
fn use_everywhere(query: &str) -> Expr {
    let expr = parse_expr(query, &ParserOptions::default()).unwrap();
    let copy = expr.clone();
    assert_eq!(copy, expr);
    assert!(format!("{copy:?}").len() > query.len());
    assert!(prettify(&copy).len() >= expr.to_string().len());
    assert_eq!(copy.normalized().value_type(), expr.value_type());
    let again = parse_expr(&expr.to_string(), &ParserOptions::default()).unwrap();
    assert_eq!(again.normalized(), expr.normalized());
    expr
}

/// The deepest trees can be walked by recursion on the stack that threads have by default.
#[test]
fn deepest_trees_can_be_used() {
    let nested = 250;
    for query in [
        format!("{}a{}", "(".repeat(nested), ")".repeat(nested)),
        format!("{}a", "-".repeat(nested)),
        format!("{}a{}", "sum(".repeat(nested), ")".repeat(nested)),
        format!("{}a{}", "abs(b + ".repeat(nested), ")".repeat(nested)),
        format!("a[{}1{}]", "(".repeat(nested), ")".repeat(nested)),
        format!("a[{}1]", "1+".repeat(999)),
        vec!["a"; nested].join(" ^ "),
        format!(
            "{}a{}",
            "(".repeat(nested),
            " or b and c > d + e * f)".repeat(nested)
        ),
    ] {
        use_everywhere(&query);
    }
    assert!(error_of(&format!("{}a", "a+(".repeat(nested + 1))).contains("at most 250 levels"));
}

#[test]
fn long_chains_can_be_used() {
    let n = 20_000;
    for (query, want) in [
        (vec!["a"; n].join(" + "), "instant vector"),
        (vec!["1"; n].join(" * "), "scalar"),
        (vec!["a"; n].join(" or "), "instant vector"),
        (vec!["a * b"; n].join(" - "), "instant vector"),
        (
            vec!["a"; n].join(" == bool on (x) group_left (y) "),
            "instant vector",
        ),
        (
            format!("sum(({}))", vec!["a"; n].join(" / ")),
            "instant vector",
        ),
        (
            format!("-{}", vec!["(a - b)"; n].join(" % ")),
            "instant vector",
        ),
        (
            format!("max_over_time(({})[5m:])", vec!["a"; n].join("+")),
            "instant vector",
        ),
    ] {
        let expr = use_everywhere(&query);
        assert_eq!(expr.value_type().to_string(), want);
    }
    let longest = vec!["a"; DEFAULT_MAX_CHAIN + 1].join("+");
    let expr = parse_expr(&longest, &ParserOptions::default()).unwrap();
    assert_eq!(expr.selectors().len(), DEFAULT_MAX_CHAIN + 1);
}

/// Errors of the type check come in upstream's order, the left end of a chain first.
#[test]
fn chains_are_checked_from_the_left() {
    let query = "abs(1) + \"x\" - rate(b) * {} / a[5m]";
    let errors = parse_expr(query, &ParserOptions::default()).expect_err("the query is bad");
    let places: Vec<usize> = errors.iter().map(|error| error.pos.start + 1).collect();
    assert_eq!(places, [5, 10, 21, 26, 31]);
}

#[test]
fn the_pretty_form_of_a_long_chain_stays_small() {
    let query = vec!["a"; 20_000].join(" + ");
    let expr = parse_expr(&query, &ParserOptions::default()).unwrap();
    let pretty = prettify(&expr);
    assert!(pretty.len() < 8_000_000, "{} bytes", pretty.len());
    assert!(pretty.lines().count() > 1000);
}

#[test]
fn the_limit_can_be_set() {
    let with = |query, max_depth, max_chain| {
        let options = ParserOptions {
            max_depth,
            max_chain,
            ..ParserOptions::default()
        };
        parse_expr(query, &options).map_err(|errors| errors.to_string())
    };
    assert!(with("a + b + (c)", 3, 2).is_ok());
    assert_eq!(
        with("a + b + (c)", 2, 2),
        Err(
            "1:12: parse error: expression is nested too deeply, at most 2 levels are supported"
                .to_owned()
        )
    );
    assert!(with("a", 0, 2).is_err());
    assert_eq!(
        with("a + b + c * d", 3, 1),
        Err("1:1: parse error: expression has too many binary operators in a row, at most 1 are supported".to_owned())
    );
}
