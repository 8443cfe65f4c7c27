//! Quoted texts. The lexer checks the escapes; [`crate::unquote`] resolves them.

use super::Lexer;
use crate::token::{TokenKind, quoted_char};

impl Lexer<'_> {
    /// Reads up to the closing quote; the opening one was just read.
    pub(super) fn scan_string(&mut self, quote: char) -> Result<TokenKind, String> {
        loop {
            match self.bump() {
                Some('\\') => self.check_escape(quote)?,
                // What is left of bytes that were no UTF-8.
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some(c) if c == quote => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// Reads up to the closing backtick; the opening one was just read.
    pub(super) fn scan_raw_string(&mut self) -> Result<TokenKind, String> {
        loop {
            match self.bump() {
                Some(char::REPLACEMENT_CHARACTER) => return Err("invalid UTF-8 rune".to_owned()),
                None => return Err("unterminated raw string".to_owned()),
                Some('`') => return Ok(TokenKind::String),
                Some(_) => {}
            }
        }
    }

    /// Reads an escape sequence; its backslash was just read.
    fn check_escape(&mut self, quote: char) -> Result<(), String> {
        let not_terminated = || "escape sequence not terminated".to_owned();
        let (digits, radix, largest) = match self.peek() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => {
                self.bump();
                return Ok(());
            }
            Some(c) if c == quote => {
                self.bump();
                return Ok(());
            }
            Some('0'..='7') => (3, 8, 255),
            Some('x') => (2, 16, 255),
            Some('u') => (4, 16, u32::from(char::MAX)),
            Some('U') => (8, 16, u32::from(char::MAX)),
            Some(other) => {
                self.bump();
                return Err(format!("unknown escape sequence {}", code_point(other)));
            }
            None => return Err(not_terminated()),
        };
        if radix == 16 {
            self.bump();
        }
        let mut value: u32 = 0;
        for _ in 0..digits {
            let c = self.bump().ok_or_else(not_terminated)?;
            let digit = c
                .to_digit(radix)
                .ok_or_else(|| format!("illegal character {} in escape sequence", code_point(c)))?;
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if value > largest || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }
}

/// Go's `%#U`: `U+0041 'A'`, the character as it is, and not at all unless it is printable.
fn code_point(c: char) -> String {
    let number = u32::from(c);
    let is_printable = matches!(c, '\'' | '"' | '\\') || quoted_char(Some(c)) == format!("'{c}'");
    if is_printable {
        format!("U+{number:04X} '{c}'")
    } else {
        format!("U+{number:04X}")
    }
}
