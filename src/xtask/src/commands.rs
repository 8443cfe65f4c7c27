//! One module for each sub-command.

pub(crate) mod bench;
pub(crate) mod differential;
pub(crate) mod promqltest;
pub(crate) mod tidy;
