//! Computes equal parts of a plan once: all but the first read what the first computes.
//!
//! Applies to instant vectors that read storage and are computed at the same steps. Warnings point
//! to a place in the query, so that readers other than the first compute their part themselves as
//! soon as there is one (see `operators::common`): results, errors and annotations stay the same.

use std::fmt::Write as _;

use hashbrown::{HashMap, HashSet};
use promql_syntax::ast::ValueType;

use crate::grid::Grid;
use crate::plan::{Common, CommonUse, Node, NodeKind, Plan, resolve_ranges};

/// Readers of one computation; more get one more, as each has to know of all others.
const MAX_READERS: usize = 32;
/// Taking out one part can leave another without its equal; more rounds than this are not tried.
const MAX_ROUNDS: usize = 4;

pub(super) fn apply(plan: &mut Plan) {
    // Equal parts have the same times.
    resolve_ranges(plan);
    let mut refused = HashSet::new();
    for _ in 0..MAX_ROUNDS {
        let mut classes = Classes::default();
        classes.sort(&plan.root, plan.grid);
        let mut found = Found {
            classes: &classes,
            refused: &refused,
            uses: HashMap::new(),
            next_node: 0,
        };
        found.look(&plan.root);
        let lonely: Vec<usize> = found
            .uses
            .iter()
            .filter(|(_, uses)| **uses < 2)
            .map(|(class, _)| *class)
            .collect();
        if lonely.is_empty() {
            let mut rewrite = Rewrite {
                classes: &classes,
                refused: &refused,
                numbers: HashMap::new(),
                next_number: 1,
                next_node: 0,
            };
            rewrite.node(&mut plan.root);
            return;
        }
        refused.extend(lonely);
    }
}

/// Sorts nodes into classes of equal computations.
#[derive(Default)]
struct Classes {
    by_key: HashMap<String, usize>,
    /// The class of each node, in order of a walk from the top; `None` for what is never shared.
    of_node: Vec<Option<usize>>,
    /// How many nodes are below each node, in the same order.
    below: Vec<usize>,
    sizes: Vec<usize>,
}

impl Classes {
    /// Sorts in a node and those below; says whether it reads storage.
    fn sort(&mut self, node: &Node, grid: Grid) -> Option<(usize, bool)> {
        let place = self.of_node.len();
        self.of_node.push(None);
        self.below.push(0);
        let inner = node.inner_grid(grid);
        let mut reads = matches!(node.kind, NodeKind::Selector(_) | NodeKind::Matrix(_));
        let mut key = own_key(node).map(|own| format!("{own} {grid:?}"));
        for child in node.children() {
            match self.sort(child, inner) {
                Some((class, child_reads)) => {
                    reads |= child_reads;
                    if let Some(key) = &mut key {
                        // In place: a function may have a million arguments.
                        let _infallible = write!(key, " {class}");
                    }
                }
                None => key = None,
            }
        }
        self.below[place] = self.of_node.len() - place - 1;
        let next = self.sizes.len();
        let class = *self.by_key.entry(key?).or_insert(next);
        if class == next {
            self.sizes.push(0);
        }
        self.sizes[class] += 1;
        if reads && node.value_type() == ValueType::Vector {
            self.of_node[place] = Some(class);
        }
        Some((class, reads))
    }

    /// The class of a node if it may be shared.
    fn shared(&self, place: usize, refused: &HashSet<usize>) -> Option<usize> {
        self.of_node[place].filter(|class| self.sizes[*class] > 1 && !refused.contains(class))
    }
}

/// What a node computes from its inputs; `None` for what is not to be shared.
fn own_key(node: &Node) -> Option<String> {
    Some(match &node.kind {
        NodeKind::Number(value) => format!("number {}", value.to_bits()),
        NodeKind::Text(text) => format!("text {text:?}"),
        NodeKind::Selector(selector) => format!("selector {selector:?}"),
        NodeKind::Matrix(matrix) => format!("matrix {:?}", matrix.selector),
        NodeKind::Subquery(subquery) => format!(
            "subquery {} {} {:?} {}",
            subquery.window_ms, subquery.step_ms, subquery.at_ms, subquery.offset_ms
        ),
        NodeKind::Aggregate(aggregate) => format!(
            "aggregate {:?} {:?} {}",
            aggregate.op,
            aggregate.grouping,
            aggregate.param.is_some()
        ),
        NodeKind::Binary(binary) => format!(
            "binary {:?} {} {:?}",
            binary.op, binary.return_bool, binary.matching
        ),
        NodeKind::Negate(_) => "negate".to_owned(),
        NodeKind::Call(call) => format!("call {}", call.func.name),
        NodeKind::StepInvariant(_) => "once".to_owned(),
        NodeKind::Info(info) => format!("info {:?} {:?} {:?}", info.names, info.data, info.series),
        NodeKind::Common(_) => return None,
    })
}

/// Counts the topmost parts of each class.
struct Found<'a> {
    classes: &'a Classes,
    refused: &'a HashSet<usize>,
    uses: HashMap<usize, usize>,
    next_node: usize,
}

impl Found<'_> {
    fn look(&mut self, node: &Node) {
        let place = self.next_node;
        self.next_node += 1;
        if let Some(class) = self.classes.shared(place, self.refused) {
            *self.uses.entry(class).or_insert(0) += 1;
            self.next_node += self.classes.below[place];
            return;
        }
        for child in node.children() {
            self.look(child);
        }
    }
}

/// Replaces the parts.
struct Rewrite<'a> {
    classes: &'a Classes,
    refused: &'a HashSet<usize>,
    /// The number of each shared class, and how many readers it has.
    numbers: HashMap<usize, (usize, usize)>,
    next_number: usize,
    next_node: usize,
}

impl Rewrite<'_> {
    fn node(&mut self, node: &mut Node) {
        let place = self.next_node;
        self.next_node += 1;
        if let Some(class) = self.classes.shared(place, self.refused) {
            self.next_node += self.classes.below[place];
            let (number, purpose) = self.next_reader(class);
            node.wrap(|expr| {
                NodeKind::Common(Common {
                    number,
                    purpose,
                    expr,
                })
            });
            return;
        }
        for child in node.children_mut() {
            self.node(child);
        }
    }

    fn next_reader(&mut self, class: usize) -> (usize, CommonUse) {
        if let Some((number, readers)) = self.numbers.get_mut(&class)
            && *readers < MAX_READERS
        {
            *readers += 1;
            return (*number, CommonUse::Again);
        }
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(class, (number, 1));
        (number, CommonUse::First)
    }
}
