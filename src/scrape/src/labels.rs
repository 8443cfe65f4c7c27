//! How labels of a sample and labels of its target become one set.

use config::{NameValidation, ScrapeConfig};
use model::labels::{is_legacy_label_name, is_legacy_metric_name};
use model::{LabelError, Labels, LabelsBuilder};

use crate::error::ScrapeError;

/// Put in front of labels that lose against the target's.
const EXPORTED_PREFIX: &str = "exported_";

/// Who wins where a sample and its target have a label of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conflicts {
    /// The target; the sample's label is renamed.
    TargetWins,
    /// The sample: `honor_labels`.
    SampleWins,
}

/// The labels of a series as stored, or why they fail the scrape.
pub(crate) fn stored_labels(
    scraped: &Labels,
    target: &Labels,
    config: &ScrapeConfig,
) -> Result<Labels, ScrapeError> {
    let conflicts = match config.honor_labels {
        true => Conflicts::SampleWins,
        false => Conflicts::TargetWins,
    };
    let labels = merge(scraped, target, conflicts).map_err(refused)?;
    if labels.metric_name().is_none() {
        return Err(ScrapeError::NoMetricName);
    }
    if config.name_validation == NameValidation::Legacy && !has_legacy_names(&labels) {
        return Err(ScrapeError::InvalidNames(labels));
    }
    check_limits(&labels, config)?;
    Ok(labels)
}

/// A label error in upstream's words.
pub(crate) fn refused(error: LabelError) -> ScrapeError {
    match error {
        LabelError::DuplicateName(name) => ScrapeError::DuplicateLabel(name),
        other => ScrapeError::Parse(other.into()),
    }
}

/// Source: upstream `scrape/scrape.go`, `mutateSampleLabels`.
pub(crate) fn merge(
    scraped: &Labels,
    target: &Labels,
    conflicts: Conflicts,
) -> Result<Labels, LabelError> {
    if conflicts == Conflicts::SampleWins {
        let missing = target
            .iter()
            .filter(|(name, _)| scraped.get(name).is_none());
        return Labels::from_pairs(scraped.iter().chain(missing));
    }
    let mut losers: Vec<(&str, &str)> = scraped
        .iter()
        .filter(|(name, _)| target.get(name).is_some())
        .collect();
    if losers.is_empty() {
        return Labels::from_pairs(scraped.iter().chain(target.iter()));
    }
    let mut builder = LabelsBuilder::new(scraped.clone());
    for (name, value) in target {
        builder.set(name, value);
    }
    // Shorter names first, so that `exported_x` gives way before `x` looks for a free name.
    losers.sort_by_key(|(name, _)| name.len());
    for (name, value) in losers {
        let mut renamed = format!("{EXPORTED_PREFIX}{name}");
        while builder.get(&renamed).is_some() {
            renamed.insert_str(0, EXPORTED_PREFIX);
        }
        builder.set(&renamed, value);
    }
    builder.build()
}

fn has_legacy_names(labels: &Labels) -> bool {
    labels.metric_name().is_some_and(is_legacy_metric_name)
        && labels.iter().all(|(name, _)| is_legacy_label_name(name))
}

/// Source: upstream `scrape/scrape.go`, `verifyLabelLimits`.
fn check_limits(labels: &Labels, config: &ScrapeConfig) -> Result<(), ScrapeError> {
    let limits = &config.limits;
    let metric = || labels.value_or_empty(model::METRIC_NAME).to_owned();
    let count = labels.len();
    if is_over(count, limits.labels) {
        return Err(ScrapeError::LabelLimit {
            metric: metric(),
            count,
            limit: limits.labels,
        });
    }
    for (name, value) in labels {
        if is_over(name.len(), limits.label_name_bytes) {
            return Err(ScrapeError::LabelNameLimit {
                metric: metric(),
                name: name.to_owned(),
                limit: limits.label_name_bytes,
            });
        }
        if is_over(value.len(), limits.label_value_bytes) {
            return Err(ScrapeError::LabelValueLimit {
                metric: metric(),
                name: name.to_owned(),
                value: value.to_owned(),
                limit: limits.label_value_bytes,
            });
        }
    }
    Ok(())
}

/// Whether a limit, of which zero means none, is exceeded.
pub(crate) fn is_over(count: usize, limit: u64) -> bool {
    limit > 0 && u64::try_from(count).unwrap_or(u64::MAX) > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).expect("the pairs form a set")
    }

    #[test]
    fn conflicts_are_resolved_as_configured() {
        let target: &[(&str, &str)] = &[("job", "j"), ("instance", "i")];
        for (scraped, theirs, ours) in [
            (
                &[("a", "1")] as &[(&str, &str)],
                r#"{a="1", instance="i", job="j"}"#,
                r#"{a="1", instance="i", job="j"}"#,
            ),
            (
                &[("job", "x")],
                r#"{instance="i", job="x"}"#,
                r#"{exported_job="x", instance="i", job="j"}"#,
            ),
            (
                &[("job", "x"), ("exported_job", "y")],
                r#"{exported_job="y", instance="i", job="x"}"#,
                r#"{exported_exported_job="x", exported_job="y", instance="i", job="j"}"#,
            ),
        ] {
            let merged = |conflicts| {
                merge(&labels(scraped), &labels(target), conflicts).map(|set| set.to_string())
            };
            assert_eq!(merged(Conflicts::SampleWins), Ok(theirs.to_owned()));
            assert_eq!(merged(Conflicts::TargetWins), Ok(ours.to_owned()));
        }
    }

    #[test]
    fn renamed_labels_give_way_to_each_other() {
        let scraped = labels(&[("a", "1"), ("exported_a", "2")]);
        let target = labels(&[("a", "t"), ("exported_a", "u")]);
        let merged = merge(&scraped, &target, Conflicts::TargetWins).map(|set| set.to_string());
        let want =
            r#"{a="t", exported_a="u", exported_exported_a="1", exported_exported_exported_a="2"}"#;
        assert_eq!(merged, Ok(want.to_owned()));
    }
}
