//! Tells operators which labels nobody is going to look at: below an aggregation those that describe
//! the metric need not be removed from every series, which is what most of a label set's copying is
//! for.
//!
//! Applies to functions, signs and operators with a scalar below aggregations that fold and do not
//! group by such a label. Series that removing them would bring together are still brought
//! together: that is decided when the series are known (see `operators::merge`).

use promql_syntax::ast::{AggregateOp, ValueType};

use crate::functions::{Implementation, RangeTrait, Special, lookup};
use crate::operators::METADATA_LABELS;
use crate::plan::{Aggregate, Grouping, Node, NodeKind, Plan};

pub(super) fn apply(plan: &mut Plan) {
    project(&mut plan.root);
}

fn project(node: &mut Node) {
    if let NodeKind::Aggregate(aggregate) = &mut node.kind
        && looks_at_no_metadata(aggregate)
    {
        mark(&mut aggregate.expr);
    }
    for child in node.children_mut() {
        project(child);
    }
}

fn looks_at_no_metadata(aggregate: &Aggregate) -> bool {
    let folds = !matches!(
        aggregate.op,
        AggregateOp::Topk
            | AggregateOp::Bottomk
            | AggregateOp::Limitk
            | AggregateOp::LimitRatio
            | AggregateOp::CountValues
    );
    let is_metadata = |label: &String| METADATA_LABELS.contains(&label.as_str());
    folds
        && match &aggregate.grouping {
            Grouping::By(labels) => !labels.iter().any(is_metadata),
            Grouping::Without(_) => true,
        }
}

/// Marks what removes metadata, from the top down to what keeps it.
fn mark(node: &mut Node) {
    let input = match &mut node.kind {
        NodeKind::Negate(inner) => Some(&mut **inner),
        NodeKind::Binary(binary) if !binary.op.is_comparison() && !binary.op.is_set() => {
            match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Vector) => Some(&mut *binary.rhs),
                (ValueType::Vector, ValueType::Scalar) => Some(&mut *binary.lhs),
                _ => None,
            }
        }
        NodeKind::Call(call) => {
            let removes = match lookup(call.func.name) {
                Some(Implementation::Range(range_trait, _)) => range_trait != RangeTrait::KeepsName,
                Some(
                    Implementation::Map(_)
                    | Implementation::MapWith(_)
                    | Implementation::Date(_)
                    | Implementation::Special(Special::Timestamp),
                ) => true,
                _ => false,
            };
            let is_input = |input: &&mut Node| {
                matches!(input.value_type(), ValueType::Vector | ValueType::Matrix)
            };
            call.args.iter_mut().find(is_input).filter(|_| removes)
        }
        NodeKind::StepInvariant(inner) => return mark(inner),
        _ => None,
    };
    if let Some(input) = input {
        if input.value_type() == ValueType::Vector {
            mark(input);
        }
        node.metadata_unseen = true;
    }
}
