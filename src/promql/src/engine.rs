//! The engine: from a query's text to its result.

mod collect;
mod stack;
mod trace;

use std::sync::Arc;

use base::{CpuPool, MemoryShare, SharedStopwatch};
use model::{PromDuration, Timestamp};
use promql_syntax::{Expr, ParserOptions, parse_expr};
use storage::Queryable;

use crate::annotations::Notes;
use crate::cache::{self, Evaluated, ResultCache};
use crate::error::EngineError;
use crate::explain::{Analysis, PlanTrace};
use crate::limits::{Limits, Reservation, StopCheck};
use crate::operators::{BuildContext, Meter, NameRemoval, Shared, TypeLabels};
use crate::optimise::{Optimiser, optimise};
use crate::plan::{
    Plan, PlanOptions, QueryTimes, ReadSpans, build, mark_pipelines, number_nodes, resolve_ranges,
    too_deep,
};
use crate::result::{QueryResult, QueryStats, Value};
use trace::Tracer;

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How old the newest sample of a series may be for an instant selector.
    pub lookback_delta: PromDuration,
    /// How many samples a query may hold at one time.
    pub max_samples: u64,
    /// How many bytes a query may hold at one time.
    pub max_query_bytes: u64,
    /// The step of subqueries that give none.
    pub default_subquery_step: PromDuration,
    /// When operations that drop the metric's name do so.
    pub name_removal: NameRemoval,
    /// Whether `__type__` says what a metric is.
    pub type_and_unit_labels: TypeLabels,
    /// Whether functions over counters look at since when samples have been counting.
    pub use_start_timestamps: bool,
    /// Threads that help with large queries; without them a query runs on its caller's thread
    /// alone. Results are the same.
    pub workers: Option<CpuPool>,
    /// Whether plans are optimised.
    pub optimiser: Optimiser,
    /// Whether samples are counted for every step when a query asks for it.
    pub per_step_stats: bool,
    /// Where values of range queries are kept. The engine then has to be used with one storage
    /// engine only. Results are the same.
    pub result_cache: Option<Arc<ResultCache>>,
    /// What the parser accepts.
    pub parser: ParserOptions,
}

impl Default for EngineOptions {
    /// The defaults of a server.
    fn default() -> Self {
        Self {
            lookback_delta: PromDuration::from_secs(300),
            max_samples: 50_000_000,
            max_query_bytes: 2 << 30,
            default_subquery_step: PromDuration::from_secs(60),
            name_removal: NameRemoval::Immediate,
            type_and_unit_labels: TypeLabels::Ignored,
            use_start_timestamps: false,
            workers: None,
            optimiser: Optimiser::On,
            per_step_stats: false,
            result_cache: None,
            parser: ParserOptions::default(),
        }
    }
}

/// What belongs to one run of a query.
#[derive(Clone, Default)]
pub struct QueryContext {
    /// Replaces [`EngineOptions::lookback_delta`] if it is positive, as upstream.
    pub lookback_delta: Option<PromDuration>,
    /// Asked now and then whether the query has to stop.
    pub stop: Option<StopCheck>,
    /// The query's part of what all queries may hold together; it grows as needed.
    pub memory: Option<Arc<MemoryShare>>,
    /// Whether samples are counted for every step, if [`EngineOptions::per_step_stats`] allows it.
    pub per_step_stats: bool,
    /// Whether values may come from [`EngineOptions::result_cache`].
    pub cache: CacheUse,
}

/// Whether a range query uses the cache of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// It does, where it can. Its statistics are of what was evaluated.
    #[default]
    Allowed,
    /// All is evaluated, so that statistics are of the whole query.
    Bypassed,
}

/// A parsed query with its text, which messages refer to.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedQuery {
    expr: Expr,
    text: String,
}

impl ParsedQuery {
    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<Expr> for ParsedQuery {
    /// An expression whose text is not known: annotations will have no positions.
    fn from(expr: Expr) -> Self {
        Self {
            expr,
            text: String::new(),
        }
    }
}

/// The times of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRange {
    /// First step.
    pub start: Timestamp,
    /// No step is after this.
    pub end: Timestamp,
    /// Distance of the steps; positive.
    pub step: PromDuration,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluationTimes {
    /// At one instant.
    Instant(Timestamp),
    /// At all steps of a range of time.
    Range(QueryRange),
}

/// Evaluates queries. Holds nothing but its settings.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these settings.
    #[must_use]
    pub fn new(options: EngineOptions) -> Self {
        Self { options }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Parses a query, to be run later or often.
    ///
    /// # Errors
    /// The query does not parse.
    pub fn parse(&self, query: &str) -> Result<ParsedQuery, EngineError> {
        let expr = parse_expr(query, &self.options.parser).map_err(EngineError::Parse)?;
        Ok(ParsedQuery {
            expr,
            text: query.to_owned(),
        })
    }

    /// Evaluates a query at one instant.
    ///
    /// CPU-bound: call it off the async runtime.
    ///
    /// # Errors
    /// The query is wrong, too large or has to stop, or storage fails.
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        at: Timestamp,
        context: QueryContext,
    ) -> Result<QueryResult, EngineError> {
        self.instant_parsed(storage, &self.parse(query)?, at, context)
    }

