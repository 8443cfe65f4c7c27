//! A slow evaluator of PromQL, written to be obviously right: every node of the syntax tree is
//! evaluated step by step over samples in memory, with plain vectors and no sharing of work. It
//! shares the parser and the arithmetic of native histograms with the engine, and nothing else.
//!
//! Source of all behaviour: upstream `promql/engine.go`, `promql/functions.go`, `promql/info.go` of
//! 3.14. Annotations are not computed.

mod aggregate;
mod binary;
mod data;
mod durations;
mod evaluate;
mod functions;
mod info;
mod select;
mod windows;

use model::{Labels, Timestamp};
use promql::SampleValue;
use promql_syntax::Expr;

pub use data::{DataPoint, DataSeries, Dataset};
pub use evaluate::Reference;

/// When a query is evaluated: once if `start` is `end` and there is no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceTimes {
    /// First step.
    pub start: Timestamp,
    /// No step is after this.
    pub end: Timestamp,
    /// Distance of the steps in milliseconds; 0 for an instant query.
    pub step_ms: i64,
}

/// Settings, as of the engine.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceSettings {
    /// How old the newest sample of an instant selector may be, in milliseconds.
    pub lookback_ms: i64,
    /// The step of subqueries that give none, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether names are dropped at the end only.
    pub delayed_name_removal: bool,
    /// Whether start timestamps count.
    pub use_start_timestamps: bool,
}

/// What a query gives.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferenceValue {
    /// A text.
    String(String),
    /// Points by series, in order of labels. A scalar is a series without labels.
    Series(Vec<(Labels, Vec<(i64, SampleValue)>)>),
    /// Samples of an instant query in their order.
    Vector(Vec<(Labels, SampleValue)>),
}

/// Why a query has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// Series do not match, or several have the same labels.
    Labels,
    /// A parameter or argument is refused.
    Argument,
    /// A computed duration is refused.
    Duration,
    /// The function does not take the window's modifier.
    WindowEdges,
    /// `info()` found metrics that contradict each other.
    Info,
    /// Upstream's answer depends on the order of its hash tables, or on what Go leaves undefined.
    Undetermined(&'static str),
}

/// A series at one step.
#[derive(Clone, Debug)]
struct Item {
    labels: Labels,
    value: SampleValue,
    /// Whether the name goes when the query is done.
    drop_name: bool,
}

impl Item {
    fn float(&self) -> Option<f64> {
        self.value.as_float()
    }
}

/// An instant vector at one step. A scalar is one item without labels.
type Vector = Vec<Item>;

/// One vector for each step of a context.
type Steps = Vec<Vector>;

type Outcome<T> = Result<T, ReferenceError>;

/// The steps at which a node is evaluated: those of the query, or those of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Context {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Context {
    fn times(self) -> impl Iterator<Item = i64> {
        let step = usize::try_from(self.step_ms.max(1)).unwrap_or(1);
        (self.start_ms..=self.end_ms).step_by(step)
    }
}

/// The tree without parentheses around it.
fn bare(expr: &Expr) -> &Expr {
    expr.unwrap_parens()
}
