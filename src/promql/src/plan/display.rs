//! The plan as a tree of texts, for tests and explanations.

use std::fmt::{self, Write as _};

use model::{Matcher, PromDuration, Timestamp};

use super::{Binary, CommonUse, Grouping, Node, NodeKind, Plan, Selector, SelectorOutput};
use crate::explain::{OperatorUsage, PlanSteps, PlanTree};

impl Plan {
    /// The steps at which it is computed.
    pub(crate) fn steps(&self) -> PlanSteps {
        PlanSteps {
            first: Timestamp::from_millis(self.grid.first_ms()),
            count: self.grid.count(),
            step: PromDuration::from_millis(self.grid.step_ms()),
        }
    }

    /// The plan as a tree. `usage` knows what the parts cost.
    pub(crate) fn tree(&self, usage: &dyn Fn(&Node) -> Option<OperatorUsage>) -> PlanTree {
        tree(&self.root, usage)
    }
}

fn tree(node: &Node, usage: &dyn Fn(&Node) -> Option<OperatorUsage>) -> PlanTree {
    let mut operation = String::new();
    // Writing into a text cannot fail.
    let _written = write_operation(&mut operation, node);
    if node.metadata_unseen {
        operation.push_str(" (metadata labels unread)");
    }
    PlanTree {
        operation,
        position: node.pos.start..node.pos.end,
        inputs: shown_inputs(node)
            .into_iter()
            .map(|child| tree(child, usage))
            .collect(),
        usage: usage(node),
    }
}

/// What is common stands where it is computed.
fn shown_inputs(node: &Node) -> Vec<&Node> {
    match &node.kind {
        NodeKind::Common(common) if !matches!(common.purpose, CommonUse::First) => Vec::new(),
        _ => node.children(),
    }
}

fn write_operation(out: &mut String, node: &Node) -> fmt::Result {
    match &node.kind {
        NodeKind::Number(value) => write!(out, "number {}", model::number::format_general(*value)),
        NodeKind::Text(text) => write!(out, "text {}", model::quote::quoted(text)),
        NodeKind::Selector(selector) => {
            write!(out, "selector ")?;
            write_selector(out, selector)
        }
        NodeKind::Matrix(matrix) => {
            let range = PromDuration::from_millis(matrix.selector.window_ms);
            write!(out, "matrix [{range}] ")?;
            write_selector(out, &matrix.selector)
        }
        NodeKind::Subquery(subquery) => {
            let range = PromDuration::from_millis(subquery.window_ms);
            let step = PromDuration::from_millis(subquery.step_ms);
            write!(out, "subquery [{range}:{step}]")?;
            write_times(out, subquery.at_ms, subquery.offset_ms)?;
            let steps = subquery.grid.map_or(0, |grid| grid.count());
            write!(out, " steps={steps}")
        }
        NodeKind::Aggregate(aggregate) => {
            let (word, labels) = match &aggregate.grouping {
                Grouping::By(labels) => ("by", labels),
                Grouping::Without(labels) => ("without", labels),
            };
            write!(out, "{} {word} ({})", aggregate.op, labels.join(", "))
        }
        NodeKind::Binary(binary) => write_binary(out, binary),
        NodeKind::Negate(_) => write!(out, "negate"),
        NodeKind::StepInvariant(_) => write!(out, "once"),
        NodeKind::Call(call) => write!(out, "{}()", call.func.name),
        NodeKind::Info(info) => {
            write!(out, "info() ")?;
            write_selector(out, &info.series)
        }
        NodeKind::Common(common) => {
            write!(out, "common #{}", common.number)?;
            match &common.purpose {
                CommonUse::First => Ok(()),
                CommonUse::Again => write!(out, " again"),
                CommonUse::Part(matchers) => {
                    write!(out, " where ")?;
                    write_matchers(out, matchers)
                }
            }
        }
    }
}

fn write_binary(out: &mut String, binary: &Binary) -> fmt::Result {
    write!(out, "binary {}", binary.op)?;
    if binary.return_bool {
        write!(out, " bool")?;
    }
    if let Some(matching) = &binary.matching {
        let word = if matching.on { "on" } else { "ignoring" };
        write!(
            out,
            " {} {word} ({})",
            matching.card.as_str(),
            matching.labels.join(", ")
        )?;
    }
    Ok(())
}

fn write_selector(out: &mut String, selector: &Selector) -> fmt::Result {
    write_matchers(out, &selector.matchers)?;
    write_times(out, selector.at_ms, selector.offset_ms)?;
    if let Some(keyword) = selector.edges.keyword() {
        write!(out, " {keyword}")?;
    }
    match selector.output {
        SelectorOutput::Value => {}
        SelectorOutput::Timestamp => write!(out, " timestamps")?,
        SelectorOutput::StartTimestamp => write!(out, " start_timestamps")?,
    }
    if selector.statistics_only {
        write!(out, " statistics")?;
    }
    write!(
        out,
        " reads={}..{}",
        selector.read.start.as_millis(),
        selector.read.end.as_millis()
    )
}

fn write_matchers(out: &mut String, matchers: &[Matcher]) -> fmt::Result {
    write!(out, "{{")?;
    for (index, matcher) in matchers.iter().enumerate() {
        write!(out, "{}{matcher}", if index > 0 { "," } else { "" })?;
    }
    write!(out, "}}")
}

fn write_times(out: &mut String, at_ms: Option<i64>, offset_ms: i64) -> fmt::Result {
    if let Some(at) = at_ms {
        write!(out, " @{at}")?;
    }
    if offset_ms != 0 {
        write!(out, " offset={}", PromDuration::from_millis(offset_ms))?;
    }
    Ok(())
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.steps(), self.tree(&|_| None))
    }
}
