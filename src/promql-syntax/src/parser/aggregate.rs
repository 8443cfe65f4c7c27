//! Aggregations: `sum by (label) (expr)`, `topk without (label) (5, expr)`.

use super::{Context, Node, Parsed, Parser};
use crate::ast::{AggregateExpr, AggregateOp, Expr, NumberLiteral, PosRange};
use crate::token::{Keyword, Token, TokenKind};

const NO_ARGUMENTS: &str = "no arguments for aggregate expression provided";

/// `by (…)` or `without (…)`; the default stands for neither.
#[derive(Default)]
struct Grouping {
    labels: Vec<String>,
    without: bool,
}

impl<'a> Parser<'a> {
    /// Parses an aggregation; its operator was just taken.
    pub(super) fn parse_aggregate(&mut self, word: Token<'a>, op: AggregateOp) -> Parsed<Node> {
        let parsed = self.in_aggregation(|parser| {
            let before = parser.parse_grouping()?;
            let args = parser.parse_call_args()?;
            let end = parser.last_end;
            Ok(match before {
                Some(grouping) => (grouping, (args, end)),
                None => {
                    let after = parser.parse_grouping()?;
                    let end = if after.is_some() {
                        parser.last_end
                    } else {
                        end
                    };
                    (after.unwrap_or_default(), (args, end))
                }
            })
        });
        if parsed.is_err() && self.aborted_in.take() == Some(Context::Aggregation) {
            // As upstream, which goes on as if there were no arguments.
            self.error(word.pos(), NO_ARGUMENTS.to_owned());
            let placeholder = self.placeholder(word.pos())?;
            return self.recover(placeholder);
        }
        let (grouping, (args, end)) = parsed?;
        let pos = PosRange::new(word.start, end);
        self.build_aggregate(op, grouping, args, pos)
    }

    fn parse_grouping(&mut self) -> Parsed<Option<Grouping>> {
        let without = match self.peek().kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.take();
        Ok(Some(Grouping {
            labels: self.parse_grouping_labels()?,
            without,
        }))
    }

    fn build_aggregate(
        &mut self,
        op: AggregateOp,
        grouping: Grouping,
        args: Vec<Node>,
        pos: PosRange,
    ) -> Parsed<Node> {
        let given = args.len();
        let wanted = if op.takes_param() { 2 } else { 1 };
        let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
        let mut args = args.into_iter().map(|arg| Box::new(arg.expr));
        let param = if op.takes_param() { args.next() } else { None };
        let disabled = op.is_experimental() && !self.options.enable_experimental_functions;
        let message = match args.next() {
            Some(expr) if given == wanted && !disabled => {
                let Grouping {
                    labels: grouping,
                    without,
                } = grouping;
                let aggregate = AggregateExpr {
                    op,
                    expr,
                    param,
                    grouping,
                    without,
                    pos,
                };
                return self.node(Expr::Aggregate(aggregate), below);
            }
            _ if given == 0 => NO_ARGUMENTS.to_owned(),
            _ if disabled => format!(
                "{op}() is experimental and must be enabled with \
                 --enable-feature=promql-experimental-functions"
            ),
            _ => format!(
                "wrong number of arguments for aggregate expression provided, \
                 expected {wanted}, got {given}"
            ),
        };
        self.error(pos, message);
        self.placeholder(pos)
    }

    /// Stands for an expression that has an error, so that parsing can go on.
    pub(super) fn placeholder(&mut self, pos: PosRange) -> Parsed<Node> {
        self.node(
            Expr::Number(NumberLiteral {
                value: 0.0,
                is_duration: false,
                pos,
            }),
            0,
        )
    }
}
