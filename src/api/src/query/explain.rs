//! `/api/firewatch/v1/query/explain`: how a query is run, as a plan before and after each rule of the
//! optimiser. With `analyze` the query runs, and every part of its plan says what it cost.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use promql::explain::{PlanTrace, PlanTree};
use promql::{EvaluationTimes, QueryContext};

use super::log::Origin;
use super::run::{Queries, engine_error};
use super::{QueryRequest, range_times};
use crate::envelope::{ApiError, success_with_warnings, text_response};
use crate::form::Form;
use crate::json::{Object, push_array, push_number};
use crate::params;

/// How an explanation is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExplainFormat {
    Json,
    Text,
}

/// Explains a query, at one time or, with `start`, `end` and `step`, over a range of time.
pub(crate) async fn explain(
    State(queries): State<Arc<Queries>>,
    origin: Origin,
    form: Form,
) -> Result<Response, ApiError> {
    let times = match form.get("start") {
        "" => EvaluationTimes::Instant(params::time_or(&form, "time", queries.now())?),
        _ => range_times(&form)?,
    };
    let format = match form.get("format") {
        "" | "json" => ExplainFormat::Json,
        "text" => ExplainFormat::Text,
        other => return Err(unknown("format", other, "json or text")),
    };
    let request = QueryRequest::read(&form, times, queries.longest_timeout())?;
    match form.get("analyze") {
        "" | "false" => queries.plan(request, format).await,
        "true" => {
            let request = QueryRequest {
                origin,
                analyze: Some(format),
                ..request
            };
            queries.run(request).await
        }
        other => Err(unknown("analyze", other, "true or false")),
    }
}

fn unknown(name: &str, value: &str, known: &str) -> ApiError {
    let value = model::quote::quoted(value);
    ApiError::parameter(name, format_args!("{value} is not {known}"))
}

impl Queries {
    /// The plan of a query that is not run.
    async fn plan(
        &self,
        request: QueryRequest,
        format: ExplainFormat,
    ) -> Result<Response, ApiError> {
        let engine = Arc::clone(&self.parts.engine);
        let work = move || {
            let query = engine.parse(&request.query)?;
            let context = QueryContext {
                lookback_delta: request.lookback,
                ..QueryContext::default()
            };
            engine.explain(&query, request.times, &context)
        };
        let trace = self.parts.query_pool.run(work).await?;
        let trace = trace.map_err(|error| engine_error(&error))?;
        Ok(respond(trace.as_ref(), None, &[], format))
    }
}

/// Writes an explanation; `stats` is the value of that key.
pub(super) fn respond(
    trace: Option<&PlanTrace>,
    stats: Option<&str>,
    warnings: &[String],
    format: ExplainFormat,
) -> Response {
    if format == ExplainFormat::Text {
        let text = trace.map_or_else(|| "no steps\n".to_owned(), ToString::to_string);
        return text_response(StatusCode::OK, text);
    }
    success_with_warnings(warnings, |out| match trace {
        Some(trace) => push_trace(trace, stats, out),
        None => out.push_str("null"),
    })
}

fn push_trace(trace: &PlanTrace, stats: Option<&str>, out: &mut String) {
    let mut object = Object::begin(out);
    let mut steps = Object::begin(object.key("steps"));
    push_number(trace.steps.first.as_seconds(), steps.key("first"));
    steps
        .integer(
            "count",
            u64::try_from(trace.steps.count).unwrap_or(u64::MAX),
        )
        .number("stepSeconds", trace.steps.step.as_seconds());
    steps.end();
    push_tree(&trace.built, object.key("built"));
    push_array(&trace.rules, object.key("rules"), |rule, out| {
        let mut object = Object::begin(out);
        object
            .string("rule", rule.rule)
            .boolean("changed", rule.changed);
        push_tree(&rule.plan, object.key("plan"));
        object.end();
    });
    push_tree(&trace.optimised, object.key("optimised"));
    if let Some(stats) = stats {
        object.key("stats").push_str(stats);
    }
    object.end();
}

/// Recursive: the parser bounds the depth of queries, and so of plans.
fn push_tree(tree: &PlanTree, out: &mut String) {
    let mut object = Object::begin(out);
    object.string("operation", &tree.operation);
    let position = [tree.position.start, tree.position.end];
    push_array(position, object.key("position"), |at, out| {
        out.push_str(&at.to_string());
    });
    if let Some(usage) = &tree.usage {
        let mut shown = Object::begin(object.key("usage"));
        shown
            .number("seconds", usage.time.as_secs_f64())
            .integer("series", usage.series)
            .integer("samples", usage.samples)
            .integer("bytes", usage.bytes);
        shown.end();
    }
    push_array(&tree.inputs, object.key("inputs"), push_tree);
    object.end();
}
