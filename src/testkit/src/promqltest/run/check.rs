//! Compares one result with everything that the script says of it.

use promql::{EngineError, QueryResult, Value, VectorSample};

use super::super::compare::{
    Expected, almost_equal, check_matrix, check_vector, describe_matrix, describe_vector,
};
use super::super::load::parse_series;
use super::super::report::{Failure, Outcome};
use super::super::script::{Eval, EvalTime, ResultLine, TextPattern};
use super::Form;

/// Passing is `Ok`.
pub(super) type Check = Result<(), Outcome>;

pub(super) fn check_scalar_series(want: f64, got: &[VectorSample]) -> Result<(), String> {
    match got {
        [sample]
            if sample.labels.is_empty()
                && sample
                    .value
                    .as_float()
                    .is_some_and(|value| almost_equal(want, value)) =>
        {
            Ok(())
        }
        _ => Err("want one series without labels".to_owned()),
    }
}

pub(super) fn check_instant(
    eval: &Eval,
    expected: &Expected,
    value: &Value,
) -> Result<(), (String, String)> {
    match (expected, value) {
        (Expected::Scalar(want), Value::Scalar { value, .. }) => {
            if almost_equal(*want, *value) {
                return Ok(());
            }
            Err((
                "different value".to_owned(),
                model::number::format_general(*value),
            ))
        }
        (Expected::String(want), Value::String(text)) if want == text => Ok(()),
        (Expected::String(_), Value::String(text)) => Err((
            "different text".to_owned(),
            model::quote::quoted(text).to_string(),
        )),
        (Expected::Series(series), Value::Vector(got)) => {
            check_vector(series, got, eval.expectation.ordered)
                .map_err(|reason| (reason, describe_vector(got)))
        }
        (Expected::Series(series), Value::Matrix(got)) => {
            let Some((start, _, step)) = eval.expectation.range_vector else {
                return Err(wrong_type(value));
            };
            check_matrix(series, (start, step), got)
                .map_err(|reason| (reason, describe_matrix(got)))
        }
        _ => Err(wrong_type(value)),
    }
}

pub(super) fn wrong_type(value: &Value) -> (String, String) {
    let (kind, text) = match value {
        Value::Scalar { value, .. } => ("a scalar", model::number::format_general(*value)),
        Value::String(text) => ("a string", text.clone()),
        Value::Vector(vector) => ("an instant vector", describe_vector(vector)),
        Value::Matrix(matrix) => ("a range vector", describe_matrix(matrix)),
    };
    (format!("did not expect {kind}"), text)
}

/// Where a query ran and what was expected, for reports.
pub(super) type Context<'a> = &'a dyn Fn() -> (String, String);

fn failed(context: Context<'_>, reason: String, got: String) -> Outcome {
    let (variant, expected) = context();
    Outcome::Failed(Failure {
        variant,
        reason,
        expected,
        got,
    })
}

pub(super) fn check_value(
    result: Result<QueryResult, EngineError>,
    context: Context<'_>,
    compare: impl FnOnce(&Value) -> Result<(), (String, String)>,
) -> Check {
    let result = result.map_err(|error| {
        failed(
            context,
            format!("query failed: {}", base::report(&error)),
            String::new(),
        )
    })?;
    compare(&result.value).map_err(|(reason, got)| failed(context, reason, got))
}

/// Checks everything that the script says of a result.
pub(super) fn check_result(
    eval: &Eval,
    result: Result<QueryResult, EngineError>,
    form: Form,
    context: Context<'_>,
    compare: impl FnOnce(&Value) -> Result<(), (String, String)>,
) -> Check {
    let Some(patterns) = &eval.expectation.fail else {
        if let Ok(result) = &result {
            check_annotations(eval, result, form)
                .map_err(|(reason, got)| failed(context, reason, got))?;
        }
        return check_value(result, context, compare);
    };
    let Err(error) = result else {
        return Err(failed(
            context,
            "query should have failed".to_owned(),
            String::new(),
        ));
    };
    let message = error.to_string();
    match patterns.iter().find(|pattern| !pattern.matches(&message)) {
        Some(pattern) if form == Form::AsWritten => Err(failed(
            context,
            format!("want error {:?}", pattern.as_str()),
            message,
        )),
        _ => Ok(()),
    }
}

fn check_annotations(
    eval: &Eval,
    result: &QueryResult,
    form: Form,
) -> Result<(), (String, String)> {
    let expectation = &eval.expectation;
    let (warnings, infos) = (&result.annotations.warnings, &result.annotations.infos);
    for (kind, wanted, refused, found) in [
        ("warning", &expectation.warn, expectation.no_warn, warnings),
        ("info", &expectation.info, expectation.no_info, infos),
    ] {
        if refused && !found.is_empty() {
            return Err((format!("did not expect any {kind}"), found.join("\n")));
        }
        let Some(patterns) = wanted else { continue };
        if found.is_empty() {
            return Err((format!("want some {kind}"), "none".to_owned()));
        }
        // Messages end with their position in the query, which other forms of it shift.
        if form == Form::AsWritten && !patterns.is_empty() {
            check_messages(patterns, found)
                .map_err(|why| (format!("{kind}: {why}"), found.join("\n")))?;
        }
    }
    Ok(())
}

/// Each pattern must describe a message, and each message must be described.
fn check_messages(patterns: &[TextPattern], found: &[String]) -> Result<(), String> {
    if let Some(missing) = patterns
        .iter()
        .find(|pattern| !found.iter().any(|text| pattern.matches(text)))
    {
        return Err(format!("want {:?}", missing.as_str()));
    }
    match found
        .iter()
        .find(|text| !patterns.iter().any(|pattern| pattern.matches(text)))
    {
        None => Ok(()),
        Some(extra) => Err(format!("did not expect {extra:?}")),
    }
}

/// Reads the result lines of a case.
pub(super) fn expected_value(eval: &Eval) -> Result<Expected, Outcome> {
    let is_range = matches!(eval.time, EvalTime::Range { .. });
    let broken = |line: usize, reason: String| {
        Outcome::Failed(Failure {
            variant: "script".to_owned(),
            reason: format!("line {line}: {reason}"),
            ..Failure::default()
        })
    };
    if let Some(text) = &eval.expectation.string {
        return Ok(Expected::String(text.clone()));
    }
    let mut series = Vec::new();
    for line in &eval.results {
        match line {
            ResultLine::Scalar(value) if eval.results.len() == 1 && !is_range => {
                return Ok(Expected::Scalar(*value));
            }
            ResultLine::Scalar(_) => {
                return Err(broken(
                    eval.line,
                    "a bare number must stand alone".to_owned(),
                ));
            }
            ResultLine::Series(number, text) => {
                series.push(parse_series(*number, text).map_err(|error| broken(*number, error))?);
            }
        }
    }
    Ok(Expected::Series(series))
}
