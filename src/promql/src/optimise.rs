//! Rules that change a plan without changing what it gives, one file each.

mod common_subexpressions;
mod constant_folding;
mod label_projection;
mod step_invariant;
mod subset_selectors;

use crate::plan::Plan;

/// A rewriting of plans.
struct Rule {
    /// Its name, for traces.
    name: &'static str,
    apply: fn(&mut Plan),
}

/// Whether rules change plans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Optimiser {
    /// All rules run.
    #[default]
    On,
    /// Plans are run as built. Results are the same, only slower: for comparisons.
    Off,
}

/// All rules in the order in which they run.
const RULES: [Rule; 5] = [
    Rule {
        name: "constant folding",
        apply: constant_folding::apply,
    },
    Rule {
        name: "step invariant",
        apply: step_invariant::apply,
    },
    Rule {
        name: "common subexpressions",
        apply: common_subexpressions::apply,
    },
    Rule {
        name: "subset selectors",
        apply: subset_selectors::apply,
    },
    Rule {
        name: "label projection",
        apply: label_projection::apply,
    },
];

/// Applies all rules. `applied` sees each rule's name and the plan after it.
pub(crate) fn optimise(plan: &mut Plan, applied: &mut dyn FnMut(&'static str, &Plan)) {
    for rule in &RULES {
        (rule.apply)(plan);
        tracing::trace!(rule = rule.name, plan = %plan, "plan rewritten");
        applied(rule.name, plan);
    }
}

#[cfg(test)]
mod tests;
