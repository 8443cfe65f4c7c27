//! Which times each selector has to read, and at which instants each subquery is evaluated.

use model::{TimeRange, Timestamp};

use super::{Node, NodeKind, Plan, Selector};
use crate::grid::Grid;

/// Sets the read range of every selector and the grid of every subquery. Run it after the rules:
/// they move nodes from one grid to another.
pub(crate) fn resolve_ranges(plan: &mut Plan) {
    resolve(&mut plan.root, plan.grid);
}

fn resolve(node: &mut Node, grid: Grid) {
    match &mut node.kind {
        NodeKind::Selector(selector) => resolve_selector(selector, grid),
        NodeKind::Matrix(matrix) => resolve_selector(&mut matrix.selector, grid),
        NodeKind::Info(info) => {
            resolve_selector(&mut info.series, grid);
            resolve(&mut info.expr, grid);
        }
        NodeKind::StepInvariant(inner) => resolve(inner, Grid::instant(grid.first_ms())),
        NodeKind::Subquery(subquery) => {
            let reference = grid.reference(subquery.at_ms, subquery.offset_ms);
            let after_ms = reference.first_ms().saturating_sub(subquery.window_ms);
            subquery.grid = Grid::aligned(after_ms, reference.last_ms(), subquery.step_ms);
            if let Some(grid) = subquery.grid {
                resolve(&mut subquery.expr, grid);
            }
        }
        _ => {
            for child in node.children_mut() {
                resolve(child, grid);
            }
        }
    }
}

/// Windows are open on the left, so the first instant is one millisecond inside.
fn resolve_selector(selector: &mut Selector, grid: Grid) {
    let reference = grid.reference(selector.at_ms, selector.offset_ms);
    let reach_ms = selector.window_ms.saturating_add(selector.before_ms);
    let first_ms = reference
        .first_ms()
        .saturating_sub(reach_ms)
        .saturating_add(1);
    let last_ms = reference.last_ms().saturating_add(selector.behind_ms);
    selector.read = TimeRange::new(
        Timestamp::from_millis(first_ms),
        Timestamp::from_millis(last_ms),
    );
}
