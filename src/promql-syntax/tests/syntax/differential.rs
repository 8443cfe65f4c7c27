//! Another parser's opinion on the part of the language that both know.

use promql_parser::parser::parse as other_parse;
use promql_syntax::{ParserOptions, parse_expr};

use crate::generator::Generator;

const CASES: u64 = 4000;

/// Where the other parser is known to differ from upstream.
fn is_known_difference(query: &str, ours: &Result<String, String>) -> bool {
    // It refuses two signs behind `offset`, and does not check signs of range vectors.
    query.contains("offset - -")
        || matches!(ours, Err(message)
            if message.contains("unary expression only allowed")
                || message.contains("duration must be greater than 0"))
}

#[test]
fn the_other_parser_accepts_the_same() {
    let options = ParserOptions::all();
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..CASES {
        let mut generator = Generator::new(seed);
        let query = if seed % 4 == 0 {
            generator.query()
        } else {
            generator.broken_query()
        };
        let ours = parse_expr(&query, &options)
            .map(|expr| expr.to_string())
            .map_err(|errors| errors.to_string());
        if is_known_difference(&query, &ours) {
            continue;
        }
        let other = other_parse(&query).map(|expr| expr.to_string());
        assert_eq!(
            ours.is_ok(),
            other.is_ok(),
            "seed {seed}: {query}\n{ours:?}\n{other:?}"
        );
        if ours.is_ok() {
            accepted += 1
        } else {
            refused += 1
        }
    }
    assert!(
        accepted > 500 && refused > 500,
        "{accepted} accepted, {refused} refused"
    );
}
