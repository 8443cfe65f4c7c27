//! Which times of stored samples the value at a step depends on.

use super::{Node, NodeKind, Plan, Selector};

/// Times in milliseconds, both ends included.
pub(crate) type Span = (i64, i64);

/// What the values of a plan depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadSpans {
    /// Relative to each step; `None` when nothing moves with the steps.
    pub(crate) moving: Option<Span>,
    /// The same for all steps.
    pub(crate) fixed: Option<Span>,
}

/// Where a part of the plan is evaluated.
#[derive(Clone, Copy)]
enum Base {
    Step(Span),
    Fixed(Span),
}

impl Base {
    fn pinned(self, at_ms: Option<i64>) -> Self {
        at_ms.map_or(self, |at_ms| Self::Fixed((at_ms, at_ms)))
    }

    /// From so much before the earliest time to so much behind the latest, `offset_ms` earlier.
    fn widened(self, offset_ms: i64, (before_ms, behind_ms): Span) -> Self {
        let widen = |(first, last): Span| {
            let first = first.saturating_sub(offset_ms).saturating_sub(before_ms);
            let last = last.saturating_sub(offset_ms).saturating_add(behind_ms);
            (first, last)
        };
        match self {
            Self::Step(span) => Self::Step(widen(span)),
            Self::Fixed(span) => Self::Fixed(widen(span)),
        }
    }
}

impl ReadSpans {
    /// The spans of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut spans = Self::default();
        // Chains of operators are deep.
        let mut pending = vec![(&plan.root, Base::Step((0, 0)))];
        while let Some((node, base)) = pending.pop() {
            let below = spans.add_node(node, base);
            pending.extend(node.children().into_iter().map(|child| (child, below)));
        }
        spans
    }

    /// Adds what a node reads itself; returns where its inputs are evaluated.
    fn add_node(&mut self, node: &Node, base: Base) -> Base {
        match &node.kind {
            NodeKind::Selector(selector) => self.add_selector(selector, base),
            NodeKind::Matrix(matrix) => self.add_selector(&matrix.selector, base),
            NodeKind::Info(info) => self.add_selector(&info.series, base),
            NodeKind::Subquery(subquery) => {
                return base
                    .pinned(subquery.at_ms)
                    .widened(subquery.offset_ms, (subquery.window_ms, 0));
            }
            _ => {}
        }
        base
    }

    fn add_selector(&mut self, selector: &Selector, base: Base) {
        let reach_ms = selector.window_ms.saturating_add(selector.before_ms);
        let read = base
            .pinned(selector.at_ms)
            .widened(selector.offset_ms, (reach_ms, selector.behind_ms));
        match read {
            Base::Step(span) => add(&mut self.moving, span),
            Base::Fixed(span) => add(&mut self.fixed, span),
        }
    }
}

fn add(all: &mut Option<Span>, (first, last): Span) {
    let (earliest, latest) = all.unwrap_or((first, last));
    *all = Some((earliest.min(first), latest.max(last)));
}
