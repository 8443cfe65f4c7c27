//! Go's regular-expression dialect (RE2 syntax) on top of the regex-automata engine.
//!
//! Expressions in queries, rules and configuration files are written for Go's `regexp` package.
//! This crate accepts exactly what that package accepts, with its meaning and its error texts, and
//! matches in linear time. Whatever the expression, it never panics.
//!
//! Known differences: tables are those of Unicode 16 where Go has 15, scripts with an underscore
//! in their name work in every spelling, a lone surrogate (`\x{D800}`) never matches, and a
//! program is also too large if the engine's automaton is.

mod automaton;
mod captures;
mod error;
mod parse;
mod plan;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use regex_automata::nfa::thompson::NFA;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Input, meta};
use regex_syntax::hir::{Hir, Look};

pub use automaton::{Automaton, State};
pub use captures::Captures;
pub use error::{Error, ErrorKind};
use parse::{DotMode, Parsed, parse};
use plan::Plan;

/// The most bytes that an automaton may take.
const MAX_AUTOMATON_BYTES: usize = 64 << 20;

/// The engine keeps one slot for each group and each state of the automaton; this many at most.
const MAX_SLOTS: usize = 16 << 20;

/// With no more groups than this the number of slots is not checked.
const FEW_GROUPS: usize = 64;

/// Programs with up to this many instructions and few groups are compiled on first use, if a plan
/// decides matches without the engine. They are far below any limit, so that compiling them cannot
/// fail.
const LAZY_INSTRUCTIONS: u64 = 20_000;

/// A compiled regular expression. Clones share everything.
#[derive(Clone)]
pub struct Regex {
    inner: Arc<Inner>,
}

struct Inner {
    pattern: Box<str>,
    form: Form,
    group_names: Vec<Option<Box<str>>>,
    plan: Plan,
    search: Search,
    matches_empty: bool,
    engine: OnceLock<Option<meta::Regex>>,
    automaton: OnceLock<Option<Automaton>>,
}

/// How the user's expression becomes the whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// As a label matcher: bound to both ends, `.` matches everything.
    LabelMatcher,
    /// With text around it. This is the whole expression.
    Enclosed(Box<str>),
}

/// How the engine finds out whether a text matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// It stops where any match ends.
    Earliest,
    /// It finds the leftmost match.
    Leftmost,
}

impl Search {
    /// An empty match of `\B` may lie inside a character. The engine drops such matches, but with
    /// them, if it stops at the earliest one, the true matches around them.
    fn for_expression(hir: &Hir) -> Self {
        let properties = hir.properties();
        let has_inner_assertion = properties.look_set().contains(Look::WordAsciiNegate);
        if has_inner_assertion && properties.minimum_len() == Some(0) {
            Self::Leftmost
        } else {
            Self::Earliest
        }
    }
}

impl Form {
    /// Returns the expression that errors are about.
    const fn whole<'p>(&'p self, pattern: &'p str) -> &'p str {
        match self {
            Self::Plain | Self::LabelMatcher => pattern,
            Self::Enclosed(whole) => whole,
        }
    }
}

