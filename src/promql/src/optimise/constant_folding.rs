//! Computes operations on constants once, when the query is planned.

use crate::operators::binary::operation;
use crate::plan::{Node, NodeKind, Plan};

pub(super) fn apply(plan: &mut Plan) {
    fold(&mut plan.root);
}

fn fold(node: &mut Node) {
    for child in node.children_mut() {
        fold(child);
    }
    if let Some(value) = constant(node) {
        node.kind = NodeKind::Number(value);
    }
}

fn constant(node: &Node) -> Option<f64> {
    match &node.kind {
        NodeKind::Negate(inner) => match inner.kind {
            NodeKind::Number(value) => Some(-value),
            _ => None,
        },
        NodeKind::Binary(binary) => match (&binary.lhs.kind, &binary.rhs.kind) {
            (NodeKind::Number(left), NodeKind::Number(right)) => {
                operation(binary.op).map(|operation| operation.scalar(*left, *right))
            }
            _ => None,
        },
        NodeKind::Call(call) if call.func.name == "pi" => Some(std::f64::consts::PI),
        _ => None,
    }
}
