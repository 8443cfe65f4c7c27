//! Expressions whose language is a small union of literals, or of literals with gaps between them
//! (`prefix.*`, `(a|b).+`). Such a language is decided by comparing bytes.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind, Repetition};

/// The most literals in a language.
const MAX_LITERALS: usize = 10_000;

/// The most members that a sequence of choices or a character class may make. A large choice of
/// literals is what the user wrote; a large product (`[a-z][a-z][a-z]`) is better left to the
/// engine.
const MAX_PRODUCT: usize = 256;

/// The most members that have gaps, since they are tried one by one.
const MAX_GLOBS: usize = 16;

/// The most bytes in all literals of a language.
const MAX_BYTES: usize = 1 << 20;

/// The language of an expression that is bound to both ends of the text.
pub(super) enum Language {
    /// Exactly these texts, sorted.
    Literals(Vec<String>),
    /// The texts that fit one of these.
    Globs(Vec<Glob>),
}

/// A gap between two literals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// Any text.
    Any,
    /// Any text but the empty one.
    NonEmpty,
}

impl Gap {
    const fn min_bytes(self) -> usize {
        match self {
            Self::Any => 0,
            Self::NonEmpty => 1,
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Literal(String),
    Gap(Gap),
}

/// Pieces in which literals and gaps take turns.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Member(Vec<Piece>);

impl Member {
    fn literal(text: &str) -> Self {
        Self(if text.is_empty() {
            Vec::new()
        } else {
            vec![Piece::Literal(text.to_owned())]
        })
    }

    /// Adds a piece; returns nothing if two gaps would need two characters.
    fn push(&mut self, piece: Piece) -> Option<()> {
        match (self.0.last_mut(), piece) {
            (Some(Piece::Literal(last)), Piece::Literal(next)) => last.push_str(&next),
            (Some(Piece::Gap(Gap::NonEmpty)), Piece::Gap(Gap::NonEmpty)) => return None,
            (Some(Piece::Gap(last)), Piece::Gap(next)) => *last = (*last).max(next),
            (_, piece) => self.0.push(piece),
        }
        Some(())
    }

    fn extend(&mut self, other: Self) -> Option<()> {
        other.0.into_iter().try_for_each(|piece| self.push(piece))
    }

    fn has_gap(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Gap(_)))
    }

    fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.len(),
                Piece::Gap(_) => 0,
            })
            .sum()
    }
}

/// A union of members.
struct Union {
    members: Vec<Member>,
    /// The length of all literals.
    bytes: usize,
}

impl Union {
    const fn nothing() -> Self {
        Self {
            members: Vec::new(),
            bytes: 0,
        }
    }

    fn of(members: Vec<Member>) -> Self {
        let bytes = members
            .iter()
            .map(Member::bytes)
            .fold(0, usize::saturating_add);
        Self { members, bytes }
    }

    /// Adds another union; returns nothing if the whole is too large.
    fn unite(&mut self, other: Self) -> Option<()> {
        let bytes = self.bytes.saturating_add(other.bytes);
        let count = self.members.len().saturating_add(other.members.len());
        if bytes > MAX_BYTES || count > MAX_LITERALS {
            return None;
        }
        self.bytes = bytes;
        self.members.extend(other.members);
        Some(())
    }

    /// Lets the other union follow; returns nothing if the product is too large.
    fn multiply(self, right: &Self) -> Option<Self> {
        let (left_count, right_count) = (self.members.len(), right.members.len());
        let left_bytes = self.bytes.saturating_mul(right_count);
        let bytes = left_bytes.saturating_add(right.bytes.saturating_mul(left_count));
        let count = left_count.saturating_mul(right_count);
        let is_choice = left_count <= 1 || right_count <= 1;
        let max_count = if is_choice { MAX_LITERALS } else { MAX_PRODUCT };
        if bytes > MAX_BYTES || count > max_count {
            return None;
        }
        let mut left = self.members;
        if let [only] = right.members.as_slice() {
            for member in &mut left {
                member.extend(only.clone())?;
            }
            return Some(Self {
                members: left,
                bytes,
            });
        }
        let mut members = Vec::with_capacity(count);
        for first in &left {
            for second in &right.members {
                let mut member = first.clone();
                member.extend(second.clone())?;
                members.push(member);
            }
        }
        Some(Self { members, bytes })
    }
}

/// Returns the language of a sequence, if it is a small union.
pub(super) fn language(sequence: &[&Hir]) -> Option<Language> {
    let mut members = union_of_sequence(sequence.iter().copied())?.members;
    members.sort_unstable();
    members.dedup();
    if members.iter().any(Member::has_gap) {
        return (members.len() <= MAX_GLOBS)
            .then(|| Language::Globs(members.into_iter().map(Glob::new).collect()));
    }
    let literals = members
        .into_iter()
        .map(|member| match member.0.into_iter().next() {
            Some(Piece::Literal(text)) => text,
            _ => String::new(),
        });
    Some(Language::Literals(literals.collect()))
}

