//! `query` and `query_range`: parameters, waiting in line, evaluation off the async runtime.

pub(crate) mod active;
pub(crate) mod explain;
pub(crate) mod log;
mod metrics;
mod queue;
mod run;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use model::PromDuration;
use promql::{CacheUse, EvaluationTimes, QueryRange};

use crate::envelope::ApiError;
use crate::form::Form;
use crate::params;
use explain::ExplainFormat;
use log::Origin;
pub(crate) use run::Queries;

/// Most steps of a range query: enough for 60 s over a week, or an hour over a year. Source:
/// upstream's API.
const MAX_STEPS: i64 = 11_000;

/// A query and its options.
pub(crate) struct QueryRequest {
    query: String,
    times: EvaluationTimes,
    timeout: Duration,
    lookback: Option<PromDuration>,
    limit: Option<usize>,
    stats: Stats,
    /// Whether results that are kept may be part of the answer.
    cache: CacheUse,
    /// Whether the answer says how the query ran, instead of its result.
    analyze: Option<ExplainFormat>,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stats {
    None,
    Wanted,
    /// Wanted for every step, too.
    PerStep,
    /// Wanted, by a value that upstream has deprecated.
    WantedByOtherName,
}

/// Evaluates a query at one time.
pub(crate) async fn instant(
    State(queries): State<Arc<Queries>>,
    origin: Origin,
    form: Form,
) -> Result<Response, ApiError> {
    let now = queries.now();
    let times = |form: &Form| params::time_or(form, "time", now).map(EvaluationTimes::Instant);
    run(queries, origin, &form, times).await
}

/// Evaluates a query at every step of a range of time.
pub(crate) async fn range(
    State(queries): State<Arc<Queries>>,
    origin: Origin,
    form: Form,
) -> Result<Response, ApiError> {
    run(queries, origin, &form, range_times).await
}

/// Runs what a form asks for. Its mistakes are told in upstream's order: `limit`, times, the rest.
async fn run(
    queries: Arc<Queries>,
    origin: Origin,
    form: &Form,
    times: impl FnOnce(&Form) -> Result<EvaluationTimes, ApiError>,
) -> Result<Response, ApiError> {
    let limit = params::limit(form)?;
    let request = QueryRequest::read(form, times(form)?, queries.longest_timeout())?;
    let request = QueryRequest {
        limit,
        origin,
        ..request
    };
    queries.run(request).await
}

/// `start`, `end` and `step`.
pub(crate) fn range_times(form: &Form) -> Result<EvaluationTimes, ApiError> {
    let start = params::required_time(form, "start")?;
    let end = params::required_time(form, "end")?;
    if end < start {
        let cause = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", cause));
    }
    let step = params::parse_duration(form.get("step"))
        .map_err(|cause| ApiError::parameter("step", cause))?;
    if step <= PromDuration::ZERO {
        let cause = "zero or negative query resolution step widths are not accepted. Try a \
                     positive integer";
        return Err(ApiError::parameter("step", cause));
    }
    if end.since(start).as_millis() / step.as_millis() > MAX_STEPS {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)",
        ));
    }
    Ok(EvaluationTimes::Range(QueryRange { start, end, step }))
}

impl QueryRequest {
    /// Reads what all kinds of queries have; `limit`, `analyze` and `origin` are the caller's.
    fn read(form: &Form, times: EvaluationTimes, longest: PromDuration) -> Result<Self, ApiError> {
        let timeout = match form.get("timeout") {
            "" => longest,
            text => params::parse_duration(text)
                .map_err(|cause| ApiError::parameter("timeout", cause))?
                .min(longest),
        };
        let lookback = match form.get("lookback_delta") {
            "" => None,
            text => Some(params::parse_duration(text).map_err(|cause| {
                ApiError::bad_data(format_args!(
                    "error parsing lookback delta duration: {cause}"
                ))
            })?),
        };
        let stats = match form.get("stats") {
            "" => Stats::None,
            "true" => Stats::Wanted,
            "all" => Stats::PerStep,
            _ => Stats::WantedByOtherName,
        };
        // Who asks what a query costs means all of it. The parameter is VictoriaMetrics'.
        let cache = match (stats, form.get("nocache")) {
            (Stats::None, "" | "0" | "false") => CacheUse::Allowed,
            _ => CacheUse::Bypassed,
        };
        Ok(Self {
            query: form.get("query").to_owned(),
            times,
            timeout: timeout.to_std(),
            lookback,
            limit: None,
            stats,
            cache,
            analyze: None,
            origin: Origin::default(),
        })
    }
}
