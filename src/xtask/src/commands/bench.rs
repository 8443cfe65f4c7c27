//! `cargo xtask bench`: whole servers under load on loopback, beside Debian's Prometheus where it
//! is installed. Figures of one run belong together; compare ratios, not runs.

mod answer;
mod heavy;
mod ingest;
mod load;
mod node;
mod queries;
mod query;
mod server;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, value_parser};

/// The command line.
pub(crate) fn arguments() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .default_value(default)
            .help(help)
            .value_parser(value_parser!(u32))
    };
    let shared = [
        number("series", "20000", "Series to write"),
        number("samples", "480", "Samples of each series, 15 s apart"),
        number("senders", "2", "Connections that write at once"),
        Arg::new("firewatch")
            .long("firewatch")
            .default_value("bin/firewatch")
            .help("The server to measure"),
        Arg::new("prometheus")
            .long("prometheus")
            .default_value("prometheus")
            .help("The server to compare with; \"none\" leaves it out"),
    ];
    Command::new("bench")
        .about("Measure ingestion and queries beside Prometheus")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("ingest")
                .about("Samples per CPU second, bytes per sample, resident memory")
                .args(shared.clone()),
        )
        .subcommand(
            Command::new("heavy")
                .about(
                    "Many clients with heavy queries: the server stays alive and inside its memory",
                )
                .args(shared.clone())
                .arg(number("clients", "50", "Clients that ask heavy queries"))
                .arg(number("seconds", "60", "How long they ask"))
                .arg(
                    Arg::new("flag")
                        .long("flag")
                        .num_args(1)
                        .action(clap::ArgAction::Append)
                        .help("A flag of the server, for example its memory limits"),
                ),
        )
        .subcommand(
            Command::new("query")
                .about("Milliseconds per query and peak memory; answers are compared")
                .args(shared)
                .arg(number(
                    "repeat",
                    "20",
                    "Runs of each query; the median counts",
                ))
                .arg(
                    Arg::new("only")
                        .long("only")
                        .help("Only the queries of this number, or that contain this text"),
                ),
        )
}

/// Runs the benchmark that was asked for.
pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("ingest", matches)) => ingest::run(&load::Shape::of(matches)?)?,
        Some(("query", matches)) => {
            let repeat = matches.get_one::<u32>("repeat").copied().unwrap_or(20);
            let only = matches.get_one::<String>("only").map(String::as_str);
            query::run(&load::Shape::of(matches)?, repeat, only)?;
        }
        Some(("heavy", matches)) => {
            let number = |name: &str| matches.get_one::<u32>(name).copied().unwrap_or(1);
            let pressure = heavy::Pressure {
                clients: usize::try_from(number("clients"))?,
                seconds: u64::from(number("seconds")),
            };
            let flags = matches.get_many::<String>("flag").unwrap_or_default();
            let flags: Vec<String> = flags.cloned().collect();
            heavy::run(&load::Shape::of(matches)?, pressure, &flags)?;
        }
        _ => anyhow::bail!("bench takes ingest, query or heavy"),
    }
    Ok(ExitCode::SUCCESS)
}
