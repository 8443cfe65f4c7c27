//! The syntax tree of a PromQL query. Every node knows its bytes in the query's text.

mod chain;
mod ops;
mod walk;

use model::{Matcher, PromDuration, Timestamp};

pub use ops::{AggregateOp, BinaryOp, UnaryOp};

use crate::functions::Function;

/// Byte offsets of a node in the query: `start` is inside, `end` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PosRange {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl PosRange {
    /// The bytes from `start` up to `end`.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

/// The type of an expression's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// No value: the type of an expression that could not be parsed.
    None,
    /// One number per step.
    Scalar,
    /// One sample per series and step.
    Vector,
    /// A range of samples per series and step.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name that the HTTP API uses: `vector`, `matrix`, `scalar`, `string`, `none`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }
}

impl std::fmt::Display for ValueType {
    /// The name that messages use. Source: upstream `DocumentedType`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::None | Self::Scalar | Self::String => self.as_str(),
        })
    }
}

/// A PromQL expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// `1`, `0x1f`, `Inf`, `5m`.
    Number(NumberLiteral),
    /// `"text"`.
    String(StringLiteral),
    /// `name{label="value"} offset 5m @ 10`.
    VectorSelector(VectorSelector),
    /// `name[5m]`.
    MatrixSelector(MatrixSelector),
    /// `expr[1h:1m]`.
    Subquery(SubqueryExpr),
    /// `sum by (label) (expr)`.
    Aggregate(AggregateExpr),
    /// `lhs + on (label) rhs`.
    Binary(BinaryExpr),
    /// `-expr`.
    Unary(UnaryExpr),
    /// `(expr)`.
    Paren(ParenExpr),
    /// `rate(…)`.
    Call(Call),
}

/// A number, or a duration where a number may stand.
#[derive(Clone, Debug)]
pub struct NumberLiteral {
    /// The value; seconds when written as a duration.
    pub value: f64,
    /// Whether it was written as a duration, such as `5m`; it is printed as one again.
    pub is_duration: bool,
    /// Where it stands.
    pub pos: PosRange,
}

impl PartialEq for NumberLiteral {
    /// Compares as texts do, which have one NaN, and two zeros unless they are durations.
    fn eq(&self, other: &Self) -> bool {
        let is_zero = self.is_duration && self.value == 0.0 && other.value == 0.0;
        (is_zero || same_number(self.value, other.value))
            && self.is_duration == other.is_duration
            && self.pos == other.pos
    }
}

/// A text literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringLiteral {
    /// The text with its escapes resolved.
    pub value: String,
    /// Where it stands.
    pub pos: PosRange,
}

/// The instant that `@` pins a selector to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtModifier {
    /// `@ 1609746000`
    Timestamp(Timestamp),
    /// `@ start()`: the start of the query's range.
    Start,
    /// `@ end()`: the end of the query's range.
    End,
}

/// The offset and the pinned instant of a selector or subquery.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeModifiers {
    /// The offset as written, negative for the future. Zero while [`TimeModifiers::offset_expr`]
    /// is set.
    pub offset: PromDuration,
    /// The offset where it is computed at query time.
    pub offset_expr: Option<Box<DurationExpr>>,
    /// The `@` modifier.
    pub at: Option<AtModifier>,
}

/// How samples at the edges of a selector's window are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WindowEdges {
    /// The samples inside, and functions extrapolate.
    #[default]
    Plain,
    /// `anchored`: the last sample before the window stands at its left edge.
    Anchored,
    /// `smoothed`: both edges are interpolated from the neighbours.
    Smoothed,
}

impl WindowEdges {
    /// The keyword, if there is one.
    #[must_use]
    pub const fn keyword(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Anchored => Some("anchored"),
            Self::Smoothed => Some("smoothed"),
        }
    }
}

/// A choice of series, one sample each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VectorSelector {
    /// The metric's name when it was given as a name; empty otherwise.
    pub name: String,
    /// All conditions. A given name is repeated here as `__name__="…"`, as its last element.
    pub matchers: Vec<Matcher>,
    /// Offset and `@`.
    pub time: TimeModifiers,
    /// `anchored` or `smoothed`.
    pub edges: WindowEdges,
    /// Where it stands, modifiers included.
    pub pos: PosRange,
}

/// A choice of series, the samples of a window each.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The series; it carries the modifiers too.
    pub selector: VectorSelector,
    /// The window's length. Zero while [`MatrixSelector::range_expr`] is set.
    pub range: PromDuration,
    /// The window's length where it is computed at query time.
    pub range_expr: Option<Box<DurationExpr>>,
    /// Where it stands, modifiers included.
    pub pos: PosRange,
}

/// An instant expression evaluated over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct SubqueryExpr {
    /// What is evaluated.
    pub expr: Box<Expr>,
    /// The window's length. Zero while [`SubqueryExpr::range_expr`] is set.
    pub range: PromDuration,
    /// The window's length where it is computed at query time.
    pub range_expr: Option<Box<DurationExpr>>,
    /// The distance of the evaluations; `None` for the server's default.
    pub step: Option<PromDuration>,
    /// The distance where it is computed at query time.
    pub step_expr: Option<Box<DurationExpr>>,
    /// Offset and `@`.
    pub time: TimeModifiers,
    /// Where it stands, modifiers included.
    pub pos: PosRange,
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateExpr {
    /// The operation.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Box<Expr>,
    /// The parameter of `topk`, `quantile` and the like.
    pub param: Option<Box<Expr>>,
    /// The labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether the labels are those to drop.
    pub without: bool,
    /// Where it stands.
    pub pos: PosRange,
}

