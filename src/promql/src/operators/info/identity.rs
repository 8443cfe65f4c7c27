//! What a series is about: the values of the labels that identify a target.

use std::collections::BTreeSet;

use model::{Labels, MatchOp, Matcher};

use crate::error::EngineError;
use crate::operators::group_key::write_key;

/// The labels that identify a target. Source: upstream `identifyingLabels`.
const IDENTIFYING_LABELS: [&str; 2] = ["instance", "job"];

/// How many values storage is asked for; with more of them it gives all that have the label.
const MAX_VALUES: usize = 10_000;

/// How many bytes of values storage is asked for.
const MAX_VALUES_BYTES: usize = 1 << 20;

/// Whether all matchers accept the value.
pub(super) fn matches_all(matchers: &[Matcher], value: &str) -> bool {
    matchers.iter().all(|matcher| matcher.matches(value))
}

/// Writes a key that is equal for series about the same target.
pub(super) fn write_identity(labels: &Labels, key: &mut String) {
    write_key(labels, key, |name| IDENTIFYING_LABELS.contains(&name));
}

/// The targets that series are about. Series that have the same identifying labels, whatever their
/// values, are kept together: info series have to have the same ones.
#[derive(Default)]
pub(super) struct Identities {
    /// For each choice of identifying labels, by its bits, the values of each of them.
    by_presence: [IdentityValues; 1 << IDENTIFYING_LABELS.len()],
}

/// The values of each identifying label.
type IdentityValues = [BTreeSet<String>; IDENTIFYING_LABELS.len()];

impl Identities {
    /// Adds the target of a series, if it is about one.
    pub(super) fn add(&mut self, labels: &Labels) {
        let values = IDENTIFYING_LABELS.map(|name| labels.value_or_empty(name));
        let group = &mut self.by_presence[presence_of(&values)];
        for (known, value) in group.iter_mut().zip(values) {
            if !value.is_empty() && !known.contains(value) {
                known.insert(value.to_owned());
            }
        }
    }

    /// Whether an info series may be about one of the targets.
    pub(super) fn may_include(&self, labels: &Labels) -> bool {
        let values = IDENTIFYING_LABELS.map(|name| labels.value_or_empty(name));
        let presence = presence_of(&values);
        presence != 0
            && self.by_presence[presence]
                .iter()
                .zip(values)
                .all(|(known, value)| value.is_empty() || known.contains(value))
    }

    /// The conditions under which storage finds all info series that may be about one of the
    /// targets, one list for each choice of identifying labels.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, EngineError> {
        let used = |(presence, group): &(usize, &IdentityValues)| {
            *presence != 0 && group.iter().any(|values| !values.is_empty())
        };
        self.by_presence
            .iter()
            .enumerate()
            .filter(used)
            .map(|(_, group)| {
                IDENTIFYING_LABELS
                    .iter()
                    .zip(group)
                    .map(|(name, values)| one_of(name, values))
                    .collect()
            })
            .collect()
    }
}

/// Which identifying labels there are, a bit for each.
fn presence_of(values: &[&str]) -> usize {
    values
        .iter()
        .enumerate()
        .map(|(bit, value)| usize::from(!value.is_empty()) << bit)
        .sum()
}

/// The condition that a label has one of the values, or is absent if there is none.
fn one_of(name: &str, values: &BTreeSet<String>) -> Result<Matcher, EngineError> {
    let bytes: usize = values.iter().map(String::len).sum();
    if values.is_empty() {
        return Ok(Matcher::equal(name, ""));
    }
    if values.len() > MAX_VALUES || bytes > MAX_VALUES_BYTES {
        return matcher(MatchOp::NotEqual, name, "");
    }
    if let (1, Some(value)) = (values.len(), values.first()) {
        return Ok(Matcher::equal(name, value));
    }
    let quoted: Vec<String> = values.iter().map(|value| re2::quote_meta(value)).collect();
    matcher(MatchOp::Regex, name, &quoted.join("|"))
}

fn matcher(op: MatchOp, name: &str, value: &str) -> Result<Matcher, EngineError> {
    Matcher::new(op, name, value).map_err(|error| EngineError::BadQuery(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("valid labels")
    }

    #[test]
    fn storage_is_asked_for_the_targets_only() {
        let mut identities = Identities::default();
        assert!(identities.matchers().expect("valid").is_empty());
        for series in [
            labels(&[("instance", "b"), ("job", "x.y"), ("zone", "1")]),
            labels(&[("instance", "a"), ("job", "x.y")]),
            labels(&[("job", "batch")]),
            labels(&[("zone", "1")]),
        ] {
            identities.add(&series);
        }
        let texts: Vec<String> = identities
            .matchers()
            .expect("valid")
            .iter()
            .map(|matchers| {
                let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
                texts.join(",")
            })
            .collect();
        let want = [r#"instance="",job="batch""#, r#"instance=~"a|b",job="x.y""#];
        assert_eq!(texts, want);
        for (info, want) in [
            (labels(&[("instance", "a"), ("job", "x.y")]), true),
            (labels(&[("instance", "a"), ("job", "batch")]), false),
            (labels(&[("instance", "a")]), false),
            (labels(&[("job", "batch"), ("version", "2")]), true),
            (labels(&[("zone", "1")]), false),
        ] {
            assert_eq!(identities.may_include(&info), want, "{info}");
        }
    }

    #[test]
    fn very_many_targets_are_not_listed() {
        let mut identities = Identities::default();
        for number in 0..=MAX_VALUES {
            identities.add(&labels(&[("instance", &number.to_string())]));
        }
        let matchers = identities.matchers().expect("valid");
        assert_eq!(matchers[0][0].to_string(), r#"instance!="""#);
        assert!(!identities.may_include(&labels(&[("instance", "none")])));
    }
}
