//! OpenMetrics text, versions 0.0.1 and 1.0.0. Exemplars come with their samples.

use crate::entry::{Entry, ExemplarLine, MetricKind, SeriesLine};
use crate::error::{Excerpt, NumberError, ParseError};
use crate::lexer::{Dialect, Lexer, Token};
use crate::series::{
    context, delimit, delimit_labels, ends_series, inside_quotes, unexpected, utf8_name,
};
use crate::value::parse_value;

/// Walks over the lines of an exposition. It ends after the first error, and a missing `# EOF` is
/// one: a cut-off answer must not pass for a complete one.
#[derive(Clone, Debug)]
pub struct OpenMetricsParser<'a> {
    lexer: Lexer<'a>,
    line_start: usize,
    kind: MetricKind,
    ended: bool,
}

impl<'a> OpenMetricsParser<'a> {
    /// Starts at the first line of `input`.
    #[must_use]
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            lexer: Lexer::new(input, Dialect::OpenMetrics),
            line_start: 0,
            kind: MetricKind::Unknown,
            ended: false,
        }
    }

    /// As [`crate::TextParser::next_expecting`].
    pub fn next_expecting(&mut self, expected: &[u8]) -> Option<Result<Entry<'a>, ParseError>> {
        let at = self.lexer.at;
        let rest = self.lexer.input.get(at..).unwrap_or_default();
        let is_next = !self.ended
            && !expected.is_empty()
            && rest.starts_with(expected)
            && ends_series(expected, &rest[expected.len()..]);
        if !is_next {
            return self.next();
        }
        self.line_start = at;
        self.lexer.skip_series(expected);
        let token = self.lexer.next_token();
        let line = self.finish_series(&rest[..expected.len()], token);
        Some(line.inspect_err(|_| self.ended = true))
    }

    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        self.line_start = self.lexer.at;
        match self.lexer.next_token() {
            Token::EofWord if self.lexer.at == self.lexer.input.len() => Ok(None),
            Token::EofWord => Err(ParseError::DataAfterEof),
            Token::Eof => Err(ParseError::NoEof),
            token @ (Token::Help | Token::Type | Token::Unit) => self.metadata(token).map(Some),
            first => {
                let start = self.lexer.start;
                let series = delimit(&mut self.lexer, self.line_start, first, &mut |_, _| ())?;
                let raw = &self.lexer.input[start..series.end];
                self.finish_series(raw, series.next).map(Some)
            }
        }
    }

    fn metadata(&mut self, token: Token) -> Result<Entry<'a>, ParseError> {
        let expected = match token {
            Token::Help => "expected metric name after HELP",
            Token::Type => "expected metric name after TYPE",
            _ => "expected metric name after UNIT",
        };
        let name_token = self.lexer.next_token();
        if name_token != Token::MetricName {
            return Err(self.unexpected(expected, name_token));
        }
        let name = match self.lexer.token() {
            quoted @ [b'"', ..] => inside_quotes(quoted),
            plain => plain,
        };
        let name = utf8_name(name)?;
        let text = self
            .lexer
            .take_spaced_text()
            .ok_or(ParseError::NoText(token.name()))?;
        let utf8 = std::str::from_utf8(text);
        match token {
            Token::Help => {
                let text = utf8.map_err(|_| ParseError::HelpNotUtf8(Excerpt::new(text)))?;
                Ok(Entry::Help { name, text })
            }
            Token::Type => {
                self.kind = utf8
                    .ok()
                    .and_then(MetricKind::from_open_metrics)
                    .ok_or_else(|| ParseError::UnknownKind(Excerpt::new(text)))?;
                Ok(Entry::Type {
                    name,
                    kind: self.kind,
                })
            }
            _ => unit(name, text),
        }
    }

    /// Reads value, timestamp and exemplar of a series, of which `token` is the first one.
    fn finish_series(&mut self, raw: &'a [u8], token: Token) -> Result<Entry<'a>, ParseError> {
        let value = self.value("expected value after metric", token)?;
        let mut timestamp_ms = None;
        let mut token = self.lexer.next_token();
        if token == Token::Timestamp {
            timestamp_ms = Some(self.timestamp()?);
            token = self.lexer.next_token();
        }
        let exemplar = match token {
            Token::Linebreak => None,
            Token::Comment => Some(self.exemplar()?),
            Token::Eof => return Err(ParseError::NoEof),
            other => return Err(self.unexpected("expected timestamp or new record", other)),
        };
        Ok(Entry::Series(SeriesLine {
            raw,
            kind: self.kind,
            value,
            timestamp_ms,
            exemplar,
        }))
    }

    /// Reads an exemplar, whose ` # {` was taken.
    fn exemplar(&mut self) -> Result<ExemplarLine<'a>, ParseError> {
        let start = self.lexer.at.saturating_sub(1);
        // A label set that has its name already takes no other.
        delimit_labels(&mut self.lexer, self.line_start, true, &mut |_, _| ())?;
        let raw = &self.lexer.input[start..self.lexer.at];
        let token = self.lexer.next_token();
        let value = self.value("expected value after exemplar labels", token)?;
        let mut timestamp_ms = None;
        let mut token = self.lexer.next_token();
        if token == Token::Timestamp {
            timestamp_ms = Some(self.timestamp()?);
            token = self.lexer.next_token();
        }
        match token {
            Token::Linebreak => Ok(ExemplarLine {
                raw,
                value,
                timestamp_ms,
            }),
            Token::Eof => Err(ParseError::NoEof),
            other => Err(self.unexpected("expected timestamp or comment", other)),
        }
    }

    fn value(&self, expected: &'static str, token: Token) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected(expected, token));
        }
        parse_value(self.lexer.token()).map_err(|reason| self.number(reason))
    }

    /// Seconds to milliseconds, cut off as upstream does.
    fn timestamp(&self) -> Result<i64, ParseError> {
        let text = self.lexer.token();
        let seconds = parse_value(text).map_err(|reason| self.number(reason))?;
        let millis = seconds * 1000.0;
        // 2^63 is a double, the first one beyond the range.
        if millis.is_nan() || millis.abs() >= 9_223_372_036_854_775_808.0 {
            return Err(ParseError::InvalidTimestamp(Excerpt::new(text)));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was checked above"
        )]
        Ok(millis as i64)
    }

    fn unexpected(&self, expected: &'static str, token: Token) -> ParseError {
        unexpected(&self.lexer, self.line_start, expected, token)
    }

    fn number(&self, reason: NumberError) -> ParseError {
        ParseError::Number {
            reason,
            context: context(&self.lexer, self.line_start),
        }
    }
}

/// A unit must end the metric's name, after an underscore.
fn unit<'a>(name: &'a str, text: &'a [u8]) -> Result<Entry<'a>, ParseError> {
    let refused = || ParseError::UnitNotSuffix {
        unit: Excerpt::new(text),
        name: Excerpt::new(name.as_bytes()),
    };
    let unit = std::str::from_utf8(text).map_err(|_| refused())?;
    let is_suffix = || {
        name.strip_suffix(unit)
            .is_some_and(|before| before.ends_with('_'))
    };
    if unit.is_empty() || is_suffix() {
        Ok(Entry::Unit { name, unit })
    } else {
        Err(refused())
    }
}

impl<'a> Iterator for OpenMetricsParser<'a> {
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
