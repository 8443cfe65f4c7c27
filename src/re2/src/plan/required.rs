//! Literals that every text of an expression's language has: at its start, at its end or inside.

use regex_syntax::hir::{Hir, HirKind};

/// A literal longer than this is cut: the filter only has to be cheap and selective.
const MAX_LENGTH: usize = 256;

/// What is known about the texts that match.
#[derive(Default)]
pub(super) struct Required {
    pub(super) prefix: String,
    pub(super) suffix: String,
    /// The longest known literal that stands neither at the start nor at the end.
    pub(super) inner: Option<String>,
    /// Whether the only matching text is the prefix, which then is the suffix too.
    exact: bool,
}

impl Required {
    fn exactly(text: &str) -> Self {
        if text.len() > MAX_LENGTH {
            return Self {
                prefix: text
                    .get(..floor_boundary(text, MAX_LENGTH))
                    .unwrap_or_default()
                    .to_owned(),
                suffix: text
                    .get(ceil_boundary(text, text.len() - MAX_LENGTH)..)
                    .unwrap_or_default()
                    .to_owned(),
                inner: None,
                exact: false,
            };
        }
        Self {
            prefix: text.to_owned(),
            suffix: text.to_owned(),
            inner: None,
            exact: true,
        }
    }

    fn of(hir: &Hir) -> Self {
        match hir.kind() {
            // An assertion takes no text.
            HirKind::Empty | HirKind::Look(_) => Self::exactly(""),
            HirKind::Literal(literal) => {
                std::str::from_utf8(&literal.0).map_or_else(|_| Self::default(), Self::exactly)
            }
            HirKind::Class(_) => Self::default(),
            HirKind::Capture(capture) => Self::of(&capture.sub),
            HirKind::Repetition(repetition) if repetition.min == 0 => Self::default(),
            HirKind::Repetition(repetition) => {
                // The first and the last round are known; what stands between them is not.
                Self {
                    exact: false,
                    ..Self::of(&repetition.sub)
                }
            }
            HirKind::Concat(parts) => {
                let parts: Vec<&Hir> = parts.iter().collect();
                Self::of_sequence(&parts)
            }
            HirKind::Alternation(parts) => parts
                .iter()
                .map(Self::of)
                .reduce(Self::either)
                .unwrap_or_default(),
        }
    }

    /// Returns what every text of a sequence has.
    pub(super) fn of_sequence(parts: &[&Hir]) -> Self {
        parts.iter().fold(Self::exactly(""), |before, part| {
            before.then(Self::of(part))
        })
    }

    fn then(self, next: Self) -> Self {
        match (self.exact, next.exact) {
            (true, true) => Self::exactly(&(self.prefix + &next.prefix)),
            (true, false) => {
                let prefix = Self::exactly(&(self.prefix + &next.prefix)).prefix;
                Self {
                    prefix,
                    suffix: next.suffix,
                    inner: next.inner,
                    exact: false,
                }
            }
            (false, true) => {
                let suffix = Self::exactly(&(self.suffix + &next.suffix)).suffix;
                Self {
                    prefix: self.prefix,
                    suffix,
                    inner: self.inner,
                    exact: false,
                }
            }
            (false, false) => {
                let joint = self.suffix + &next.prefix;
                let inner = [self.inner, next.inner, Some(joint)]
                    .into_iter()
                    .flatten()
                    .filter(|literal| !literal.is_empty())
                    .max_by_key(String::len);
                Self {
                    prefix: self.prefix,
                    suffix: next.suffix,
                    inner,
                    exact: false,
                }
            }
        }
    }

    fn either(self, other: Self) -> Self {
        let exact = self.exact && other.exact && self.prefix == other.prefix;
        let inner = (self.inner == other.inner).then_some(self.inner).flatten();
        Self {
            prefix: common_prefix(&self.prefix, &other.prefix).to_owned(),
            suffix: common_suffix(&self.suffix, &other.suffix).to_owned(),
            inner,
            exact,
        }
    }
}

/// Returns the longest text that both start with.
pub(super) fn common_prefix<'t>(first: &'t str, second: &str) -> &'t str {
    let same = first
        .bytes()
        .zip(second.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    first.get(..floor_boundary(first, same)).unwrap_or_default()
}

fn common_suffix<'t>(first: &'t str, second: &str) -> &'t str {
    let same = first
        .bytes()
        .rev()
        .zip(second.bytes().rev())
        .take_while(|(a, b)| a == b)
        .count();
    first
        .get(ceil_boundary(first, first.len() - same)..)
        .unwrap_or_default()
}

fn floor_boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn ceil_boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset += 1;
    }
    offset
}
