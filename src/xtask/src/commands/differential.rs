//! `cargo xtask differential`: random queries on random data, the engine against others.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command};
use testkit::differential::{
    Prometheus, RELATIVE_TOLERANCE, Report, run_prometheus, run_reference,
};

use super::promqltest::{open_storage, storage_argument};

/// How often each function has to come in 20,000 cases, and in proportion in other numbers.
const WANTED_IN_20000: usize = 50;

/// The command line of this command.
pub(crate) fn arguments() -> Command {
    let cases = |default: &'static str| {
        Arg::new("cases")
            .long("cases")
            .value_parser(clap::value_parser!(usize))
            .default_value(default)
            .help("Cases with a definite answer")
    };
    let seed = Arg::new("seed")
        .long("seed")
        .value_parser(clap::value_parser!(u64))
        .default_value("1")
        .help("Everything follows from it");
    Command::new("differential")
        .about("Hold random queries on random data against another evaluator")
        .subcommand_required(true)
        .subcommand(
            Command::new("reference")
                .about("Against the slow evaluator of testkit, all of the language")
                .arg(cases("20000"))
                .arg(seed.clone())
                .arg(
                    storage_argument()
                        .help("Storage engine that holds the data, opened again on it"),
                ),
        )
        .subcommand(
            Command::new("prometheus")
                .about("Against Debian's Prometheus 2.42, what it knows of the language")
                .arg(cases("5000"))
                .arg(seed)
                .arg(
                    Arg::new("program")
                        .long("program")
                        .default_value("prometheus")
                        .help("The server: a path, or a name to look for on the PATH"),
                ),
        )
}

/// Runs the cases and prints differences, counts and totals.
///
/// # Errors
/// Nothing can be printed.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let Some((name, arguments)) = arguments.subcommand() else {
        anyhow::bail!("no evaluator given");
    };
    let cases = arguments.get_one::<usize>("cases").copied().unwrap_or(0);
    let seed = arguments.get_one::<u64>("seed").copied().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "seed {seed}, numbers within {RELATIVE_TOLERANCE:e} of each other"
    )?;
    let report = if name == "prometheus" {
        let program = arguments.get_one::<String>("program");
        against_prometheus(program.map_or("prometheus", String::as_str), cases, seed)?
    } else {
        let storage = arguments.get_one::<String>("storage");
        let mut storage = open_storage(storage.map_or("", String::as_str))?;
        run_reference(cases, seed, storage.as_mut())
    };
    writeln!(out, "{report}")?;
    if name == "prometheus" {
        return Ok(exit_code(report.differences.is_empty()));
    }
    let rare = report
        .counts
        .rare_functions(WANTED_IN_20000 * cases / 20_000);
    if !rare.is_empty() {
        writeln!(out, "functions that came too seldom: {}", rare.join(" "))?;
    }
    Ok(exit_code(report.differences.is_empty() && rare.is_empty()))
}

fn exit_code(is_good: bool) -> ExitCode {
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn against_prometheus(program: &str, cases: usize, seed: u64) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let prometheus = Prometheus::start(program, folder.path())
        .with_context(|| format!("cannot start {program}"))?;
    Ok(run_prometheus(&prometheus, cases, seed)?)
}
