//! Prints trees as PromQL in one line. The form is that of upstream's `promql/parser/printer.go`.

use std::fmt::{self, Display, Formatter, Write as _};

use model::labels::is_legacy_label_name;
use model::number::{format_general, format_plain};
use model::quote::quoted;
use model::{METRIC_NAME, MatchOp, Matcher};

use crate::ast::{
    AggregateExpr, AtModifier, BinaryExpr, BinaryOp, Call, DurationExpr, DurationExprKind, Expr,
    MatchCardinality, MatrixSelector, NumberLiteral, StringLiteral, SubqueryExpr, TimeModifiers,
    UnaryExpr, VectorMatching, VectorSelector, WindowEdges,
};
use crate::parser::duration_from_seconds;

impl Display for Expr {
    /// PromQL that parses to the same tree.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(node) => node.fmt(f),
            Self::String(node) => node.fmt(f),
            Self::VectorSelector(node) => node.fmt(f),
            Self::MatrixSelector(node) => node.fmt(f),
            Self::Subquery(node) => node.fmt(f),
            Self::Aggregate(node) => node.fmt(f),
            Self::Binary(node) => node.fmt(f),
            Self::Unary(node) => node.fmt(f),
            Self::Paren(node) => write!(f, "({})", node.expr),
            Self::Call(node) => node.fmt(f),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            write!(f, "{}", duration_from_seconds(self.value))
        } else {
            f.write_str(&format_plain(self.value))
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_replacement(quoted(&self.value).to_string()))
    }
}

/// Writes the replacement character, which stands for bytes that were no UTF-8, as an escape: the
/// lexer refuses it as it is.
fn escape_replacement(quoted: String) -> String {
    if quoted.contains(char::REPLACEMENT_CHARACTER) {
        quoted.replace(char::REPLACEMENT_CHARACTER, r"\ufffd")
    } else {
        quoted
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Series(self))?;
        write_at(f, &self.time)?;
        write_edges(f, self.edges)?;
        write_offset(f, &self.time)
    }
}

/// A selector without its modifiers.
struct Series<'a>(&'a VectorSelector);

impl Display for Series<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let selector = self.0;
        f.write_str(&selector.name)?;
        let is_name = |matcher: &Matcher| {
            matcher.name() == METRIC_NAME
                && matcher.op() == MatchOp::Equal
                && matcher.value() == selector.name
                && !matcher.value().is_empty()
        };
        let shown = selector.matchers.iter().filter(|matcher| !is_name(matcher));
        let mut shown: Vec<String> = shown
            .map(|matcher| escape_replacement(matcher.to_string()))
            .collect();
        shown.sort_unstable();
        match shown.as_slice() {
            // Upstream prints nothing for `{}`, which does not parse again. Only the second
            // argument of `info` can be such a selector.
            [] if selector.name.is_empty() => f.write_str("{}"),
            [] => Ok(()),
            shown => write!(f, "{{{}}}", shown.join(",")),
        }
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", Series(&self.selector))?;
        match &self.range_expr {
            Some(expr) => expr.fmt(f)?,
            None => self.range.fmt(f)?,
        }
        f.write_char(']')?;
        write_edges(f, self.selector.edges)?;
        write_at(f, &self.selector.time)?;
        write_offset(f, &self.selector.time)
    }
}

impl Display for SubqueryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, SubquerySuffix(self))
    }
}

/// The brackets and modifiers of a subquery.
pub(crate) struct SubquerySuffix<'a>(pub(crate) &'a SubqueryExpr);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let subquery = self.0;
        f.write_char('[')?;
        match &subquery.range_expr {
            Some(expr) => expr.fmt(f)?,
            None => subquery.range.fmt(f)?,
        }
        f.write_char(':')?;
        match (&subquery.step, &subquery.step_expr) {
            (Some(step), _) => step.fmt(f)?,
            (None, Some(expr)) => expr.fmt(f)?,
            (None, None) => {}
        }
        f.write_char(']')?;
        write_at(f, &subquery.time)?;
        write_offset(f, &subquery.time)
    }
}

fn write_at(f: &mut Formatter<'_>, time: &TimeModifiers) -> fmt::Result {
    match time.at {
        None => Ok(()),
        Some(AtModifier::Start) => f.write_str(" @ start()"),
        Some(AtModifier::End) => f.write_str(" @ end()"),
        Some(AtModifier::Timestamp(at)) => {
            let sign = if at.as_millis() < 0 { "-" } else { "" };
            let millis = at.as_millis().unsigned_abs();
            write!(f, " @ {sign}{}.{:03}", millis / 1000, millis % 1000)
        }
    }
}

