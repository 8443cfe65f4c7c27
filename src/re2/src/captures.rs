//! The groups of a match, and the templates that take text from them.

use std::ops::Range;
use std::sync::LazyLock;

use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::ClassUnicode;

use crate::Regex;
use crate::parse::class_by_name;

/// What one match found: the whole match as group 0, then the groups of the expression.
#[derive(Clone, Debug)]
pub struct Captures<'r, 'h> {
    regex: &'r Regex,
    haystack: &'h str,
    slots: Vec<Option<NonMaxUsize>>,
}

impl<'r, 'h> Captures<'r, 'h> {
    pub(crate) const fn new(
        regex: &'r Regex,
        haystack: &'h str,
        slots: Vec<Option<NonMaxUsize>>,
    ) -> Self {
        Self {
            regex,
            haystack,
            slots,
        }
    }

    /// Returns the byte range of a group, if the group took part in the match.
    pub fn span(&self, group: usize) -> Option<Range<usize>> {
        let slot = group.checked_mul(2)?;
        let start = self.slots.get(slot)?.as_ref()?.get();
        let end = self.slots.get(slot.checked_add(1)?)?.as_ref()?.get();
        Some(start..end)
    }

    /// Returns the text of a group, if the group took part in the match.
    pub fn get(&self, group: usize) -> Option<&'h str> {
        self.haystack.get(self.span(group)?)
    }

    /// Returns the text of the first group with the given name that took part in the match.
    pub fn name(&self, name: &str) -> Option<&'h str> {
        let names = self.regex.group_names().enumerate();
        let mut groups = names.filter(|(_, found)| *found == Some(name));
        groups.find_map(|(group, _)| self.get(group))
    }

    /// Returns the byte range of the whole match.
    pub fn matched(&self) -> Range<usize> {
        self.span(0).unwrap_or(0..0)
    }

    /// Appends a template to `output`, with its variables replaced.
    ///
    /// The rules are those of Go's `Regexp.Expand`: `$name` and `${name}` stand for a group by its
    /// number or name, `$name` takes as many letters, digits and underscores as follow, `$$` is a
    /// dollar sign, and a group that does not exist or took no part is empty.
    pub fn expand(&self, template: &str, output: &mut String) {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            output.push_str(before);
            rest = after;
            if let Some(behind) = rest.strip_prefix('$') {
                output.push('$');
                rest = behind;
            } else if let Some((name, behind)) = variable(rest) {
                let value = match group_number(name) {
                    Some(group) => self.get(group),
                    None => self.name(name),
                };
                output.push_str(value.unwrap_or_default());
                rest = behind;
            } else {
                // Anything else leaves the dollar sign as it is.
                output.push('$');
            }
        }
        output.push_str(rest);
    }
}

/// Splits a variable from the text behind its dollar sign.
fn variable(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let end = start.find(|c| !is_name_char(c)).unwrap_or(start.len());
    let (name, rest) = start.split_at_checked(end)?;
    if name.is_empty() {
        return None;
    }
    match braced {
        Some(_) => Some((name, rest.strip_prefix('}')?)),
        None => Some((name, rest)),
    }
}

/// Returns the number that a name stands for. As in Go, digits with a leading zero and more than
/// nine digits are a name.
fn group_number(name: &str) -> Option<usize> {
    let is_number = name.len() <= 9 && name.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || (name.len() > 1 && name.starts_with('0')) {
        return None;
    }
    name.parse().ok()
}

/// Tells whether Go takes the character as a letter, a digit or an underscore.
fn is_name_char(c: char) -> bool {
    static LETTERS_AND_DIGITS: LazyLock<ClassUnicode> = LazyLock::new(|| {
        let mut class = class_by_name("L").unwrap_or_else(ClassUnicode::empty);
        class.union(&class_by_name("Nd").unwrap_or_else(ClassUnicode::empty));
        class
    });
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let ranges = LETTERS_AND_DIGITS.ranges();
    let behind = ranges.partition_point(|range| range.start() <= c);
    behind
        .checked_sub(1)
        .and_then(|i| ranges.get(i))
        .is_some_and(|range| c <= range.end())
}
