//! Numbers and durations. What is accepted here may still turn out to be neither.

use model::quote::quoted;

use super::{Language, Lexer, Scanned, is_alphanumeric};
use crate::token::TokenKind;

const DECIMAL_DIGITS: &str = "0123456789";
const HEXADECIMAL_DIGITS: &str = "0123456789abcdefABCDEF";

impl Lexer<'_> {
    pub(super) fn scan_number_or_duration(&mut self) -> Scanned {
        if self.accept_number() {
            return Ok(Some(TokenKind::Number));
        }
        if self.accept_rest_of_duration() {
            return Ok(Some(TokenKind::Duration));
        }
        Err(format!(
            "bad number or duration syntax: {}",
            quoted(self.token_text())
        ))
    }

    /// Reads a unit and further pairs of number and unit. Units in the wrong order are found when
    /// the duration is parsed.
    fn accept_rest_of_duration(&mut self) -> bool {
        if !self.accept("smhdwy") {
            return false;
        }
        self.accept("s");
        while self.accept(DECIMAL_DIGITS) {
            self.skip_while(|c| c.is_ascii_digit());
            if !self.accept("smhdw") {
                return false;
            }
            self.accept("s");
        }
        if self.word_goes_on() {
            // The message shows the character that does not belong there.
            self.bump();
            return false;
        }
        true
    }

    /// Reads a number: decimal, hexadecimal, with a fraction, an exponent, separators. Stops
    /// behind the character that does not fit.
    pub(super) fn accept_number(&mut self) -> bool {
        let begin = self.pos;
        let in_series = self.language == Language::SeriesDescription;
        // `0x5` in a series description is the value 0, repeated.
        let hexadecimal = !in_series && self.accept("0") && self.accept("xX");
        let digits = if hexadecimal {
            self.accept("_");
            HEXADECIMAL_DIGITS
        } else {
            DECIMAL_DIGITS
        };
        self.accept(".");
        self.accept(digits);
        if !self.accept_number_tail(digits) || self.pos == begin {
            return false;
        }
        !self.word_goes_on()
    }

    /// Whether a letter or digit follows. In a series description `x` repeats what precedes it.
    fn word_goes_on(&self) -> bool {
        match self.peek() {
            Some('x') if self.language == Language::SeriesDescription => false,
            next => next.is_some_and(is_alphanumeric),
        }
    }

    fn accept_number_tail(&mut self, digits: &str) -> bool {
        let hexadecimal = digits.len() > DECIMAL_DIGITS.len();
        let (mut got_dot, mut got_exponent) = (false, false);
        while self.next_is(digits) || self.next_is("._eE") {
            if self.next_is(".") {
                self.bump();
                if got_dot || self.accept("_.") || hexadecimal {
                    return false;
                }
                got_dot = true;
            } else if self.next_is("eE") {
                self.bump();
                if got_exponent {
                    return false;
                }
                got_exponent = true;
                self.accept("+-");
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.accept("_") {
                if self.accept("._eE") || self.peek().is_none() {
                    return false;
                }
            } else {
                self.skip_while(|c| digits.contains(c));
            }
        }
        true
    }
}