fn write_edges(f: &mut Formatter<'_>, edges: WindowEdges) -> fmt::Result {
    match edges.keyword() {
        Some(keyword) => write!(f, " {keyword}"),
        None => Ok(()),
    }
}

fn write_offset(f: &mut Formatter<'_>, time: &TimeModifiers) -> fmt::Result {
    match &time.offset_expr {
        Some(expr) => write!(f, " offset {expr}"),
        None if time.offset.as_millis() == 0 => Ok(()),
        None => write!(f, " offset {}", time.offset),
    }
}

impl Display for AggregateExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", AggregateHead(self))?;
        if let Some(param) = &self.param {
            write!(f, "{param}, ")?;
        }
        write!(f, "{})", self.expr)
    }
}

/// An aggregation's operator and grouping.
pub(crate) struct AggregateHead<'a>(pub(crate) &'a AggregateExpr);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let aggregate = self.0;
        f.write_str(aggregate.op.as_str())?;
        let labels = LabelList(&aggregate.grouping);
        if aggregate.without {
            write!(f, " without {labels} ")
        } else if aggregate.grouping.is_empty() {
            Ok(())
        } else {
            write!(f, " by {labels} ")
        }
    }
}

/// `(a, b, "c d")`
struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        for (index, label) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(label) {
                f.write_str(label)?;
            } else {
                write!(f, "{}", quoted(label))?;
            }
        }
        f.write_char(')')
    }
}

impl Display for BinaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let chain = self.chain();
        match chain.first() {
            Some(first) if is_power_of_infinity(first) => f.write_str(UNSIGNED_INFINITY)?,
            Some(first) => first.lhs.fmt(f)?,
            None => {}
        }
        for operator in chain {
            write!(f, " {} {}", BinaryHead(operator), operator.rhs)?;
        }
        Ok(())
    }
}

/// Whether the operation is `Inf ^ …`. Upstream prints `+Inf ^ …`, which is `+(Inf ^ …)`: a sign
/// binds looser than `^`.
pub(crate) fn is_power_of_infinity(binary: &BinaryExpr) -> bool {
    binary.op == BinaryOp::Pow
        && matches!(&*binary.lhs, Expr::Number(number) if number.value == f64::INFINITY)
}

/// How positive infinity is printed in front of `^`.
pub(crate) const UNSIGNED_INFINITY: &str = "Inf";

/// A binary operator and its modifiers.
pub(crate) struct BinaryHead<'a>(pub(crate) &'a BinaryExpr);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let binary = self.0;
        f.write_str(binary.op.as_str())?;
        if binary.return_bool {
            f.write_str(" bool")?;
        }
        match &binary.matching {
            Some(matching) => write_matching(f, matching),
            None => Ok(()),
        }
    }
}

fn write_matching(f: &mut Formatter<'_>, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.card {
        MatchCardinality::ManyToOne => Some("group_left"),
        MatchCardinality::OneToMany => Some("group_right"),
        MatchCardinality::OneToOne | MatchCardinality::ManyToMany => None,
    };
    if matching.on || !matching.labels.is_empty() || group.is_some() {
        let keyword = if matching.on { "on" } else { "ignoring" };
        write!(f, " {keyword} {}", LabelList(&matching.labels))?;
    }
    if let Some(group) = group {
        write!(f, " {group} {}", LabelList(&matching.include))?;
    }
    let (lhs, rhs) = (matching.fill.lhs, matching.fill.rhs);
    if let (true, Some(both)) = (matching.fill.written_as_one, lhs) {
        return write!(f, " fill ({})", format_general(both));
    }
    for (keyword, value) in [("fill_left", lhs), ("fill_right", rhs)] {
        if let Some(value) = value {
            write!(f, " {keyword} ({})", format_general(value))?;
        }
    }
    Ok(())
}

impl Display for UnaryExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.op, self.expr)
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.func.name)?;
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            arg.fmt(f)?;
        }
        f.write_char(')')
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_char('(')?;
        }
        match &self.kind {
            DurationExprKind::Number(number) => number.fmt(f)?,
            DurationExprKind::Step => f.write_str("step()")?,
            DurationExprKind::Range => f.write_str("range()")?,
            DurationExprKind::Unary(op, inner) => write!(f, "{op}{inner}")?,
            DurationExprKind::Binary(op, lhs, rhs) => write!(f, "{lhs} {op} {rhs}")?,
            DurationExprKind::MinOf(lhs, rhs) => write!(f, "min_of({lhs}, {rhs})")?,
            DurationExprKind::MaxOf(lhs, rhs) => write!(f, "max_of({lhs}, {rhs})")?,
        }
        if self.wrapped {
            f.write_char(')')?;
        }
        Ok(())
    }
}
