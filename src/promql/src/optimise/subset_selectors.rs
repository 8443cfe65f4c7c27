//! Reads a selection that is part of another one from there: `a{x="1"} / a` reads `a` once and
//! leaves out series late.
//!
//! Applies to selectors, and functions of a range selector and constants, that differ in nothing but
//! additional matchers, at the same steps. A function may drop the labels that describe the metric,
//! so that matchers on those keep it out.

use promql_syntax::ast::ValueType;

use crate::functions::{Implementation, lookup};
use crate::grid::Grid;
use crate::operators::METADATA_LABELS;
use crate::plan::{Common, CommonUse, Node, NodeKind, Plan, Selector, resolve_ranges};
use model::Matcher;

/// In queries with more selections none is read from another: all are compared with each other.
const MAX_SELECTIONS: usize = 500;

pub(super) fn apply(plan: &mut Plan) {
    resolve_ranges(plan);
    let mut selections = Vec::new();
    collect(&plan.root, plan.grid, &mut selections);
    let Some(wholes) = wholes(&selections) else {
        return;
    };
    let mut rewrite = Rewrite {
        selections,
        wholes,
        next: 0,
        numbers: Vec::new(),
        next_number: 1,
    };
    highest_number(&plan.root, &mut rewrite.next_number);
    rewrite.number_wholes();
    rewrite.node(&mut plan.root);
}

/// A part of the plan that selects series.
struct Selection {
    /// What is computed of them, matchers aside.
    key: String,
    matchers: Vec<Matcher>,
    /// Whether labels that describe the metric may be gone.
    drops_metadata: bool,
    /// The number under which it is shared already.
    number: Option<usize>,
    /// Whether it can be read from another one; the readers of a shared part are not.
    is_plain: bool,
}

/// Collects the selections in order of a walk from the top.
fn collect(node: &Node, grid: Grid, selections: &mut Vec<Selection>) {
    let (expr, common) = match &node.kind {
        NodeKind::Common(common) => (&*common.expr, Some(common)),
        _ => (node, None),
    };
    if let Some(mut selection) = selection(expr, grid) {
        selection.number = common.map(|common| common.number);
        selection.is_plain = common.is_none();
        selections.push(selection);
        return;
    }
    if common.is_some() {
        return;
    }
    let inner = node.inner_grid(grid);
    for child in node.children() {
        collect(child, inner, selections);
    }
}

fn selection(node: &Node, grid: Grid) -> Option<Selection> {
    let (selector, rest, drops_metadata) = match &node.kind {
        NodeKind::Selector(selector) => (selector, String::new(), false),
        NodeKind::Call(call) => {
            if !matches!(lookup(call.func.name), Some(Implementation::Range(..))) {
                return None;
            }
            let mut selector = None;
            let mut rest = call.func.name.to_owned();
            for argument in &call.args {
                match &argument.kind {
                    NodeKind::Matrix(matrix) => selector = Some(&matrix.selector),
                    NodeKind::Number(value) => rest += &format!(" {}", value.to_bits()),
                    _ => return None,
                }
            }
            (selector?, rest, true)
        }
        _ => return None,
    };
    let bare = Selector {
        written: Vec::new(),
        matchers: Vec::new(),
        ..selector.clone()
    };
    Some(Selection {
        key: format!("{rest} {bare:?} {grid:?}"),
        matchers: selector.matchers.clone(),
        drops_metadata,
        number: None,
        is_plain: true,
    })
}

/// For each selection the one that it is read from; `None` when there is none at all.
fn wholes(selections: &[Selection]) -> Option<Vec<Option<usize>>> {
    if selections.len() > MAX_SELECTIONS {
        return None;
    }
    let whole_of = |part: &Selection| {
        let candidates = selections
            .iter()
            .enumerate()
            .filter(|(_, whole)| part.is_plain && is_part(part, whole));
        // The largest one, so that no whole is itself read from another one.
        candidates
            .min_by_key(|(_, whole)| whole.matchers.len())
            .map(|(place, _)| place)
    };
    let wholes: Vec<_> = selections.iter().map(whole_of).collect();
    wholes.iter().any(Option::is_some).then_some(wholes)
}

fn is_part(part: &Selection, whole: &Selection) -> bool {
    part.matchers.len() > whole.matchers.len()
        && part.key == whole.key
        && whole
            .matchers
            .iter()
            .all(|matcher| part.matchers.iter().any(|own| is_same(own, matcher)))
        && additional(part, whole)
            .all(|matcher| !(part.drops_metadata && METADATA_LABELS.contains(&matcher.name())))
}

/// The matchers of `part` that `whole` does not have.
fn additional<'a>(
    part: &'a Selection,
    whole: &'a Selection,
) -> impl Iterator<Item = &'a Matcher> + 'a {
    part.matchers
        .iter()
        .filter(|own| !whole.matchers.iter().any(|matcher| is_same(own, matcher)))
}

fn is_same(a: &Matcher, b: &Matcher) -> bool {
    a.name() == b.name() && a.op() == b.op() && a.value() == b.value()
}

fn highest_number(node: &Node, next: &mut usize) {
    if let NodeKind::Common(common) = &node.kind {
        *next = (*next).max(common.number + 1);
    }
    for child in node.children() {
        highest_number(child, next);
    }
}

/// Replaces the parts, and the wholes that were not shared yet.
struct Rewrite {
    selections: Vec<Selection>,
    wholes: Vec<Option<usize>>,
    /// For each selection the number under which it is shared from now on, if it is a whole.
    numbers: Vec<Option<usize>>,
    next: usize,
    next_number: usize,
}

impl Rewrite {
    fn number_wholes(&mut self) {
        self.numbers = vec![None; self.selections.len()];
        for whole in self.wholes.iter().flatten() {
            if self.numbers[*whole].is_none() {
                let number = self.selections[*whole].number.unwrap_or(self.next_number);
                self.next_number = self.next_number.max(number + 1);
                self.numbers[*whole] = Some(number);
            }
        }
    }

    fn node(&mut self, node: &mut Node) {
        let is_common = matches!(node.kind, NodeKind::Common(_));
        let is_selection = match &node.kind {
            NodeKind::Common(common) => selection(&common.expr, Grid::instant(0)).is_some(),
            _ => selection(node, Grid::instant(0)).is_some(),
        };
        if is_selection {
            let place = self.next;
            self.next += 1;
            if !is_common {
                self.replace(node, place);
            }
            return;
        }
        if is_common {
            return;
        }
        for child in node.children_mut() {
            self.node(child);
        }
    }

    fn replace(&self, node: &mut Node, place: usize) {
        debug_assert_eq!(
            node.value_type(),
            ValueType::Vector,
            "selections are vectors"
        );
        let (number, purpose) = match (self.wholes[place], self.numbers[place]) {
            (Some(whole), _) => {
                let Some(number) = self.numbers[whole] else {
                    return;
                };
                let (part, whole) = (&self.selections[place], &self.selections[whole]);
                let matchers = additional(part, whole).cloned().collect();
                (number, CommonUse::Part(matchers))
            }
            (None, Some(number)) => (number, CommonUse::First),
            (None, None) => return,
        };
        node.wrap(|expr| {
            NodeKind::Common(Common {
                number,
                purpose,
                expr,
            })
        });
    }
}
