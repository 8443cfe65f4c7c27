//! The logical plan: what the query's tree means, with times resolved. Says what is computed, not
//! how; operators are built from it.

mod build;
mod display;
mod duration;
mod info;
mod pipelines;
mod ranges;
mod spans;
mod statistics;

use model::{Matcher, PromDuration, TimeRange};
use promql_syntax::ast::{AggregateOp, BinaryOp, PosRange, ValueType, VectorMatching, WindowEdges};
use promql_syntax::functions::Function;

pub(crate) use build::{build, too_deep};
pub(crate) use pipelines::{Pipeline, mark_pipelines};
pub(crate) use ranges::resolve_ranges;
pub(crate) use spans::ReadSpans;

use crate::grid::Grid;

/// The times that a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryTimes {
    /// First step.
    pub(crate) start_ms: i64,
    /// Last step, or the end of the last one begun.
    pub(crate) end_ms: i64,
    /// Distance of the steps; zero for an instant query.
    pub(crate) step_ms: i64,
}

impl QueryTimes {
    /// Whether the query is one for a single instant, whose result may be in any order.
    pub(crate) fn is_instant(&self) -> bool {
        self.step_ms == 0
    }
}

/// What building a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanOptions {
    pub(crate) times: QueryTimes,
    pub(crate) lookback: PromDuration,
    pub(crate) default_subquery_step: PromDuration,
    /// How deep expressions may be nested, as plans are walked by recursion.
    pub(crate) max_depth: usize,
}

/// A query, ready to be optimised and run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The topmost computation.
    pub(crate) root: Node,
    /// The steps at which it is computed.
    pub(crate) grid: Grid,
}

/// One computation.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What is computed.
    pub(crate) kind: NodeKind,
    /// Where it stands in the query.
    pub(crate) pos: PosRange,
    /// Its number in the plan that is run, for measuring; set by [`number_nodes`].
    pub(crate) id: usize,
    /// Whether nobody looks at the labels of its result that describe the metric.
    pub(crate) metadata_unseen: bool,
    /// Whether its series can be computed independently of each other; set by [`mark_pipelines`].
    pub(crate) pipeline: Option<Pipeline>,
}

/// The computations.
#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// A constant.
    Number(f64),
    /// A text, an argument of a function.
    Text(String),
    /// The newest sample of each series.
    Selector(Selector),
    /// The samples of a window.
    Matrix(Matrix),
    /// An expression's values in a window.
    Subquery(Subquery),
    /// One result for each group of series.
    Aggregate(Aggregate),
    /// An operator between two operands.
    Binary(Binary),
    /// The sign changed.
    Negate(Box<Node>),
    /// A function.
    Call(Call),
    /// Labels of info metrics added.
    Info(Box<Info>),
    /// The same value at all steps: computed once.
    StepInvariant(Box<Node>),
    /// One of several readers of a part that is computed once.
    Common(Common),
}

/// A reader of a part that several others read too.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    /// The same for all readers.
    pub(crate) number: usize,
    /// What it reads.
    pub(crate) purpose: CommonUse,
    /// What it would compute by itself.
    pub(crate) expr: Box<Node>,
}

/// What the reader of a common part reads.
#[derive(Clone, Debug)]
pub(crate) enum CommonUse {
    /// All of it; its expression is the one that is computed.
    First,
    /// All of it, as others before.
    Again,
    /// Only the series that pass these matchers.
    Part(Vec<Matcher>),
}

/// What a selector gives for a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SelectorOutput {
    /// The sample's value.
    Value,
    /// The sample's time in seconds.
    Timestamp,
    /// Since when the sample has been counting, in seconds; 0 where that is not known.
    StartTimestamp,
}

/// A choice of series and the instants at which they are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// The conditions as written.
    pub(crate) written: Vec<Matcher>,
    /// The conditions, in order of label names, each once.
    pub(crate) matchers: Vec<Matcher>,
    /// The instant to which it is pinned.
    pub(crate) at_ms: Option<i64>,
    /// How far back it looks, negative for the future.
    pub(crate) offset_ms: i64,
    /// How old a sample may be: the lookback, or the range of a range selector.
    pub(crate) window_ms: i64,
    /// How the edges of windows are treated.
    pub(crate) edges: WindowEdges,
    /// How far before the window samples are looked for, to stand at its left edge.
    pub(crate) before_ms: i64,
    /// How far behind the window samples are looked for.
    pub(crate) behind_ms: i64,
    /// What it gives.
    pub(crate) output: SelectorOutput,
    /// Whether nobody reads the buckets of its histograms.
    pub(crate) statistics_only: bool,
    /// The times that have to be read, set by [`resolve_ranges`].
    pub(crate) read: TimeRange,
}

/// A range selector.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    /// The series; its window is the range.
    pub(crate) selector: Selector,
}

/// A subquery.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    /// What is evaluated.
    pub(crate) expr: Box<Node>,
    /// The window's length.
    pub(crate) window_ms: i64,
    /// The distance of evaluations.
    pub(crate) step_ms: i64,
    /// The instant to which it is pinned.
    pub(crate) at_ms: Option<i64>,
    /// How far back it looks.
    pub(crate) offset_ms: i64,
    /// The instants of evaluation, set by [`resolve_ranges`]; `None` when there is none.
    pub(crate) grid: Option<Grid>,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) expr: Box<Node>,
    pub(crate) param: Option<Box<Node>>,
    pub(crate) grouping: Grouping,
}

