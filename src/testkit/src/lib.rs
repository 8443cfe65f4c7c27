//! Test helpers: the runner of PromQL test scripts, a slow evaluator of PromQL and random queries to
//! hold against it, child processes, an HTTP client, and
//! remote-write bodies.

pub mod differential;
pub mod http;
pub mod process;
pub mod promqltest;
pub mod reference;
pub mod remote_write;
