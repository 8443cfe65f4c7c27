//! Label sets: sorted, unique, immutable, one allocation each.

mod builder;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use builder::LabelsBuilder;

use crate::quote::quoted;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Longest name or value that a label set can hold, in bytes.
pub const MAX_LABEL_BYTES: usize = 1 << 20;

/// A label set: names are unique and in byte order, no value is empty.
///
/// All of it lies in one shared text: for each label the name's length, the name, the value's
/// length, the value, where a length is one Unicode scalar (a single byte below 128). So a clone is
/// a counter, equality and hashing are one pass over bytes, and a set costs its text plus two bytes
/// a label.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Why labels do not form a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// Two labels share a name.
    #[error("duplicate label name {}", quoted(.0))]
    DuplicateName(String),
    /// A name is empty.
    #[error("label name is empty")]
    EmptyName,
    /// A name or value is longer than [`MAX_LABEL_BYTES`].
    #[error("label {} is longer than {MAX_LABEL_BYTES} bytes", quoted(.0))]
    TooLong(String),
    /// The metric's name is missing where one is required.
    #[error("metric name is missing")]
    MissingMetricName,
    /// A name or value is not valid UTF-8; holds the text with the bad bytes replaced.
    #[error("label {} is not valid UTF-8", quoted(.0))]
    NotUtf8(String),
    /// The bytes that should hold labels do not decode.
    #[error("labels do not decode")]
    Malformed,
}

impl Labels {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(""))
    }

    /// Builds a set from pairs in any order; pairs with an empty value are left out, as an absent
    /// label and an empty one are the same.
    ///
    /// # Errors
    /// A name is empty or occurs twice, or a text is too long.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, LabelError> {
        let mut pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        pairs.sort_unstable_by_key(|(name, _)| *name);
        Self::from_sorted(&pairs)
    }

    /// Builds a set from pairs in order of their names.
    ///
    /// # Errors
    /// As [`Labels::from_pairs`].
    pub fn from_sorted(pairs: &[(&str, &str)]) -> Result<Self, LabelError> {
        let mut packed = String::with_capacity(
            pairs
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4)
                .sum(),
        );
        let mut previous: Option<&str> = None;
        for (name, value) in pairs {
            if name.is_empty() {
                return Err(LabelError::EmptyName);
            }
            if previous == Some(name) {
                return Err(LabelError::DuplicateName((*name).to_owned()));
            }
            debug_assert!(previous < Some(name), "pairs are in order of names");
            previous = Some(name);
            if !value.is_empty() {
                push_text(&mut packed, name, name)?;
                push_text(&mut packed, value, name)?;
            }
        }
        Ok(Self(Arc::from(packed)))
    }

    /// The value of label `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        for (label, value) in self {
            match label.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The value of label `name`, empty where it is absent.
    #[must_use]
    pub fn value_or_empty(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The metric's name.
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The labels in order of their names.
    #[must_use]
    pub fn iter(&self) -> LabelIter<'_> {
        LabelIter(&self.0)
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A stable 64-bit hash (XXH64 of the packed text): same labels, same hash, on every machine.
    #[must_use]
    pub fn hash64(&self) -> u64 {
        twox_hash::XxHash64::oneshot(0, self.0.as_bytes())
    }

    /// The packed text, for storage. [`Labels::from_packed`] reads it back.
    #[must_use]
    pub fn as_packed(&self) -> &str {
        &self.0
    }

    /// Reads the packed text; `None` unless it is exactly what [`Labels::as_packed`] gives.
    #[must_use]
    pub fn from_packed(packed: &str) -> Option<Self> {
        let mut previous = "";
        let mut rest = packed;
        while !rest.is_empty() {
            let (name, after_name) = split_text(rest)?;
            let (value, after_value) = split_text(after_name)?;
            if name <= previous || value.is_empty() {
                return None;
            }
            previous = name;
            rest = after_value;
        }
        Some(Self(Arc::from(packed)))
    }

    /// As [`Labels::from_packed`], of a text that is known to be right: parts of
    /// [`Labels::packed_pairs`] in their order, one after the other.
    #[must_use]
    pub fn from_packed_pairs(packed: &str) -> Self {
        debug_assert!(Self::from_packed(packed).is_some());
        Self(Arc::from(packed))
    }

    /// The packed text of each label, in order of names. Side by side they are
    /// [`Labels::as_packed`]; no part is the beginning of another.
    pub fn packed_pairs(&self) -> impl Iterator<Item = &str> {
        let mut rest: &str = &self.0;
        std::iter::from_fn(move || {
            let (_, after_name) = split_text(rest)?;
            let (_, after_value) = split_text(after_name)?;
            let pair = &rest[..rest.len() - after_value.len()];
            rest = after_value;
            Some(pair)
        })
    }

    /// Name and value of a part of [`Labels::packed_pairs`].
    #[must_use]
    pub fn unpack_pair(pair: &str) -> Option<(&str, &str)> {
        LabelIter(pair).next()
    }

    /// Appends the packed text of the labels whose name passes `keep` to `packed`: equal texts are
    /// equal label sets.
    pub fn pack_filtered(&self, packed: &mut String, mut keep: impl FnMut(&str) -> bool) {
        let mut iter = self.iter();
        loop {
            let before = iter.0;
            let Some((name, _)) = iter.next() else { break };
            if keep(name) {
                packed.push_str(&before[..before.len() - iter.0.len()]);
            }
        }
    }

    /// The labels whose name passes `keep`.
    #[must_use]
    pub fn filter(&self, keep: impl FnMut(&str) -> bool) -> Self {
        let mut packed = String::with_capacity(self.0.len());
        self.pack_filtered(&mut packed, keep);
        if packed.len() == self.0.len() {
            self.clone()
        } else {
            Self(Arc::from(packed))
        }
    }

    /// The labels named in `names`: what `by (…)` and `on (…)` keep.
    #[must_use]
    pub fn keep(&self, names: &[String]) -> Self {
        self.filter(|label| names.iter().any(|name| name == label))
    }

    /// The labels not named in `names` and not the metric's name: what `without (…)` and
    /// `ignoring (…)` keep.
    #[must_use]
    pub fn without(&self, names: &[String]) -> Self {
        self.filter(|label| label != METRIC_NAME && !names.iter().any(|name| name == label))
    }

    /// The labels other than the metric's name.
    #[must_use]
    pub fn without_metric_name(&self) -> Self {
        self.filter(|label| label != METRIC_NAME)
    }
}

