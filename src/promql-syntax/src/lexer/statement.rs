//! The lexer outside of braces: operators, words, brackets.

use super::{Lexer, Scanned, State, is_alpha, is_alphanumeric, is_space};
use crate::ast::BinaryOp;
use crate::token::{TokenKind, quoted_char, word_kind};

impl Lexer<'_> {
    pub(super) fn scan_statement(&mut self) -> Scanned {
        let Some(c) = self.peek() else {
            return self.scan_end();
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
            c if c.is_ascii_digit() => return self.scan_number_or_duration(),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                return self.scan_number_or_duration();
            }
            _ => {}
        }
        self.bump();
        let kind = match c {
            ',' => TokenKind::Comma,
            '@' => TokenKind::At,
            '*' | '/' | '%' | '+' | '-' | '^' | '<' | '>' => self.scan_operator(c),
            '=' => match self.peek() {
                Some('=') => {
                    self.bump();
                    TokenKind::Binary(BinaryOp::Eq)
                }
                Some('~') => return Err("unexpected character after '=': '~'".to_owned()),
                _ => TokenKind::Assign,
            },
            '!' => match self.bump() {
                Some('=') => TokenKind::Binary(BinaryOp::Ne),
                other => {
                    return Err(format!(
                        "unexpected character after '!': {}",
                        quoted_char(other)
                    ));
                }
            },
            '"' | '\'' => return self.scan_string(c).map(Some),
            '`' => return self.scan_raw_string().map(Some),
            '(' | ')' | '{' | '[' | ']' => return self.scan_bracket(c).map(Some),
            c if is_alpha(c) || c == ':' => return self.scan_word(c).map(Some),
            other => {
                return Err(format!(
                    "unexpected character: {}",
                    quoted_char(Some(other))
                ));
            }
        };
        Ok(Some(kind))
    }

    fn scan_end(&self) -> Scanned {
        if self.paren_depth != 0 {
            return Err("unclosed left parenthesis".to_owned());
        }
        if self.bracket_open {
            return Err("unclosed left bracket".to_owned());
        }
        Ok(Some(TokenKind::Eof))
    }

    /// Reads the rest of an operator that starts with `first`.
    fn scan_operator(&mut self, first: char) -> TokenKind {
        TokenKind::Binary(match first {
            '*' => BinaryOp::Mul,
            '/' => BinaryOp::Div,
            '%' => BinaryOp::Mod,
            '+' => BinaryOp::Add,
            '-' => BinaryOp::Sub,
            '^' => BinaryOp::Pow,
            '<' if self.accept("=") => BinaryOp::Le,
            '<' if self.accept("/") => BinaryOp::TrimUpper,
            '<' => BinaryOp::Lt,
            _ if self.accept("=") => BinaryOp::Ge,
            _ if self.accept("/") => BinaryOp::TrimLower,
            _ => BinaryOp::Gt,
        })
    }

    fn scan_bracket(&mut self, bracket: char) -> Result<TokenKind, String> {
        Ok(match bracket {
            '(' => {
                self.paren_depth += 1;
                TokenKind::LeftParen
            }
            ')' => self.close_paren()?,
            '{' => {
                self.brace_open = true;
                TokenKind::LeftBrace
            }
            '[' => {
                if self.bracket_open {
                    return Err("unexpected left bracket '['".to_owned());
                }
                self.got_colon = false;
                self.bracket_open = true;
                self.state = State::DurationExpr;
                TokenKind::LeftBracket
            }
            _ => {
                if !self.bracket_open {
                    return Err("unexpected right bracket ']'".to_owned());
                }
                self.bracket_open = false;
                TokenKind::RightBracket
            }
        })
    }

    /// Counts a `)` that was just read.
    pub(super) fn close_paren(&mut self) -> Result<TokenKind, String> {
        self.paren_depth -= 1;
        if self.paren_depth < 0 {
            // Upstream points behind the parenthesis here.
            self.start = self.pos;
            return Err("unexpected right parenthesis ')'".to_owned());
        }
        Ok(TokenKind::RightParen)
    }

    /// Reads a keyword or identifier; `first` was just read.
    fn scan_word(&mut self, first: char) -> Result<TokenKind, String> {
        if self.bracket_open {
            return self.scan_word_in_brackets(first);
        }
        self.skip_while(|c| is_alphanumeric(c) || c == ':');
        Ok(self.finish_word())
    }

    /// Classifies the word that was read. `fill` and its sisters are keywords only in front of `(`,
    /// so that metrics of these names go on working.
    pub(super) fn finish_word(&mut self) -> TokenKind {
        let kind = match word_kind(self.token_text()) {
            TokenKind::Keyword(keyword) if keyword.is_fill() && !self.paren_follows() => {
                TokenKind::Identifier
            }
            kind => kind,
        };
        if self.language == super::Language::SeriesDescription && self.peek() != Some('{') {
            self.state = State::Values;
        }
        kind
    }

    fn paren_follows(&self) -> bool {
        self.rest().trim_start_matches(is_space).starts_with('(')
    }

    /// Reads what begins with a letter or colon behind the first number in `[…]`.
    fn scan_word_in_brackets(&mut self, first: char) -> Result<TokenKind, String> {
        if first == ':' {
            if self.got_colon {
                return Err("unexpected colon ':'".to_owned());
            }
            self.got_colon = true;
            return Ok(TokenKind::Colon);
        }
        self.scan_duration_keyword(first).ok_or_else(|| {
            format!(
                "unexpected character: {}, expected ':'",
                quoted_char(Some(first))
            )
        })
    }
}
