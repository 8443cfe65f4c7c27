//! Development commands: `cargo xtask NAME`.
//!
//! Each command is a module of [commands] and a line in [COMMANDS]; this file only dispatches.

mod commands;

use std::process::ExitCode;

use clap::{ArgMatches, Command};

/// A sub-command: its arguments, and what it does. The exit code says whether all went well, an
/// error that the command could not do its work.
struct Subcommand {
    arguments: fn() -> Command,
    run: fn(&ArgMatches) -> anyhow::Result<ExitCode>,
}

/// Every sub-command, in the order in which `--help` lists them.
const COMMANDS: &[Subcommand] = &[
    Subcommand {
        arguments: commands::tidy::arguments,
        run: commands::tidy::run,
    },
    Subcommand {
        arguments: commands::promqltest::arguments,
        run: commands::promqltest::run,
    },
    Subcommand {
        arguments: commands::differential::arguments,
        run: commands::differential::run,
    },
    Subcommand {
        arguments: commands::bench::arguments,
        run: commands::bench::run,
    },
];

fn main() -> anyhow::Result<ExitCode> {
    let matches = command_line().get_matches();
    let Some((name, arguments)) = matches.subcommand() else {
        anyhow::bail!("no command given");
    };
    let Some(command) = COMMANDS
        .iter()
        .find(|known| (known.arguments)().get_name() == name)
    else {
        anyhow::bail!("unknown command {name}");
    };
    (command.run)(arguments)
}

fn command_line() -> Command {
    Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Development commands of Firewatch")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(COMMANDS.iter().map(|command| (command.arguments)()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_well_formed_and_has_help() {
        let mut command_line = command_line();
        command_line.build();
        command_line.clone().debug_assert();
        for command in command_line
            .get_subcommands()
            .filter(|c| c.get_name() != "help")
        {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
