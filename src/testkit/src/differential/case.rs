//! One case: a query, its times, and the settings of the engine.

use model::{Labels, PromDuration, Timestamp};
use promql::{
    Engine, EngineError, EngineOptions, NameRemoval, Optimiser, ParsedQuery, QueryContext,
    QueryRange, QueryResult, SampleValue, Series, Value,
};
use promql_syntax::ast::AggregateOp;
use promql_syntax::{Expr, ParserOptions};
use storage::Queryable;

use super::compare::same_value;
use crate::reference::{
    Dataset, Reference, ReferenceError, ReferenceSettings, ReferenceTimes, ReferenceValue,
};

/// A query with all that its result depends on but the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub times: ReferenceTimes,
    /// When names are dropped.
    pub name_removal: NameRemoval,
    /// Whether start timestamps count.
    pub use_start_timestamps: bool,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq)]
pub enum CaseOutcome {
    /// Both gave the same value.
    Same,
    /// Both gave an error, of the same kind.
    SameError,
    /// Upstream's own answer depends on chance.
    Undetermined(&'static str),
    /// The engine answered without reading the series that make the reference fail.
    ErrorNotReached,
    /// They differ.
    Different(String),
}

/// Engine, reference and data of one case. The engine runs its plan as it was built, too: that
/// has to give the same bits and annotations, unless the language leaves the answer open. Which of
/// equal numbers `topk` takes is open: it follows the order of series, and functions that sort do
/// so only where there is one step, as in parts that are the same at all steps.
#[must_use]
pub fn run_against_reference(case: &Case, data: &Dataset, storage: &dyn Queryable) -> CaseOutcome {
    let engine = Engine::new(options(case));
    let Ok(query) = engine.parse(&case.query) else {
        return CaseOutcome::Different("the query does not parse".to_owned());
    };
    let reference = Reference {
        data,
        settings: ReferenceSettings {
            lookback_ms: engine.options().lookback_delta.as_millis(),
            default_subquery_step_ms: engine.options().default_subquery_step.as_millis(),
            delayed_name_removal: case.name_removal == NameRemoval::Delayed,
            use_start_timestamps: case.use_start_timestamps,
        },
        times: case.times,
    };
    let want = reference.evaluate(query.expr());
    if let Err(ReferenceError::Undetermined(why)) = want {
        return CaseOutcome::Undetermined(why);
    }
    let got = evaluate(&engine, storage, case, &query);
    let plain = Engine::new(EngineOptions {
        optimiser: Optimiser::Off,
        ..options(case)
    });
    let unoptimised = evaluate(&plain, storage, case, &query);
    if let Some(difference) = optimised_difference(&unoptimised, &got, query.expr()) {
        return CaseOutcome::Different(difference);
    }
    compare(want, got, query.expr())
}

fn options(case: &Case) -> EngineOptions {
    EngineOptions {
        parser: ParserOptions::all(),
        name_removal: case.name_removal,
        use_start_timestamps: case.use_start_timestamps,
        ..EngineOptions::default()
    }
}

fn evaluate(
    engine: &Engine,
    storage: &dyn Queryable,
    case: &Case,
    query: &ParsedQuery,
) -> Result<QueryResult, EngineError> {
    let times = case.times;
    if times.step_ms == 0 {
        return engine.instant_parsed(storage, query, times.start, QueryContext::default());
    }
    let range = QueryRange {
        start: times.start,
        end: times.end,
        step: PromDuration::from_millis(times.step_ms),
    };
    engine.range_parsed(storage, query, range, QueryContext::default())
}

/// What rules of the optimiser changed.
fn optimised_difference(
    plain: &Result<QueryResult, EngineError>,
    optimised: &Result<QueryResult, EngineError>,
    expr: &Expr,
) -> Option<String> {
    match (plain, optimised) {
        (Ok(plain), Ok(optimised)) => {
            let (without, with) = (&plain.annotations, &optimised.annotations);
            // What is computed once is read whole, also where nothing matches it.
            if without != with && !reads_in_part(expr) {
                return Some(format!(
                    "annotations {with:?}, without the optimiser {without:?}"
                ));
            }
            let (without, with) = (exact(&plain.value, expr), exact(&optimised.value, expr));
            (without != with)
                .then(|| format!("optimised gives {with}, without the optimiser {without}"))
        }
        (Err(_), Err(_)) => None,
        // The same of errors; whether this one is right, the reference says.
        (Ok(_), Err(error)) => {
            (!reads_in_part(expr)).then(|| format!("fails with {error} only when optimised"))
        }
        (Err(error), Ok(_)) => Some(format!("fails with {error} unless optimised")),
    }
}

/// A value as text, in which a number stands for its bits, but for those of NaN. Vectors have an
/// order where the outermost function gives them one.
fn exact(value: &Value, expr: &Expr) -> String {
    match value {
        Value::Vector(samples) if !is_sorted(expr) => {
            let mut samples: Vec<String> = samples.iter().map(|it| format!("{it:?}")).collect();
            samples.sort_unstable();
            format!("{samples:?}")
        }
        value => format!("{value:?}"),
    }
}

fn is_sorted(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => is_sorted(&inner.expr),
        Expr::Call(call) => call.func.name.starts_with("sort"),
        Expr::Aggregate(aggregate) => {
            matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk)
        }
        _ => false,
    }
}

