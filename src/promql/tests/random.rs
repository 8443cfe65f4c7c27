//! Random queries: the engine against an evaluator that goes step by step, in the plainest way.

mod random {
    pub(crate) mod data;
    pub(crate) mod generate;
    pub(crate) mod naive;
}

use model::{Labels, PromDuration, Timestamp};
use promql::{Engine, EngineError, QueryContext, QueryRange, QueryResult, Value};
use proptest::prelude::*;

use random::data::{Data, data};
use random::generate::query;
use random::naive::{Failure, Naive};

const START_MS: i64 = -120_000;

fn close(a: f64, b: f64) -> bool {
    let tolerance = 1e-9 * a.abs().max(b.abs()).max(1.0);
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance
}

type Matrix = Vec<(Labels, Vec<(i64, f64)>)>;

fn matrix(result: QueryResult) -> Matrix {
    match result.value {
        Value::Matrix(series) => series
            .into_iter()
            .map(|series| (series.labels, series.points))
            .collect(),
        other => unreachable!("not a matrix: {other:?}"),
    }
}

/// What the naive evaluator gives for all steps, as a matrix.
fn naive_matrix(naive: &Naive<'_>, range: QueryRange) -> Result<Matrix, Failure> {
    let mut series: std::collections::BTreeMap<Labels, Vec<(i64, f64)>> = Default::default();
    let mut at_ms = range.start.as_millis();
    while at_ms <= range.end.as_millis() {
        for (labels, value) in naive.evaluate(at_ms)? {
            series.entry(labels).or_default().push((at_ms, value));
        }
        at_ms += range.step.as_millis();
    }
    Ok(series.into_iter().collect())
}

fn is_about_labels(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::DuplicateLabelset
            | EngineError::DuplicateOnOneSide { .. }
            | EngineError::ImplicitManyToOne
            | EngineError::AmbiguousGrouping
    )
}

fn check(data: &Data, text: &str, steps: i64, step_ms: i64) -> Result<(), TestCaseError> {
    let engine = Engine::default();
    let query = engine.parse(text).expect("generated queries are valid");
    let range = QueryRange {
        start: Timestamp::from_millis(START_MS),
        end: Timestamp::from_millis(START_MS + steps * step_ms),
        step: PromDuration::from_millis(step_ms),
    };
    let naive = Naive {
        data,
        expr: query.expr(),
        range,
    };
    let got = engine.range_parsed(&data.storage, &query, range, QueryContext::default());
    match (naive_matrix(&naive, range), got) {
        (Ok(want), Ok(got)) => {
            let got = matrix(got);
            let labels = |matrix: &Matrix| {
                matrix
                    .iter()
                    .map(|(labels, _)| labels.clone())
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(labels(&got), labels(&want), "{}", text);
            for ((labels, got), (_, want)) in got.iter().zip(&want) {
                let is_equal = got.len() == want.len()
                    && got
                        .iter()
                        .zip(want)
                        .all(|(a, b)| a.0 == b.0 && close(a.1, b.1));
                prop_assert!(
                    is_equal,
                    "{} {}\n got {:?}\nwant {:?}",
                    text,
                    labels,
                    got,
                    want
                );
            }
        }
        (Err(Failure), Err(error)) => {
            prop_assert!(is_about_labels(&error), "{}: {}", text, error);
        }
        (Ok(want), Err(error)) => {
            // Subqueries are evaluated between the windows of far steps too, as upstream does.
            let is_between = text.contains(':') && is_about_labels(&error);
            prop_assert!(is_between, "{}: {} instead of {:?}", text, error, want);
        }
        (Err(Failure), Ok(got)) => {
            // Operators do not read series that cannot match, so that they miss errors in them.
            let has_operator = text.contains(") ");
            prop_assert!(has_operator, "{} should fail, got {:?}", text, matrix(got));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn queries_give_what_going_step_by_step_gives(
        seed in 0_u64..1_000,
        text in query(),
        steps in 0_i64..40,
        step_ms in prop_oneof![Just(15_000), Just(60_000), Just(37_000), Just(400_000)],
    ) {
        check(&data(seed), &text, steps, step_ms)?;
    }
}
