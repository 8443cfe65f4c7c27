//! Runs a script: loads, evaluates each query in several forms, compares.

mod check;

use std::sync::Arc;

use model::{PromDuration, Timestamp};
use promql::{
    Engine, EngineOptions, NameRemoval, QueryContext, SampleValue, Series, Value, VectorSample,
};
use promql_syntax::ParserOptions;
use promql_syntax::ast::Expr;

use super::compare::{
    Expected, check_matrix, check_matrix_order, check_vector, describe_matrix, describe_vector,
};
use super::load::store;
use super::pinned::{follows_query_range, pinned_variant};
use super::report::{CaseResult, Failure, Outcome, ScriptReport};
use super::script::{Command, Eval, EvalTime, Script};
use super::storage::ScriptStorage;
use check::{
    Check, check_instant, check_result, check_scalar_series, check_value, expected_value,
    wrong_type,
};

/// Distance between the steps of the range query that repeats an instant one.
const RANGE_STEP: PromDuration = PromDuration::from_millis(60_000);

/// How a script is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunOptions {
    /// As it stands.
    #[default]
    Plain,
    /// The storage engine is closed and opened again between loading and evaluating.
    RestartAfterLoad,
}

/// The settings that scripts are written for: delayed name removal, start timestamps, all parser
/// options, a lookback of five minutes, subqueries with steps of one minute, at most 10,000 samples
/// a query.
#[must_use]
pub fn engine_options() -> EngineOptions {
    EngineOptions {
        parser: ParserOptions::all(),
        name_removal: NameRemoval::Delayed,
        lookback_delta: PromDuration::from_secs(300),
        default_subquery_step: PromDuration::from_secs(60),
        max_samples: 10_000,
        use_start_timestamps: true,
        ..EngineOptions::default()
    }
}

/// Runs a script on an engine that may hold data of an earlier one; it is cleared first.
pub fn run_script(
    text: &str,
    storage: &mut dyn ScriptStorage,
    engine: &Engine,
    options: RunOptions,
) -> ScriptReport {
    let mut runner = Runner {
        storage,
        engine,
        options,
        broken: None,
        restart_is_due: false,
    };
    let mut report = ScriptReport::default();
    runner.clear();
    for command in Script::parse(text).commands {
        match command {
            Ok(Command::Clear) => runner.clear(),
            Ok(Command::Load(load)) => {
                if let Err(reason) = store(&load, runner.storage.appender()) {
                    runner.break_all(format!("load in line {} failed: {reason}", load.line));
                }
                runner.restart_is_due = options == RunOptions::RestartAfterLoad;
            }
            Ok(Command::Eval(eval)) => {
                let outcome = runner
                    .evaluate(&eval)
                    .map_or_else(|it| it, |()| Outcome::Passed);
                report.cases.push(CaseResult {
                    line: eval.line,
                    query: eval.query,
                    outcome,
                });
            }
            Err(error) => report.cases.push(CaseResult {
                line: error.line,
                query: String::new(),
                outcome: Outcome::Failed(Failure {
                    variant: "script".to_owned(),
                    reason: error.kind.to_string(),
                    ..Failure::default()
                }),
            }),
        }
    }
    report
}

struct Runner<'a> {
    storage: &'a mut dyn ScriptStorage,
    engine: &'a Engine,
    options: RunOptions,
    /// Why nothing of the storage can be trusted up to the next `clear`.
    broken: Option<String>,
    restart_is_due: bool,
}

/// One way to run an instant query.
struct Variant<'a> {
    query: &'a str,
    at: Timestamp,
    form: Form,
}

/// Whose text a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The script's, so that positions in messages are known.
    AsWritten,
    /// A variant of it.
    Pinned,
}

