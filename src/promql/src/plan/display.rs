//! The plan as a tree of lines, for tests and explanations.

use std::fmt;

use model::PromDuration;

use super::{Binary, Grouping, Node, NodeKind, Plan, Selector, SelectorOutput};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grid = self.grid;
        writeln!(
            f,
            "steps: {} from {} every {}",
            grid.count(),
            grid.first_ms(),
            PromDuration::from_millis(grid.step_ms())
        )?;
        write_node(f, &self.root, 0)
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &Node, depth: usize) -> fmt::Result {
    write!(f, "{:width$}", "", width = depth * 2)?;
    match &node.kind {
        NodeKind::Number(value) => writeln!(f, "number {}", model::number::format_general(*value))?,
        NodeKind::Text(text) => writeln!(f, "text {}", model::quote::quoted(text))?,
        NodeKind::Selector(selector) => {
            write!(f, "selector ")?;
            write_selector(f, selector)?;
        }
        NodeKind::Matrix(matrix) => {
            let range = PromDuration::from_millis(matrix.selector.window_ms);
            write!(f, "matrix [{range}] ")?;
            write_selector(f, &matrix.selector)?;
        }
        NodeKind::Subquery(subquery) => {
            let range = PromDuration::from_millis(subquery.window_ms);
            let step = PromDuration::from_millis(subquery.step_ms);
            write!(f, "subquery [{range}:{step}]")?;
            write_times(f, subquery.at_ms, subquery.offset_ms)?;
            let steps = subquery.grid.map_or(0, |grid| grid.count());
            writeln!(f, " steps={steps}")?;
            write_node(f, &subquery.expr, depth + 1)?;
        }
        NodeKind::Aggregate(aggregate) => {
            let (word, labels) = match &aggregate.grouping {
                Grouping::By(labels) => ("by", labels),
                Grouping::Without(labels) => ("without", labels),
            };
            writeln!(f, "{} {word} ({})", aggregate.op, labels.join(", "))?;
            if let Some(param) = &aggregate.param {
                write_node(f, param, depth + 1)?;
            }
            write_node(f, &aggregate.expr, depth + 1)?;
        }
        NodeKind::Binary(binary) => {
            write_binary(f, binary)?;
            write_node(f, &binary.lhs, depth + 1)?;
            write_node(f, &binary.rhs, depth + 1)?;
        }
        NodeKind::Negate(inner) => {
            writeln!(f, "negate")?;
            write_node(f, inner, depth + 1)?;
        }
        NodeKind::StepInvariant(inner) => {
            writeln!(f, "once")?;
            write_node(f, inner, depth + 1)?;
        }
        NodeKind::Call(call) => {
            writeln!(f, "{}()", call.func.name)?;
            for arg in &call.args {
                write_node(f, arg, depth + 1)?;
            }
        }
    }
    Ok(())
}

fn write_binary(f: &mut fmt::Formatter<'_>, binary: &Binary) -> fmt::Result {
    write!(f, "binary {}", binary.op)?;
    if binary.return_bool {
        write!(f, " bool")?;
    }
    if let Some(matching) = &binary.matching {
        let word = if matching.on { "on" } else { "ignoring" };
        write!(
            f,
            " {} {word} ({})",
            matching.card.as_str(),
            matching.labels.join(", ")
        )?;
    }
    writeln!(f)
}

fn write_selector(f: &mut fmt::Formatter<'_>, selector: &Selector) -> fmt::Result {
    write!(f, "{{")?;
    for (index, matcher) in selector.matchers.iter().enumerate() {
        write!(f, "{}{matcher}", if index > 0 { "," } else { "" })?;
    }
    write!(f, "}}")?;
    write_times(f, selector.at_ms, selector.offset_ms)?;
    if let Some(keyword) = selector.edges.keyword() {
        write!(f, " {keyword}")?;
    }
    match selector.output {
        SelectorOutput::Value => {}
        SelectorOutput::Timestamp => write!(f, " timestamps")?,
        SelectorOutput::StartTimestamp => write!(f, " start_timestamps")?,
    }
    writeln!(
        f,
        " reads={}..{}",
        selector.read.start.as_millis(),
        selector.read.end.as_millis()
    )
}

fn write_times(f: &mut fmt::Formatter<'_>, at_ms: Option<i64>, offset_ms: i64) -> fmt::Result {
    if let Some(at) = at_ms {
        write!(f, " @{at}")?;
    }
    if offset_ms != 0 {
        write!(f, " offset={}", PromDuration::from_millis(offset_ms))?;
    }
    Ok(())
}