impl Regex {
    /// Compiles an expression that may match anywhere in a text, as Go's `regexp.Compile` does.
    ///
    /// # Errors
    ///
    /// Fails with Go's error if Go does not accept the expression.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Self::compile(pattern, Form::Plain)
    }

    /// Compiles an expression that may not be UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Regex::new`]; what is not UTF-8 is reported before anything else.
    pub fn from_bytes(pattern: &[u8]) -> Result<Self, Error> {
        let pattern = std::str::from_utf8(pattern).map_err(|error| {
            let invalid = pattern.get(error.valid_up_to()..).unwrap_or_default();
            Error::new(ErrorKind::InvalidUtf8, &String::from_utf8_lossy(invalid))
        })?;
        Self::new(pattern)
    }

    /// Compiles the expression of a label matcher, which has to match a whole value: `^(?s:...)$`.
    ///
    /// # Errors
    ///
    /// As [`Regex::new`]. The text is about the expression alone, because Prometheus'
    /// `NewFastRegexMatcher` parses it before it adds the anchors.
    pub fn new_anchored(pattern: &str) -> Result<Self, Error> {
        Self::compile(pattern, Form::LabelMatcher)
    }

    /// Compiles an expression with text around it: `("^(?s:", ")$")` for relabelling and
    /// `label_replace`, `("^(?:", ")$")` for the matchers of Alertmanager.
    ///
    /// # Errors
    ///
    /// As [`Regex::new`]. The text is about the whole expression, as it is upstream where the text
    /// is added before parsing.
    pub fn new_enclosed(before: &str, pattern: &str, behind: &str) -> Result<Self, Error> {
        let whole = [before, pattern, behind].concat();
        Self::compile(pattern, Form::Enclosed(whole.into()))
    }

    fn compile(pattern: &str, form: Form) -> Result<Self, Error> {
        let parsed = parse_form(pattern, &form)?;
        let about_whole = |kind| Error::new(kind, form.whole(pattern));
        let plan = Plan::new(&parsed.hir);
        let engine = OnceLock::new();
        let is_large =
            parsed.instructions > LAZY_INSTRUCTIONS || parsed.group_names.len() > FEW_GROUPS;
        if matches!(plan, Plan::Engine(_)) || is_large {
            check_slots(&parsed).ok_or_else(|| about_whole(ErrorKind::Large))?;
            let built = build_engine(&parsed.hir).map_err(about_whole)?;
            engine.get_or_init(|| Some(built));
        }
        let inner = Inner {
            pattern: pattern.into(),
            form,
            group_names: parsed.group_names,
            plan,
            search: Search::for_expression(&parsed.hir),
            matches_empty: false,
            engine,
            automaton: OnceLock::new(),
        };
        let matches_empty = inner.is_match("");
        Ok(Self {
            inner: Arc::new(Inner {
                matches_empty,
                ..inner
            }),
        })
    }

    /// Returns the user's expression, without what was put around it.
    pub fn as_str(&self) -> &str {
        &self.inner.pattern
    }

    /// Tells whether the text matches: as a whole if the expression is anchored, else any part.
    pub fn is_match(&self, haystack: &str) -> bool {
        self.inner.is_match(haystack)
    }

    /// Returns the leftmost match; among several, the one that the expression prefers.
    pub fn find(&self, haystack: &str) -> Option<Range<usize>> {
        if self.inner.plan.decide(haystack) == Some(false) {
            return None;
        }
        self.inner
            .engine()?
            .find(haystack)
            .map(|found| found.range())
    }

    /// Returns the leftmost match with its groups.
    pub fn captures<'r, 'h>(&'r self, haystack: &'h str) -> Option<Captures<'r, 'h>> {
        if self.inner.plan.decide(haystack) == Some(false) {
            return None;
        }
        self.captures_from(haystack, 0)
    }

    fn captures_from<'r, 'h>(
        &'r self,
        haystack: &'h str,
        start: usize,
    ) -> Option<Captures<'r, 'h>> {
        let mut slots: Vec<Option<NonMaxUsize>> = vec![None; self.inner.group_names.len() * 2];
        let input = Input::new(haystack).range(start..);
        self.inner.engine()?.search_slots(&input, &mut slots)?;
        Some(Captures::new(self, haystack, slots))
    }

    /// Appends a template to `output`, with its variables taken from a match. See
    /// [`Captures::expand`] for the rules.
    pub fn expand(&self, template: &str, captures: &Captures<'_, '_>, output: &mut String) {
        captures.expand(template, output);
    }

    /// Replaces every match by the template, as Go's `ReplaceAllString` does.
    pub fn replace_all(&self, haystack: &str, template: &str) -> String {
        if self.inner.plan.decide(haystack) == Some(false) {
            return haystack.to_owned();
        }
        let mut output = String::new();
        let mut copied = 0;
        let mut position = 0;
        while position <= haystack.len() {
            let Some(captures) = self.captures_from(haystack, position) else {
                break;
            };
            let found = captures.matched();
            output.push_str(haystack.get(copied..found.start).unwrap_or_default());
            // An empty match directly behind the last match does not count.
            if found.end > copied || found.start == 0 {
                captures.expand(template, &mut output);
            }
            copied = found.end;
            let ahead = haystack
                .get(position..)
                .and_then(|rest| rest.chars().next());
            let next = position + ahead.map_or(1, char::len_utf8);
            position = found.end.max(next);
        }
        output.push_str(haystack.get(copied..).unwrap_or_default());
        output
    }

    /// Returns the number of groups, the whole match included.
    pub fn group_count(&self) -> usize {
        self.inner.group_names.len()
    }

    /// Returns the name of each group; the whole match comes first and has none.
    pub fn group_names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.inner.group_names.iter().map(Option::as_deref)
    }

    /// Returns the texts that match, sorted, if the expression is anchored and they are few.
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.inner.plan {
            Plan::Set(literals) => Some(literals),
            _ => None,
        }
    }

    /// Returns a text that every match starts with; it is empty if the expression is not anchored.
    pub fn prefix(&self) -> &str {
        self.inner.plan.prefix()
    }

    /// Returns the automaton of a label matcher's expression, if no cheaper test decides and its
    /// tables stay small. The first call builds it.
    pub fn automaton(&self) -> Option<&Automaton> {
        let inner = &self.inner;
        if inner.form != Form::LabelMatcher || !matches!(inner.plan, Plan::Engine(_)) {
            return None;
        }
        let build = || Automaton::build(&parse_form(&inner.pattern, &inner.form).ok()?.hir);
        inner.automaton.get_or_init(build).as_ref()
    }

    /// Tells whether it is known that every text but the empty one matches, as for an anchored
    /// `.+`.
    pub fn is_match_non_empty(&self) -> bool {
        matches!(self.inner.plan, Plan::NonEmpty)
    }

    /// Tells whether it is known that every text matches, as for an anchored `.*`.
    pub fn is_match_all(&self) -> bool {
        matches!(self.inner.plan, Plan::Everything)
    }

    /// Tells whether the empty text matches.
    pub fn matches_empty(&self) -> bool {
        self.inner.matches_empty
    }
}

