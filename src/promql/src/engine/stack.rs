//! Queries that are nested deeper than an ordinary thread's stack allows, such as long chains of
//! operators, run on a thread with a larger one.

use promql_syntax::{DEFAULT_MAX_DEPTH, Expr};

use crate::error::EngineError;

/// How deep a query may be nested that is run by recursion on its caller's thread.
pub(super) const ORDINARY_DEPTH: usize = DEFAULT_MAX_DEPTH;
/// How deep a query may be nested at all.
pub(super) const MAX_DEPTH: usize = 5_000;
/// Stack for one level, in bytes. Debug builds need most of it.
const BYTES_PER_LEVEL: usize = 20 << 10;

/// How deep an expression is nested. Needs no stack itself.
pub(super) fn depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    let mut pending = vec![(expr, 1)];
    while let Some((expr, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        pending.extend(expr.children().into_iter().map(|child| (child, depth + 1)));
    }
    deepest
}

/// Runs `work` on a thread whose stack is large enough for the deepest query, and waits for it.
///
/// # Errors
/// What `work` gives; also when there is no such thread to be had.
pub(super) fn on_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, EngineError> + Send,
) -> Result<T, EngineError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("query-deep".to_owned())
            .stack_size(MAX_DEPTH * BYTES_PER_LEVEL)
            .spawn_scoped(scope, work)
            .map_err(|error| EngineError::NoThread(error.to_string()))?;
        match thread.join() {
            Ok(result) => result,
            // The caller's pool knows what to do with a panic.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// What the stack of a query counts as.
pub(super) fn stack_bytes(depth: usize) -> usize {
    if depth <= ORDINARY_DEPTH {
        0
    } else {
        depth.saturating_mul(BYTES_PER_LEVEL)
    }
}
