//! How often each part of the language came.

use std::collections::BTreeMap;
use std::fmt;

use promql_syntax::Expr;
use promql_syntax::ast::{
    AtModifier, BinaryExpr, MatchCardinality, TimeModifiers, UnaryOp, WindowEdges,
};
use promql_syntax::functions::functions;

/// Counts of cases that hold a part of the language, by kind and name.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    parts: BTreeMap<(&'static str, String), usize>,
    depths: BTreeMap<usize, usize>,
}

impl Counts {
    /// Counts the parts of a query, each one once.
    pub fn add(&mut self, expr: &Expr) {
        let mut parts = Vec::new();
        expr.walk(|node| collect(node, &mut parts));
        parts.sort();
        parts.dedup();
        for part in parts {
            *self.parts.entry(part).or_default() += 1;
        }
        *self.depths.entry(depth(expr)).or_default() += 1;
    }

    /// How many cases held a part.
    #[must_use]
    pub fn of(&self, kind: &'static str, name: &str) -> usize {
        self.parts
            .get(&(kind, name.to_owned()))
            .copied()
            .unwrap_or(0)
    }

    /// The functions that came in fewer than `wanted` cases.
    #[must_use]
    pub fn rare_functions(&self, wanted: usize) -> Vec<&'static str> {
        let names = functions().iter().map(|function| function.name);
        names
            .filter(|name| self.of("function", name) < wanted)
            .collect()
    }

    /// The smallest count of a part, and the part.
    #[must_use]
    pub fn rarest(&self) -> Option<(&str, usize)> {
        let parts = self
            .parts
            .iter()
            .map(|((_, name), count)| (name.as_str(), *count));
        parts.min_by_key(|(_, count)| *count)
    }
}

impl fmt::Display for Counts {
    /// One line for each kind, then the distribution of depths.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in ["function", "operator", "aggregation", "modifier"] {
            write!(f, "{kind}s:")?;
            for ((_, name), count) in self.parts.iter().filter(|((own, _), _)| *own == kind) {
                write!(f, " {name}={count}")?;
            }
            writeln!(f)?;
        }
        write!(f, "depths:")?;
        for (depth, count) in &self.depths {
            write!(f, " {depth}={count}")?;
        }
        Ok(())
    }
}

/// How many levels a tree has.
fn depth(expr: &Expr) -> usize {
    1 + expr.children().into_iter().map(depth).max().unwrap_or(0)
}

type Parts = Vec<(&'static str, String)>;

fn collect(node: &Expr, parts: &mut Parts) {
    let mut modifier = |name: &str, is_there: bool| {
        if is_there {
            parts.push(("modifier", name.to_owned()));
        }
    };
    match node {
        Expr::VectorSelector(selector) => {
            time_modifiers(&selector.time, &mut modifier);
            modifier("smoothed-instant", selector.edges == WindowEdges::Smoothed);
        }
        Expr::MatrixSelector(matrix) => {
            time_modifiers(&matrix.selector.time, &mut modifier);
            modifier("anchored", matrix.selector.edges == WindowEdges::Anchored);
            modifier("smoothed", matrix.selector.edges == WindowEdges::Smoothed);
            modifier("computed-range", matrix.range_expr.is_some());
        }
        Expr::Subquery(subquery) => {
            time_modifiers(&subquery.time, &mut modifier);
            modifier("subquery", true);
            modifier(
                "default-step",
                subquery.step.is_none() && subquery.step_expr.is_none(),
            );
            modifier("computed-step", subquery.step_expr.is_some());
            modifier("computed-range", subquery.range_expr.is_some());
        }
        Expr::Aggregate(aggregate) => {
            modifier("without", aggregate.without);
            modifier("by", !aggregate.without && !aggregate.grouping.is_empty());
            parts.push(("aggregation", aggregate.op.as_str().to_owned()));
        }
        Expr::Binary(binary) => {
            matching_modifiers(binary, &mut modifier);
            parts.push(("operator", binary.op.as_str().to_owned()));
        }
        Expr::Unary(unary) if unary.op == UnaryOp::Minus => {
            parts.push(("operator", "unary-minus".to_owned()));
        }
        Expr::Call(call) => parts.push(("function", call.func.name.to_owned())),
        _ => {}
    }
}

fn time_modifiers(time: &TimeModifiers, modifier: &mut impl FnMut(&str, bool)) {
    modifier("offset", time.offset.as_millis() > 0);
    modifier("negative-offset", time.offset.as_millis() < 0);
    modifier("computed-offset", time.offset_expr.is_some());
    modifier("@", matches!(time.at, Some(AtModifier::Timestamp(_))));
    modifier("@start", matches!(time.at, Some(AtModifier::Start)));
    modifier("@end", matches!(time.at, Some(AtModifier::End)));
}

fn matching_modifiers(binary: &BinaryExpr, modifier: &mut impl FnMut(&str, bool)) {
    modifier("bool", binary.return_bool);
    let Some(matching) = &binary.matching else {
        return;
    };
    modifier("on", matching.on);
    modifier("ignoring", !matching.on && !matching.labels.is_empty());
    modifier("group_left", matching.card == MatchCardinality::ManyToOne);
    modifier("group_right", matching.card == MatchCardinality::OneToMany);
    modifier("include", !matching.include.is_empty());
    modifier("fill", matching.fill.written_as_one);
    modifier(
        "fill_left",
        matching.fill.lhs.is_some() && !matching.fill.written_as_one,
    );
    modifier(
        "fill_right",
        matching.fill.rhs.is_some() && !matching.fill.written_as_one,
    );
}
