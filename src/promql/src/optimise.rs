//! Rules that change a plan without changing what it gives, one file each.

mod constant_folding;
mod step_invariant;

use crate::plan::Plan;

/// A rewriting of plans.
struct Rule {
    /// Its name, for traces.
    name: &'static str,
    apply: fn(&mut Plan),
}

/// All rules in the order in which they run.
const RULES: [Rule; 2] = [
    Rule {
        name: "constant folding",
        apply: constant_folding::apply,
    },
    Rule {
        name: "step invariant",
        apply: step_invariant::apply,
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
