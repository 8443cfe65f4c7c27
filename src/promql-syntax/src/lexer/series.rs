//! The lexer behind the metric of a series description: `1 2+3x4 _x5 stale {{count:6}}`.

use super::{Lexer, Scanned, State, is_alpha, is_alphanumeric, is_space};
use crate::ast::BinaryOp;
use crate::token::{TokenKind, quoted_char};
use model::quote::quoted;

/// The parts of a histogram. Source: upstream `parser/lex.go`, as everything here.
pub(crate) const HISTOGRAM_KEYS: [&str; 11] = [
    "buckets",
    "count",
    "counter_reset_hint",
    "custom_values",
    "n_buckets",
    "n_offset",
    "offset",
    "schema",
    "sum",
    "z_bucket",
    "z_bucket_w",
];

/// What a histogram may say of counter resets.
const RESET_HINTS: [&str; 4] = ["gauge", "not_reset", "reset", "unknown"];

impl Lexer<'_> {
    pub(super) fn scan_values(&mut self) -> Scanned {
        let Some(c) = self.peek() else {
            self.state = State::Statement;
            return Ok(None);
        };
        let is_number = c.is_ascii_digit()
            || (c == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()));
        if is_number {
            return self.scan_number_or_duration();
        }
        if self.rest().starts_with("{{") {
            self.pos += "{{".len();
            self.state = State::Histogram;
            return Ok(Some(TokenKind::OpenHistogram));
        }
        self.bump();
        let kind = match c {
            c if is_space(c) => {
                self.skip_while(is_space);
                TokenKind::Space
            }
            '+' => TokenKind::Binary(BinaryOp::Add),
            '-' => TokenKind::Binary(BinaryOp::Sub),
            'x' => TokenKind::Times,
            '_' => TokenKind::Blank,
            c if is_alpha(c) => {
                self.skip_while(|c| is_alphanumeric(c) || c == ':');
                self.state = State::Statement;
                self.finish_word()
            }
            other => {
                let c = quoted_char(Some(other));
                return Err(format!("unexpected character in series sequence: {c}"));
            }
        };
        Ok(Some(kind))
    }

    pub(super) fn scan_histogram(&mut self) -> Scanned {
        let next = self.peek();
        if next.is_some_and(|c| c.is_ascii_digit()) {
            return self.scan_histogram_number();
        }
        if next.is_some_and(is_alpha) {
            return self.scan_histogram_word();
        }
        self.bump();
        let kind = match next {
            Some(c) if is_space(c) => {
                self.skip_while(is_space);
                TokenKind::Space
            }
            Some('-') => TokenKind::Binary(BinaryOp::Sub),
            Some(']') if self.bracket_open => {
                self.bracket_open = false;
                TokenKind::RightBracket
            }
            other if self.bracket_open => {
                let c = quoted_char(other);
                return Err(format!("invalid character in buckets description: {c}"));
            }
            Some(':') => TokenKind::Colon,
            Some('[') => {
                self.bracket_open = true;
                TokenKind::LeftBracket
            }
            Some('}') if self.peek() == Some('}') => {
                self.bump();
                self.state = State::Values;
                TokenKind::CloseHistogram
            }
            other => {
                let c = quoted_char(other);
                return Err(format!("histogram description incomplete unexpected: {c}"));
            }
        };
        Ok(Some(kind))
    }

    fn scan_histogram_number(&mut self) -> Scanned {
        if self.accept_number() {
            return Ok(Some(TokenKind::Number));
        }
        Err(format!("bad number syntax: {}", quoted(self.token_text())))
    }

    /// A key of a histogram, a hint, or a number such as `Inf`.
    fn scan_histogram_word(&mut self) -> Scanned {
        self.skip_while(is_alpha);
        let word = self.token_text().to_ascii_lowercase();
        if matches!(word.as_str(), "inf" | "nan") {
            return Ok(Some(TokenKind::Number));
        }
        if self.bracket_open {
            let c = quoted_char(self.token_text().chars().next());
            return Err(format!("invalid character in buckets description: {c}"));
        }
        if HISTOGRAM_KEYS.contains(&word.as_str()) {
            if self.peek() != Some(':') {
                return Err("missing `:` for histogram descriptor".to_owned());
            }
            return Ok(Some(TokenKind::HistogramKey));
        }
        if RESET_HINTS.contains(&word.as_str()) {
            return Ok(Some(TokenKind::ResetHint));
        }
        let word = quoted(self.token_text());
        Err(format!("bad histogram descriptor found: {word}"))
    }
}
