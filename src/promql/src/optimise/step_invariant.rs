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
    if mark(&mut plan.root) {
        wrap(&mut plan.root);
    }
}

fn has_subquery(node: &mut Node) -> bool {
    matches!(node.kind, NodeKind::Subquery(_)) || node.children_mut().into_iter().any(has_subquery)
}

/// Wraps the topmost invariant nodes below `node`, unless it is invariant itself, which it says. One
/// pass from the leaves up, as plans may be very deep.
fn mark(node: &mut Node) -> bool {
    let below: Vec<bool> = node.children_mut().into_iter().map(mark).collect();
    let is_invariant = is_invariant(node, below.iter().all(|child| *child));
    // Below an invariant node only subqueries have steps again.
    if !is_invariant || matches!(node.kind, NodeKind::Subquery(_)) {
        for (child, is_invariant) in node.children_mut().into_iter().zip(below) {
            if is_invariant {
                wrap(child);
            }
        }
    }
    is_invariant
}

/// Range vectors have no steps, and constants cost nothing.
fn wrap(node: &mut Node) {
    if !matches!(
        node.kind,
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Matrix(_) | NodeKind::Subquery(_)
    ) {
        node.wrap(NodeKind::StepInvariant);
    }
}

fn is_invariant(node: &Node, are_children: bool) -> bool {
    match &node.kind {
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::StepInvariant(_) => true,
        NodeKind::Selector(selector) => selector.at_ms.is_some(),
        NodeKind::Matrix(matrix) => matrix.selector.at_ms.is_some(),
        NodeKind::Subquery(subquery) => subquery.at_ms.is_some(),
        NodeKind::Info(info) => info.series.at_ms.is_some() && are_children,
        NodeKind::Call(call) if TIME_DEPENDENT.contains(&call.func.name) => false,
        NodeKind::Call(_)
        | NodeKind::Aggregate(_)
        | NodeKind::Binary(_)
        | NodeKind::Negate(_)
        | NodeKind::Common(_) => are_children,
    }
}
