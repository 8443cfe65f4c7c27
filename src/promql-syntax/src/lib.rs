//! PromQL parser: lexer, syntax tree with positions, type check, printer.