impl Runner<'_> {
    fn clear(&mut self) {
        self.broken = None;
        self.restart_is_due = false;
        if let Err(error) = self.storage.clear() {
            self.break_all(format!("storage was not cleared: {error}"));
        }
    }

    /// From here to the next `clear`, no case counts.
    fn break_all(&mut self, reason: String) {
        self.broken.get_or_insert(reason);
    }

    fn evaluate(&mut self, eval: &Eval) -> Check {
        if std::mem::take(&mut self.restart_is_due)
            && self.options == RunOptions::RestartAfterLoad
            && let Err(error) = self.storage.restart()
        {
            self.break_all(format!("storage was not reopened: {error}"));
        }
        if let Some(reason) = &self.broken {
            return Err(Outcome::Unsupported(reason.clone()));
        }
        let parsed = promql_syntax::parse_expr(&eval.query, &ParserOptions::all()).ok();
        let expected = expected_value(eval)?;
        match eval.time {
            EvalTime::Instant(at) => self.evaluate_instant(eval, &expected, (parsed.as_ref(), at)),
            EvalTime::Range { start, end, step } => {
                let context = || {
                    (
                        format!("range {start}..{end} by {step}"),
                        expected.describe(),
                    )
                };
                let result = self.engine.range(
                    self.storage.queryable(),
                    &eval.query,
                    start,
                    end,
                    step,
                    QueryContext::default(),
                );
                check_result(eval, result, Form::AsWritten, &context, |value| {
                    match (&expected, value) {
                        (Expected::Series(series), Value::Matrix(got)) => {
                            let checked = check_matrix_order(got)
                                .and_then(|()| check_matrix(series, (start, step), got));
                            checked.map_err(|reason| (reason, describe_matrix(got)))
                        }
                        (_, other) => Err(wrong_type(other)),
                    }
                })
            }
        }
    }

    fn evaluate_instant(
        &self,
        eval: &Eval,
        expected: &Expected,
        (parsed, at): (Option<&Expr>, Timestamp),
    ) -> Check {
        let query = eval.query.as_str();
        self.check_at(
            eval,
            expected,
            Variant {
                query,
                at,
                form: Form::AsWritten,
            },
        )?;
        let repeats = repeats_as_range(eval);
        if repeats && !parsed.is_some_and(follows_query_range) {
            self.check_around(expected, query, at)?;
        }
        let Some((query, times)) = parsed.and_then(|expr| pinned_variant(expr, at)) else {
            return Ok(());
        };
        for at in times {
            self.check_at(
                eval,
                expected,
                Variant {
                    query: &query,
                    at,
                    form: Form::Pinned,
                },
            )?;
            if repeats {
                self.check_around(expected, &query, at)?;
            }
        }
        Ok(())
    }

    /// Runs an instant query.
    fn check_at(&self, eval: &Eval, expected: &Expected, variant: Variant<'_>) -> Check {
        let Variant { query, at, form } = variant;
        let context = || (format!("{query} at {at}"), expected.describe());
        let storage = self.storage.queryable();
        let result = self
            .engine
            .instant(storage, query, at, QueryContext::default());
        check_result(eval, result, form, &context, |value| {
            check_instant(eval, expected, value)
        })
    }

    /// Runs a query of which `at` is the middle one of three steps.
    fn check_around(&self, expected: &Expected, query: &str, at: Timestamp) -> Check {
        let (start, end) = (at.saturating_sub(RANGE_STEP), at.saturating_add(RANGE_STEP));
        let context = || (format!("{query} around {at}"), expected.describe());
        let storage = self.storage.queryable();
        let result = self.engine.range(
            storage,
            query,
            start,
            end,
            RANGE_STEP,
            QueryContext::default(),
        );
        check_value(result, &context, |value| {
            let Value::Matrix(matrix) = value else {
                return Err(wrong_type(value));
            };
            let middle = values_at(matrix, at);
            check_matrix_order(matrix)
                .and_then(|()| match expected {
                    Expected::Scalar(want) => check_scalar_series(*want, &middle),
                    Expected::Series(series) => check_vector(series, &middle, false),
                    Expected::String(_) => Ok(()),
                })
                .map_err(|reason| (reason, describe_vector(&middle)))
        })
    }
}

/// Whether an instant query can be asked as a range query too. Texts and range vectors have no
/// steps, and ranges are always in order of labels.
fn repeats_as_range(eval: &Eval) -> bool {
    let expectation = &eval.expectation;
    expectation.fail.is_none()
        && !expectation.ordered
        && expectation.string.is_none()
        && expectation.range_vector.is_none()
}

fn values_at(matrix: &[Series], at: Timestamp) -> Vec<VectorSample> {
    let at_ms = at.as_millis();
    let mut values = Vec::with_capacity(matrix.len());
    for series in matrix {
        let float = series.points.iter().find(|(time, _)| *time == at_ms);
        let histogram = series.histograms.iter().find(|(time, _)| *time == at_ms);
        let value = match (float, histogram) {
            (Some((_, value)), _) => SampleValue::Float(*value),
            (None, Some((_, histogram))) => SampleValue::Histogram(Arc::clone(histogram)),
            (None, None) => continue,
        };
        values.push(VectorSample {
            labels: series.labels.clone(),
            timestamp: at,
            value,
        });
    }
    values
}