/// How many series of each side may share a match group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchCardinality {
    /// The default.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// The set operators.
    ManyToMany,
}

impl MatchCardinality {
    /// The name that the HTTP API uses: `one-to-one` and so on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OneToOne => "one-to-one",
            Self::ManyToOne => "many-to-one",
            Self::OneToMany => "one-to-many",
            Self::ManyToMany => "many-to-many",
        }
    }
}

/// How the series of two vectors find each other.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// How many may match.
    pub card: MatchCardinality,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether the labels are those that must match; otherwise all others must.
    pub on: bool,
    /// The labels of `group_left` or `group_right`, taken over from the one side.
    pub include: Vec<String>,
    /// The values of `fill_left` and `fill_right` for series without a match.
    pub fill: FillValues,
}

impl Default for VectorMatching {
    fn default() -> Self {
        Self {
            card: MatchCardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill: FillValues::default(),
        }
    }
}

/// The values that stand in for a missing side of a match.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillValues {
    /// For a missing left side.
    pub lhs: Option<f64>,
    /// For a missing right side.
    pub rhs: Option<f64>,
    /// Whether one `fill` set both; they are printed as one again.
    pub written_as_one: bool,
}

impl PartialEq for FillValues {
    /// As for [`NumberLiteral`].
    fn eq(&self, other: &Self) -> bool {
        let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => same_number(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same(self.lhs, other.lhs)
            && same(self.rhs, other.rhs)
            && self.written_as_one == other.written_as_one
    }
}

/// Whether two numbers are written alike: a NaN has no sign that a text could show.
fn same_number(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// An operation on two expressions. Operations in a row lean to the left: see
/// [`BinaryExpr::chain`].
pub struct BinaryExpr {
    /// The operation.
    pub op: BinaryOp,
    /// The left side.
    pub lhs: Box<Expr>,
    /// The right side.
    pub rhs: Box<Expr>,
    /// Whether a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series match; `None` unless both sides are instant vectors.
    pub matching: Option<Box<VectorMatching>>,
    /// Where it stands.
    pub pos: PosRange,
}

/// A sign before an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct UnaryExpr {
    /// The sign.
    pub op: UnaryOp,
    /// What it applies to.
    pub expr: Box<Expr>,
    /// Where it stands.
    pub pos: PosRange,
}

/// An expression in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub struct ParenExpr {
    /// What they hold.
    pub expr: Box<Expr>,
    /// Where it stands.
    pub pos: PosRange,
}

/// A function call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The function, an entry of the function table.
    pub func: &'static Function,
    /// The arguments as written; missing optional ones are absent.
    pub args: Vec<Expr>,
    /// Where it stands.
    pub pos: PosRange,
}

/// A duration that is computed at query time, such as `step() * 2`.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it computes.
    pub kind: DurationExprKind,
    /// Whether it stands in parentheses.
    pub wrapped: bool,
    /// Where it stands.
    pub pos: PosRange,
}

/// What a [`DurationExpr`] computes. All values are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExprKind {
    /// A literal.
    Number(NumberLiteral),
    /// The query's step.
    Step,
    /// The length of the query's range.
    Range,
    /// A sign.
    Unary(UnaryOp, Box<DurationExpr>),
    /// One of `+ - * / % ^`.
    Binary(BinaryOp, Box<DurationExpr>, Box<DurationExpr>),
    /// The smaller one.
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// The larger one.
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
}

impl Expr {
    /// Where the expression stands in the query.
    #[must_use]
    pub fn pos(&self) -> PosRange {
        match self {
            Self::Number(node) => node.pos,
            Self::String(node) => node.pos,
            Self::VectorSelector(node) => node.pos,
            Self::MatrixSelector(node) => node.pos,
            Self::Subquery(node) => node.pos,
            Self::Aggregate(node) => node.pos,
            Self::Binary(node) => node.pos,
            Self::Unary(node) => node.pos,
            Self::Paren(node) => node.pos,
            Self::Call(node) => node.pos,
        }
    }

    /// The type of the result.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        let mut expr = self;
        let mut is_operand = false;
        let own_type = loop {
            expr = match expr {
                Self::Unary(unary) => &unary.expr,
                Self::Paren(paren) => &paren.expr,
                // The right side first: in a long chain it is the short one.
                Self::Binary(binary) if binary.rhs.value_type() != ValueType::Scalar => {
                    return ValueType::Vector;
                }
                Self::Binary(binary) => {
                    is_operand = true;
                    &binary.lhs
                }
                Self::Number(_) => break ValueType::Scalar,
                Self::String(_) => break ValueType::String,
                Self::VectorSelector(_) | Self::Aggregate(_) => break ValueType::Vector,
                Self::MatrixSelector(_) | Self::Subquery(_) => break ValueType::Matrix,
                Self::Call(call) => break call.func.return_type,
            }
        };
        if is_operand && own_type != ValueType::Scalar {
            return ValueType::Vector;
        }
        own_type
    }

    /// The expression inside any parentheses.
    #[must_use]
    pub fn unwrap_parens(&self) -> &Self {
        let mut expr = self;
        while let Self::Paren(paren) = expr {
            expr = &paren.expr;
        }
        expr
    }
}