/// The engine against an answer that somebody else gave.
#[must_use]
pub fn run_against_answer(
    case: &Case,
    answer: Result<ReferenceValue, String>,
    storage: &dyn Queryable,
) -> CaseOutcome {
    let engine = Engine::new(options(case));
    let Ok(query) = engine.parse(&case.query) else {
        return CaseOutcome::Different("the query does not parse".to_owned());
    };
    match (answer, evaluate(&engine, storage, case, &query)) {
        (Err(_), Err(_)) => CaseOutcome::SameError,
        (Err(_), Ok(_)) if reads_in_part(query.expr()) => CaseOutcome::ErrorNotReached,
        (Err(want), Ok(_)) => CaseOutcome::Different(format!("should fail with {want}")),
        (Ok(_), Err(got)) => CaseOutcome::Different(format!("failed with {got}")),
        (Ok(want), Ok(got)) => match difference(want, got.value) {
            None => CaseOutcome::Same,
            Some(difference) => CaseOutcome::Different(difference),
        },
    }
}

fn compare(
    want: Result<ReferenceValue, ReferenceError>,
    got: Result<QueryResult, EngineError>,
    expr: &Expr,
) -> CaseOutcome {
    match (want, got) {
        (Err(ReferenceError::Undetermined(why)), _) => CaseOutcome::Undetermined(why),
        (Err(want), Err(got)) if is_kind(&want, &got) => CaseOutcome::SameError,
        // Of several errors another one may be met first by who evaluates in another order.
        (Err(_), Err(got)) if is_of_query(&got) => CaseOutcome::ErrorNotReached,
        (Err(want), Err(got)) => {
            CaseOutcome::Different(format!("error {got}, the reference has {want:?}"))
        }
        (Err(ReferenceError::Labels | ReferenceError::Argument | ReferenceError::Info), Ok(_))
            if reads_in_part(expr) =>
        {
            CaseOutcome::ErrorNotReached
        }
        (Err(want), Ok(_)) => CaseOutcome::Different(format!("should fail with {want:?}")),
        (Ok(_), Err(got)) => CaseOutcome::Different(format!("failed with {got}")),
        (Ok(want), Ok(got)) => match difference(want, got.value) {
            None => CaseOutcome::Same,
            Some(difference) => CaseOutcome::Different(difference),
        },
    }
}

/// Operators do not read series that cannot match, and `absent` stops at the first series, so that
/// they miss errors and annotations in others.
fn reads_in_part(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(|node| {
        found |= match node {
            Expr::Binary(_) => true,
            Expr::Call(call) => call.func.name.starts_with("absent"),
            _ => false,
        };
    });
    found
}

