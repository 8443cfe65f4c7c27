//! Any text parses or fails; what parses, prints to something that parses to the same tree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql_syntax::{ParserOptions, parse_expr};

fuzz_target!(|text: &str| {
    let options = ParserOptions::all();
    if let Ok(tree) = parse_expr(text, &options) {
        let printed = tree.to_string();
        let again = parse_expr(&printed, &options).expect("printed expressions parse");
        assert_eq!(again.normalized(), tree.normalized(), "{printed}");
    }
});
