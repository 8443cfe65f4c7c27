//! Operators between expressions and their modifiers.

use super::{Context, Node, Parsed, Parser, unary_op};
use crate::ast::{
    BinaryExpr, BinaryOp, Expr, FillValues, MatchCardinality, UnaryOp, VectorMatching,
};
use crate::token::{Keyword, TokenKind};

/// The precedence of `^`.
pub(super) const POWER_PRECEDENCE: u8 = BinaryOp::Pow.precedence();

/// What stands between an operator and its right side.
#[derive(Default)]
struct Modifiers {
    return_bool: bool,
    matching: VectorMatching,
}

impl Parser<'_> {
    /// Parses operands joined by operators that bind at least as tightly as `min_precedence`.
    /// Left-associative chains are a loop, so that their length costs no stack.
    pub(super) fn parse_expr(&mut self, min_precedence: u8) -> Parsed<Node> {
        let lhs = self.parse_operand()?;
        self.parse_operators(lhs, min_precedence)
    }

    /// Parses the operators behind `lhs` that bind at least as tightly as `min_precedence`.
    pub(super) fn parse_operators(&mut self, lhs: Node, min_precedence: u8) -> Parsed<Node> {
        let mut lhs = lhs;
        loop {
            let TokenKind::Binary(op) = self.peek().kind else {
                return Ok(lhs);
            };
            let precedence = op.precedence();
            if precedence < min_precedence {
                return Ok(lhs);
            }
            self.take();
            let modifiers = self.parse_binary_modifiers()?;
            let rhs = if op == BinaryOp::Pow {
                self.nested(|parser| parser.parse_expr(precedence))?
            } else {
                self.parse_expr(precedence + 1)?
            };
            lhs = self.join(op, lhs, rhs, modifiers)?;
        }
    }

    fn join(&mut self, op: BinaryOp, lhs: Node, rhs: Node, modifiers: Modifiers) -> Parsed<Node> {
        let pos = lhs.expr.pos().merge(rhs.expr.pos());
        let Modifiers {
            return_bool,
            matching,
        } = modifiers;
        if matching.fill != FillValues::default() && !self.options.enable_fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled".to_owned();
            self.error(pos, message);
        }
        // Down the left sides nothing recurses, so that only the length is limited.
        let (left_depth, chain) = match lhs.expr {
            Expr::Binary(_) => (lhs.depth - 1, lhs.chain + 1),
            _ => (lhs.depth, 1),
        };
        let limit = self.options.max_chain;
        if chain > limit {
            let message = format!(
                "expression has too many binary operators in a row, at most {limit} are supported"
            );
            self.error(pos, message);
            return Err(super::Abort);
        }
        let expr = Expr::Binary(BinaryExpr {
            op,
            lhs: Box::new(lhs.expr),
            rhs: Box::new(rhs.expr),
            return_bool,
            matching: Some(Box::new(matching)),
            pos,
        });
        let node = self.node(expr, left_depth.max(rhs.depth))?;
        Ok(Node { chain, ..node })
    }

    fn parse_binary_modifiers(&mut self) -> Parsed<Modifiers> {
        let mut modifiers = Modifiers {
            return_bool: self.accept(TokenKind::Keyword(Keyword::Bool)).is_some(),
            matching: VectorMatching::default(),
        };
        let matching = &mut modifiers.matching;
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.peek().kind {
            self.take();
            matching.labels = self.parse_grouping_labels()?;
            matching.on = keyword == Keyword::On;
            self.parse_group_side(matching)?;
        }
        self.parse_fill_modifiers(&mut matching.fill)?;
        Ok(modifiers)
    }

    fn parse_group_side(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        matching.card = match self.peek().kind {
            TokenKind::Keyword(Keyword::GroupLeft) => MatchCardinality::ManyToOne,
            TokenKind::Keyword(Keyword::GroupRight) => MatchCardinality::OneToMany,
            _ => return Ok(()),
        };
        self.take();
        let labels_are_left_out = match self.peek().kind {
            TokenKind::LeftParen => false,
            TokenKind::Keyword(keyword) if keyword.is_fill() => true,
            kind => kind.can_start_expr(),
        };
        if !labels_are_left_out {
            matching.include = self.parse_grouping_labels()?;
        }
        Ok(())
    }

    /// Parses `fill`, or `fill_left` and `fill_right` in either order.
    fn parse_fill_modifiers(&mut self, fill: &mut FillValues) -> Parsed<()> {
        let TokenKind::Keyword(first) = self.peek().kind else {
            return Ok(());
        };
        if !first.is_fill() {
            return Ok(());
        }
        self.parse_fill(first, fill)?;
        match (first, self.peek().kind) {
            (Keyword::FillLeft, TokenKind::Keyword(second @ Keyword::FillRight))
            | (Keyword::FillRight, TokenKind::Keyword(second @ Keyword::FillLeft)) => {
                self.parse_fill(second, fill)
            }
            _ => Ok(()),
        }
    }

    fn parse_fill(&mut self, keyword: Keyword, fill: &mut FillValues) -> Parsed<()> {
        self.take();
        self.expect(TokenKind::LeftParen)?;
        let sign = unary_op(self.peek().kind);
        if sign.is_some() {
            self.take();
        }
        if !matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected_here());
        }
        let number = self.parse_number_literal();
        self.expect(TokenKind::RightParen)?;
        let value = if sign == Some(UnaryOp::Minus) {
            -number.value
        } else {
            number.value
        };
        fill.written_as_one = keyword == Keyword::Fill;
        if keyword != Keyword::FillRight {
            fill.lhs = Some(value);
        }
        if keyword != Keyword::FillLeft {
            fill.rhs = Some(value);
        }
        Ok(())
    }

    /// Parses `(label, "label", …)`. A fault in the list is reported and skipped.
    pub(super) fn parse_grouping_labels(&mut self) -> Parsed<Vec<String>> {
        const CONTEXT: &str = "grouping opts";
        if self.accept(TokenKind::LeftParen).is_none() {
            self.unexpected(CONTEXT, "\"(\"");
            return self.recover(Vec::new());
        }
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen).is_none() {
            let token = self.peek();
            if token.kind.is_grouping_label() {
                labels.push(self.take().text.to_owned());
            } else if token.kind == TokenKind::String {
                labels.push(self.parse_quoted_label());
            } else {
                self.unexpected(CONTEXT, "label");
                self.skip_to_separator(TokenKind::RightParen)?;
            }
            match self.peek().kind {
                TokenKind::Comma | TokenKind::RightParen => {}
                _ => {
                    self.unexpected(CONTEXT, "\",\" or \")\"");
                    self.skip_to_separator(TokenKind::RightParen)?;
                }
            }
            self.accept(TokenKind::Comma);
        }
        Ok(labels)
    }

    fn parse_quoted_label(&mut self) -> String {
        let token = self.take();
        let label = crate::unquote::unquote(token.text);
        if label.is_empty() {
            self.error(
                token.pos(),
                "invalid label name for grouping: \"\"".to_owned(),
            );
        }
        label
    }

    /// Skips to the next comma or `closing` after an error.
    pub(super) fn skip_to_separator(&mut self, closing: TokenKind) -> Parsed<()> {
        loop {
            match self.peek().kind {
                TokenKind::Eof | TokenKind::Error => return Err(super::Abort),
                kind if kind == TokenKind::Comma || kind == closing => return Ok(()),
                _ => self.take(),
            };
        }
    }

    /// Runs `parse` so that errors in it are worded as errors in an aggregation.
    pub(super) fn in_aggregation<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.within(Context::Aggregation, parse)
    }
}
