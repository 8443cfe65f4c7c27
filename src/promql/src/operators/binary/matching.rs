//! Which series of two vectors match.

use hashbrown::HashMap;
use model::{Labels, LabelsBuilder};
use promql_syntax::ast::{MatchCardinality, VectorMatching};

use crate::error::EngineError;
use crate::operators::group_key::{is_in, is_kept_without, write_key};
use crate::operators::{SeriesMeta, without_metadata};

/// Numbers for match groups: series of both sides with the same number match.
pub(super) struct MatchGroups<'a> {
    labels: Vec<String>,
    matching: &'a VectorMatching,
    numbers: HashMap<String, usize>,
    key: String,
}

impl<'a> MatchGroups<'a> {
    pub(super) fn new(matching: &'a VectorMatching) -> Self {
        let mut labels = matching.labels.clone();
        labels.sort_unstable();
        Self {
            labels,
            matching,
            numbers: HashMap::new(),
            key: String::new(),
        }
    }

    /// The number of a series' group.
    pub(super) fn number(&mut self, labels: &Labels) -> usize {
        let (names, on) = (&self.labels, self.matching.on);
        write_key(labels, &mut self.key, |label| {
            if on {
                is_in(names, label)
            } else {
                is_kept_without(names, label)
            }
        });
        if let Some(number) = self.numbers.get(&self.key) {
            return *number;
        }
        let number = self.numbers.len();
        self.numbers.insert(self.key.clone(), number);
        number
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

/// The labels in which the series of a group agree.
pub(super) fn match_labels(labels: &Labels, matching: &VectorMatching) -> Labels {
    if matching.on {
        labels.keep(&matching.labels)
    } else {
        labels.without(&matching.labels)
    }
}

/// The labels of a result: those of the many side, changed as the matching says. Source: upstream
/// `resultMetric`.
pub(super) fn result_labels(
    many: &SeriesMeta,
    one: &Labels,
    matching: &VectorMatching,
    drops_metadata: bool,
) -> Result<Labels, EngineError> {
    let mut labels = many.labels.clone();
    if drops_metadata {
        labels = without_metadata(&labels);
    }
    if matching.card == MatchCardinality::OneToOne {
        labels = if matching.on {
            labels.keep(&matching.labels)
        } else {
            labels.filter(|label| !matching.labels.iter().any(|name| name == label))
        };
    }
    if matching.include.is_empty() {
        return Ok(labels);
    }
    let mut builder = LabelsBuilder::new(labels);
    for name in &matching.include {
        builder.set(name, one.value_or_empty(name));
    }
    Ok(builder.build()?)
}
