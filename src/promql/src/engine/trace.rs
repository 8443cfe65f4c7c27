//! Takes down how a plan changes while it is optimised.

use crate::explain::{OperatorUsage, PlanTrace, PlanTree, RuleTrace};
use crate::plan::{Node, Plan, resolve_ranges};

/// The plans so far.
#[derive(Default)]
pub(super) struct Tracer {
    built: Option<PlanTree>,
    rules: Vec<RuleTrace>,
}

impl Tracer {
    /// Takes down the plan before any rule.
    pub(super) fn start(&mut self, plan: &Plan) {
        self.built = Some(resolved(plan));
    }

    /// Takes down the plan after a rule.
    pub(super) fn applied(&mut self, rule: &'static str, plan: &Plan) {
        let plan = resolved(plan);
        let before = self.rules.last().map(|before| &before.plan);
        let changed = before.or(self.built.as_ref()) != Some(&plan);
        self.rules.push(RuleTrace {
            rule,
            changed,
            plan,
        });
    }

    /// The trace of a plan; `None` unless it was started.
    pub(super) fn finish(
        self,
        plan: &Plan,
        usage: &dyn Fn(&Node) -> Option<OperatorUsage>,
    ) -> Option<PlanTrace> {
        Some(PlanTrace {
            steps: plan.steps(),
            built: self.built?,
            rules: self.rules,
            optimised: plan.tree(usage),
        })
    }
}

/// The tree of a plan as it would be run.
fn resolved(plan: &Plan) -> PlanTree {
    let mut plan = plan.clone();
    resolve_ranges(&mut plan);
    plan.tree(&|_| None)
}
