//! A range query through the cache: what is still true is kept, the steps around it are evaluated.

use std::sync::Arc;

use storage::Queryable;

use super::eligible::is_eligible;
use super::entry::{Entry, Kept};
use super::notes::{self, CachedNote};
use super::{Key, ResultCache};
use crate::annotations::{Annotations, Noted};
use crate::engine::{Engine, ParsedQuery, QueryContext};
use crate::error::EngineError;
use crate::grid::Grid;
use crate::limits::{Limits, Reservation};
use crate::plan::{QueryTimes, ReadSpans};
use crate::result::{QueryResult, QueryStats, Series, StepStats, Value};

/// The outcome of a plan that ran.
#[derive(Debug)]
pub(crate) struct Evaluated {
    pub(crate) value: Value,
    pub(crate) notes: Vec<Noted>,
    pub(crate) stats: QueryStats,
    pub(crate) step_stats: Option<StepStats>,
    /// What the values depend on.
    pub(crate) spans: ReadSpans,
    /// Whether native histograms were read.
    pub(crate) saw_histograms: bool,
}

impl Evaluated {
    /// The result for whoever asked.
    pub(crate) fn into_result(self) -> QueryResult {
        QueryResult {
            value: self.value,
            annotations: Annotations::of(self.notes),
            stats: self.stats,
            step_stats: self.step_stats,
        }
    }
}

/// A range query.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) storage: &'a dyn Queryable,
    pub(crate) query: &'a ParsedQuery,
    pub(crate) times: QueryTimes,
}

impl Request<'_> {
    /// The steps, if their values may be cached.
    fn steps(&self, context: &QueryContext) -> Option<Grid> {
        let options = self.engine.options();
        let wants_steps = options.per_step_stats && context.per_step_stats;
        // Windows are summed in another way where steps are one millisecond.
        let may_share = self.times.step_ms > 1
            && !wants_steps
            && !self.query.text().is_empty()
            && is_eligible(self.query.expr());
        let times = self.times;
        may_share.then(|| Grid::range(times.start_ms, times.end_ms, times.step_ms))?
    }

    fn key(&self, context: &QueryContext) -> Key {
        let options = self.engine.options();
        Key {
            query: self.query.text().into(),
            step_ms: self.times.step_ms,
            phase_ms: self.times.start_ms.rem_euclid(self.times.step_ms),
            lookback_ms: self.engine.lookback(context).as_millis(),
            default_subquery_step_ms: options.default_subquery_step.as_millis(),
            name_removal: options.name_removal,
            type_and_unit_labels: options.type_and_unit_labels,
            use_start_timestamps: options.use_start_timestamps,
        }
    }

    fn evaluate(&self, steps: Grid, context: &QueryContext) -> Result<Evaluated, EngineError> {
        let times = QueryTimes {
            start_ms: steps.first_ms(),
            end_ms: steps.last_ms(),
            step_ms: self.times.step_ms,
        };
        let Self {
            engine,
            storage,
            query,
            ..
        } = *self;
        engine.run(storage, query, times, context.clone())
    }
}

/// Runs a range query, with the help of the cache where that is possible.
pub(crate) fn run(
    cache: &ResultCache,
    request: Request<'_>,
    context: QueryContext,
) -> Result<QueryResult, EngineError> {
    let Some(steps) = request.steps(&context) else {
        let Request {
            engine,
            storage,
            query,
            times,
        } = request;
        return Ok(engine.run(storage, query, times, context)?.into_result());
    };
    let key = request.key(&context);
    // Before anything is looked at: what changes from here on is told of later.
    let generation = request.storage.write_generation();
    let found = cache.lru.lock().get(&key);
    let kept = found.and_then(|entry| entry.kept(steps, request.storage));
    let mut parts = Parts::default();
    match kept {
        None => {
            cache.metrics.misses.inc();
            parts.add_evaluated(request.evaluate(steps, &context)?, steps);
        }
        Some(kept) => {
            cache.metrics.hits.inc();
            let (first, last) = kept.steps;
            let step_ms = steps.step_ms();
            cache
                .metrics
                .steps
                .add(((last - first) / step_ms + 1).unsigned_abs());
            if let Some(before) = Grid::range(steps.first_ms(), first - step_ms, step_ms) {
                parts.add_evaluated(request.evaluate(before, &context)?, before);
            }
            parts.add_kept(kept);
            if let Some(after) = Grid::range(last + step_ms, steps.last_ms(), step_ms) {
                parts.add_evaluated(request.evaluate(after, &context)?, after);
            }
        }
    }
    if parts.has_news && parts.can_be_kept {
        let notes = parts.notes.clone();
        let entry = Entry::new((steps, generation), &parts.series, notes, parts.spans);
        cache.insert(key, entry);
    }
    parts.finish(request.engine, context)
}

