//! The lexer behind the metric of a series description: `@st 1 2+3x4 _x5 stale`.

use super::{Lexer, Scanned, State, is_alpha, is_alphanumeric, is_space};
use crate::ast::BinaryOp;
use crate::token::{TokenKind, quoted_char};

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
            return Err("native histograms are not supported in series descriptions".to_owned());
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
            '@' if self.rest().starts_with("st") => {
                self.pos += "st".len();
                TokenKind::At
            }
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
}
