//! What follows an expression: ranges and subqueries in brackets, `offset`, `@`, `anchored`,
//! `smoothed`.

use model::{PromDuration, Timestamp};

use super::duration::DurationNode;
use super::{Context, Node, Parsed, Parser, unary_op};
use crate::ast::{
    AtModifier, DurationExprKind, Expr, MatrixSelector, PosRange, SubqueryExpr, TimeModifiers,
    UnaryOp, VectorSelector, WindowEdges,
};
use crate::token::{Keyword, Token, TokenKind};

const NO_SELECTOR: &str = "ranges only allowed for vector selectors";
const PRECEDED_BY: &str =
    "must be preceded by an instant vector selector or range vector selector or a subquery";

impl<'a> Parser<'a> {
    /// Parses the modifiers behind `node`. They bind tighter than any operator.
    pub(super) fn parse_modifiers(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            match self.peek().kind {
                TokenKind::LeftBracket => node = self.parse_brackets(node)?,
                TokenKind::At => self.parse_at(&mut node.expr)?,
                TokenKind::Keyword(Keyword::Offset) => self.parse_offset(&mut node.expr)?,
                TokenKind::Keyword(Keyword::Anchored) => {
                    self.take();
                    self.set_edges(&mut node.expr, WindowEdges::Anchored);
                }
                TokenKind::Keyword(Keyword::Smoothed) => {
                    self.take();
                    self.set_edges(&mut node.expr, WindowEdges::Smoothed);
                }
                _ => return Ok(node),
            }
        }
    }

    /// Parses `[range]`, `[range:]` or `[range:step]`.
    fn parse_brackets(&mut self, node: Node) -> Parsed<Node> {
        let open = self.take();
        let Some(range) = self.recoverable(Context::Range, Self::parse_positive_duration)? else {
            return self.recover(node);
        };
        if self.accept(TokenKind::Colon).is_some() {
            return self.parse_subquery_step(node, range);
        }
        match self.accept(TokenKind::RightBracket) {
            Some(close) => self.build_matrix(node, range, &open, &close),
            None => {
                self.unexpected("subquery or range", "\":\" or \"]\"");
                self.recover(node)
            }
        }
    }

    /// Runs `parse` as part of a construct that words errors. `None` after such an error.
    fn recoverable<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<Option<T>> {
        match self.within(context, parse) {
            Ok(value) => Ok(Some(value)),
            Err(_reported) if self.aborted_in == Some(context) => Ok(None),
            Err(abort) => Err(abort),
        }
    }

    fn parse_subquery_step(&mut self, node: Node, range: DurationNode) -> Parsed<Node> {
        let mut step = None;
        if self.accept(TokenKind::RightBracket).is_none() {
            step = self.recoverable(Context::Step, Self::parse_positive_duration)?;
            if step.is_none() {
                return self.recover(node);
            }
            if self.accept(TokenKind::RightBracket).is_none() {
                self.unexpected("subquery selector", "\"]\"");
                return self.recover(node);
            }
        }
        let pos = PosRange::new(node.expr.pos().start, self.last_end);
        let (range, range_expr) = range.resolve();
        let (step, step_expr) = match step.map(DurationNode::resolve) {
            None => (None, None),
            Some((value, None)) => (Some(value), None),
            Some((_, expr)) => (None, expr),
        };
        let expr = Expr::Subquery(SubqueryExpr {
            expr: Box::new(node.expr),
            range,
            range_expr,
            step,
            step_expr,
            time: TimeModifiers::default(),
            pos,
        });
        self.node(expr, node.depth)
    }

    fn build_matrix(
        &mut self,
        node: Node,
        range: DurationNode,
        open: &Token<'a>,
        close: &Token<'a>,
    ) -> Parsed<Node> {
        let brackets = open.pos().merge(close.pos());
        let selector = match node.expr {
            Expr::VectorSelector(selector) => selector,
            other => {
                self.error(brackets, NO_SELECTOR.to_owned());
                let pos = PosRange::new(other.pos().start, close.pos().end);
                return self.node(Expr::MatrixSelector(range_of_no_selector(pos)), 0);
            }
        };
        // As upstream: only an offset that is not computed and a numeric timestamp are refused.
        if selector.time.offset.as_millis() != 0 {
            self.error(
                brackets,
                "no offset modifiers allowed before range".to_owned(),
            );
        } else if matches!(selector.time.at, Some(AtModifier::Timestamp(_))) {
            self.error(brackets, "no @ modifiers allowed before range".to_owned());
        }
        let pos = PosRange::new(selector.pos.start, close.pos().end);
        let (range, range_expr) = range.resolve();
        self.node(
            Expr::MatrixSelector(MatrixSelector {
                selector,
                range,
                range_expr,
                pos,
            }),
            0,
        )
    }

    fn parse_offset(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.take();
        let Some(offset) = self.recoverable(Context::Offset, Self::parse_offset_duration)? else {
            return self.recover(());
        };
        let end = self.last_end;
        let pos = expr.pos();
        let Some((time, own_pos)) = time_modifiers(expr) else {
            self.error(pos, not_allowed_behind(expr, "offset"));
            return Ok(());
        };
        own_pos.end = end;
        if time.offset.as_millis() != 0 || time.offset_expr.is_some() {
            self.error(pos, "offset may not be set multiple times".to_owned());
        } else {
            (time.offset, time.offset_expr) = offset.resolve();
        }
        Ok(())
    }

    fn parse_at(&mut self, expr: &mut Expr) -> Parsed<()> {
        self.take();
        let pos = expr.pos();
        let Some(at) = self.recoverable(Context::At, |parser| parser.parse_at_value(pos))? else {
            return self.recover(());
        };
        let end = self.last_end;
        let Some((time, own_pos)) = time_modifiers(expr) else {
            self.error(pos, not_allowed_behind(expr, "@"));
            return Ok(());
        };
        if time.at.is_some() {
            self.error(
                pos,
                "@ <timestamp> may not be set multiple times".to_owned(),
            );
        } else {
            time.at = Some(at);
            own_pos.end = end;
        }
        Ok(())
    }

    fn parse_at_value(&mut self, expr_pos: PosRange) -> Parsed<AtModifier> {
        let keyword = match self.peek().kind {
            TokenKind::Keyword(Keyword::Start) => Some(AtModifier::Start),
            TokenKind::Keyword(Keyword::End) => Some(AtModifier::End),
            _ => None,
        };
        if let Some(at) = keyword {
            self.take();
            self.expect(TokenKind::LeftParen)?;
            self.expect(TokenKind::RightParen)?;
            return Ok(at);
        }
        let seconds = self.parse_signed_number()?;
        let timestamp = Timestamp::from_seconds(seconds).unwrap_or_else(|| {
            let shown = if seconds.is_finite() {
                format!("{seconds:.6}")
            } else {
                model::number::format_plain(seconds)
            };
            self.error(
                expr_pos,
                format!("timestamp out of bounds for @ modifier: {shown}"),
            );
            Timestamp::EPOCH
        });
        Ok(AtModifier::Timestamp(timestamp))
    }

    /// Parses a number or duration that may have a sign.
    pub(super) fn parse_signed_number(&mut self) -> Parsed<f64> {
        let sign = unary_op(self.peek().kind);
        if sign.is_some() {
            self.take();
        }
        if !matches!(self.peek().kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected_here());
        }
        let value = self.parse_number_literal().value;
        Ok(if sign == Some(UnaryOp::Minus) {
            -value
        } else {
            value
        })
    }

    fn set_edges(&mut self, expr: &mut Expr, edges: WindowEdges) {
        let keyword = edges.keyword().unwrap_or_default();
        let pos = expr.pos();
        if !self.options.enable_extended_range_selectors {
            self.error(
                pos,
                format!("{keyword} modifier is experimental and not enabled"),
            );
            return;
        }
        let current = match expr {
            Expr::VectorSelector(selector) => &mut selector.edges,
            Expr::MatrixSelector(matrix) => &mut matrix.selector.edges,
            Expr::Subquery(_) => {
                self.error(
                    pos,
                    format!("{keyword} modifier is not supported for subqueries"),
                );
                return;
            }
            _ => {
                self.error(pos, format!("{keyword} modifier not implemented"));
                return;
            }
        };
        // As upstream, the keyword does not count to the place of the expression.
        let conflict = *current != WindowEdges::Plain && *current != edges;
        *current = edges;
        if conflict {
            let message = "anchored and smoothed modifiers cannot be used together".to_owned();
            self.error(pos, message);
        }
    }
}

