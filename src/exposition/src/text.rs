//! The text format, versions 0.0.4 and 1.0.0: one parser reads both, as 1.0.0 only adds quoted
//! names.

use crate::entry::{Entry, MetricKind, SeriesLine};
use crate::error::{Excerpt, ParseError};
use crate::lexer::{Dialect, Lexer, Token};
use crate::series::{context, delimit, ends_series, inside_quotes, unexpected, utf8_name};
use crate::value::{parse_timestamp, parse_value};

/// Walks over the lines of an exposition. It ends after the first error, as nothing behind it can
/// be trusted.
#[derive(Clone, Debug)]
pub struct TextParser<'a> {
    lexer: Lexer<'a>,
    line_start: usize,
    kind: MetricKind,
    ended: bool,
}

impl<'a> TextParser<'a> {
    /// Starts at the first line of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            lexer: Lexer::new(input, Dialect::Text),
            line_start: 0,
            kind: MetricKind::Unknown,
            ended: false,
        }
    }

    /// As [`Iterator::next`], for callers that can guess: `expected` is the
    /// [`SeriesLine::raw`] of an earlier exposition that they expect on the next line. A right
    /// guess spares the walk over the name and labels; a wrong one changes nothing.
    pub fn next_expecting(&mut self, expected: &[u8]) -> Option<Result<Entry<'a>, ParseError>> {
        let at = self.lexer.at;
        let rest = self.lexer.input.get(at..).unwrap_or_default();
        if self.ended || expected.is_empty() || !rest.starts_with(expected) {
            return self.next();
        }
        if !ends_series(expected, &rest[expected.len()..]) {
            return self.next();
        }
        self.line_start = at;
        self.lexer.skip_series(expected);
        let raw = &rest[..expected.len()];
        let token = self.lexer.next_token();
        Some(
            self.finish_series(raw, token)
                .inspect_err(|_| self.ended = true),
        )
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            self.line_start = self.lexer.at;
            let token = self.lexer.next_token();
            match token {
                Token::Eof => return Ok(None),
                Token::Linebreak => {}
                Token::Help | Token::Type => return self.metadata(token).map(Some),
                Token::Comment => {
                    let text = self.lexer.token();
                    self.linebreak("linebreak expected after comment")?;
                    return Ok(Some(Entry::Comment(text)));
                }
                first => return self.series(first).map(Some),
            }
        }
    }

    fn metadata(&mut self, token: Token) -> Result<Entry<'a>, ParseError> {
        let is_help = token == Token::Help;
        let name_token = self.lexer.next_token();
        if name_token != Token::MetricName {
            let expected = match is_help {
                true => "expected metric name after HELP",
                false => "expected metric name after TYPE",
            };
            return Err(unexpected(
                &self.lexer,
                self.line_start,
                expected,
                name_token,
            ));
        }
        let name = match self.lexer.token() {
            quoted @ [b'"', ..] => inside_quotes(quoted),
            plain => plain,
        };
        let name = utf8_name(name)?;
        let text = self.lexer.take_text();
        let entry = if is_help {
            let text = std::str::from_utf8(text)
                .map_err(|_| ParseError::HelpNotUtf8(Excerpt::new(text)))?;
            Entry::Help { name, text }
        } else {
            self.kind = std::str::from_utf8(text)
                .ok()
                .and_then(MetricKind::from_text_format)
                .ok_or_else(|| ParseError::UnknownKind(Excerpt::new(text)))?;
            Entry::Type {
                name,
                kind: self.kind,
            }
        };
        self.linebreak("linebreak expected after metadata")?;
        Ok(entry)
    }

    fn series(&mut self, first: Token) -> Result<Entry<'a>, ParseError> {
        let start = self.lexer.start;
        let series = delimit(&mut self.lexer, self.line_start, first, &mut |_, _| ())?;
        self.finish_series(&self.lexer.input[start..series.end], series.next)
    }

    /// Reads value and timestamp of a series, of which `token` is the first one.
    fn finish_series(&mut self, raw: &'a [u8], token: Token) -> Result<Entry<'a>, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected("expected value after metric", token));
        }
        let value = parse_value(self.lexer.token()).map_err(|reason| self.number(reason))?;
        let timestamp_ms = match self.lexer.next_token() {
            Token::Linebreak => None,
            Token::Timestamp => {
                let millis =
                    parse_timestamp(self.lexer.token()).map_err(|reason| self.number(reason))?;
                self.linebreak("expected next entry after timestamp")?;
                Some(millis)
            }
            other => return Err(self.unexpected("expected timestamp or new record", other)),
        };
        Ok(Entry::Series(SeriesLine {
            raw,
            kind: self.kind,
            value,
            timestamp_ms,
            exemplar: None,
        }))
    }

    fn linebreak(&mut self, expected: &'static str) -> Result<(), ParseError> {
        match self.lexer.next_token() {
            Token::Linebreak => Ok(()),
            other => Err(self.unexpected(expected, other)),
        }
    }

    fn unexpected(&self, expected: &'static str, token: Token) -> ParseError {
        unexpected(&self.lexer, self.line_start, expected, token)
    }

    fn number(&self, reason: crate::error::NumberError) -> ParseError {
        ParseError::Number {
            reason,
            context: context(&self.lexer, self.line_start),
        }
    }
}

impl<'a> Iterator for TextParser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.next_entry().transpose();
        self.ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}

#[cfg(test)]
mod tests;
