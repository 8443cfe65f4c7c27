//! Escapes and character classes. Perl and POSIX classes are ASCII; with the flag `i` they grow
//! by what folds onto them, as in Go.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, Look};

use super::{Node, Parser, unicode};
use crate::error::{Error, ErrorKind};

const FIRST_SURROGATE: u32 = 0xD800;
const LAST_SURROGATE: u32 = 0xDFFF;

/// A class as it stands in the expression: a set of characters, or all others.
enum Sign {
    Positive,
    Negative,
}

const DIGIT: &[(char, char)] = &[('0', '9')];
const SPACE: &[(char, char)] = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The classes of `[[:name:]]`.
const POSIX: &[(&str, &[(char, char)])] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

/// Returns the class of `.`.
pub(super) fn dot(dot_all: bool) -> ClassUnicode {
    let mut class = ClassUnicode::empty();
    if !dot_all {
        class.push(ClassUnicodeRange::new('\n', '\n'));
    }
    class.negate();
    class
}

/// Returns the characters between two code points. Surrogates are valid in an expression but
/// never part of a text.
fn code_points(first: u32, last: u32) -> ClassUnicode {
    let is_surrogate = |code| (FIRST_SURROGATE..=LAST_SURROGATE).contains(&code);
    let first = if is_surrogate(first) {
        LAST_SURROGATE + 1
    } else {
        first
    };
    let last = if is_surrogate(last) {
        FIRST_SURROGATE - 1
    } else {
        last
    };
    match (char::from_u32(first), char::from_u32(last)) {
        (Some(first), Some(last)) if first <= last => {
            ClassUnicode::new([ClassUnicodeRange::new(first, last)])
        }
        _ => ClassUnicode::empty(),
    }
}

