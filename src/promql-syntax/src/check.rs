//! The type check: which expressions make sense. Source of the rules and texts: upstream
//! `checkAST` in `promql/parser/parse.go`.

use model::METRIC_NAME;
use model::quote::quoted;

use crate::ast::{
    AggregateExpr, AggregateOp, BinaryExpr, Call, Expr, FillValues, MatchCardinality, PosRange,
    UnaryExpr, ValueType, VectorSelector,
};
use crate::error::ParseError;

/// Checks a tree and completes the vector matching of its binary operators. Returns the errors in
/// upstream's order.
pub(crate) fn check(expr: &mut Expr, query: &str) -> Vec<ParseError> {
    let mut checker = Checker {
        query,
        errors: Vec::new(),
    };
    checker.check(expr);
    checker.errors
}

struct Checker<'a> {
    query: &'a str,
    errors: Vec<ParseError>,
}

/// Whether a selector may match every series.
#[derive(Clone, Copy, PartialEq, Eq)]
enum EmptySelector {
    Refused,
    Allowed,
}

impl Checker<'_> {
    fn error(&mut self, pos: PosRange, message: impl Into<String>) {
        self.errors.push(ParseError {
            pos,
            message: message.into(),
        });
    }

    fn check(&mut self, expr: &mut Expr) -> ValueType {
        match expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::VectorSelector(selector) => {
                self.check_selector(selector, EmptySelector::Refused);
                ValueType::Vector
            }
            Expr::MatrixSelector(matrix) => {
                self.check_selector(&matrix.selector, EmptySelector::Refused);
                ValueType::Matrix
            }
            Expr::Subquery(subquery) => {
                let inner = self.check(&mut subquery.expr);
                if inner != ValueType::Vector {
                    let got = inner.as_str();
                    let message =
                        format!("subquery is only allowed on instant vector, got {got} instead");
                    self.error(subquery.pos, message);
                }
                ValueType::Matrix
            }
            Expr::Aggregate(aggregate) => {
                self.check_aggregate(aggregate);
                ValueType::Vector
            }
            Expr::Binary(binary) => self.check_chain(binary),
            Expr::Unary(unary) => self.check_unary(unary),
            Expr::Paren(paren) => self.check(&mut paren.expr),
            Expr::Call(call) => self.check_call(call),
        }
    }

    fn expect_type(&mut self, expr: &mut Expr, want: ValueType, context: &str) {
        let got = self.check(expr);
        if got != want {
            self.error(
                expr.pos(),
                format!("expected type {want} in {context}, got {got}"),
            );
        }
    }

    fn check_selector(&mut self, selector: &VectorSelector, empty: EmptySelector) {
        if let (false, Some((_, others))) =
            (selector.name.is_empty(), selector.matchers.split_last())
        {
            // The last matcher is the name in front of the braces.
            for matcher in others
                .iter()
                .filter(|matcher| matcher.name() == METRIC_NAME)
            {
                let (name, again) = (quoted(&selector.name), quoted(matcher.value()));
                let message = format!("metric name must not be set twice: {name} or {again}");
                self.error(selector.pos, message);
            }
            return;
        }
        let selects_all = selector.matchers.iter().all(model::Matcher::matches_empty);
        if selects_all && empty == EmptySelector::Refused {
            let message = "vector selector must contain at least one non-empty matcher";
            self.error(selector.pos, message);
        }
    }

    fn check_aggregate(&mut self, aggregate: &mut AggregateExpr) {
        self.expect_type(
            &mut aggregate.expr,
            ValueType::Vector,
            "aggregation expression",
        );
        let Some(param) = &mut aggregate.param else {
            return;
        };
        let want = match aggregate.op {
            AggregateOp::CountValues => ValueType::String,
            _ => ValueType::Scalar,
        };
        self.expect_type(param, want, "aggregation parameter");
    }

    fn check_unary(&mut self, unary: &mut UnaryExpr) -> ValueType {
        let inner = self.check(&mut unary.expr);
        if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
            let message = format!(
                "unary expression only allowed on expressions of type scalar or instant vector, \
                 got \"{inner}\""
            );
            self.error(unary.pos, message);
        }
        inner
    }

    /// Checks a chain of operators from its left end on, which needs no stack per operator.
    fn check_chain(&mut self, last: &mut BinaryExpr) -> ValueType {
        let mut detached = Vec::new();
        let mut left = last.detach_left();
        while let Some(mut operator) = left {
            left = operator.detach_left();
            detached.push(operator);
        }
        let mut left_type = None;
        while let Some(mut operator) = detached.pop() {
            left_type = Some(self.check_operator(&mut operator, left_type));
            *detached.last_mut().unwrap_or(last).lhs = Expr::Binary(operator);
        }
        self.check_operator(last, left_type)
    }

    /// Checks an operator and its right side, and its left side unless the type of that is known.
    fn check_operator(
        &mut self,
        binary: &mut BinaryExpr,
        left_type: Option<ValueType>,
    ) -> ValueType {
        let lhs = left_type.unwrap_or_else(|| self.check(&mut binary.lhs));
        let rhs = self.check(&mut binary.rhs);
        let both_scalar = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        let both_vectors = lhs == ValueType::Vector && rhs == ValueType::Vector;
        let op = binary.op;
        if binary.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            self.error(self.operator_pos(binary), message);
        }
        if op.is_comparison() && !binary.return_bool && both_scalar {
            let message = "comparisons between scalars must use BOOL modifier";
            self.error(self.operator_pos(binary), message);
        }
        self.check_group_labels(binary);
        for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(found, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                self.error(side.pos(), message);
            }
        }
        self.check_matching(binary, both_vectors);
        if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
            let message = format!("set operator \"{op}\" not allowed in binary scalar expression");
            self.error(binary.pos, message);
        }
        if both_scalar {
            ValueType::Scalar
        } else {
            ValueType::Vector
        }
    }

    fn check_group_labels(&mut self, binary: &BinaryExpr) {
        let Some(matching) = binary.matching.as_deref().filter(|matching| matching.on) else {
            return;
        };
        for label in &matching.labels {
            for _ in matching
                .include
                .iter()
                .filter(|included| *included == label)
            {
                let label = quoted(label);
                let message =
                    format!("label {label} must not occur in ON and GROUP clause at once");
                self.error(self.operator_pos(binary), message);
            }
        }
    }

    fn check_matching(&mut self, binary: &mut BinaryExpr, both_vectors: bool) {
        let (pos, op) = (binary.pos, binary.op);
        let Some(matching) = binary.matching.as_deref_mut() else {
            return;
        };
        let has_fill = matching.fill != FillValues::default();
        if !both_vectors {
            if !matching.labels.is_empty() {
                self.error(pos, "vector matching only allowed between instant vectors");
            }
            if has_fill {
                let message = "filling in missing series only allowed between instant vectors";
                self.error(pos, message);
            }
            binary.matching = None;
            return;
        }
        if !op.is_set() {
            return;
        }
        match matching.card {
            MatchCardinality::OneToOne => matching.card = MatchCardinality::ManyToMany,
            MatchCardinality::ManyToMany => {}
            MatchCardinality::ManyToOne | MatchCardinality::OneToMany => {
                self.error(pos, format!("no grouping allowed for \"{op}\" operation"));
                self.error(pos, "set operations must always be many-to-many");
            }
        }
        if has_fill {
            self.error(
                pos,
                "filling in missing series not allowed for set operators",
            );
        }
    }

    /// The operator and its modifiers: what lies between the operands, without blanks.
    fn operator_pos(&self, binary: &BinaryExpr) -> PosRange {
        let (start, end) = (binary.lhs.pos().end, binary.rhs.pos().start);
        let between = self.query.get(start..end).unwrap_or("");
        let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let trimmed = between.trim_start_matches(is_space);
        let start = end - trimmed.len();
        PosRange::new(start, start + trimmed.trim_end_matches(is_space).len())
    }

    fn check_call(&mut self, call: &mut Call) -> ValueType {
        let func = call.func;
        let (name, given) = (quoted(func.name), call.args.len());
        let (min, max) = (func.min_args, func.max_args);
        let expected = if max == Some(min) && given != min {
            Some(format!("{min}"))
        } else if given < min {
            Some(format!("at least {min}"))
        } else {
            max.filter(|max| given > *max)
                .map(|max| format!("at most {max}"))
        };
        if let Some(expected) = expected {
            let message = format!("expected {expected} argument(s) in call to {name}, got {given}");
            self.error(call.pos, message);
        }
        let is_info = func.name == "info";
        if is_info {
            self.check_info_selector(call);
        }
        let fixed = max == Some(func.arg_types.len()) && max == Some(min);
        for (index, arg) in call.args.iter_mut().enumerate() {
            let want = match func.arg_types.get(index) {
                Some(want) => *want,
                // Surplus arguments of a function with a fixed number are not looked at.
                None if fixed => break,
                None => func.arg_types.last().copied().unwrap_or(ValueType::None),
            };
            let got = if let (Expr::VectorSelector(selector), true, 1) = (&*arg, is_info, index) {
                self.check_selector(selector, EmptySelector::Allowed);
                ValueType::Vector
            } else {
                self.check(arg)
            };
            if got != want {
                let message = format!("expected type {want} in call to function {name}, got {got}");
                self.error(arg.pos(), message);
            }
        }
        func.return_type
    }

    /// The second argument of `info` must be matchers in braces.
    fn check_info_selector(&mut self, call: &Call) {
        let Some(second) = call.args.get(1) else {
            return;
        };
        let got = second.value_type();
        if got != ValueType::Vector {
            let want = ValueType::Vector;
            let message = format!("expected type {want} in call to function \"info\", got {got}");
            self.error(call.pos, message);
        }
        match second {
            Expr::VectorSelector(selector) if selector.name.is_empty() => {}
            Expr::VectorSelector(_) => {
                let message = "expected label selectors only, got vector selector instead";
                self.error(second.pos(), message);
            }
            _ => self.error(second.pos(), "expected label selectors only"),
        }
    }
}
