//! What explanations of a query show: its plan before and after each rule and, when it was run for
//! that, what every operator cost. Plain data, to be printed or written as JSON by others.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use model::{PromDuration, Timestamp};

use crate::result::QueryResult;

/// How a query's plan came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTrace {
    /// The steps at which the query is evaluated.
    pub steps: PlanSteps,
    /// The plan as built from the query, before any rule.
    pub built: PlanTree,
    /// The optimiser's rules in the order in which they ran.
    pub rules: Vec<RuleTrace>,
    /// The plan that is run. After [`crate::Engine::analyze`] each part says what it cost.
    pub optimised: PlanTree,
}

/// The steps of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSteps {
    /// The first one.
    pub first: Timestamp,
    /// How many there are.
    pub count: usize,
    /// The distance between two; meaningless when there is only one.
    pub step: PromDuration,
}

/// What a rule made of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTrace {
    /// The rule's name.
    pub rule: &'static str,
    /// Whether it changed anything.
    pub changed: bool,
    /// The plan after it. Before it, the plan was that after the rule before.
    pub plan: PlanTree,
}

/// A part of a plan with its inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanTree {
    /// What it computes, in one line.
    pub operation: String,
    /// The bytes of the query's text that it stands for.
    pub position: Range<usize>,
    /// Its inputs, in order.
    pub inputs: Vec<PlanTree>,
    /// What it cost; only known after it ran.
    pub usage: Option<OperatorUsage>,
}

/// What an operator cost. A part that several others share is counted where it is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorUsage {
    /// Time spent in it and its inputs, added up over threads: it may exceed that of whoever waited
    /// for it.
    pub time: Duration,
    /// Series that it gave.
    pub series: u64,
    /// Samples that it gave: points of all steps, or samples read for windows.
    pub samples: u64,
    /// Bytes of labels and samples that it gave.
    pub bytes: u64,
}

/// A query's result, and what each part of its plan cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// The result.
    pub result: QueryResult,
    /// The plan; `None` when there is no step to evaluate.
    pub trace: Option<PlanTrace>,
}

impl PlanTrace {
    /// The plan before the rule at this place in [`PlanTrace::rules`].
    #[must_use]
    pub fn before(&self, rule: usize) -> &PlanTree {
        match rule
            .checked_sub(1)
            .and_then(|before| self.rules.get(before))
        {
            Some(before) => &before.plan,
            None => &self.built,
        }
    }
}

impl fmt::Display for PlanTrace {
    /// The plan before the rules, after each one that changed it, and as it is run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n\nbefore the rules\n{}", self.steps, self.built)?;
        for rule in &self.rules {
            match rule.changed {
                true => writeln!(f, "after rule {}\n{}", rule.rule, rule.plan)?,
                false => writeln!(f, "after rule {}: the same\n", rule.rule)?,
            }
        }
        write!(f, "as it is run\n{}", self.optimised)
    }
}

impl fmt::Display for PlanSteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.as_millis();
        write!(f, "steps: {} from {first} every {}", self.count, self.step)
    }
}

impl fmt::Display for PlanTree {
    /// One line for each part, inputs indented below what reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Chains are deep on the left, and text does not need the stack.
        let mut pending = vec![(self, 0)];
        while let Some((tree, depth)) = pending.pop() {
            write!(f, "{:width$}{}", "", tree.operation, width = depth * 2)?;
            if let Some(usage) = &tree.usage {
                write!(f, "  ({usage})")?;
            }
            writeln!(f)?;
            pending.extend(tree.inputs.iter().rev().map(|input| (input, depth + 1)));
        }
        Ok(())
    }
}

impl fmt::Display for OperatorUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {} series, {} samples, {} bytes",
            self.time, self.series, self.samples, self.bytes
        )
    }
}
