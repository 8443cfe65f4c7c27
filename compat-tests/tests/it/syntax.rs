//! PromQL's error texts and printed forms, beside Debian's Prometheus 2.42.
//!
//! The tables are those of the tests of `promql-syntax`, which hold what Prometheus 3 says. Where
//! 2.42 says something else, a line of the table that begins with `2.42` has it. `UPDATE=1` writes
//! these lines anew; what changes by that has to be explained by a change of upstream.

use std::path::PathBuf;

use crate::support::{Running, start};

/// What a line of the older version begins with.
const OLDER: &str = "2.42";

/// A query and what is said of it.
struct Case {
    /// The query as the table has it.
    written: String,
    /// What Prometheus 3 says.
    newer: Vec<String>,
    /// What 2.42 says, where that differs.
    older: Vec<String>,
}

/// A line of the table that is none of a case, or a case.
enum Entry {
    Other(String),
    Case(Case),
}

fn table(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../src/promql-syntax/tests/data")
        .join(name)
}

fn read(name: &str) -> Vec<Entry> {
    let text = std::fs::read_to_string(table(name)).unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let Some(answer) = line.strip_prefix("  ") else {
            entries.push(match line.starts_with("== ") {
                true => Entry::Other(line.to_owned()),
                false => Entry::Case(Case {
                    written: line.to_owned(),
                    newer: Vec::new(),
                    older: Vec::new(),
                }),
            });
            continue;
        };
        let Some(Entry::Case(case)) = entries.last_mut() else {
            continue;
        };
        match answer.strip_prefix(OLDER) {
            Some(older) => case.older.push(older.trim_start_matches(' ').to_owned()),
            None => case.newer.push(answer.to_owned()),
        }
    }
    entries
}

fn write(name: &str, entries: &[Entry]) {
    let mut text = String::new();
    for entry in entries {
        match entry {
            Entry::Other(line) => text.push_str(&format!("{line}\n")),
            Entry::Case(case) => {
                text.push_str(&format!("{}\n", case.written));
                for line in &case.newer {
                    text.push_str(&format!("  {line}\n"));
                }
                for line in &case.older {
                    text.push_str(&format!("  {OLDER} {line}\n"));
                }
            }
        }
    }
    std::fs::write(table(name), text).unwrap();
}

/// The query that a line of the table stands for.
fn query_of(written: &str) -> String {
    written
        .replace('␤', "\n")
        .replace('␉', "\t")
        .replace('∅', "")
}

/// The lines of an answer that 2.42 is compared by, and what it says.
struct Comparison {
    cases: usize,
    equal: usize,
    differences: Vec<String>,
}

/// Asks for every case before `until`, and compares or rewrites the lines of 2.42.
fn compare(
    name: &str,
    until: &str,
    shown: fn(&Case) -> Vec<String>,
    ask: impl Fn(&str) -> Vec<String>,
) -> Comparison {
    let mut entries = read(name);
    let mut result = Comparison {
        cases: 0,
        equal: 0,
        differences: Vec::new(),
    };
    for entry in &mut entries {
        let case = match entry {
            Entry::Other(line) if line.as_str() == until => break,
            Entry::Other(_) => continue,
            Entry::Case(case) => case,
        };
        let theirs = ask(&query_of(&case.written));
        let newer = shown(case);
        result.cases += 1;
        result.equal += usize::from(theirs == newer);
        let recorded = if case.older.is_empty() {
            &newer
        } else {
            &case.older
        };
        if theirs != *recorded {
            result.differences.push(format!(
                "{}\n  recorded {recorded:?}\n  2.42     {theirs:?}",
                case.written
            ));
        }
        case.older = if theirs == newer { Vec::new() } else { theirs };
    }
    if std::env::var_os("UPDATE").is_some() {
        write(name, &entries);
        result.differences.clear();
    }
    result
}

/// No difference but those that the table has, and enough cases without any.
#[track_caller]
fn check(result: &Comparison, equal_at_least: usize) {
    assert!(
        result.equal >= equal_at_least,
        "only {} of {} cases are as in 2.42",
        result.equal,
        result.cases
    );
    assert!(
        result.differences.is_empty(),
        "{}",
        result.differences.join("\n")
    );
}

fn start_prometheus(folder: &tempfile::TempDir) -> Running {
    start("prometheus", &folder.path().join("prometheus"), "", &[])
}

#[test]
fn errors_are_those_of_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = start_prometheus(&folder);
    let ask = |query: &str| {
        let form = [("query", query), ("time", "0")];
        let answer = prometheus.client.post_form("/api/v1/query", &form).unwrap();
        if answer["errorType"] != "bad_data" {
            return vec!["accepted".to_owned()];
        }
        let error = answer["error"].as_str().unwrap();
        let about = error.strip_prefix("invalid parameter \"query\": ");
        vec![about.unwrap_or(error).to_owned()]
    };
    // Only the first error of a query is shown.
    let shown = |case: &Case| {
        let first = case.newer.first().map_or("", String::as_str);
        let accepted = first.starts_with("accepted as ");
        vec![if accepted { "accepted" } else { first }.to_owned()]
    };
    let result = compare("errors.txt", "== all options", shown, ask);
    check(&result, 700);
}

#[test]
fn formatted_queries_are_those_of_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = start_prometheus(&folder);
    let ask = |query: &str| {
        let form = [("query", query)];
        let answer = prometheus
            .client
            .post_form("/api/v1/format_query", &form)
            .unwrap();
        let text = match answer["data"].as_str() {
            Some(text) => text,
            None => answer["error"].as_str().unwrap(),
        };
        text.lines().map(|line| format!("|{line}")).collect()
    };
    let shown = |case: &Case| case.newer.clone();
    let result = compare("formats.txt", "== all options", shown, ask);
    check(&result, 200);
}