impl Parser<'_> {
    /// Adds what folds onto the class, if the flag `i` is set.
    fn fold(&self, class: &mut ClassUnicode) -> Result<(), Error> {
        if self.flags.fold_case {
            class
                .try_case_fold_simple()
                .map_err(|_| self.whole(ErrorKind::Internal))?;
        }
        Ok(())
    }

    /// Returns the character with all others that differ only in case.
    pub(super) fn folded_char(&self, c: char) -> Result<ClassUnicode, Error> {
        let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        self.fold(&mut class)?;
        Ok(class)
    }

    /// Folds a class that has a name, then negates it if the sign says so.
    fn signed(&self, mut class: ClassUnicode, sign: &Sign) -> Result<ClassUnicode, Error> {
        self.fold(&mut class)?;
        if matches!(sign, Sign::Negative) {
            class.negate();
        }
        Ok(class)
    }

    /// Reads an escape outside of a class.
    pub(super) fn escape(&mut self) -> Result<(), Error> {
        let start = self.position;
        let escaped = self.rest().chars().nth(1);
        let look = match escaped {
            Some('A') => Look::Start,
            Some('z') => Look::End,
            Some('b') => Look::WordAscii,
            Some('B') => Look::WordAsciiNegate,
            Some('Q') => return self.quoted(),
            _ => {
                if let Some(class) = self.class_escape()? {
                    return self.push_class(class);
                }
                let code = self.char_escape()?;
                return match char::from_u32(code) {
                    Some(c) => self.push_char(c),
                    None => self.push_class(ClassUnicode::empty()),
                };
            }
        };
        self.position = start + 2;
        self.push(Node::look(look))
    }

    /// Reads `\Q...\E`, whose end may be missing.
    fn quoted(&mut self) -> Result<(), Error> {
        self.position += r"\Q".len();
        let rest = self.rest();
        let (text, read) = match rest.find(r"\E") {
            Some(end) => (rest.get(..end).unwrap_or_default(), end + r"\E".len()),
            None => (rest, rest.len()),
        };
        self.position += read;
        text.chars().try_for_each(|c| self.push_char(c))
    }

    /// Reads `\d`, `\pN`, `\p{Greek}` and the like, if there is one.
    fn class_escape(&mut self) -> Result<Option<ClassUnicode>, Error> {
        let Some(escaped) = self
            .rest()
            .strip_prefix('\\')
            .and_then(|rest| rest.chars().next())
        else {
            return Ok(None);
        };
        if matches!(escaped, 'p' | 'P') {
            return self.unicode_class().map(Some);
        }
        let ranges = match escaped.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => SPACE,
            'w' => WORD,
            _ => return Ok(None),
        };
        self.position += 2;
        let sign = if escaped.is_ascii_uppercase() {
            Sign::Negative
        } else {
            Sign::Positive
        };
        self.signed(class_of(ranges), &sign).map(Some)
    }

    fn unicode_class(&mut self) -> Result<ClassUnicode, Error> {
        let start = self.position;
        let rest = self.rest();
        let mut negated = rest.starts_with(r"\P");
        self.position += r"\p".len();
        let mut name = match self.next() {
            Some('{') => {
                let Some(end) = rest.find('}') else {
                    return Err(Error::new(ErrorKind::InvalidCharRange, rest));
                };
                self.position = start + end + 1;
                rest.get(r"\p{".len()..end).unwrap_or_default()
            }
            Some(_) => self
                .pattern
                .get(start + 2..self.position)
                .unwrap_or_default(),
            None => "",
        };
        if let Some(rest_of_name) = name.strip_prefix('^') {
            negated = !negated;
            name = rest_of_name;
        }
        let Some(class) = unicode::class_by_name(name) else {
            return Err(self.since(ErrorKind::InvalidCharRange, start));
        };
        let sign = if negated {
            Sign::Negative
        } else {
            Sign::Positive
        };
        self.signed(class, &sign)
    }

    /// Reads an escape that stands for one code point.
    fn char_escape(&mut self) -> Result<u32, Error> {
        let start = self.position;
        self.position += 1;
        let Some(c) = self.next() else {
            return Err(Error::new(ErrorKind::TrailingBackslash, ""));
        };
        let code = match c {
            // A single digit other than zero would be a back reference.
            '1'..='7' if !self.peek().is_some_and(|next| next.is_digit(8)) => None,
            '0'..='7' => Some(self.octal(c)),
            'x' => self.hexadecimal(),
            'a' => Some(0x07),
            'f' => Some(0x0C),
            'n' => Some(0x0A),
            'r' => Some(0x0D),
            't' => Some(0x09),
            'v' => Some(0x0B),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code.ok_or_else(|| self.since(ErrorKind::InvalidEscape, start))
    }

    /// Reads up to two octal digits behind the given one.
    fn octal(&mut self, first: char) -> u32 {
        let mut code = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                break;
            };
            self.position += 1;
            code = code * 8 + digit;
        }
        code
    }

    /// Reads two hexadecimal digits, or any number of them in braces. On failure the position is
    /// behind the character at fault, where Go's error text ends.
    fn hexadecimal(&mut self) -> Option<u32> {
        let first = self.next()?;
        if first != '{' {
            let second = self.next();
            return Some(first.to_digit(16)? * 16 + second?.to_digit(16)?);
        }
        let mut code = None;
        loop {
            match self.next()? {
                '}' => return code,
                c => {
                    let longer = code.unwrap_or(0) * 16 + c.to_digit(16)?;
                    if longer > u32::from(char::MAX) {
                        return None;
                    }
                    code = Some(longer);
                }
            }
        }
    }

    /// Reads a class in brackets.
    pub(super) fn bracket_class(&mut self) -> Result<ClassUnicode, Error> {
        let start = self.position;
        self.position += 1;
        let negated = self.eat('^');
        let mut ranges = Vec::new();
        let mut class = ClassUnicode::empty();
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            if let Some(named) = self.posix_class()? {
                class.union(&named);
            } else if let Some(named) = self.class_escape()? {
                class.union(&named);
            } else {
                ranges.push(self.class_range(start)?);
            }
        }
        self.position += 1;

        let singles = ranges
            .iter()
            .flat_map(|&(low, high)| code_points(low, high).ranges().to_vec());
        let mut singles = ClassUnicode::new(singles);
        self.fold(&mut singles)?;
        class.union(&singles);
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// Reads `[:name:]`, if there is one.
    fn posix_class(&mut self) -> Result<Option<ClassUnicode>, Error> {
        let start = self.position;
        let Some(inner) = self.rest().strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(end) = inner.find(":]") else {
            return Ok(None);
        };
        self.position += end + "[::]".len();
        let name = inner.get(..end).unwrap_or_default();
        let (name, sign) = match name.strip_prefix('^') {
            Some(name) => (name, Sign::Negative),
            None => (name, Sign::Positive),
        };
        match POSIX.iter().find(|(known, _)| *known == name) {
            Some((_, ranges)) => self.signed(class_of(ranges), &sign).map(Some),
            None => Err(self.since(ErrorKind::InvalidCharRange, start)),
        }
    }

    /// Reads a character or a range of a class that starts at `class_start`.
    fn class_range(&mut self, class_start: usize) -> Result<(u32, u32), Error> {
        let start = self.position;
        let low = self.class_char(class_start)?;
        let mut ahead = self.rest().chars();
        // A hyphen before the closing bracket stands for itself.
        if ahead.next() != Some('-') || matches!(ahead.next(), None | Some(']')) {
            return Ok((low, low));
        }
        self.position += 1;
        let high = self.class_char(class_start)?;
        if high < low {
            return Err(self.since(ErrorKind::InvalidCharRange, start));
        }
        Ok((low, high))
    }

    fn class_char(&mut self, class_start: usize) -> Result<u32, Error> {
        match self.peek() {
            Some('\\') => self.char_escape(),
            Some(c) => {
                self.position += c.len_utf8();
                Ok(u32::from(c))
            }
            None => {
                let class = self.pattern.get(class_start..).unwrap_or_default();
                Err(Error::new(ErrorKind::MissingBracket, class))
            }
        }
    }
}

fn class_of(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|&(first, last)| ClassUnicodeRange::new(first, last)),
    )
}
