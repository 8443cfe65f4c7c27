//! Parser for Go's regular-expression syntax. It reads an expression once, from left to right,
//! with its own stack, so that no input can exhaust the thread's stack, and builds the engine's
//! syntax tree directly.
//!
//! What is accepted and the texts of the errors are those of Go's `regexp.Compile`, which is the
//! syntax of RE2 with its Perl extensions.

mod class;
mod node;
mod repeat;
mod unicode;

use regex_syntax::hir::{Hir, Look};

use crate::error::{Error, ErrorKind};
use node::Node;
use repeat::{Operator, simple};

pub(crate) use unicode::class_by_name;

/// The most ranges in all character classes of one expression. Go's own limit is higher, but a
/// program with this many ranges is above the engine's size limit anyway.
const MAX_CLASS_RANGES: usize = 4 << 20;

/// Whether `.` matches a line feed before the expression says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DotMode {
    AllButNewline,
    Everything,
}

/// A syntax tree with what the engine does not keep.
pub(crate) struct Parsed {
    pub(crate) hir: Hir,
    /// One entry for each group, the whole match first.
    pub(crate) group_names: Vec<Option<Box<str>>>,
    /// The size of the program in Go's instructions.
    pub(crate) instructions: u64,
}

/// Parses an expression.
pub(crate) fn parse(pattern: &str, dot: DotMode) -> Result<Parsed, Error> {
    let parser = Parser {
        pattern,
        position: 0,
        flags: Flags {
            dot_all: dot == DotMode::Everything,
            ..Flags::default()
        },
        outer: Vec::new(),
        group: Group::default(),
        group_names: vec![None],
        class_ranges: 0,
    };
    parser.run()
}

/// The flags that `(?imsU)` sets.
#[derive(Clone, Copy, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_all: bool,
    swap_greed: bool,
}

impl Flags {
    /// Sets or clears the flag with the given letter; returns nothing if there is none.
    const fn with(mut self, letter: char, value: bool) -> Option<Self> {
        match letter {
            'i' => self.fold_case = value,
            'm' => self.multi_line = value,
            's' => self.dot_all = value,
            'U' => self.swap_greed = value,
            _ => return None,
        }
        Some(self)
    }
}

/// An open group, or the expression itself.
#[derive(Default)]
struct Group {
    /// The number of the capture, if the group is one.
    capture: Option<u32>,
    /// The flags that hold again behind the group.
    flags_behind: Flags,
    /// The alternatives before the current one.
    alternatives: Vec<Node>,
    /// The pieces of the current alternative.
    pieces: Vec<Node>,
    /// Characters behind those pieces that are not yet a piece.
    literal: String,
}

impl Group {
    /// Ends the current alternative.
    fn take_alternative(&mut self) -> Result<Node, ErrorKind> {
        self.flush_literal()?;
        let pieces = std::mem::take(&mut self.pieces);
        let node = if pieces.is_empty() {
            Node::empty()
        } else {
            Node::concat(pieces)
        };
        node.check_limits()?;
        Ok(node)
    }

    fn flush_literal(&mut self) -> Result<(), ErrorKind> {
        if self.literal.is_empty() {
            return Ok(());
        }
        let node = Node::literal(&self.literal);
        self.literal.clear();
        node.check_limits()?;
        self.pieces.push(node);
        Ok(())
    }

    /// Removes the piece that a repetition operator binds to.
    fn take_repeated(&mut self) -> Result<Option<Node>, ErrorKind> {
        let Some(c) = self.literal.pop() else {
            return Ok(self.pieces.pop());
        };
        self.flush_literal()?;
        Ok(Some(Node::literal(c.encode_utf8(&mut [0; 4]))))
    }

    /// Ends the group.
    fn finish(mut self) -> Result<Node, ErrorKind> {
        let last = self.take_alternative()?;
        self.alternatives.push(last);
        let node = Node::alternation(self.alternatives);
        node.check_limits()?;
        Ok(node)
    }
}

struct Parser<'p> {
    pattern: &'p str,
    /// A byte offset into the expression, always between two characters.
    position: usize,
    flags: Flags,
    /// The groups around the current one, outermost first.
    outer: Vec<Group>,
    group: Group,
    group_names: Vec<Option<Box<str>>>,
    class_ranges: usize,
}

