//! How an expression is matched: which cheap test decides alone, and which one saves the engine
//! most of its work.
//!
//! Label matchers are anchored at both ends and mostly say `a|b|c`, `prefix.*` or `.*word.*`.
//! Their language is a small union of literals and literals with gaps, and needs no automaton.
//! The idea is the one of Prometheus' `FastRegexMatcher`.

mod glob;
mod required;

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind, Look};

use glob::Glob;
use required::Required;

/// Up to this many literals a walk over them is faster than a binary search.
const WALK_LENGTH: usize = 8;

/// The cheapest way to decide whether a text matches.
pub(crate) enum Plan {
    /// Every text matches.
    Everything,
    /// Every text but the empty one matches.
    NonEmpty,
    /// Exactly these texts match; they are sorted.
    Set(Vec<String>),
    /// A text matches if it fits one of these.
    Globs(Vec<Glob>),
    /// The engine decides, on texts that pass the filter.
    Engine(Box<Filter>),
}

/// What every matching text has.
#[derive(Default)]
pub(crate) struct Filter {
    prefix: String,
    suffix: String,
    inner: Option<Finder<'static>>,
    min_length: usize,
}

impl Plan {
    /// Makes the plan for an expression.
    pub(crate) fn new(hir: &Hir) -> Self {
        let properties = hir.properties();
        let Some(body) = anchored_body(hir) else {
            // Without assertions, an expression that may be empty matches at the start of any text.
            let matches_everywhere =
                properties.minimum_len() == Some(0) && properties.look_set().is_empty();
            return if matches_everywhere {
                Self::Everything
            } else {
                Self::default()
            };
        };
        match glob::language(&body) {
            Some(language) => Self::from_language(language),
            None => Self::Engine(Box::new(Filter::new(
                &body,
                properties.minimum_len().unwrap_or(0),
            ))),
        }
    }

    fn from_language(language: glob::Language) -> Self {
        match language {
            glob::Language::Literals(literals) => Self::Set(literals),
            glob::Language::Globs(globs) => {
                if globs.iter().any(Glob::is_everything) {
                    return Self::Everything;
                }
                match globs.as_slice() {
                    [glob] if glob.is_non_empty() => Self::NonEmpty,
                    _ => Self::Globs(globs),
                }
            }
        }
    }

    /// Decides, or returns nothing if the engine has to.
    pub(crate) fn decide(&self, haystack: &str) -> Option<bool> {
        match self {
            Self::Everything => Some(true),
            Self::NonEmpty => Some(!haystack.is_empty()),
            Self::Set(literals) => Some(set_contains(literals, haystack)),
            Self::Globs(globs) => Some(globs.iter().any(|glob| glob.is_match(haystack))),
            Self::Engine(filter) => (!filter.passes(haystack)).then_some(false),
        }
    }

    /// Returns the literal that every matching text starts with.
    pub(crate) fn prefix(&self) -> &str {
        match self {
            Self::Engine(filter) => &filter.prefix,
            Self::Globs(globs) => match globs.as_slice() {
                [first, others @ ..] => {
                    let prefix = first.prefix();
                    others.iter().fold(prefix, |known, glob| {
                        required::common_prefix(known, glob.prefix())
                    })
                }
                [] => "",
            },
            // The first and the last of the sorted literals differ the most.
            Self::Set(literals) => match (literals.first(), literals.last()) {
                (Some(first), Some(last)) => required::common_prefix(first, last),
                _ => "",
            },
            Self::Everything | Self::NonEmpty => "",
        }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::Engine(Box::default())
    }
}

impl Filter {
    fn new(body: &[&Hir], min_length: usize) -> Self {
        let Required {
            prefix,
            suffix,
            inner,
            ..
        } = Required::of_sequence(body);
        let inner = inner.filter(|inner| !prefix.contains(inner) && !suffix.contains(inner));
        Self {
            prefix,
            suffix,
            inner: inner.map(|inner| Finder::new(inner.as_bytes()).into_owned()),
            min_length,
        }
    }

    fn passes(&self, haystack: &str) -> bool {
        haystack.len() >= self.min_length
            && haystack.starts_with(&self.prefix)
            && haystack.ends_with(&self.suffix)
            && self
                .inner
                .as_ref()
                .is_none_or(|inner| inner.find(haystack.as_bytes()).is_some())
    }
}

fn set_contains(literals: &[String], haystack: &str) -> bool {
    if literals.len() <= WALK_LENGTH {
        return literals.iter().any(|literal| literal == haystack);
    }
    literals
        .binary_search_by(|literal| literal.as_str().cmp(haystack))
        .is_ok()
}

/// Returns what stands between the start and the end of the text, or nothing if the expression is
/// not bound to both.
fn anchored_body(hir: &Hir) -> Option<Vec<&Hir>> {
    let mut sequence = Vec::new();
    flatten(hir, &mut sequence);
    let is_look = |hir: &&Hir, look| matches!(hir.kind(), HirKind::Look(found) if *found == look);
    let starts = sequence
        .iter()
        .take_while(|hir| is_look(hir, Look::Start))
        .count();
    let ends = sequence
        .iter()
        .rev()
        .take_while(|hir| is_look(hir, Look::End))
        .count();
    if starts == 0 || ends == 0 {
        return None;
    }
    let behind_body = sequence.len().checked_sub(ends)?;
    sequence.get(starts..behind_body).map(<[&Hir]>::to_vec)
}

/// Lists the parts of a sequence, without the groups around them.
fn flatten<'h>(hir: &'h Hir, sequence: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Capture(capture) => flatten(&capture.sub, sequence),
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, sequence)),
        HirKind::Empty => {}
        _ => sequence.push(hir),
    }
}

#[cfg(test)]
mod tests;
