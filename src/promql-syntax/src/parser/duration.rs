//! Durations in brackets and behind `offset`: literals and computed ones.

use model::PromDuration;

use super::{Parsed, Parser, binary::POWER_PRECEDENCE, unary_op};
use crate::ast::{BinaryOp, DurationExpr, DurationExprKind, NumberLiteral, PosRange, UnaryOp};
use crate::token::{Keyword, Token, TokenKind};

/// A duration and how many levels it has.
pub(super) struct DurationNode {
    pub(super) expr: DurationExpr,
    depth: usize,
}

/// Upstream counts nanoseconds in an `int64`.
const MAX_SECONDS: f64 = 9_223_372_036_854_775_808.0 / 1e9;

impl DurationNode {
    /// The value of a plain literal, or zero and the expression.
    pub(super) fn resolve(self) -> (PromDuration, Option<Box<DurationExpr>>) {
        if !self.is_literal() {
            return (PromDuration::ZERO, Some(Box::new(self.expr)));
        }
        let DurationExprKind::Number(number) = self.expr.kind else {
            return (PromDuration::ZERO, None);
        };
        (duration_from_seconds(number.value), None)
    }
}

/// As upstream: rounded to nanoseconds, then cut to milliseconds. Clamped to the range of
/// nanoseconds in 64 bits; NaN is zero.
pub(crate) fn duration_from_seconds(seconds: f64) -> PromDuration {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "clamping is what is wanted"
    )]
    let nanoseconds = (seconds * 1e9).round() as i64;
    PromDuration::from_millis(nanoseconds / 1_000_000)
}

impl<'a> Parser<'a> {
    /// Parses a range or step. A literal must be at least a millisecond.
    pub(super) fn parse_positive_duration(&mut self) -> Parsed<DurationNode> {
        let node = self.parse_duration(0)?;
        if let (true, DurationExprKind::Number(number)) = (node.is_literal(), &node.expr.kind)
            && duration_from_seconds(number.value) <= PromDuration::ZERO
        {
            self.error(node.expr.pos, "duration must be greater than 0".to_owned());
        }
        Ok(node)
    }

