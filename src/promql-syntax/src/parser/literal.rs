//! Numbers, durations and texts.

use model::PromDuration;
use model::number::parse_float;
use model::quote::quoted;

use super::Parser;
use crate::ast::{NumberLiteral, StringLiteral};
use crate::token::{Token, TokenKind};
use crate::unquote::unquote;

impl<'a> Parser<'a> {
    /// Takes a number or duration.
    pub(super) fn parse_number_literal(&mut self) -> NumberLiteral {
        let token = self.take();
        let is_duration = token.kind == TokenKind::Duration;
        let value = self.number_value(&token);
        NumberLiteral {
            value,
            is_duration,
            pos: token.pos(),
        }
    }

    /// The value of a number, or of a duration in seconds.
    pub(super) fn number_value(&mut self, token: &Token<'a>) -> f64 {
        if token.kind == TokenKind::Duration {
            return match PromDuration::parse(token.text) {
                Ok(duration) => duration.as_seconds(),
                Err(error) => {
                    self.error(token.pos(), error.to_string());
                    0.0
                }
            };
        }
        if let Some(value) = parse_integer(token.text).or_else(|| parse_float(token.text)) {
            return value;
        }
        // A text that is a number but for its size overflows; the exponent tells.
        let (reason, value) = if token
            .text
            .bytes()
            .all(|b| b.is_ascii_digit() || b".eE+-_".contains(&b))
            && token.text.replace('_', "").parse::<f64>().is_ok()
        {
            ("value out of range", f64::INFINITY)
        } else {
            ("invalid syntax", 0.0)
        };
        let text = quoted(token.text);
        let message = format!("error parsing number: strconv.ParseFloat: parsing {text}: {reason}");
        self.error(token.pos(), message);
        value
    }

    /// Takes a text.
    pub(super) fn parse_string_literal(&mut self) -> StringLiteral {
        let token = self.take();
        StringLiteral {
            value: unquote(token.text),
            pos: token.pos(),
        }
    }
}

/// Parses as Go's `ParseInt(text, 0, 64)`: `0x` hexadecimal, a leading `0` octal, `_` between
/// digits.
fn parse_integer(text: &str) -> Option<f64> {
    let (prefix, digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => ("0x", &text[2..], 16),
        [b'0', _, ..] => ("0", &text[1..], 8),
        _ => ("", text, 10),
    };
    let mut plain = String::with_capacity(digits.len());
    // Behind a prefix the first separator may come at once.
    let mut after_digit = !prefix.is_empty();
    for c in digits.chars() {
        if c == '_' && after_digit {
            after_digit = false;
        } else {
            plain.push(c.is_digit(radix).then_some(c)?);
            after_digit = true;
        }
    }
    if !after_digit || plain.is_empty() {
        return None;
    }
    let value = i64::from_str_radix(&plain, radix).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "as upstream: float64(int64)")]
    Some(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_follow_go() {
        for (text, want) in [
            ("0", Some(0.0)),
            ("17", Some(17.0)),
            ("017", Some(15.0)),
            ("0_17", Some(15.0)),
            ("018", None),
            ("0x1F", Some(31.0)),
            ("0X_1f", Some(31.0)),
            ("0x", None),
            ("0x1_", None),
            ("1_000", Some(1000.0)),
            ("1__0", None),
            ("_1", None),
            ("9223372036854775808", None),
            ("1.5", None),
        ] {
            assert_eq!(parse_integer(text), want, "{text}");
        }
    }
}
