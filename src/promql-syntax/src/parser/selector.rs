//! Vector selectors: a name, matchers in braces, or both.

use model::{METRIC_NAME, MatchOp, Matcher};

use super::{Parsed, Parser};
use crate::ast::{BinaryOp, PosRange, VectorSelector};
use crate::token::{Token, TokenKind};
use crate::unquote::unquote;

const CONTEXT: &str = "label matching";

impl<'a> Parser<'a> {
    /// Parses a selector without its modifiers. `name` is the word that was just taken, if any;
    /// without it `{` comes next.
    pub(super) fn parse_selector(&mut self, name: Option<Token<'a>>) -> Parsed<VectorSelector> {
        let mut selector = VectorSelector::default();
        if let Some(name) = name {
            name.text.clone_into(&mut selector.name);
            selector.pos = name.pos();
        }
        if self.peek().kind == TokenKind::LeftBrace {
            let (matchers, braces) = self.parse_matchers()?;
            selector.matchers = matchers;
            selector.pos = if name.is_some() {
                selector.pos.merge(braces)
            } else {
                braces
            };
        }
        if let Some(name) = name {
            selector
                .matchers
                .push(Matcher::equal(METRIC_NAME, name.text));
        }
        Ok(selector)
    }

    /// Parses a selector where nothing else may stand.
    pub(crate) fn parse_lone_selector(&mut self) -> Parsed<VectorSelector> {
        let token = self.peek();
        let name = match token.kind {
            TokenKind::LeftBrace => None,
            kind if kind.is_metric_name() => Some(self.take()),
            _ => return Err(self.unexpected_here()),
        };
        let selector = self.parse_selector(name)?;
        self.expect_end()?;
        Ok(selector)
    }

    /// Parses `{matcher, matcher, …}`. A fault in the list is reported and skipped.
    fn parse_matchers(&mut self) -> Parsed<(Vec<Matcher>, PosRange)> {
        let open = self.take();
        let mut matchers = Vec::new();
        loop {
            if let Some(close) = self.accept(TokenKind::RightBrace) {
                return Ok((matchers, open.pos().merge(close.pos())));
            }
            match self.parse_matcher() {
                Ok(matcher) => matchers.extend(matcher),
                Err(_reported) => self.skip_to_separator(TokenKind::RightBrace)?,
            }
            match self.peek().kind {
                TokenKind::Comma => {
                    self.take();
                }
                TokenKind::RightBrace => {}
                _ => {
                    self.unexpected(CONTEXT, "\",\" or \"}\"");
                    self.skip_to_separator(TokenKind::RightBrace)?;
                    self.accept(TokenKind::Comma);
                }
            }
        }
    }

    /// Parses `label="value"` or a quoted metric name. `None` when its pattern is bad.
    fn parse_matcher(&mut self) -> Parsed<Option<Matcher>> {
        let token = self.peek();
        let name = match token.kind {
            TokenKind::Identifier => token.text.to_owned(),
            TokenKind::String => unquote(token.text),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        self.take();
        let op = match self.peek().kind {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::Binary(BinaryOp::Ne) => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotEqualRegex => MatchOp::NotRegex,
            _ if token.kind == TokenKind::String => {
                return Ok(Some(Matcher::equal(METRIC_NAME, &name)));
            }
            _ => return Err(self.unexpected(CONTEXT, "label matching operator")),
        };
        self.take();
        let Some(value) = self.accept(TokenKind::String) else {
            return Err(self.unexpected(CONTEXT, "string"));
        };
        match Matcher::new(op, &name, &unquote(value.text)) {
            Ok(matcher) => Ok(Some(matcher)),
            Err(error) => {
                self.error(token.pos().merge(value.pos()), error.to_string());
                Ok(None)
            }
        }
    }
}
