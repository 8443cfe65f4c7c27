//! `label_replace`, `label_join`.

use model::{LabelsBuilder, METRIC_NAME};
use promql_syntax::ast::Call;

use super::text;
use crate::reference::evaluate::{Reference, unique};
use crate::reference::{Context, Item, Outcome, ReferenceError, Steps};

/// The value that a series gets; `None` where it stays as it is.
type NewValue<'a> = Box<dyn Fn(&Item) -> Option<String> + 'a>;

impl Reference<'_> {
    pub(super) fn relabel(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let args = &call.args;
        let destination = text(&args[1])?;
        if destination.is_empty() {
            return Err(ReferenceError::Argument);
        }
        let value_of: NewValue<'_> = if call.func.name == "label_replace" {
            let (template, source, pattern) = (text(&args[2])?, text(&args[3])?, text(&args[4])?);
            let regex = re2::Regex::new_enclosed("^(?s:", pattern, ")$")
                .map_err(|_| ReferenceError::Argument)?;
            Box::new(move |item| {
                let value = item.labels.value_or_empty(source);
                let captures = regex.captures(value)?;
                let mut result = String::new();
                captures.expand(template, &mut result);
                Some(result)
            })
        } else {
            let separator = text(&args[2])?;
            let mut sources = Vec::new();
            for arg in &args[3..] {
                sources.push(text(arg)?);
            }
            if sources.iter().any(|source| source.is_empty()) {
                return Err(ReferenceError::Argument);
            }
            Box::new(move |item| {
                let values = sources
                    .iter()
                    .map(|source| item.labels.value_or_empty(source));
                Some(values.collect::<Vec<_>>().join(separator))
            })
        };
        let mut steps = self.steps(&args[0], context)?;
        for vector in &mut steps {
            for item in vector.iter_mut() {
                let Some(value) = value_of(item) else {
                    continue;
                };
                let mut labels = LabelsBuilder::new(item.labels.clone());
                labels.set(destination, &value);
                item.labels = labels.build().map_err(|_| ReferenceError::Argument)?;
                if destination == METRIC_NAME {
                    item.drop_name = false;
                }
            }
            unique(vector)?;
        }
        Ok(steps)
    }
}
