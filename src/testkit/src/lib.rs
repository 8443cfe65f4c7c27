//! Test helpers: the runner of PromQL test scripts.

pub mod promqltest;
