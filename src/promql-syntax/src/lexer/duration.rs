//! The lexer right behind `[`, where a duration expression starts.

use super::{Lexer, Scanned, State, is_alpha, is_space};
use crate::ast::BinaryOp;
use crate::token::{Keyword, TokenKind, quoted_char, word_kind};

impl Lexer<'_> {
    pub(super) fn scan_duration_expr(&mut self) -> Scanned {
        let Some(c) = self.peek() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        let is_number = c.is_ascii_digit()
            || (c == '.' && self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()));
        if is_number {
            self.got_duration = true;
            self.state = State::Statement;
            return self.scan_number_or_duration();
        }
        if is_space(c) {
            self.skip_while(is_space);
            return Ok(None);
        }
        self.bump();
        let kind = match c {
            ']' => {
                self.bracket_open = false;
                self.got_colon = false;
                self.state = State::Statement;
                TokenKind::RightBracket
            }
            ':' => self.scan_leading_colon()?,
            '(' => {
                self.paren_depth += 1;
                TokenKind::LeftParen
            }
            ')' => self.close_paren()?,
            '+' => TokenKind::Binary(BinaryOp::Add),
            '-' => TokenKind::Binary(BinaryOp::Sub),
            '*' => TokenKind::Binary(BinaryOp::Mul),
            '/' => TokenKind::Binary(BinaryOp::Div),
            '%' => TokenKind::Binary(BinaryOp::Mod),
            '^' => TokenKind::Binary(BinaryOp::Pow),
            ',' => TokenKind::Comma,
            c => self.scan_duration_keyword(c).ok_or_else(|| {
                let c = quoted_char(Some(c));
                format!("unexpected character in duration expression: {c}")
            })?,
        };
        Ok(Some(kind))
    }

    /// Handles a `:` in front of any number.
    fn scan_leading_colon(&mut self) -> Result<TokenKind, String> {
        let message = if !self.got_duration {
            "unexpected colon before duration in duration expression"
        } else if self.got_colon {
            "unexpected repeated colon in duration expression"
        } else {
            self.got_colon = true;
            return Ok(TokenKind::Colon);
        };
        // Upstream points behind the colon here.
        self.start = self.pos;
        Err(message.to_owned())
    }

    /// Reads the rest of `step`, `range`, `min_of` or `max_of`; `first` was just read.
    pub(super) fn scan_duration_keyword(&mut self, first: char) -> Option<TokenKind> {
        if !matches!(first, 's' | 'S' | 'm' | 'M' | 'r' | 'R') {
            return None;
        }
        self.skip_while(is_alpha);
        let kind = word_kind(self.token_text());
        let usable = matches!(
            kind,
            TokenKind::Keyword(Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf)
        );
        usable.then_some(kind)
    }
}