fn is_kind(want: &ReferenceError, got: &EngineError) -> bool {
    match want {
        ReferenceError::Labels => matches!(
            got,
            EngineError::DuplicateLabelset
                | EngineError::DuplicateOnOneSide { .. }
                | EngineError::ImplicitManyToOne
                | EngineError::AmbiguousGrouping
        ),
        ReferenceError::Duration => matches!(got, EngineError::BadQuery(_)),
        ReferenceError::Undetermined(_) => true,
        ReferenceError::Argument | ReferenceError::WindowEdges | ReferenceError::Info => {
            is_of_query(got)
        }
    }
}

/// Whether the query itself is to blame.
fn is_of_query(error: &EngineError) -> bool {
    !matches!(
        error,
        EngineError::Unsupported(_) | EngineError::Storage(_) | EngineError::TooManySamples
    )
}

type Points = Vec<(i64, SampleValue)>;

fn difference(want: ReferenceValue, got: Value) -> Option<String> {
    match (want, got) {
        (ReferenceValue::String(want), Value::String(got)) => {
            (want != got).then(|| format!("got {got:?}, want {want:?}"))
        }
        (ReferenceValue::Vector(want), Value::Scalar { value, .. }) => {
            let got = vec![(Labels::empty(), SampleValue::Float(value))];
            vector_difference(want, got)
        }
        (ReferenceValue::Vector(want), Value::Vector(got)) => {
            let got = got.into_iter().map(|sample| (sample.labels, sample.value));
            vector_difference(want, got.collect())
        }
        (ReferenceValue::Series(want), Value::Matrix(got)) => {
            let got = got.into_iter().map(points_of).collect();
            matrix_difference(want, got)
        }
        (want, got) => Some(format!("got {got:?}, want {want:?}")),
    }
}

fn points_of(series: Series) -> (Labels, Points) {
    let floats = series.points.into_iter();
    let floats = floats.map(|(at, value)| (at, SampleValue::Float(value)));
    let histograms = series.histograms.into_iter();
    let histograms = histograms.map(|(at, histogram)| (at, SampleValue::Histogram(histogram)));
    let mut points: Points = floats.chain(histograms).collect();
    points.sort_by_key(|(at, _)| *at);
    (series.labels, points)
}

/// Compares regardless of order.
fn vector_difference(
    want: Vec<(Labels, SampleValue)>,
    got: Vec<(Labels, SampleValue)>,
) -> Option<String> {
    let series = |vector: Vec<(Labels, SampleValue)>| {
        let mut series: Vec<(Labels, Points)> = vector
            .into_iter()
            .map(|(labels, value)| (labels, vec![(0, value)]))
            .collect();
        series.sort_by(|a, b| a.0.cmp(&b.0));
        series
    };
    matrix_difference(series(want), series(got))
}

fn matrix_difference(want: Vec<(Labels, Points)>, got: Vec<(Labels, Points)>) -> Option<String> {
    let labels = |series: &[(Labels, Points)]| -> Vec<Labels> {
        series.iter().map(|(labels, _)| labels.clone()).collect()
    };
    let (ours, theirs) = (labels(&got), labels(&want));
    if ours != theirs {
        let extra = ours.iter().find(|labels| !theirs.contains(labels));
        let missing = theirs.iter().find(|labels| !ours.contains(labels));
        return Some(format!(
            "{} series instead of {}; too many: {}; missing: {}",
            ours.len(),
            theirs.len(),
            extra.map_or_else(|| "none".to_owned(), ToString::to_string),
            missing.map_or_else(|| "none".to_owned(), ToString::to_string),
        ));
    }
    for ((labels, want), (_, got)) in want.iter().zip(&got) {
        let times = |points: &Points| points.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        if times(want) != times(got) {
            let (got, want) = (times(got), times(want));
            return Some(format!("{labels}: points at {got:?}, want {want:?}"));
        }
        for ((at, want), (_, got)) in want.iter().zip(got) {
            if !same_value(want, got) {
                let at = Timestamp::from_millis(*at);
                return Some(format!(
                    "{labels} at {at}: got {}, want {}",
                    shown(got),
                    shown(want)
                ));
            }
        }
    }
    None
}

fn shown(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{value:?}"),
        SampleValue::Histogram(histogram) => histogram.to_test_expression(),
    }
}
