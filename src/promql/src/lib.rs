//! The PromQL engine: logical plan, optimiser rules, streaming operators, functions, limits.
