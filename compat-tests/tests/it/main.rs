//! Black-box tests of the built binary, alone and beside Debian's Prometheus.
//!
//! `make test` builds what they start and names it in `FIREWATCH_BIN`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod differential;
mod durability;
mod expressions;
mod metadata;
mod parity;
mod regexes;
mod server;
mod support;
mod syntax;
