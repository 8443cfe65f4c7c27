//! Runs queries: the line, the thread pool, the answer, the logs.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use base::ErrorKind;
use model::{PromDuration, Timestamp};
use promql::explain::Analysis;
use promql::{
    EngineError, EvaluationTimes, QueryContext, QueryStats, StepStats, StopCheck, StopReason,
};

use super::log::LoggedQuery;
use super::metrics::{Counted, QueryMetrics};
use super::queue::{QueryQueue, Turn};
use super::{QueryRequest, Stats, explain};
use crate::cancel::CancelOnDrop;
use crate::envelope::{ApiError, MAX_ANNOTATIONS};
use crate::parts::{Parts, Storage};
use crate::reply::{Reply, Timings, push_stats};

/// The part of the work that upstream's error texts name: before the query runs.
const QUEUE: &str = "query queue";

const STATS_DEPRECATED: &str =
    "stats parameter values other than \"true\" or \"all\" are deprecated";

/// Runs queries, so many at a time.
pub(crate) struct Queries {
    pub(super) parts: Parts,
    queue: QueryQueue,
    metrics: QueryMetrics,
}

/// A query that has not begun. Dropped before that, it counts as canceled.
struct Pending {
    queries: Arc<Queries>,
    request: Option<QueryRequest>,
    /// When it came, on the stopwatch.
    arrived: Duration,
    _counted: Counted,
}

