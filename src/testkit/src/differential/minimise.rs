//! Smaller cases that still differ.

use promql_syntax::ast::ValueType;
use promql_syntax::{Expr, ParserOptions, parse_expr};

use super::case::{Case, CaseOutcome};
use super::chunked::{TestData, run_case};
use super::run::load;
use crate::promqltest::ScriptStorage;
use crate::reference::Dataset;

/// How many smaller cases are tried.
const MAX_TRIES: usize = 400;

/// The smallest case found that still differs, with the series it needs and the difference.
/// Leaves other data in `storage`.
#[must_use]
pub fn minimised(
    case: &Case,
    data: &Dataset,
    difference: String,
    storage: &mut dyn ScriptStorage,
) -> (Case, Dataset, String) {
    let mut best = (case.clone(), data.clone(), difference);
    let mut tries = 0;
    loop {
        let mut is_better = false;
        for (case, data) in smaller(&best.0, &best.1) {
            tries += 1;
            if tries > MAX_TRIES {
                return best;
            }
            // Parts of a query may not parse alone, such as the labels that info() is given.
            if parse_expr(&case.query, &ParserOptions::all()).is_err()
                || load(&data, storage).is_err()
            {
                continue;
            }
            let Ok(data) = TestData::new(data) else {
                continue;
            };
            if let CaseOutcome::Different(difference) =
                run_case(&case, &data, storage.queryable()).outcome
            {
                best = (case, data.dataset, difference);
                is_better = true;
                break;
            }
        }
        if !is_better {
            return best;
        }
    }
}

/// Cases that are one step smaller.
fn smaller(case: &Case, data: &Dataset) -> Vec<(Case, Dataset)> {
    let mut found = Vec::new();
    if let Ok(expr) = parse_expr(&case.query, &ParserOptions::all()) {
        for query in smaller_queries(&expr) {
            let case = Case {
                query,
                ..case.clone()
            };
            found.push((case, data.clone()));
        }
    }
    if case.times.step_ms > 0 && case.times.end > case.times.start {
        let mut shorter = case.clone();
        let half_ms = (case.times.end.as_millis() - case.times.start.as_millis()) / 2;
        shorter.times.end = model::Timestamp::from_millis(case.times.start.as_millis() + half_ms);
        found.push((shorter, data.clone()));
    }
    let half = data.series.len() / 2;
    if half > 0 {
        for part in [&data.series[..half], &data.series[half..]] {
            let series = part.to_vec();
            found.push((case.clone(), Dataset { series }));
        }
        for index in 0..data.series.len() {
            let mut series = data.series.clone();
            series.remove(index);
            found.push((case.clone(), Dataset { series }));
        }
    }
    found
}

/// The query with one node replaced by a part of that node.
fn smaller_queries(expr: &Expr) -> Vec<String> {
    let mut count = 0;
    expr.walk(|_| count += 1);
    let mut found = Vec::new();
    for target in 0..count {
        let mut node = None;
        let mut index = 0;
        expr.walk(|candidate| {
            if index == target {
                node = Some(candidate);
            }
            index += 1;
        });
        let Some(node) = node else { continue };
        let mut parts = Vec::new();
        node.walk(|part| parts.push(part));
        for part in parts.into_iter().skip(1) {
            if part.value_type() == node.value_type() && part.value_type() != ValueType::None {
                found.push(replaced(expr, target, part).to_string());
            }
        }
    }
    found.sort_by_key(String::len);
    found.dedup();
    found
}

fn replaced(expr: &Expr, target: usize, part: &Expr) -> Expr {
    let mut copy = expr.clone();
    let mut index = 0;
    copy.walk_mut(|node| {
        if index == target {
            *node = part.clone();
        }
        index += 1;
    });
    copy
}
