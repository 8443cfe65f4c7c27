//! `cargo xtask tidy`: the house rules, which live in the crate `tidy`.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

/// The command line of this command.
pub(crate) fn arguments() -> Command {
    Command::new("tidy")
        .about("Check crate floors, file headers and lengths, and links in the docs")
}

/// Runs the checks on the workspace around the current folder.
///
/// # Errors
/// Fails when the checkout cannot be read.
pub(crate) fn run(_arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    ::tidy::run(&mut std::io::stdout().lock())
}
