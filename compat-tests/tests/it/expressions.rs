//! Real expressions of dashboards and rules: each evaluates on an empty store without error.

use crate::support::{data_lines, firewatch_binary, start};

#[test]
fn real_expressions_evaluate_on_an_empty_store() {
    let folder = tempfile::tempdir().unwrap();
    let firewatch = start(&firewatch_binary(), folder.path(), "", &[]);
    let expressions = match std::env::var_os("CONFORMANCE_DIR") {
        Some(folder) => {
            let file = std::path::Path::new(&folder).join("promql-expressions.txt");
            std::fs::read_to_string(file)
                .unwrap()
                .lines()
                .map(str::to_owned)
                .collect()
        }
        None => data_lines("parity.txt"),
    };
    let mut failures = Vec::new();
    for expression in &expressions {
        let form = [("query", expression.as_str()), ("time", "1700000000")];
        let answer = firewatch.client.post_form("/api/v1/query", &form).unwrap();
        if answer["status"] != "success" {
            failures.push(format!("{expression}: {answer}"));
        }
    }
    println!(
        "{} expressions, {} failed",
        expressions.len(),
        failures.len()
    );
    assert!(expressions.len() >= 80);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
