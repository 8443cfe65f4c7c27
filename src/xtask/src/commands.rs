//! One module for each sub-command.

pub(crate) mod tidy;
