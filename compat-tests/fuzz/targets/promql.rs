//! Any text parses or fails. What parses, prints in both forms to something that parses to the same
//! tree; errors have words and lie in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql_syntax::{Expr, ParserOptions, line_and_column, parse_expr, prettify};

fuzz_target!(|text: &str| {
    for options in [ParserOptions::all(), ParserOptions::default()] {
        match parse_expr(text, &options) {
            Ok(tree) => check_tree(text, &tree, &options),
            Err(errors) => {
                for error in errors.iter() {
                    assert!(!error.message.is_empty());
                    assert!(error.pos.start <= text.len(), "{error:?}");
                    let place = line_and_column(text, error.pos.start);
                    assert!(place != "invalid position", "{error:?}");
                }
            }
        }
    }
});

fn check_tree(text: &str, tree: &Expr, options: &ParserOptions) {
    tree.walk(|node| {
        let pos = node.pos();
        assert!(pos.start < pos.end && pos.end <= text.len(), "{pos:?}");
    });
    let normal = tree.normalized();
    for printed in [tree.to_string(), prettify(tree)] {
        let again = parse_expr(&printed, options).expect("printed expressions parse");
        assert_eq!(again.normalized(), normal, "{printed}");
        assert_eq!(again.value_type(), tree.value_type(), "{printed}");
    }
}
