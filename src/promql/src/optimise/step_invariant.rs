//! Marks the parts of a plan that are the same at all steps, so that they are computed once. Which
//! parts these are follows upstream's `PreprocessExpr`.

use crate::plan::{Node, NodeKind, Plan};

/// Functions whose result depends on the time of the step, even if their arguments do not.
const TIME_DEPENDENT: [&str; 11] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "time",
    "timestamp",
    "year",
];

pub(super) fn apply(plan: &mut Plan) {
    if plan.grid.is_instant() && !has_subquery(&mut plan.root) {
        return;
    }
    mark(&mut plan.root);
}

fn has_subquery(node: &mut Node) -> bool {
    matches!(node.kind, NodeKind::Subquery(_)) || node.children_mut().into_iter().any(has_subquery)
}

/// Wraps the topmost invariant nodes at or below `node`.
fn mark(node: &mut Node) {
    if is_invariant(node) {
        // Range vectors have no steps, and constants cost nothing.
        if !matches!(
            node.kind,
            NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Matrix(_) | NodeKind::Subquery(_)
        ) {
            node.wrap(NodeKind::StepInvariant);
            mark_subqueries(node);
            return;
        }
    }
    for child in node.children_mut() {
        mark(child);
    }
}

/// Below an invariant node only subqueries have steps again.
fn mark_subqueries(node: &mut Node) {
    if let NodeKind::Subquery(subquery) = &mut node.kind {
        mark(&mut subquery.expr);
        return;
    }
    for child in node.children_mut() {
        mark_subqueries(child);
    }
}

fn is_invariant(node: &mut Node) -> bool {
    match &mut node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::StepInvariant(_) => true,
        NodeKind::Selector(selector) => selector.at_ms.is_some(),
        NodeKind::Matrix(matrix) => matrix.selector.at_ms.is_some(),
        NodeKind::Subquery(subquery) => subquery.at_ms.is_some(),
        NodeKind::Info(info) => info.series.at_ms.is_some() && is_invariant(&mut info.expr),
        NodeKind::Call(call) if TIME_DEPENDENT.contains(&call.func.name) => false,
        NodeKind::Call(_)
        | NodeKind::Aggregate(_)
        | NodeKind::Binary(_)
        | NodeKind::Negate(_)
        | NodeKind::Common(_) => node.children_mut().into_iter().all(is_invariant),
    }
}
