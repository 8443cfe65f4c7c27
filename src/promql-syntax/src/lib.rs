//! PromQL parser: lexer, syntax tree with positions, type check, printer.

pub mod ast;
pub mod functions;
