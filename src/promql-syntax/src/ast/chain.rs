//! Chains of binary operators, `a + b + …`: their tree leans to the left, as deep as the chain is
//! long. What is done to them here needs no stack per operator.

use std::fmt;

use super::{BinaryExpr, Expr, NumberLiteral, PosRange};

impl BinaryExpr {
    /// The operators of the chain that ends with this one, the leftmost and innermost first. The
    /// left side of the first is no binary operation, that of each other one is the one before it.
    ///
    /// Whoever walks a tree handles a whole chain at once; only right sides, parentheses, arguments
    /// and the like then cost recursion, and the parser bounds those.
    #[must_use]
    pub fn chain(&self) -> Vec<&Self> {
        let mut operators = vec![self];
        let mut operator = self;
        while let Expr::Binary(left) = &*operator.lhs {
            operators.push(left);
            operator = left;
        }
        operators.reverse();
        operators
    }

    /// Takes the left side out if it is a binary operation; a number stands in its place.
    pub(crate) fn detach_left(&mut self) -> Option<Self> {
        if !matches!(*self.lhs, Expr::Binary(_)) {
            return None;
        }
        let stand_in = Expr::Number(NumberLiteral {
            value: 0.0,
            is_duration: false,
            pos: PosRange::default(),
        });
        match std::mem::replace(&mut *self.lhs, stand_in) {
            Expr::Binary(left) => Some(left),
            _ => None,
        }
    }

    /// A copy with another left side.
    fn with_left(&self, lhs: Expr) -> Self {
        Self {
            op: self.op,
            lhs: Box::new(lhs),
            rhs: self.rhs.clone(),
            return_bool: self.return_bool,
            matching: self.matching.clone(),
            pos: self.pos,
        }
    }

    /// Whether all but the left sides are equal.
    fn equals_but_for_left(&self, other: &Self) -> bool {
        self.op == other.op
            && self.return_bool == other.return_bool
            && self.pos == other.pos
            && self.matching == other.matching
            && self.rhs == other.rhs
    }
}

impl Drop for BinaryExpr {
    fn drop(&mut self) {
        let mut left = self.detach_left();
        while let Some(mut operator) = left {
            left = operator.detach_left();
        }
    }
}

impl Clone for BinaryExpr {
    fn clone(&self) -> Self {
        let mut chain = self.chain().into_iter();
        let first = chain.next().unwrap_or(self);
        let mut copy = first.with_left((*first.lhs).clone());
        for operator in chain {
            copy = operator.with_left(Expr::Binary(copy));
        }
        copy
    }
}

impl PartialEq for BinaryExpr {
    fn eq(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self, other);
        loop {
            if !ours.equals_but_for_left(theirs) {
                return false;
            }
            match (&*ours.lhs, &*theirs.lhs) {
                (Expr::Binary(left), Expr::Binary(right)) => (ours, theirs) = (left, right),
                (left, right) => return left == right,
            }
        }
    }
}

impl fmt::Debug for BinaryExpr {
    /// Shows a chain as a list: its first operand, then each operator with its right side.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = self.chain();
        let mut list = f.debug_list();
        list.entries(chain.first().map(|first| &first.lhs));
        for operator in chain {
            let modifiers = (operator.return_bool, &operator.matching);
            list.entry(&(operator.op, modifiers, &operator.rhs, operator.pos));
        }
        list.finish()
    }
}