/// Returns the members of an expression's language, if they are few.
fn union_of(hir: &Hir) -> Option<Union> {
    let members = match hir.kind() {
        HirKind::Empty => vec![Member::default()],
        HirKind::Literal(literal) => {
            vec![Member::literal(std::str::from_utf8(&literal.0).ok()?)]
        }
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            let count: usize = ranges.iter().map(ClassUnicodeRange::len).sum();
            if count > MAX_PRODUCT {
                return None;
            }
            let chars = ranges.iter().flat_map(|range| range.start()..=range.end());
            chars
                .map(|c| Member::literal(c.encode_utf8(&mut [0; 4])))
                .collect()
        }
        // The class that matches nothing is one of bytes.
        HirKind::Class(Class::Bytes(class)) if class.ranges().is_empty() => Vec::new(),
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) => return None,
        HirKind::Capture(capture) => return union_of(&capture.sub),
        HirKind::Repetition(repetition) => return union_of_repetition(repetition),
        HirKind::Concat(parts) => return union_of_sequence(parts.iter()),
        HirKind::Alternation(parts) => {
            let mut union = Union::nothing();
            for part in parts {
                union.unite(union_of(part)?)?;
            }
            return Some(union);
        }
    };
    Some(Union::of(members))
}

fn union_of_sequence<'h>(mut parts: impl Iterator<Item = &'h Hir>) -> Option<Union> {
    let empty = Union::of(vec![Member::default()]);
    parts.try_fold(empty, |product, part| product.multiply(&union_of(part)?))
}

fn union_of_repetition(repetition: &Repetition) -> Option<Union> {
    if let (HirKind::Class(Class::Unicode(class)), None) = (repetition.sub.kind(), repetition.max) {
        let mut ranges = class.ranges().iter();
        let is_everything = ranges.any(|range| range.start() == '\0' && range.end() == char::MAX);
        let gap = match repetition.min {
            0 => Gap::Any,
            1 => Gap::NonEmpty,
            _ => return None,
        };
        return is_everything.then(|| Union::of(vec![Member(vec![Piece::Gap(gap)])]));
    }
    let max = repetition.max?;
    let round = union_of(&repetition.sub)?;
    let mut union = Union::nothing();
    let mut rounds = Union::of(vec![Member::default()]);
    for count in 0..=max {
        if count > 0 {
            rounds = rounds.multiply(&round)?;
        }
        if count >= repetition.min {
            union.unite(Union::of(rounds.members.clone()))?;
            if count > repetition.min && union.members.len() > MAX_PRODUCT {
                return None;
            }
        }
    }
    Some(union)
}

/// Literals in a row, with gaps where anything may stand.
pub(crate) struct Glob {
    prefix: String,
    /// Literals inside the text, each with the gap before it.
    inner: Vec<(Gap, Finder<'static>)>,
    /// The last gap and the literal behind it; none if the prefix is the whole text.
    end: Option<(Gap, String)>,
}

impl Glob {
    fn new(member: Member) -> Self {
        let mut glob = Self {
            prefix: String::new(),
            inner: Vec::new(),
            end: None,
        };
        for piece in member.0 {
            match (piece, &mut glob.end) {
                (Piece::Literal(text), None) => glob.prefix = text,
                (Piece::Literal(text), Some((_, suffix))) => *suffix = text,
                (Piece::Gap(gap), end) => {
                    // What looked like the suffix is followed by another gap.
                    if let Some((gap_before, text)) = end.replace((gap, String::new())) {
                        let finder = Finder::new(text.as_bytes()).into_owned();
                        glob.inner.push((gap_before, finder));
                    }
                }
            }
        }
        glob
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn is_everything(&self) -> bool {
        self.is_only_gap(Gap::Any)
    }

    pub(super) fn is_non_empty(&self) -> bool {
        self.is_only_gap(Gap::NonEmpty)
    }

    fn is_only_gap(&self, wanted: Gap) -> bool {
        self.prefix.is_empty()
            && self.inner.is_empty()
            && matches!(&self.end, Some((gap, suffix)) if *gap == wanted && suffix.is_empty())
    }

    /// Tells whether the whole text fits. Each literal is taken where it first fits, which leaves
    /// most room for the ones behind it.
    pub(super) fn is_match(&self, haystack: &str) -> bool {
        let Some((last_gap, suffix)) = &self.end else {
            return haystack == self.prefix;
        };
        let Some(mut rest) = haystack.as_bytes().strip_prefix(self.prefix.as_bytes()) else {
            return false;
        };
        let Some(before_suffix) = rest.strip_suffix(suffix.as_bytes()) else {
            return false;
        };
        rest = before_suffix;
        for (gap, finder) in &self.inner {
            let Some(searched) = rest.get(gap.min_bytes()..) else {
                return false;
            };
            let Some(found) = finder.find(searched) else {
                return false;
            };
            rest = searched
                .get(found + finder.needle().len()..)
                .unwrap_or_default();
        }
        rest.len() >= last_gap.min_bytes()
    }
}
