//! Splits a query into tokens. The states and the error texts are those of upstream's
//! `promql/parser/lex.go`.

mod braces;
mod duration;
mod number;
mod series;
mod statement;
mod text;

use crate::token::{Token, TokenKind};

/// What the lexer refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexError {
    /// Offset of the offending token; the error reaches to the end of the query.
    pub(crate) start: usize,
    pub(crate) message: String,
}

/// What the lexer reads next, as far as it does not follow from the open brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The expression language.
    Statement,
    /// The start of `[…]`, up to the first number.
    DurationExpr,
    /// The values of a series description.
    Values,
    /// A histogram among those values, between `{{` and `}}`.
    Histogram,
}

/// Which language the input is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Expressions, selectors and metrics.
    Query,
    /// Series descriptions of tests: a metric, then its values.
    SeriesDescription,
}

/// The state of the lexer.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    input: &'a str,
    /// Offset of the next character.
    pos: usize,
    /// Offset of the current token.
    start: usize,
    state: State,
    language: Language,
    paren_depth: i64,
    brace_open: bool,
    bracket_open: bool,
    /// Whether there was a `:` inside the open bracket.
    got_colon: bool,
    /// Whether any bracket held a duration so far.
    got_duration: bool,
}

/// A token, or nothing where only blanks or comments were skipped.
type Scanned = Result<Option<TokenKind>, String>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a str, language: Language) -> Self {
        Self {
            input,
            pos: 0,
            start: 0,
            state: State::Statement,
            language,
            paren_depth: 0,
            brace_open: false,
            bracket_open: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// Reads the next token; after the end there are only ends.
    pub(crate) fn next_token(&mut self) -> Result<Token<'a>, LexError> {
        loop {
            self.start = self.pos;
            let scanned = match self.state {
                State::Statement if self.brace_open => self.scan_inside_braces(),
                State::Statement => self.scan_statement(),
                State::DurationExpr => self.scan_duration_expr(),
                State::Values => self.scan_values(),
                State::Histogram => self.scan_histogram(),
            };
            match scanned {
                Ok(Some(kind)) => {
                    let text = &self.input[self.start..self.pos];
                    return Ok(Token {
                        kind,
                        text,
                        start: self.start,
                    });
                }
                Ok(None) => {}
                Err(message) => {
                    return Err(LexError {
                        start: self.start,
                        message,
                    });
                }
            }
        }
    }

    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Takes the next character if it is one of `valid`.
    fn accept(&mut self, valid: &str) -> bool {
        let found = self.next_is(valid);
        if found {
            self.bump();
        }
        found
    }

    fn next_is(&self, valid: &str) -> bool {
        self.peek().is_some_and(|c| valid.contains(c))
    }

    fn skip_while(&mut self, mut test: impl FnMut(char) -> bool) {
        let rest = self.rest();
        let end = rest.find(|c| !test(c)).unwrap_or(rest.len());
        self.pos += end;
    }

    /// The characters of the token so far.
    fn token_text(&self) -> &'a str {
        &self.input[self.start..self.pos]
    }

    /// Skips a comment; its `#` is next.
    fn skip_comment(&mut self) {
        self.skip_while(|c| c != '\n' && c != '\r');
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// A letter of identifiers.
fn is_alpha(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

#[cfg(test)]
mod tests;