/// The parts of a result, in order of time.
#[derive(Default)]
struct Parts {
    series: Vec<Series>,
    notes: Vec<CachedNote>,
    spans: ReadSpans,
    stats: QueryStats,
    /// Whether a part was evaluated, and whether all that were can be used again.
    has_news: bool,
    can_be_kept: bool,
}

impl Parts {
    fn add_kept(&mut self, kept: Kept) {
        self.spans = kept.spans;
        notes::append(&mut self.notes, kept.notes);
        join(&mut self.series, kept.series);
    }

    fn add_evaluated(&mut self, part: Evaluated, steps: Grid) {
        if let Value::Matrix(series) = part.value {
            join(&mut self.series, series);
        }
        let is_pure = !part.saw_histograms && part.notes.iter().all(|note| note.detail.is_none());
        self.can_be_kept = is_pure && (self.can_be_kept || !self.has_news);
        self.has_news = true;
        self.spans = part.spans;
        let new = part.notes.into_iter();
        let new = new.map(|note| CachedNote::new(note, steps)).collect();
        notes::append(&mut self.notes, new);
        let (all, part) = (&mut self.stats, part.stats);
        all.queryable_samples = all.queryable_samples.saturating_add(part.queryable_samples);
        all.samples_read = all.samples_read.saturating_add(part.samples_read);
        all.peak_samples = all.peak_samples.max(part.peak_samples);
        all.peak_bytes = all.peak_bytes.max(part.peak_bytes);
    }

    /// The result, unless it is larger than results may be.
    fn finish(self, engine: &Engine, context: QueryContext) -> Result<QueryResult, EngineError> {
        let options = engine.options();
        let limits = Limits::new(options.max_query_bytes, options.max_samples, context.stop);
        let limits = Arc::new(limits.with_share(context.memory));
        let samples = self.series.iter().map(|series| series.points.len()).sum();
        let value = Value::Matrix(self.series);
        let mut held = Reservation::empty(&limits);
        held.add(value.size_bytes(), samples)?;
        let mut stats = self.stats;
        stats.peak_samples = stats.peak_samples.max(limits.stats().peak_samples);
        stats.peak_bytes = stats.peak_bytes.max(limits.stats().peak_bytes);
        let notes = self.notes.into_iter().map(|note| note.note).collect();
        Ok(QueryResult {
            value,
            annotations: Annotations::of(notes),
            stats,
            step_stats: None,
        })
    }
}

/// Adds the series of later steps. Both lists are in order of labels.
fn join(series: &mut Vec<Series>, later: Vec<Series>) {
    if series.is_empty() {
        *series = later;
        return;
    }
    let mut joined = Vec::with_capacity(series.len().max(later.len()));
    let mut later = later.into_iter().peekable();
    for mut old in series.drain(..) {
        while let Some(new) = later.next_if(|new| new.labels < old.labels) {
            joined.push(new);
        }
        if let Some(new) = later.next_if(|new| new.labels == old.labels) {
            old.points.extend(new.points);
            old.histograms.extend(new.histograms);
        }
        joined.push(old);
    }
    joined.extend(later);
    *series = joined;
}
