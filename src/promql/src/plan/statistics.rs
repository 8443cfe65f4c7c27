//! Finds the selectors whose histograms' buckets nobody reads. Source: upstream
//! `detectHistogramStatsDecoding` in `promql/engine.go`.

use promql_syntax::ast::BinaryOp;

use super::{Node, NodeKind};

/// What the computations above a node ask of its histograms.
#[derive(Clone, Copy, Default)]
struct Asked {
    /// Something that only reads count and sum.
    statistics: bool,
    /// Something that reads buckets, or a subquery, which needs them to find counter resets.
    buckets: bool,
}

/// Marks the selectors whose histograms are needed for their counts and sums alone.
pub(super) fn mark_statistics(root: &mut Node) {
    mark(root, Asked::default());
}

fn mark(node: &mut Node, mut asked: Asked) {
    match &mut node.kind {
        NodeKind::Selector(selector) => {
            selector.statistics_only = asked.statistics && !asked.buckets;
        }
        NodeKind::Matrix(matrix) => {
            matrix.selector.statistics_only = asked.statistics && !asked.buckets;
        }
        NodeKind::Subquery(_) => asked.buckets = true,
        NodeKind::Binary(binary) => {
            asked.buckets |= matches!(binary.op, BinaryOp::TrimUpper | BinaryOp::TrimLower);
        }
        NodeKind::Call(call) => match call.func.name {
            "histogram_count" | "histogram_sum" | "histogram_avg" => asked.statistics = true,
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                asked.buckets = true;
            }
            _ => {}
        },
        _ => {}
    }
    for child in node.children_mut() {
        mark(child, asked);
    }
}
