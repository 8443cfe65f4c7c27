//! Changes to labels: `label_replace` and `label_join`. They see labels only, never data.

use model::{Labels, LabelsBuilder, METRIC_NAME};
use re2::Regex;

use crate::error::{EngineError, FunctionError};
use crate::operators::SeriesMeta;

/// A change of one label.
pub(crate) enum LabelChange {
    /// `label_replace`
    Replace {
        /// The label that is set.
        target: String,
        /// What it is set to, with the groups of the pattern.
        replacement: String,
        /// The label that is read.
        source: String,
        /// What the source has to match.
        pattern: Regex,
    },
    /// `label_join`
    Join {
        /// The label that is set.
        target: String,
        /// What stands between values.
        separator: String,
        /// The labels that are read.
        sources: Vec<String>,
    },
}

impl LabelChange {
    /// From the arguments of `label_replace` behind the vector.
    pub(crate) fn replace(texts: &[String]) -> Result<Self, EngineError> {
        let [target, replacement, source, pattern] = texts else {
            return Err(EngineError::Unsupported(
                "label_replace() with these arguments".to_owned(),
            ));
        };
        // Dots match newlines, as everywhere in Prometheus 3.
        let compiled = Regex::new_enclosed("^(?s:", pattern, ")$")
            .map_err(|_| FunctionError::LabelReplacePattern(pattern.clone()))?;
        check_target(target, "label_replace")?;
        Ok(Self::Replace {
            target: target.clone(),
            replacement: replacement.clone(),
            source: source.clone(),
            pattern: compiled,
        })
    }

    /// From the arguments of `label_join` behind the vector.
    pub(crate) fn join(texts: &[String]) -> Result<Self, EngineError> {
        let [target, separator, sources @ ..] = texts else {
            return Err(EngineError::Unsupported(
                "label_join() with these arguments".to_owned(),
            ));
        };
        if let Some(source) = sources.iter().find(|source| !is_label_name(source)) {
            return Err(FunctionError::SourceLabel(source.clone()).into());
        }
        check_target(target, "label_join")?;
        Ok(Self::Join {
            target: target.clone(),
            separator: separator.clone(),
            sources: sources.to_vec(),
        })
    }

    /// The series with its label changed. A name that was set this way stays.
    pub(crate) fn apply(&self, meta: SeriesMeta) -> Result<SeriesMeta, EngineError> {
        let (target, value) = match self {
            Self::Replace {
                target,
                replacement,
                source,
                pattern,
            } => {
                let Some(captures) = pattern.captures(meta.labels.value_or_empty(source)) else {
                    return Ok(meta);
                };
                let mut value = String::new();
                captures.expand(replacement, &mut value);
                (target, value)
            }
            Self::Join {
                target,
                separator,
                sources,
            } => {
                let values: Vec<&str> = sources
                    .iter()
                    .map(|source| meta.labels.value_or_empty(source))
                    .collect();
                (target, values.join(separator))
            }
        };
        Ok(SeriesMeta {
            drop_name: meta.drop_name && target != METRIC_NAME,
            labels: with_label(meta.labels, target, &value)?,
        })
    }
}

/// The labels with one of them set; an empty value removes it.
pub(crate) fn with_label(labels: Labels, name: &str, value: &str) -> Result<Labels, EngineError> {
    Ok(LabelsBuilder::new(labels).set(name, value).build()?)
}

/// Whether a text is a label name: any that is not empty, since names are UTF-8. The parser puts
/// replacement characters where a literal's bytes are no UTF-8, and lets none through otherwise.
pub(crate) fn is_label_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)
}

fn check_target(target: &str, function: &'static str) -> Result<(), FunctionError> {
    if !is_label_name(target) {
        return Err(FunctionError::DestinationLabel {
            function,
            label: target.to_owned(),
        });
    }
    Ok(())
}
