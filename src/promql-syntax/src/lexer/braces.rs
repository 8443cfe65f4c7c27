//! The lexer inside of `{…}`, where keywords are plain identifiers.

use super::{Language, Lexer, Scanned, State, is_alpha, is_alphanumeric, is_space};
use crate::ast::BinaryOp;
use crate::token::{TokenKind, quoted_char};

impl Lexer<'_> {
    pub(super) fn scan_inside_braces(&mut self) -> Scanned {
        let Some(c) = self.peek() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        match c {
            '#' => {
                self.skip_comment();
                return Ok(None);
            }
            c if is_space(c) => {
                self.skip_while(is_space);
                return Ok(None);
            }
            _ => {}
        }
        self.bump();
        let kind = match c {
            c if is_alpha(c) => {
                self.skip_while(is_alphanumeric);
                TokenKind::Identifier
            }
            ',' => TokenKind::Comma,
            '"' | '\'' => self.scan_string(c)?,
            '`' => self.scan_raw_string()?,
            '=' if self.accept("~") => TokenKind::EqualRegex,
            '=' => TokenKind::Assign,
            '!' => match self.bump() {
                Some('~') => TokenKind::NotEqualRegex,
                Some('=') => TokenKind::Binary(BinaryOp::Ne),
                other => {
                    let c = quoted_char(other);
                    return Err(format!("unexpected character after '!' inside braces: {c}"));
                }
            },
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.brace_open = false;
                if self.language == Language::SeriesDescription {
                    self.state = State::Values;
                }
                TokenKind::RightBrace
            }
            other => {
                let c = quoted_char(Some(other));
                return Err(format!("unexpected character inside braces: {c}"));
            }
        };
        Ok(Some(kind))
    }
}