/// How series are grouped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Grouping {
    /// By these labels, sorted.
    By(Vec<String>),
    /// By all labels but these, sorted, and the metric's name.
    Without(Vec<String>),
}

/// A binary operation.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) lhs: Box<Node>,
    pub(crate) rhs: Box<Node>,
    pub(crate) return_bool: bool,
    /// How series match; only between two vectors.
    pub(crate) matching: Option<Box<VectorMatching>>,
}

/// A function call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) func: &'static Function,
    pub(crate) args: Vec<Node>,
}

/// A call of `info()`.
#[derive(Clone, Debug)]
pub(crate) struct Info {
    /// The series that get labels.
    pub(crate) expr: Node,
    /// The conditions on the names of info metrics.
    pub(crate) names: Vec<Matcher>,
    /// The conditions on the labels that are added; without any, all are.
    pub(crate) data: Vec<Matcher>,
    /// The info series, all together, and when they are looked at. The operator adds which targets
    /// they are about.
    pub(crate) series: Selector,
}

impl Node {
    pub(crate) fn new(kind: NodeKind, pos: PosRange) -> Self {
        Self {
            kind,
            pos,
            id: 0,
            metadata_unseen: false,
            pipeline: None,
        }
    }

    /// The type of the result.
    pub(crate) fn value_type(&self) -> ValueType {
        match &self.kind {
            NodeKind::Number(_) => ValueType::Scalar,
            NodeKind::Text(_) => ValueType::String,
            NodeKind::Selector(_) | NodeKind::Aggregate(_) | NodeKind::Info(_) => ValueType::Vector,
            NodeKind::Matrix(_) | NodeKind::Subquery(_) => ValueType::Matrix,
            NodeKind::Call(call) => call.func.return_type,
            NodeKind::Negate(inner) | NodeKind::StepInvariant(inner) => inner.value_type(),
            NodeKind::Common(common) => common.expr.value_type(),
            NodeKind::Binary(binary) => {
                let both_scalar = binary.rhs.value_type() == ValueType::Scalar
                    && binary.lhs.value_type() == ValueType::Scalar;
                if both_scalar {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
        }
    }

    /// The direct inputs, in order.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Selector(_)
            | NodeKind::Matrix(_) => Vec::new(),
            NodeKind::Subquery(subquery) => vec![&mut subquery.expr],
            NodeKind::Aggregate(aggregate) => aggregate
                .param
                .as_deref_mut()
                .into_iter()
                .chain([&mut *aggregate.expr])
                .collect(),
            NodeKind::Binary(binary) => vec![&mut binary.lhs, &mut binary.rhs],
            NodeKind::Negate(inner) | NodeKind::StepInvariant(inner) => vec![inner],
            NodeKind::Common(common) => vec![&mut common.expr],
            NodeKind::Call(call) => call.args.iter_mut().collect(),
            NodeKind::Info(info) => vec![&mut info.expr],
        }
    }

    /// As [`Node::children_mut`].
    pub(crate) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            NodeKind::Number(_)
            | NodeKind::Text(_)
            | NodeKind::Selector(_)
            | NodeKind::Matrix(_) => Vec::new(),
            NodeKind::Subquery(subquery) => vec![&subquery.expr],
            NodeKind::Aggregate(aggregate) => aggregate
                .param
                .as_deref()
                .into_iter()
                .chain([&*aggregate.expr])
                .collect(),
            NodeKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            NodeKind::Negate(inner) | NodeKind::StepInvariant(inner) => vec![inner],
            NodeKind::Common(common) => vec![&common.expr],
            NodeKind::Call(call) => call.args.iter().collect(),
            NodeKind::Info(info) => vec![&info.expr],
        }
    }

    /// The computation itself, under what says how often it is done.
    pub(crate) fn computation(&self) -> &Self {
        match &self.kind {
            NodeKind::StepInvariant(inner) => inner.computation(),
            NodeKind::Common(common) => common.expr.computation(),
            _ => self,
        }
    }

    /// The steps at which its inputs are computed, once times are resolved.
    pub(crate) fn inner_grid(&self, grid: Grid) -> Grid {
        match &self.kind {
            NodeKind::StepInvariant(_) => Grid::instant(grid.first_ms()),
            NodeKind::Subquery(subquery) => subquery.grid.unwrap_or(grid),
            _ => grid,
        }
    }

    /// Puts the node under another one.
    pub(crate) fn wrap(&mut self, outer: impl FnOnce(Box<Self>) -> NodeKind) {
        let pos = self.pos;
        let inner = std::mem::replace(self, Self::new(NodeKind::Number(0.0), pos));
        self.kind = outer(Box::new(inner));
    }
}

/// Numbers the nodes of a finished plan; returns how many there are.
pub(crate) fn number_nodes(plan: &mut Plan) -> usize {
    fn number(node: &mut Node, next: &mut usize) {
        node.id = *next;
        *next += 1;
        for child in node.children_mut() {
            number(child, next);
        }
    }
    let mut next = 0;
    number(&mut plan.root, &mut next);
    next
}
