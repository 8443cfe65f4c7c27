//! `query` and `query_range`: parameters, waiting in line, evaluation off the async runtime.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Response;
use base::metrics::{Counter, Gauge, Histogram, Registry};
use base::{ErrorKind, SharedClock};
use model::{PromDuration, Timestamp};
use promql::{EngineError, QueryContext, QueryResult};
use tokio::sync::Semaphore;

use crate::cancel::CancelOnDrop;
use crate::envelope::ApiError;
use crate::form::Form;
use crate::params;
use crate::parts::{Parts, Storage};
use crate::reply::{Reply, Timings, push_stats};

/// Most steps of a range query: enough for 60 s over a week, or an hour over a year. Source:
/// upstream's API.
const MAX_STEPS: i64 = 11_000;

const STATS_DEPRECATED: &str =
    "stats parameter values other than \"true\" or \"all\" are deprecated";

/// Runs queries, so many at a time.
pub(crate) struct Queries {
    parts: Parts,
    clock: SharedClock,
    slots: Arc<Semaphore>,
    metrics: QueryMetrics,
}

#[derive(Clone)]
struct QueryMetrics {
    waiting_or_running: Gauge,
    queue_seconds: Histogram,
    evaluation_seconds: Histogram,
    samples: Counter,
    samples_read: Counter,
}

/// A query and its options.
struct QueryRequest {
    query: String,
    times: Times,
    timeout: Duration,
    lookback: Option<PromDuration>,
    limit: Option<usize>,
    stats: Stats,
}

#[derive(Clone, Copy)]
enum Times {
    Instant(Timestamp),
    Range {
        start: Timestamp,
        end: Timestamp,
        step: PromDuration,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stats {
    None,
    Wanted,
    /// Wanted, by a value that upstream has deprecated.
    WantedByOtherName,
}

/// Evaluates a query at one time.
pub(crate) async fn instant(
    State(queries): State<Arc<Queries>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = params::limit(&form)?;
    let at = params::time_or(&form, "time", queries.clock.now())?;
    let request = queries.request(&form, Times::Instant(at), limit)?;
    queries.run(request).await
}

/// Evaluates a query at every step of a range of time.
pub(crate) async fn range(
    State(queries): State<Arc<Queries>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = params::limit(&form)?;
    let start = params::required_time(&form, "start")?;
    let end = params::required_time(&form, "end")?;
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
    let request = queries.request(&form, Times::Range { start, end, step }, limit)?;
    queries.run(request).await
}

impl Queries {
    pub(crate) fn new(parts: &Parts) -> Self {
        let most = parts
            .settings
            .query_max_concurrency
            .clamp(1, Semaphore::MAX_PERMITS);
        let metrics = QueryMetrics::new(&parts.registry, most);
        let (slots, clock) = (Arc::new(Semaphore::new(most)), Arc::clone(&parts.clock));
        Self {
            parts: parts.clone(),
            clock,
            slots,
            metrics,
        }
    }

    fn request(
        &self,
        form: &Form,
        times: Times,
        limit: Option<usize>,
    ) -> Result<QueryRequest, ApiError> {
        let longest = self.parts.settings.query_timeout;
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
            "true" | "all" => Stats::Wanted,
            _ => Stats::WantedByOtherName,
        };
        let query = form.get("query").to_owned();
        Ok(QueryRequest {
            query,
            times,
            timeout: timeout.to_std(),
            lookback,
            limit,
            stats,
        })
    }

    /// Waits for a slot, evaluates, and writes the answer. When the client goes away this future is
    /// dropped, and the query stops.
    async fn run(&self, request: QueryRequest) -> Result<Response, ApiError> {
        let started = Instant::now();
        let deadline = started.checked_add(request.timeout).unwrap_or(started);
        let storage = self.parts.storage.get()?;
        let _counted = Counted::new(&self.metrics.waiting_or_running);
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) if !request.timeout.is_zero() => slot,
            _ => tokio::time::timeout_at(deadline.into(), Arc::clone(&self.slots).acquire_owned())
                .await
                .ok()
                .and_then(Result::ok)
                .filter(|_| !request.timeout.is_zero())
                .ok_or_else(|| {
                    ApiError::new(ErrorKind::Timeout, "query timed out in query queue")
                })?,
        };
        let queue_seconds = started.elapsed().as_secs_f64();
        self.metrics.queue_seconds.observe(queue_seconds);
        let guard = CancelOnDrop::new();
        let context = QueryContext {
            stop: Some(guard.stop_check(deadline)),
            lookback_delta: request.lookback,
        };
        let engine = Arc::clone(&self.parts.engine);
        let metrics = self.metrics.clone();
        let done = self.parts.query_pool.run(move || {
            let _slot = slot;
            let evaluation = Instant::now();
            let result = evaluate(&engine, &storage, &request, context);
            let evaluation_seconds = evaluation.elapsed().as_secs_f64();
            metrics.evaluation_seconds.observe(evaluation_seconds);
            let result = result.map_err(|error| engine_error(&error))?;
            metrics.samples.add(result.stats.queryable_samples);
            metrics.samples_read.add(result.stats.samples_read);
            Ok(respond(
                result,
                &request,
                Timings {
                    queue_seconds,
                    evaluation_seconds,
                },
            ))
        });
        let answer = done.await?;
        drop(guard);
        answer
    }
}

fn evaluate(
    engine: &promql::Engine,
    storage: &Storage,
    request: &QueryRequest,
    context: QueryContext,
) -> Result<QueryResult, EngineError> {
    let queryable = &*storage.queryable;
    match request.times {
        Times::Instant(at) => engine.instant(queryable, &request.query, at, context),
        Times::Range { start, end, step } => {
            engine.range(queryable, &request.query, start, end, step, context)
        }
    }
}

/// What is wrong with the text of a query is told as a wrong parameter.
fn engine_error(error: &EngineError) -> ApiError {
    match error.kind() {
        ErrorKind::BadData => ApiError::parameter("query", error),
        kind => ApiError::new(kind, error.to_string()),
    }
}

fn respond(mut result: QueryResult, request: &QueryRequest, timings: Timings) -> Response {
    let at = match request.times {
        Times::Instant(at) | Times::Range { start: at, .. } => at,
    };
    let stats = (request.stats != Stats::None).then(|| {
        let mut text = String::new();
        push_stats(timings, &result.stats, &mut text);
        text
    });
    if request.stats == Stats::WantedByOtherName {
        result
            .annotations
            .warnings
            .push(STATS_DEPRECATED.to_owned());
    }
    let mut reply = Reply::new(result, at, stats);
    if let Some(limit) = request.limit {
        reply.truncate(limit);
    }
    reply.into_response()
}

/// Counts a query from its arrival to its end.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.add(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

impl QueryMetrics {
    #[expect(clippy::cast_precision_loss, reason = "gauges hold float64")]
    fn new(registry: &Registry, most: usize) -> Self {
        registry
            .gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
                &[],
            )
            .set(most as f64);
        let seconds = |slice| {
            registry.histogram(
                "prometheus_engine_query_duration_histogram_seconds",
                "The duration of various parts of PromQL query execution.",
                &[("slice", slice)],
                &[0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0],
            )
        };
        Self {
            waiting_or_running: registry.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
                &[],
            ),
            queue_seconds: seconds("queue_time"),
            evaluation_seconds: seconds("inner_eval"),
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries.",
                &[],
            ),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read from storage by all queries.",
                &[],
            ),
        }
    }
}