    /// Parses what follows `offset`. A literal or a function is all of it: `x offset 5m + y` is a
    /// sum. As upstream, only behind parentheses without a sign, or behind two signs, operators
    /// belong to the duration: `x offset (5m) + y` is an error.
    pub(super) fn parse_offset_duration(&mut self) -> Parsed<DurationNode> {
        let token = self.peek();
        let Some(sign) = unary_op(token.kind) else {
            if token.kind == TokenKind::LeftParen {
                return self.parse_duration(0);
            }
            return self.parse_duration_operand();
        };
        self.take();
        if unary_op(self.peek().kind).is_some() {
            let operand = self.nested(|parser| parser.parse_duration(POWER_PRECEDENCE))?;
            let signed = self.sign_duration(sign, &token, operand)?;
            let mut node = self.parse_duration_operators(signed, 0)?;
            // Signs that change nothing are not printed, so that parentheses have to hold the rest.
            if matches!(node.expr.kind, DurationExprKind::Binary(..)) {
                node.expr.wrapped = true;
            }
            return Ok(node);
        }
        if matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            // Only here the sign is part of the literal, and of the place of its error.
            let mut number = self.parse_number_literal();
            number.value = signed(sign, &number);
            number.pos.start = token.start;
            return self.duration_literal(number, token.pos());
        }
        let operand = self.nested(Self::parse_duration_operand)?;
        self.sign_duration(sign, &token, operand)
    }

    /// A literal, or zero when it is out of range.
    fn duration_literal(
        &mut self,
        number: NumberLiteral,
        error_pos: PosRange,
    ) -> Parsed<DurationNode> {
        // Written so that NaN is out of range too.
        if !(-MAX_SECONDS..=MAX_SECONDS).contains(&number.value) {
            self.error(error_pos, "duration out of range".to_owned());
            return self.zero_duration();
        }
        let pos = number.pos;
        self.duration_node(DurationExprKind::Number(number), pos, 0)
    }

    /// Stands for a duration that has an error. As upstream it has no place, so that a further
    /// error about it is shown at the start of the query.
    fn zero_duration(&mut self) -> Parsed<DurationNode> {
        let pos = PosRange::default();
        let zero = NumberLiteral {
            value: 0.0,
            is_duration: false,
            pos,
        };
        self.duration_node(DurationExprKind::Number(zero), pos, 0)
    }

    fn parse_duration(&mut self, min_precedence: u8) -> Parsed<DurationNode> {
        let lhs = self.parse_duration_operand()?;
        self.parse_duration_operators(lhs, min_precedence)
    }

    /// Parses the operators behind `lhs` that bind at least as tightly as `min_precedence`.
    fn parse_duration_operators(
        &mut self,
        lhs: DurationNode,
        min_precedence: u8,
    ) -> Parsed<DurationNode> {
        let mut lhs = lhs;
        loop {
            let token = self.peek();
            let TokenKind::Binary(op) = token.kind else {
                return Ok(lhs);
            };
            let precedence = op.precedence();
            if precedence < min_precedence || !is_duration_op(op) {
                return Ok(lhs);
            }
            self.take();
            let rhs = if op == BinaryOp::Pow {
                self.nested(|parser| parser.parse_duration(precedence))?
            } else {
                self.parse_duration(precedence + 1)?
            };
            self.check_enabled(lhs.expr.pos);
            if self.divides_by_zero(&token, op, &rhs) {
                lhs = self.zero_duration()?;
                continue;
            }
            let pos = lhs.expr.pos.merge(rhs.expr.pos);
            let depth = lhs.depth.max(rhs.depth);
            let kind = DurationExprKind::Binary(op, Box::new(lhs.expr), Box::new(rhs.expr));
            lhs = self.duration_node(kind, pos, depth)?;
        }
    }

    /// Whether a division or remainder by a literal zero was reported.
    fn divides_by_zero(
        &mut self,
        operator: &Token<'a>,
        op: BinaryOp,
        divisor: &DurationNode,
    ) -> bool {
        let is_zero = divisor.is_literal()
            && matches!(&divisor.expr.kind, DurationExprKind::Number(n) if n.value == 0.0);
        let message = match op {
            BinaryOp::Div if is_zero => "division by zero",
            BinaryOp::Mod if is_zero => "modulo by zero",
            _ => return false,
        };
        self.error(operator.pos(), message.to_owned());
        true
    }

    fn parse_duration_operand(&mut self) -> Parsed<DurationNode> {
        let token = self.peek();
        if let Some(sign) = unary_op(token.kind) {
            self.take();
            let operand = self.nested(|parser| parser.parse_duration(POWER_PRECEDENCE))?;
            return self.sign_duration(sign, &token, operand);
        }
        match token.kind {
            TokenKind::Number | TokenKind::Duration => {
                let number = self.parse_number_literal();
                let pos = number.pos;
                self.duration_literal(number, pos)
            }
            TokenKind::LeftParen => self.parse_duration_paren(),
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.take();
                self.expect(TokenKind::LeftParen)?;
                self.expect(TokenKind::RightParen)?;
                let pos = PosRange::new(token.start, self.last_end);
                self.check_enabled(pos);
                let kind = match keyword {
                    Keyword::Step => DurationExprKind::Step,
                    _ => DurationExprKind::Range,
                };
                self.duration_node(kind, pos, 0)
            }
            TokenKind::Keyword(keyword @ (Keyword::MinOf | Keyword::MaxOf)) => {
                self.parse_duration_choice(keyword)
            }
            _ => Err(self.unexpected_here()),
        }
    }

    fn parse_duration_paren(&mut self) -> Parsed<DurationNode> {
        self.take();
        let mut inner = self.nested(|parser| parser.parse_duration(0))?;
        self.expect(TokenKind::RightParen)?;
        self.check_enabled(inner.expr.pos);
        inner.expr.wrapped = true;
        Ok(inner)
    }

    /// Parses `min_of(a, b)` or `max_of(a, b)`.
    fn parse_duration_choice(&mut self, keyword: Keyword) -> Parsed<DurationNode> {
        let name = self.take();
        self.expect(TokenKind::LeftParen)?;
        let lhs = self.nested(|parser| parser.parse_duration(0))?;
        self.expect(TokenKind::Comma)?;
        let rhs = self.nested(|parser| parser.parse_duration(0))?;
        self.expect(TokenKind::RightParen)?;
        let pos = PosRange::new(name.start, self.last_end);
        self.check_enabled(pos);
        let depth = lhs.depth.max(rhs.depth);
        let (lhs, rhs) = (Box::new(lhs.expr), Box::new(rhs.expr));
        let kind = match keyword {
            Keyword::MinOf => DurationExprKind::MinOf(lhs, rhs),
            _ => DurationExprKind::MaxOf(lhs, rhs),
        };
        self.duration_node(kind, pos, depth)
    }

    /// Applies a sign: literals take it in, `+` changes nothing.
    fn sign_duration(
        &mut self,
        sign: UnaryOp,
        token: &Token<'a>,
        mut operand: DurationNode,
    ) -> Parsed<DurationNode> {
        let is_literal = operand.is_literal();
        let pos = PosRange::new(token.start, operand.expr.pos.end);
        match &mut operand.expr.kind {
            DurationExprKind::Number(number) if is_literal => {
                number.value = signed(sign, number);
                // As upstream: only the start moves.
                number.pos.start = token.start;
                operand.expr.pos = number.pos;
                Ok(operand)
            }
            _ if sign == UnaryOp::Plus => Ok(operand),
            _ => {
                let kind = DurationExprKind::Unary(sign, Box::new(operand.expr));
                self.duration_node(kind, pos, operand.depth)
            }
        }
    }

    fn check_enabled(&mut self, pos: PosRange) {
        if !self.options.enable_duration_expressions {
            self.error(
                pos,
                "experimental duration expression is not enabled".to_owned(),
            );
        }
    }

    fn duration_node(
        &mut self,
        kind: DurationExprKind,
        pos: PosRange,
        below: usize,
    ) -> Parsed<DurationNode> {
        let limit = self.options.max_depth;
        if below >= limit {
            return Err(self.too_deep(limit));
        }
        let expr = DurationExpr {
            kind,
            wrapped: false,
            pos,
        };
        Ok(DurationNode {
            expr,
            depth: below + 1,
        })
    }
}

/// The literal's value behind a sign. A duration of zero has none, since it prints without one.
fn signed(sign: UnaryOp, number: &NumberLiteral) -> f64 {
    match sign {
        UnaryOp::Minus if number.value != 0.0 || !number.is_duration => -number.value,
        UnaryOp::Plus | UnaryOp::Minus => number.value,
    }
}

/// Whether an operator may join durations.
fn is_duration_op(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow
    )
}