impl<'p> Parser<'p> {
    fn run(mut self) -> Result<Parsed, Error> {
        // Where the repetition operator directly before the current position starts.
        let mut operator_before = None;
        while let Some(c) = self.peek() {
            let start = self.position;
            let mut operator = None;
            match c {
                '(' if self.rest().starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.position += 1;
                    self.open_capture(None);
                }
                '|' => {
                    self.position += 1;
                    let alternative = self.group.take_alternative();
                    let alternative = alternative.map_err(|kind| self.whole(kind))?;
                    self.group.alternatives.push(alternative);
                }
                ')' => {
                    self.position += 1;
                    self.close_group()?;
                }
                '^' | '$' | '.' => {
                    self.position += 1;
                    self.push_symbol(c)?;
                }
                '[' => {
                    let class = self.bracket_class()?;
                    self.push_class(class)?;
                }
                '*' | '+' | '?' => {
                    self.position += 1;
                    self.repeat(start, simple(c), operator_before)?;
                    operator = Some(start);
                }
                '{' => match self.counted_bounds()? {
                    Some(bounds) => {
                        self.repeat(start, Operator::Counted(bounds), operator_before)?;
                        operator = Some(start);
                    }
                    None => {
                        self.position += 1;
                        self.push_char(c)?;
                    }
                },
                '\\' => self.escape()?,
                _ => {
                    self.position += c.len_utf8();
                    self.push_char(c)?;
                }
            }
            operator_before = operator;
        }
        self.finish()
    }

    fn finish(self) -> Result<Parsed, Error> {
        let whole = |kind| Error::new(kind, self.pattern);
        if !self.outer.is_empty() {
            return Err(whole(ErrorKind::MissingParen));
        }
        let node = self.group.finish().map_err(whole)?;
        Ok(Parsed {
            hir: node.hir,
            group_names: self.group_names,
            instructions: node.instructions,
        })
    }

    // Reading.

    fn rest(&self) -> &'p str {
        self.pattern.get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.position += wanted.len_utf8();
        }
        found
    }

    /// Makes an error about the text from the given offset to the current position.
    fn since(&self, kind: ErrorKind, start: usize) -> Error {
        Error::new(
            kind,
            self.pattern.get(start..self.position).unwrap_or_default(),
        )
    }

    /// Makes an error about the whole expression.
    fn whole(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.pattern)
    }

    // Pieces.

    fn push(&mut self, node: Node) -> Result<(), Error> {
        let pushed = self
            .group
            .flush_literal()
            .and_then(|()| node.check_limits());
        pushed.map_err(|kind| self.whole(kind))?;
        self.group.pieces.push(node);
        Ok(())
    }

    fn push_char(&mut self, c: char) -> Result<(), Error> {
        if self.flags.fold_case && (c.is_ascii_alphabetic() || !c.is_ascii()) {
            let class = self.folded_char(c)?;
            let folded = class.ranges();
            if folded.len() != 1 || folded.iter().any(|range| range.len() != 1) {
                return self.push_class(class);
            }
        }
        self.group.literal.push(c);
        Ok(())
    }

    fn push_class(&mut self, class: regex_syntax::hir::ClassUnicode) -> Result<(), Error> {
        self.class_ranges = self.class_ranges.saturating_add(class.ranges().len());
        if self.class_ranges > MAX_CLASS_RANGES {
            return Err(self.whole(ErrorKind::Large));
        }
        self.push(Node::class(class))
    }

    fn push_symbol(&mut self, symbol: char) -> Result<(), Error> {
        let look = match (symbol, self.flags.multi_line) {
            ('^', false) => Look::Start,
            ('^', true) => Look::StartLF,
            ('$', false) => Look::End,
            ('$', true) => Look::EndLF,
            _ => return self.push_class(class::dot(self.flags.dot_all)),
        };
        self.push(Node::look(look))
    }

    // Groups.

    fn open_capture(&mut self, name: Option<&str>) {
        let index = u32::try_from(self.group_names.len()).unwrap_or(u32::MAX);
        self.group_names.push(name.map(Box::from));
        self.open(Some(index), self.flags);
    }

    fn open(&mut self, capture: Option<u32>, flags_inside: Flags) {
        let inner = Group {
            capture,
            flags_behind: self.flags,
            ..Group::default()
        };
        self.outer.push(std::mem::replace(&mut self.group, inner));
        self.flags = flags_inside;
    }

    fn close_group(&mut self) -> Result<(), Error> {
        let Some(outer) = self.outer.pop() else {
            // Go ends the alternative, with its limits, before it misses the group.
            let group = std::mem::take(&mut self.group);
            let kind = group.finish().err().unwrap_or(ErrorKind::UnexpectedParen);
            return Err(self.whole(kind));
        };
        let group = std::mem::replace(&mut self.group, outer);
        let (capture, flags) = (group.capture, group.flags_behind);
        let node = group.finish().map_err(|kind| self.whole(kind))?;
        self.flags = flags;
        self.push(match capture {
            Some(index) => node.capture(index),
            None => node,
        })
    }

    /// Reads what starts with `(?`: a named group, a group without capture, or flags.
    fn perl_group(&mut self) -> Result<(), Error> {
        let start = self.position;
        let rest = self.rest();
        let named = ["(?P<", "(?<"]
            .into_iter()
            .find(|intro| rest.starts_with(intro));
        // As in Go, an expression that ends with the intro has no name at all.
        if let Some(intro) = named.filter(|intro| rest.len() > intro.len()) {
            let Some(end) = rest.find('>') else {
                return Err(Error::new(ErrorKind::InvalidNamedCapture, rest));
            };
            self.position += end + 1;
            let name = rest.get(intro.len()..end).unwrap_or_default();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(self.since(ErrorKind::InvalidNamedCapture, start));
            }
            self.open_capture(Some(name));
            return Ok(());
        }

        self.position += "(?".len();
        let mut flags = self.flags;
        let mut value = true;
        let mut flag_missing = false;
        while let Some(c) = self.next() {
            match c {
                '-' if value => {
                    value = false;
                    flag_missing = true;
                }
                ':' | ')' if !flag_missing => {
                    if c == ':' {
                        self.open(None, flags);
                    } else {
                        self.flags = flags;
                    }
                    return Ok(());
                }
                _ => match flags.with(c, value) {
                    Some(changed) => {
                        flags = changed;
                        flag_missing = false;
                    }
                    None => break,
                },
            }
        }
        Err(self.since(ErrorKind::InvalidPerlOp, start))
    }
}