impl Inner {
    fn is_match(&self, haystack: &str) -> bool {
        if let Some(decision) = self.plan.decide(haystack) {
            return decision;
        }
        let Some(engine) = self.engine() else {
            return false;
        };
        match self.search {
            Search::Earliest => engine.is_match(haystack),
            Search::Leftmost => engine.find(haystack).is_some(),
        }
    }

    fn engine(&self) -> Option<&meta::Regex> {
        let build = || build_engine(&parse_form(&self.pattern, &self.form).ok()?.hir).ok();
        self.engine.get_or_init(build).as_ref()
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Regex").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.inner.pattern == other.inner.pattern && self.inner.form == other.inner.form
    }
}

impl Eq for Regex {}

/// Escapes a text so that it matches itself, as Go's `QuoteMeta` does.
pub fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

fn parse_form(pattern: &str, form: &Form) -> Result<Parsed, Error> {
    match form {
        Form::Plain => parse(pattern, DotMode::AllButNewline),
        Form::Enclosed(whole) => parse(whole, DotMode::AllButNewline),
        Form::LabelMatcher => {
            let inner = parse(pattern, DotMode::Everything)?;
            let parts = vec![Hir::look(Look::Start), inner.hir, Hir::look(Look::End)];
            Ok(Parsed {
                hir: Hir::concat(parts),
                ..inner
            })
        }
    }
}

fn build_engine(hir: &Hir) -> Result<meta::Regex, ErrorKind> {
    let config = meta::Config::new().nfa_size_limit(Some(MAX_AUTOMATON_BYTES));
    meta::Builder::new()
        .configure(config)
        .build_from_hir(hir)
        .map_err(|error| {
            if error.size_limit().is_some() {
                ErrorKind::Large
            } else {
                ErrorKind::Internal
            }
        })
}

/// Returns nothing if an expression with many groups would need too many slots.
fn check_slots(parsed: &Parsed) -> Option<()> {
    let groups = parsed.group_names.len();
    if groups <= FEW_GROUPS {
        return Some(());
    }
    let config = NFA::config().nfa_size_limit(Some(MAX_AUTOMATON_BYTES));
    let automaton = NFA::compiler()
        .configure(config)
        .build_from_hir(&parsed.hir)
        .ok()?;
    (automaton.states().len().checked_mul(groups * 2)? <= MAX_SLOTS).then_some(())
}
