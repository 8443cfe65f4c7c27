//! Runs tidy by itself, so that `make lint` need not compile the rest of the workspace first.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    tidy::run(&mut std::io::stdout().lock())
}
