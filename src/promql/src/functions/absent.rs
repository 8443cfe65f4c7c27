//! The labels that `absent` and `absent_over_time` give.

use hashbrown::HashSet;
use model::{LabelError, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use crate::plan::{Node, NodeKind};

/// The labels that a selector's matchers fix by equality; a label with several matchers is left
/// out. Empty for anything but a selector. Source: upstream `createLabelsForAbsentFunction`.
pub(crate) fn absent_labels(argument: &Node) -> Result<Labels, LabelError> {
    match &argument.computation().kind {
        NodeKind::Selector(selector) => fixed_labels(&selector.written),
        NodeKind::Matrix(matrix) => fixed_labels(&matrix.selector.written),
        _ => Ok(Labels::empty()),
    }
}

fn fixed_labels(matchers: &[Matcher]) -> Result<Labels, LabelError> {
    let mut labels = LabelsBuilder::default();
    let mut seen = HashSet::new();
    for matcher in matchers
        .iter()
        .filter(|matcher| matcher.name() != METRIC_NAME)
    {
        let is_first_equality = matcher.op() == MatchOp::Equal && seen.insert(matcher.name());
        let value = if is_first_equality {
            matcher.value()
        } else {
            ""
        };
        labels.set(matcher.name(), value);
    }
    labels.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_single_equalities() {
        let matcher = |op, name: &str, value: &str| Matcher::new(op, name, value).expect("valid");
        let matchers = [
            matcher(MatchOp::Equal, "__name__", "up"),
            matcher(MatchOp::Equal, "job", "a"),
            matcher(MatchOp::Equal, "zone", "x"),
            matcher(MatchOp::Equal, "zone", "y"),
            matcher(MatchOp::NotEqual, "env", "dev"),
        ];
        let labels = fixed_labels(&matchers).expect("valid labels");
        assert_eq!(labels.to_string(), r#"{job="a"}"#);
    }
}
