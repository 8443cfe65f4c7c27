//! Black-box tests of the built binary, alone and beside Debian's Prometheus.
//!
//! `make test` builds what they start and names it in `FIREWATCH_BIN`.

mod durability;
mod expressions;
mod parity;
mod regexes;
mod server;
mod support;
