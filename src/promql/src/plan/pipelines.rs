//! Finds the pipelines of a plan: parts that compute each series from one stored series alone, so
//! that several threads can work on different series.

use promql_syntax::ast::{ValueType, WindowEdges};

use super::{Call, Node, NodeKind, Plan, Selector};
use crate::functions::{Implementation, Special, lookup};
use crate::grid::Grid;

/// The distance of samples that work is estimated with; nobody knows the true one beforehand.
const USUAL_INTERVAL_MS: i64 = 15_000;

/// How much work a pipeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pipeline {
    /// Roughly how many samples and steps one series has.
    pub(crate) samples_per_series: u64,
}

/// Marks the pipelines. Run it on a plan whose times are resolved.
pub(crate) fn mark_pipelines(plan: &mut Plan) {
    mark(&mut plan.root, plan.grid);
}

fn mark(node: &mut Node, grid: Grid) {
    let inner_grid = node.inner_grid(grid);
    for child in node.children_mut() {
        mark(child, inner_grid);
    }
    node.pipeline = pipeline(node, grid);
}

fn pipeline(node: &Node, grid: Grid) -> Option<Pipeline> {
    match &node.kind {
        NodeKind::Selector(selector) => of_selector(selector, grid),
        NodeKind::Matrix(matrix) => of_selector(&matrix.selector, grid),
        NodeKind::Subquery(subquery) => Some(Pipeline {
            samples_per_series: subquery
                .expr
                .pipeline?
                .samples_per_series
                .saturating_add(steps(grid)),
        }),
        NodeKind::Negate(inner) => inner.pipeline,
        NodeKind::Binary(binary) if binary.op.is_set() => None,
        NodeKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (ValueType::Scalar, _) => binary.rhs.pipeline,
            (_, ValueType::Scalar) => binary.lhs.pipeline,
            _ => None,
        },
        NodeKind::Call(call) => of_call(call),
        // Constants, what brings series together, what is computed once for all steps or readers.
        _ => None,
    }
}

fn of_selector(selector: &Selector, grid: Grid) -> Option<Pipeline> {
    if selector.edges == WindowEdges::Smoothed {
        return None;
    }
    let length_ms = selector.read.end.since(selector.read.start).as_millis();
    let samples = u64::try_from(length_ms / USUAL_INTERVAL_MS).unwrap_or(0);
    Some(Pipeline {
        samples_per_series: samples.saturating_add(steps(grid)),
    })
}

/// A function's pipeline is that of its only vector.
fn of_call(call: &Call) -> Option<Pipeline> {
    match lookup(call.func.name)? {
        Implementation::Map(_)
        | Implementation::MapHistogram(_)
        | Implementation::MapWith(_)
        | Implementation::Date(_)
        | Implementation::Range(..)
        | Implementation::Special(
            Special::LabelJoin | Special::LabelReplace | Special::Timestamp,
        ) => {}
        Implementation::Scalars(_) | Implementation::Special(_) => return None,
    }
    call.args.iter().find_map(|argument| argument.pipeline)
}

fn steps(grid: Grid) -> u64 {
    u64::try_from(grid.count()).unwrap_or(u64::MAX)
}
