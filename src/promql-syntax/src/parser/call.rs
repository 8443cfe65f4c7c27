//! Function calls.

use model::quote::quoted;

use super::{Node, Parsed, Parser};
use crate::ast::{Call, Expr, PosRange};
use crate::functions::function;
use crate::token::{Token, TokenKind};

impl<'a> Parser<'a> {
    /// Parses a call; its name was just taken and `(` comes next.
    pub(super) fn parse_call(&mut self, name: Token<'a>) -> Parsed<Node> {
        let args = self.parse_call_args()?;
        let pos = PosRange::new(name.start, self.last_end);
        let quoted_name = quoted(name.text);
        let Some(func) = function(name.text) else {
            self.error(
                name.pos(),
                format!("unknown function with name {quoted_name}"),
            );
            return self.placeholder(pos);
        };
        if func.experimental && !self.options.enable_experimental_functions {
            self.error(name.pos(), format!("function {quoted_name} is not enabled"));
        }
        let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
        let args = args.into_iter().map(|arg| arg.expr).collect();
        self.node(Expr::Call(Call { func, args, pos }), below)
    }

    /// Parses `(expr, expr, …)`.
    pub(super) fn parse_call_args(&mut self) -> Parsed<Vec<Node>> {
        self.expect(TokenKind::LeftParen)?;
        let mut args = Vec::new();
        if self.accept(TokenKind::RightParen).is_some() {
            return Ok(args);
        }
        args.push(self.nested(|parser| parser.parse_expr(0))?);
        loop {
            self.skip_unfit(&[TokenKind::Comma, TokenKind::RightParen]);
            let Some(comma) = self.accept(TokenKind::Comma) else {
                break;
            };
            if self.peek().kind.can_start_expr() {
                args.push(self.nested(|parser| parser.parse_expr(0))?);
            } else {
                let message = "trailing commas not allowed in function call args".to_owned();
                self.error(comma.pos(), message);
            }
        }
        self.expect(TokenKind::RightParen)?;
        Ok(args)
    }
}
