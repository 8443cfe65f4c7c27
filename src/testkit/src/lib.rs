//! Test helpers: the runner of PromQL test scripts, child processes, an HTTP client, and
//! remote-write bodies.

pub mod http;
pub mod process;
pub mod promqltest;
pub mod remote_write;