    /// As [`Engine::instant`].
    ///
    /// # Errors
    /// As [`Engine::instant`].
    pub fn instant_parsed(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        at: Timestamp,
        context: QueryContext,
    ) -> Result<QueryResult, EngineError> {
        let times = times_of(EvaluationTimes::Instant(at))?;
        let evaluated = self.run(storage, query, times, context)?;
        Ok(evaluated.into_result())
    }

    /// Evaluates a query at all steps of a range of time.
    ///
    /// CPU-bound: call it off the async runtime.
    ///
    /// # Errors
    /// As [`Engine::instant`]; also a step that is not positive, or a query whose value is neither
    /// scalar nor instant vector.
    pub fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start: Timestamp,
        end: Timestamp,
        step: PromDuration,
        context: QueryContext,
    ) -> Result<QueryResult, EngineError> {
        self.range_parsed(
            storage,
            &self.parse(query)?,
            QueryRange { start, end, step },
            context,
        )
    }

    /// As [`Engine::range`].
    ///
    /// # Errors
    /// As [`Engine::range`].
    pub fn range_parsed(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        range: QueryRange,
        context: QueryContext,
    ) -> Result<QueryResult, EngineError> {
        let times = times_of(EvaluationTimes::Range(range))?;
        let request = cache::Request {
            engine: self,
            storage,
            query,
            times,
        };
        match &self.options.result_cache {
            Some(cache) if context.cache == CacheUse::Allowed => {
                cache::run(cache, request, context)
            }
            _ => {
                let evaluated = self.run(storage, query, times, context)?;
                Ok(evaluated.into_result())
            }
        }
    }

    /// The plan of a query, before and after each rule; `None` when there is no step to evaluate.
    ///
    /// # Errors
    /// The query is wrong.
    pub fn explain(
        &self,
        query: &ParsedQuery,
        times: EvaluationTimes,
        context: &QueryContext,
    ) -> Result<Option<PlanTrace>, EngineError> {
        let mut tracer = Tracer::default();
        let times = times_of(times)?;
        refuse_deeper(query, stack::ORDINARY_DEPTH)?;
        let plan = self.plan(query, times, context, Some(&mut tracer))?;
        Ok(plan.and_then(|plan| tracer.finish(&plan, &|_| None)))
    }

    /// Evaluates a query and measures every part of its plan.
    ///
    /// # Errors
    /// As [`Engine::instant`] and [`Engine::range`].
    pub fn analyze(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        times: EvaluationTimes,
        context: QueryContext,
        stopwatch: SharedStopwatch,
    ) -> Result<Analysis, EngineError> {
        let times = times_of(times)?;
        refuse_deeper(query, stack::ORDINARY_DEPTH)?;
        let mut tracer = Tracer::default();
        let Some(mut plan) = self.plan(query, times, &context, Some(&mut tracer))? else {
            return Ok(Analysis {
                result: no_steps().into_result(),
                trace: None,
            });
        };
        let meter = Meter::new(number_nodes(&mut plan), stopwatch);
        let run = Run {
            plan: &plan,
            query,
            times,
            meter: Some(meter.clone()),
        };
        let result = self.run_plan(storage, run, context)?.into_result();
        let trace = tracer.finish(&plan, &|node| Some(meter.usage(node)));
        Ok(Analysis { result, trace })
    }

    /// The optimised plan; `None` when there is no step at all.
    fn plan(
        &self,
        query: &ParsedQuery,
        times: QueryTimes,
        context: &QueryContext,
        mut tracer: Option<&mut Tracer>,
    ) -> Result<Option<Plan>, EngineError> {
        let options = PlanOptions {
            times,
            lookback: self.lookback(context),
            default_subquery_step: self.options.default_subquery_step,
            max_depth: stack::MAX_DEPTH,
        };
        let Some(mut plan) = build(&query.expr, &options)? else {
            return Ok(None);
        };
        if let Some(tracer) = &mut tracer {
            tracer.start(&plan);
        }
        if self.options.optimiser == Optimiser::On {
            optimise(&mut plan, &mut |rule, plan| {
                if let Some(tracer) = &mut tracer {
                    tracer.applied(rule, plan);
                }
            });
        }
        resolve_ranges(&mut plan);
        mark_pipelines(&mut plan);
        Ok(Some(plan))
    }

    /// How old samples may be for an instant selector.
    pub(crate) fn lookback(&self, context: &QueryContext) -> PromDuration {
        context
            .lookback_delta
            .filter(|lookback| *lookback > PromDuration::ZERO)
            .unwrap_or(self.options.lookback_delta)
    }

    pub(crate) fn run(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        times: QueryTimes,
        context: QueryContext,
    ) -> Result<Evaluated, EngineError> {
        if refuse_deeper(query, stack::MAX_DEPTH)? > stack::ORDINARY_DEPTH {
            return stack::on_large_stack(|| self.run_here(storage, query, times, context));
        }
        self.run_here(storage, query, times, context)
    }

    fn run_here(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        times: QueryTimes,
        context: QueryContext,
    ) -> Result<Evaluated, EngineError> {
        let Some(plan) = self.plan(query, times, &context, None)? else {
            return Ok(no_steps());
        };
        let run = Run {
            plan: &plan,
            query,
            times,
            meter: None,
        };
        self.run_plan(storage, run, context)
    }

    fn run_plan(
        &self,
        storage: &dyn Queryable,
        run: Run<'_>,
        context: QueryContext,
    ) -> Result<Evaluated, EngineError> {
        let mut limits = Limits::new(
            self.options.max_query_bytes,
            self.options.max_samples,
            context.stop,
        )
        .with_share(context.memory);
        if self.options.per_step_stats && context.per_step_stats {
            limits = limits.count_steps(run.plan.grid);
        }
        let shared = Shared {
            limits: Arc::new(limits),
            notes: Arc::new(Notes::new(&run.query.text)),
            name_removal: self.options.name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            use_start_timestamps: self.options.use_start_timestamps,
        };
        shared.limits.check_before()?;
        let stack_bytes = stack::stack_bytes(stack::depth(&run.query.expr));
        let _stack = Reservation::bytes(&shared.limits, stack_bytes)?;
        let mut build_context = BuildContext::new(storage, shared.clone(), run.times);
        if let Some(meter) = run.meter {
            build_context.measure(meter);
        }
        if let Some(workers) = &self.options.workers {
            build_context.help(workers.clone());
        }
        let value = collect::collect(run.plan, run.times, &shared, &mut build_context)?;
        Ok(Evaluated {
            value,
            notes: shared.notes.take(),
            stats: shared.limits.stats(),
            step_stats: shared.limits.step_stats(),
            spans: ReadSpans::of(run.plan),
            saw_histograms: shared.limits.saw_histograms(),
        })
    }
}

