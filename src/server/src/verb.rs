//! Verbs of the program that are no server: read the command line, do it, print what came of it.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

/// Runs a verb with the arguments behind it. The command's name is the whole of it, such as
/// `firewatch tsdb`; `run` gives the text for standard output. Ends with 0, with 1 where it failed,
/// with 2 where the command line is wrong.
pub(crate) fn main<E: Error>(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(&ArgMatches) -> Result<String, E>,
) -> ExitCode {
    let name = command.get_name().to_owned();
    // It stands where the program's name does: usage lines show it.
    let line = std::iter::once(OsString::from(&name)).chain(arguments);
    let matches = match command.try_get_matches_from(line) {
        Ok(matches) => matches,
        Err(error) => {
            // Nobody can be told when the terminal is gone.
            let _unprinted = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&matches) {
        Ok(text) => {
            let _unprinted = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let below = matches.subcommand_name().unwrap_or_default();
            let error = base::report(&error);
            let _unprinted = writeln!(std::io::stderr(), "{name} {below}: {error}");
            ExitCode::FAILURE
        }
    }
}
