//! Walking a tree: children, visitors, selectors, and the tree in normal form.

use super::{
    DurationExpr, DurationExprKind, Expr, MatrixSelector, PosRange, SubqueryExpr, TimeModifiers,
    VectorSelector,
};

impl Expr {
    /// The direct sub-expressions in the order of the text. A range selector has none: its vector
    /// selector is a field.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_)
            | Self::String(_)
            | Self::VectorSelector(_)
            | Self::MatrixSelector(_) => Vec::new(),
            Self::Subquery(node) => vec![&node.expr],
            Self::Aggregate(node) => node
                .param
                .as_deref()
                .into_iter()
                .chain([node.expr.as_ref()])
                .collect(),
            Self::Binary(node) => vec![&node.lhs, &node.rhs],
            Self::Unary(node) => vec![&node.expr],
            Self::Paren(node) => vec![&node.expr],
            Self::Call(node) => node.args.iter().collect(),
        }
    }

    /// As [`Expr::children`], for changes.
    #[must_use]
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Number(_)
            | Self::String(_)
            | Self::VectorSelector(_)
            | Self::MatrixSelector(_) => Vec::new(),
            Self::Subquery(node) => vec![&mut node.expr],
            Self::Aggregate(node) => node
                .param
                .as_deref_mut()
                .into_iter()
                .chain([node.expr.as_mut()])
                .collect(),
            Self::Binary(node) => vec![&mut node.lhs, &mut node.rhs],
            Self::Unary(node) => vec![&mut node.expr],
            Self::Paren(node) => vec![&mut node.expr],
            Self::Call(node) => node.args.iter_mut().collect(),
        }
    }

    /// Calls `visit` for the expression and all below it, parents first, left to right. Needs no
    /// stack per level.
    pub fn walk<'a>(&'a self, mut visit: impl FnMut(&'a Self)) {
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            visit(expr);
            pending.extend(expr.children().into_iter().rev());
        }
    }

    /// As [`Expr::walk`], for changes; the children are those that `visit` leaves behind.
    pub fn walk_mut(&mut self, mut visit: impl FnMut(&mut Self)) {
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            visit(expr);
            pending.extend(expr.children_mut().into_iter().rev());
        }
    }

    /// All selectors, left to right, those inside of range selectors included.
    #[must_use]
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut selectors = Vec::new();
        self.walk(|expr| match expr {
            Self::VectorSelector(selector)
            | Self::MatrixSelector(MatrixSelector { selector, .. }) => {
                selectors.push(selector);
            }
            _ => {}
        });
        selectors
    }

    /// The tree in normal form: positions are zero, matchers are sorted (that of a given name
    /// stays last). Expressions that print the same have equal normal forms.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let mut expr = self.clone();
        expr.walk_mut(Self::normalize_own_fields);
        expr
    }

    fn normalize_own_fields(&mut self) {
        let none = PosRange::default();
        match self {
            Self::Number(node) => node.pos = none,
            Self::String(node) => node.pos = none,
            Self::VectorSelector(node) => node.normalize(),
            Self::MatrixSelector(node) => {
                node.pos = none;
                node.selector.normalize();
                clear_duration(&mut node.range_expr);
            }
            Self::Subquery(SubqueryExpr {
                range_expr,
                step_expr,
                time,
                pos,
                ..
            }) => {
                *pos = none;
                time.clear_positions();
                clear_duration(range_expr);
                clear_duration(step_expr);
            }
            Self::Aggregate(node) => node.pos = none,
            Self::Binary(node) => node.pos = none,
            Self::Unary(node) => node.pos = none,
            Self::Paren(node) => node.pos = none,
            Self::Call(node) => node.pos = none,
        }
    }
}

impl VectorSelector {
    fn normalize(&mut self) {
        self.pos = PosRange::default();
        self.time.clear_positions();
        let name_matchers = usize::from(!self.name.is_empty());
        let others = self.matchers.len().saturating_sub(name_matchers);
        self.matchers[..others].sort_by_cached_key(ToString::to_string);
    }
}

impl TimeModifiers {
    fn clear_positions(&mut self) {
        clear_duration(&mut self.offset_expr);
    }
}

fn clear_duration(duration: &mut Option<Box<DurationExpr>>) {
    let mut pending: Vec<&mut DurationExpr> = duration.as_deref_mut().into_iter().collect();
    while let Some(expr) = pending.pop() {
        expr.pos = PosRange::default();
        match &mut expr.kind {
            DurationExprKind::Number(number) => number.pos = PosRange::default(),
            DurationExprKind::Step | DurationExprKind::Range => {}
            DurationExprKind::Unary(_, inner) => pending.push(inner),
            DurationExprKind::Binary(_, lhs, rhs)
            | DurationExprKind::MinOf(lhs, rhs)
            | DurationExprKind::MaxOf(lhs, rhs) => pending.extend([lhs.as_mut(), rhs.as_mut()]),
        }
    }
}