/// A plan that is run.
struct Run<'a> {
    plan: &'a Plan,
    query: &'a ParsedQuery,
    times: QueryTimes,
    meter: Option<Meter>,
}

/// How deep a query is nested, unless that is too deep.
fn refuse_deeper(query: &ParsedQuery, most: usize) -> Result<usize, EngineError> {
    let depth = stack::depth(&query.expr);
    if depth > most {
        return Err(too_deep(most));
    }
    Ok(depth)
}

/// The result of a range query that ends before it starts.
fn no_steps() -> Evaluated {
    Evaluated {
        value: Value::Matrix(Vec::new()),
        notes: Vec::new(),
        stats: QueryStats::default(),
        step_stats: None,
        spans: ReadSpans::default(),
        saw_histograms: false,
    }
}

/// The times of a query; a step has to be positive.
fn times_of(times: EvaluationTimes) -> Result<QueryTimes, EngineError> {
    match times {
        EvaluationTimes::Instant(at) => {
            let at_ms = at.as_millis();
            Ok(QueryTimes {
                start_ms: at_ms,
                end_ms: at_ms,
                step_ms: 0,
            })
        }
        EvaluationTimes::Range(range) => range_times(range),
    }
}

fn range_times(range: QueryRange) -> Result<QueryTimes, EngineError> {
    let step_ms = range.step.as_millis();
    if step_ms <= 0 {
        return Err(EngineError::BadQuery(
            "zero or negative query resolution step widths are not accepted. Try a positive integer"
                .to_owned(),
        ));
    }
    Ok(QueryTimes {
        start_ms: range.start.as_millis(),
        end_ms: range.end.as_millis(),
        step_ms,
    })
}

#[cfg(test)]
mod tests;
