//! Changes to a label set, collected before one new set is built.

use super::{LabelError, Labels};

/// Collects changes to a base set. The last change of a name wins.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    base: Labels,
    /// Name and new value; an empty value removes the label.
    changes: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Starts from `base`.
    #[must_use]
    pub fn new(base: Labels) -> Self {
        Self {
            base,
            changes: Vec::new(),
        }
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        match self.changes.iter_mut().find(|(changed, _)| changed == name) {
            Some((_, current)) => value.clone_into(current),
            None => self.changes.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.set(name, "")
    }

    /// The value that `name` has now.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.changes.iter().find(|(changed, _)| changed == name) {
            Some((_, value)) => Some(value.as_str()).filter(|value| !value.is_empty()),
            None => self.base.get(name),
        }
    }

    /// Builds the changed set.
    ///
    /// # Errors
    /// A name is empty or a text is too long.
    pub fn build(&self) -> Result<Labels, LabelError> {
        if self.changes.is_empty() {
            return Ok(self.base.clone());
        }
        let kept = self
            .base
            .iter()
            .filter(|(name, _)| !self.changes.iter().any(|(changed, _)| changed == name));
        let set = self
            .changes
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()));
        Labels::from_pairs(kept.chain(set))
    }
}