/// The modifiers of an expression that can have them, and its place.
fn time_modifiers(expr: &mut Expr) -> Option<(&mut TimeModifiers, &mut PosRange)> {
    match expr {
        Expr::VectorSelector(selector) => Some((&mut selector.time, &mut selector.pos)),
        Expr::MatrixSelector(matrix) if has_selector(matrix) => {
            Some((&mut matrix.selector.time, &mut matrix.pos))
        }
        Expr::Subquery(subquery) => Some((&mut subquery.time, &mut subquery.pos)),
        _ => None,
    }
}

/// Stands for a range behind something that is no selector. The tree is thrown away, but what
/// follows the range is looked at.
fn range_of_no_selector(pos: PosRange) -> MatrixSelector {
    MatrixSelector {
        selector: VectorSelector::default(),
        range: PromDuration::ZERO,
        range_expr: None,
        pos,
    }
}

/// Whether the range is not [`range_of_no_selector`]: every selector takes some room.
fn has_selector(matrix: &MatrixSelector) -> bool {
    matrix.selector.pos.end > 0
}

fn not_allowed_behind(expr: &Expr, modifier: &str) -> String {
    match expr {
        Expr::MatrixSelector(_) => NO_SELECTOR.to_owned(),
        _ => format!("{modifier} modifier {PRECEDED_BY}"),
    }
}

impl DurationNode {
    /// Whether the duration is a plain literal.
    pub(super) fn is_literal(&self) -> bool {
        !self.expr.wrapped && matches!(self.expr.kind, DurationExprKind::Number(_))
    }
}
