//! What the parser accepts beyond the stable language.

/// Switches of the parser. The default is that of a server without feature flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserOptions {
    /// Functions and aggregations that are marked experimental.
    pub enable_experimental_functions: bool,
    /// Arithmetic, `step()`, `range()`, `min_of` and `max_of` in ranges, steps and offsets.
    pub enable_duration_expressions: bool,
    /// The modifiers `anchored` and `smoothed`.
    pub enable_extended_range_selectors: bool,
    /// The modifiers `fill`, `fill_left` and `fill_right`.
    pub enable_fill_modifiers: bool,
    /// How many levels a tree may have, a chain of binary operators being one. Whoever walks trees
    /// by recursion relies on it.
    pub max_depth: usize,
    /// How many binary operators may be in a row, as in `a + b + c`, which has two. They lean to
    /// the left; [`BinaryExpr::chain`](crate::ast::BinaryExpr::chain) walks them without recursion.
    pub max_chain: usize,
}

/// The default of [`ParserOptions::max_depth`]: a tree of this depth can be walked by recursion on
/// a thread with a stack of 2 MiB.
pub const DEFAULT_MAX_DEPTH: usize = 1000;

/// The default of [`ParserOptions::max_chain`].
pub const DEFAULT_MAX_CHAIN: usize = 100_000;

impl Default for ParserOptions {
    fn default() -> Self {
        Self {
            enable_experimental_functions: false,
            enable_duration_expressions: true,
            enable_extended_range_selectors: false,
            enable_fill_modifiers: false,
            max_depth: DEFAULT_MAX_DEPTH,
            max_chain: DEFAULT_MAX_CHAIN,
        }
    }
}

impl ParserOptions {
    /// Everything switched on, as in upstream's test runner.
    #[must_use]
    pub fn all() -> Self {
        Self {
            enable_experimental_functions: true,
            enable_duration_expressions: true,
            enable_extended_range_selectors: true,
            enable_fill_modifiers: true,
            max_depth: DEFAULT_MAX_DEPTH,
            max_chain: DEFAULT_MAX_CHAIN,
        }
    }
}
