//! The function table: names, argument and result types, what is experimental.

use crate::ast::ValueType;

/// A PromQL function's signature.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// The arguments' types; the last one holds for all further arguments.
    pub arg_types: &'static [ValueType],
    /// How many arguments must be given.
    pub min_args: usize,
    /// How many may be given; `None` for any number.
    pub max_args: Option<usize>,
    /// The result's type.
    pub return_type: ValueType,
    /// Whether the function is refused unless experimental functions are enabled.
    pub experimental: bool,
}