impl Queries {
    pub(crate) fn new(parts: &Parts) -> Self {
        let most = parts.settings.query_max_concurrency;
        let queue = QueryQueue::new(most, parts.query_memory.clone());
        Self {
            metrics: QueryMetrics::new(&parts.registry, queue.size()),
            parts: parts.clone(),
            queue,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn longest_timeout(&self) -> PromDuration {
        self.parts.settings.query_timeout
    }

    /// Waits for a turn, evaluates, and writes the answer. When the client goes away this future is
    /// dropped, and the query stops.
    pub(crate) async fn run(self: Arc<Self>, request: QueryRequest) -> Result<Response, ApiError> {
        let storage = self.parts.storage.get()?;
        let timeout = request.timeout;
        let arrived = self.parts.stopwatch.elapsed();
        let mut pending = Pending {
            _counted: Counted::new(&self.metrics.waiting_or_running),
            queries: Arc::clone(&self),
            request: Some(request),
            arrived,
        };
        let Some(turn) = self.queue.turn(timeout).await else {
            return Err(pending.give_up(StopReason::Timeout));
        };
        let guard = CancelOnDrop::new();
        let deadline = arrived.saturating_add(timeout);
        let stop = guard.stop_check(Arc::clone(&self.parts.stopwatch), deadline);
        let work = move || pending.execute(&storage, &turn, stop);
        let answer = self.parts.query_pool.run(work).await?;
        drop(guard);
        answer
    }

    /// Writes the query log.
    fn log(&self, request: &QueryRequest, stats: &str, error: Option<&EngineError>) {
        if !self.parts.query_log.is_on() {
            return;
        }
        let (start, end, step) = match request.times {
            EvaluationTimes::Instant(at) => (at, at, PromDuration::ZERO),
            EvaluationTimes::Range(range) => (range.start, range.end, range.step),
        };
        let error = error.map(ToString::to_string);
        let logged = LoggedQuery {
            query: &request.query,
            start,
            end,
            step,
            error: error.as_deref(),
            stats,
            origin: &request.origin,
        };
        self.parts.query_log.write(self.now(), &logged);
    }
}

impl Pending {
    /// Ends a query that never began.
    fn give_up(&mut self, reason: StopReason) -> ApiError {
        let error = match reason {
            StopReason::Timeout => EngineError::Timeout(QUEUE),
            StopReason::Canceled => EngineError::Canceled(QUEUE),
        };
        let told = engine_error(&error);
        let Some(request) = self.request.take() else {
            return told;
        };
        let timings = Timings {
            queue_seconds: self.waited(),
            ..Timings::default()
        };
        let queries = Arc::clone(&self.queries);
        let pool = queries.parts.ingest_pool.clone();
        // Off the async runtime; when that pool is full, a line of the log is the least of it.
        let _unlogged = pool.spawn(move || {
            let stats = stats_text(timings, &QueryStats::default(), None);
            queries.log(&request, &stats, Some(&error));
        });
        told
    }

    fn waited(&self) -> f64 {
        let now = self.queries.parts.stopwatch.elapsed();
        now.saturating_sub(self.arrived).as_secs_f64()
    }

    /// Evaluates and writes the answer's beginning. CPU-bound.
    fn execute(
        mut self,
        storage: &Storage,
        turn: &Turn,
        stop: StopCheck,
    ) -> Result<Response, ApiError> {
        if let Some(reason) = stop() {
            return Err(self.give_up(reason));
        }
        let Some(request) = self.request.take() else {
            return Err(ApiError::new(ErrorKind::Internal, "query ran before"));
        };
        let queries = &*self.queries;
        let mut timings = Timings {
            queue_seconds: self.waited(),
            ..Timings::default()
        };
        queries.metrics.queue_seconds.observe(timings.queue_seconds);
        let _active = queries
            .parts
            .active_queries
            .insert(&request.query, queries.now());
        let context = QueryContext {
            stop: Some(stop),
            lookback_delta: request.lookback,
            memory: Some(Arc::clone(&turn.memory)),
            per_step_stats: request.stats == Stats::PerStep,
            cache: request.cache,
        };
        match queries.evaluate(storage, &request, context, &mut timings) {
            Ok(analysis) => Ok(queries.respond(analysis, &request, timings, turn)),
            Err(error) => {
                // As upstream: what does not parse never counts as a query.
                if error.kind() != ErrorKind::BadData {
                    let stats = stats_text(timings, &QueryStats::default(), None);
                    queries.log(&request, &stats, Some(&error));
                }
                Err(engine_error(&error))
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.request.is_some() {
            self.give_up(StopReason::Canceled);
        }
    }
}

impl Queries {
    fn evaluate(
        &self,
        storage: &Storage,
        request: &QueryRequest,
        context: QueryContext,
        timings: &mut Timings,
    ) -> Result<Analysis, EngineError> {
        let (engine, queryable) = (&self.parts.engine, &*storage.queryable);
        let stopwatch = &self.parts.stopwatch;
        let begun = stopwatch.elapsed();
        let query = engine.parse(&request.query);
        let parsed = stopwatch.elapsed();
        timings.preparation_seconds = parsed.saturating_sub(begun).as_secs_f64();
        let result = query.and_then(|query| {
            let times = request.times;
            if request.analyze.is_some() {
                let stopwatch = Arc::clone(stopwatch);
                return engine.analyze(queryable, &query, times, context, stopwatch);
            }
            let result = match times {
                EvaluationTimes::Instant(at) => {
                    engine.instant_parsed(queryable, &query, at, context)
                }
                EvaluationTimes::Range(range) => {
                    engine.range_parsed(queryable, &query, range, context)
                }
            };
            Ok(Analysis {
                result: result?,
                trace: None,
            })
        });
        timings.evaluation_seconds = stopwatch.elapsed().saturating_sub(parsed).as_secs_f64();
        let metrics = &self.metrics;
        metrics
            .preparation_seconds
            .observe(timings.preparation_seconds);
        metrics
            .evaluation_seconds
            .observe(timings.evaluation_seconds);
        if let Ok(Analysis { result, .. }) = &result {
            metrics.samples.add(result.stats.queryable_samples);
            metrics.samples_read.add(result.stats.samples_read);
        }
        result
    }

    fn respond(
        &self,
        analysis: Analysis,
        request: &QueryRequest,
        timings: Timings,
        turn: &Turn,
    ) -> Response {
        let at = match request.times {
            EvaluationTimes::Instant(at) => at,
            EvaluationTimes::Range(range) => range.start,
        };
        let Analysis { mut result, trace } = analysis;
        let stats = stats_text(timings, &result.stats, result.step_stats.as_ref());
        self.log(request, &stats, None);
        if let Some(format) = request.analyze {
            let warnings = result.annotations.limited(MAX_ANNOTATIONS).warnings;
            return explain::respond(trace.as_ref(), Some(&stats), &warnings, format);
        }
        if request.stats == Stats::WantedByOtherName {
            result
                .annotations
                .warnings
                .push(STATS_DEPRECATED.to_owned());
        }
        // What the operators held is free again; what the result holds is not, until it was sent.
        let held = u64::try_from(result.value.size_bytes()).unwrap_or(u64::MAX);
        turn.memory.shrink_to(held);
        let stats = (request.stats != Stats::None).then_some(stats);
        let mut reply = Reply::new(result, at, stats).holding(Arc::clone(&turn.memory));
        if let Some(limit) = request.limit {
            reply.truncate(limit);
        }
        reply.into_response()
    }
}

fn stats_text(timings: Timings, stats: &QueryStats, steps: Option<&StepStats>) -> String {
    let mut text = String::new();
    push_stats(timings, stats, steps, &mut text);
    text
}

/// What is wrong with the text of a query is told as a wrong parameter.
pub(super) fn engine_error(error: &EngineError) -> ApiError {
    match error.kind() {
        ErrorKind::BadData => ApiError::parameter("query", error),
        kind => ApiError::new(kind, error.to_string()),
    }
}