fn push_text(packed: &mut String, text: &str, label: &str) -> Result<(), LabelError> {
    let too_long = || LabelError::TooLong(label.to_owned());
    if text.len() > MAX_LABEL_BYTES {
        return Err(too_long());
    }
    let scalar = if text.len() < 0xd800 {
        text.len()
    } else {
        text.len() + 0x800
    };
    let length = u32::try_from(scalar)
        .ok()
        .and_then(char::from_u32)
        .ok_or_else(too_long)?;
    packed.push(length);
    packed.push_str(text);
    Ok(())
}

fn split_text(packed: &str) -> Option<(&str, &str)> {
    let length = packed.chars().next()?;
    let scalar = u32::from(length) as usize;
    let bytes = if scalar < 0xd800 {
        scalar
    } else {
        scalar - 0x800
    };
    packed[length.len_utf8()..].split_at_checked(bytes)
}

/// Iterator over the pairs of a [`Labels`], in order of names.
#[derive(Clone, Debug)]
pub struct LabelIter<'a>(&'a str);

impl<'a> Iterator for LabelIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = split_text(self.0)?;
        let (value, rest) = split_text(rest)?;
        self.0 = rest;
        Some((name, value))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelIter<'a>;

    fn into_iter(self) -> LabelIter<'a> {
        self.iter()
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Label by label, name before value; a set that runs out first is the smaller one. Source:
    /// upstream `labels.Compare`.
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl fmt::Display for Labels {
    /// `{a="1", b="2"}`, the metric's name as any label. Source: upstream `Labels.String`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                write!(f, "{name}={}", quoted(value))?;
            } else {
                write!(f, "{}={}", quoted(name), quoted(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` follows the label-name grammar from before UTF-8 names:
/// `[a-zA-Z_][a-zA-Z0-9_]*`.
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `name` follows the metric-name grammar from before UTF-8 names:
/// `[a-zA-Z_:][a-zA-Z0-9_:]*`.
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

#[cfg(test)]
mod tests;
