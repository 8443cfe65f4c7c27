//! Metrics as tests and expected results write them: `name{label="value"}`.

use model::{Labels, LabelsBuilder, METRIC_NAME};

use super::{Abort, Parsed, Parser};
use crate::ast::PosRange;
use crate::token::TokenKind;
use crate::unquote::unquote;

const CONTEXT: &str = "label set";

impl Parser<'_> {
    /// Parses a metric and nothing else.
    pub(crate) fn parse_lone_metric(&mut self) -> Parsed<Labels> {
        let labels = self.parse_metric()?;
        self.expect_end()?;
        Ok(labels)
    }

    /// Parses a name, a label set, both or nothing.
    pub(super) fn parse_metric(&mut self) -> Parsed<Labels> {
        let start = self.peek().start;
        let name = self.peek().kind.is_metric_name().then(|| self.take());
        let mut pairs = Vec::new();
        if self.peek().kind == TokenKind::LeftBrace {
            self.take();
            self.parse_label_set(&mut pairs)?;
        }
        let pos = PosRange::new(start, self.last_end);
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let result = Labels::from_pairs(pairs).and_then(|labels| match name {
            Some(name) => LabelsBuilder::new(labels)
                .set(METRIC_NAME, name.text)
                .build(),
            None => Ok(labels),
        });
        result.map_err(|error| {
            self.error(pos, error.to_string());
            Abort
        })
    }

    /// Parses `label="value", …}`; the opening brace was just taken. A fault in the list is
    /// reported and skipped.
    fn parse_label_set(&mut self, pairs: &mut Vec<(String, String)>) -> Parsed<()> {
        while self.accept(TokenKind::RightBrace).is_none() {
            match self.parse_label() {
                Ok(pair) => pairs.push(pair),
                Err(_reported) => self.skip_to_separator(TokenKind::RightBrace)?,
            }
            match self.peek().kind {
                TokenKind::Comma | TokenKind::RightBrace => {}
                _ => {
                    self.unexpected(CONTEXT, "\",\" or \"}\"");
                    self.skip_to_separator(TokenKind::RightBrace)?;
                }
            }
            self.accept(TokenKind::Comma);
        }
        Ok(())
    }

    fn parse_label(&mut self) -> Parsed<(String, String)> {
        let token = self.peek();
        let name = match token.kind {
            TokenKind::Identifier => token.text.to_owned(),
            TokenKind::String => unquote(token.text),
            _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
        };
        self.take();
        if self.accept(TokenKind::Assign).is_none() {
            if token.kind == TokenKind::String {
                return Ok((METRIC_NAME.to_owned(), name));
            }
            return Err(self.unexpected(CONTEXT, "\"=\""));
        }
        match self.accept(TokenKind::String) {
            Some(value) => Ok((name, unquote(value.text))),
            None => Err(self.unexpected(CONTEXT, "string")),
        }
    }
}
