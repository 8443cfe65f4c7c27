//! The engine: from a query's text to its result.

mod collect;

use std::sync::Arc;

use model::{PromDuration, Timestamp};
use promql_syntax::{Expr, ParserOptions, parse_expr};
use storage::Queryable;

use crate::annotations::{Annotations, Notes};
use crate::error::EngineError;
use crate::limits::{Limits, StopCheck};
use crate::operators::{BuildContext, NameRemoval, Shared, TypeLabels};
use crate::optimise::optimise;
use crate::plan::{Plan, PlanOptions, QueryTimes, build, resolve_ranges};
use crate::result::{QueryResult, QueryStats, Value};

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
            parser: ParserOptions::default(),
        }
    }
}

/// What belongs to one run of a query.
#[derive(Clone, Default)]
pub struct QueryContext {
    /// Replaces [`EngineOptions::lookback_delta`].
    pub lookback_delta: Option<PromDuration>,
    /// Asked now and then whether the query has to stop.
    pub stop: Option<StopCheck>,
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
        let at_ms = at.as_millis();
        let times = QueryTimes {
            start_ms: at_ms,
            end_ms: at_ms,
            step_ms: 0,
        };
        self.run(storage, query, times, context)
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
        self.run(storage, query, times_of(range)?, context)
    }

    /// The plan of a query, as a tree of lines.
    ///
    /// # Errors
    /// The query is wrong.
    pub fn explain(&self, query: &str, range: QueryRange) -> Result<String, EngineError> {
        let query = self.parse(query)?;
        let context = QueryContext::default();
        let plan = self.plan(&query, times_of(range)?, &context)?;
        Ok(plan.map(|plan| plan.to_string()).unwrap_or_default())
    }

    /// The optimised plan; `None` when there is no step at all.
    fn plan(
        &self,
        query: &ParsedQuery,
        times: QueryTimes,
        context: &QueryContext,
    ) -> Result<Option<Plan>, EngineError> {
        let options = PlanOptions {
            times,
            lookback: context
                .lookback_delta
                .unwrap_or(self.options.lookback_delta),
            default_subquery_step: self.options.default_subquery_step,
        };
        let Some(mut plan) = build(&query.expr, &options)? else {
            return Ok(None);
        };
        optimise(&mut plan);
        resolve_ranges(&mut plan);
        Ok(Some(plan))
    }

    fn run(
        &self,
        storage: &dyn Queryable,
        query: &ParsedQuery,
        times: QueryTimes,
        context: QueryContext,
    ) -> Result<QueryResult, EngineError> {
        let Some(plan) = self.plan(query, times, &context)? else {
            return Ok(QueryResult {
                value: Value::Matrix(Vec::new()),
                annotations: Annotations::default(),
                stats: QueryStats::default(),
            });
        };
        let shared = Shared {
            limits: Arc::new(Limits::new(
                self.options.max_query_bytes,
                self.options.max_samples,
                context.stop,
            )),
            notes: Arc::new(Notes::new(&query.text)),
            name_removal: self.options.name_removal,
            type_and_unit_labels: self.options.type_and_unit_labels,
            use_start_timestamps: self.options.use_start_timestamps,
        };
        shared.limits.check()?;
        let mut build_context = BuildContext::new(storage, shared.clone(), times);
        let value = collect::collect(&plan, times, &shared, &mut build_context)?;
        Ok(QueryResult {
            value,
            annotations: shared.notes.take(),
            stats: shared.limits.stats(),
        })
    }
}

/// The times of a range query; the step has to be positive.
fn times_of(range: QueryRange) -> Result<QueryTimes, EngineError> {
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
