//! What holds for every text and every tree.

use promql_syntax::{
    ParserOptions, parse_expr, parse_metric, parse_metric_selector, parse_series_description,
    prettify,
};
use proptest::prelude::*;

use crate::generator::Generator;

/// Texts made of what the language is made of, so that some get far.
fn language_soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "sum",
        "rate",
        "by",
        "on",
        "bool",
        "offset",
        "@",
        "start",
        "step",
        "fill",
        "anchored",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "=",
        "=~",
        "!~",
        "!=",
        "+",
        "-",
        "^",
        "</",
        ">/",
        "5m",
        "1e",
        "0x",
        ".5",
        "1_0",
        "\"x\"",
        "'\\x41'",
        "`",
        "\"\\",
        "#",
        "\n",
        " ",
        "ä",
        "\u{fffd}",
        "_",
        "x3",
        "{{",
        "}}",
        "group_left",
        "min_of",
        "Inf",
        "stale",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn parse_everything(text: &str) {
    for options in [ParserOptions::default(), ParserOptions::all()] {
        match parse_expr(text, &options) {
            Ok(expr) => assert!(!prettify(&expr).is_empty()),
            Err(errors) => {
                for error in errors.iter() {
                    assert!(error.pos.start <= text.len(), "{text:?} {error:?}");
                    assert!(!error.message.is_empty());
                }
            }
        }
    }
    let _accepted_or_not = parse_metric(text).is_ok();
    let _accepted_or_not = parse_metric_selector(text).is_ok();
    let _accepted_or_not = parse_series_description(text).is_ok();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        parse_everything(&text);
    }

    #[test]
    fn no_soup_panics(text in language_soup()) {
        parse_everything(&text);
    }

    #[test]
    fn printing_is_a_fixpoint(seed in any::<u64>()) {
        let query = Generator::new(seed).query();
        if let Ok(expr) = parse_expr(&query, &ParserOptions::all()) {
            let printed = expr.to_string();
            let again = parse_expr(&printed, &ParserOptions::all()).unwrap();
            prop_assert_eq!(again.normalized(), expr.normalized());
            prop_assert_eq!(again.to_string(), printed);
            let pretty = parse_expr(&prettify(&expr), &ParserOptions::all()).unwrap();
            prop_assert_eq!(pretty.normalized(), expr.normalized());
        }
    }

    #[test]
    fn places_nest(seed in any::<u64>()) {
        let query = Generator::new(seed).query();
        if let Ok(expr) = parse_expr(&query, &ParserOptions::all()) {
            expr.walk(|node| {
                let outer = node.pos();
                assert!(outer.start < outer.end && outer.end <= query.len());
                for child in node.children() {
                    let inner = child.pos();
                    assert!(outer.start <= inner.start && inner.end <= outer.end, "{query}");
                }
            });
            // What a node covers parses to the same node.
            for child in expr.children() {
                let covered = &query[child.pos().start..child.pos().end];
                let again = parse_expr(covered, &ParserOptions::all()).unwrap();
                prop_assert_eq!(again.normalized(), child.normalized());
            }
        }
    }
}
