//! `cargo xtask promqltest`: runs folders of PromQL test scripts and counts what passes.

mod tsdb_storage;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use promql::Engine;
use testkit::promqltest::{
    MemoryScriptStorage, RunOptions, ScriptReport, ScriptStorage, engine_options, run_script,
};
use tsdb_storage::TsdbScriptStorage;

/// The command line of this command.
pub(crate) fn arguments() -> Command {
    Command::new("promqltest")
        .about("Run every *.test script under the given folders and count what passes")
        .arg(storage_argument().help("Storage engine that scripts load into"))
        .arg(
            Arg::new("restart")
                .long("restart")
                .action(ArgAction::SetTrue)
                .help("Close the storage engine and open it again between load and eval"),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Print each failed case: line, query, what was expected, what came out"),
        )
        .arg(
            Arg::new("paths")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .num_args(1..)
                .required(true)
                .help("Folders, or single scripts"),
        )
}

/// Which storage engine; see [`open_storage`].
pub(super) fn storage_argument() -> Arg {
    Arg::new("storage")
        .long("storage")
        .value_parser(PossibleValuesParser::new(["tsdb", "memory"]))
        .default_value("tsdb")
}

/// Runs the scripts and prints one line a file, then the totals.
///
/// # Errors
/// A folder or script cannot be read, there is none, or the storage engine does not open.
pub(crate) fn run(arguments: &ArgMatches) -> anyhow::Result<ExitCode> {
    let mut scripts = Vec::new();
    for path in arguments.get_many::<PathBuf>("paths").into_iter().flatten() {
        collect_scripts(path, &mut scripts)?;
    }
    anyhow::ensure!(
        !scripts.is_empty(),
        "there are no *.test scripts under the given folders"
    );
    let options = if arguments.get_flag("restart") {
        RunOptions::RestartAfterLoad
    } else {
        RunOptions::Plain
    };
    let name = arguments
        .get_one::<String>("storage")
        .map_or("", String::as_str);
    let mut storage = open_storage(name)?;
    let engine = Engine::new(engine_options());
    let mut out = std::io::stdout().lock();
    let mut totals = (0, 0);
    for script in &scripts {
        let text = std::fs::read_to_string(script)
            .with_context(|| format!("cannot read {}", script.display()))?;
        let report = run_script(&text, storage.as_mut(), &engine, options);
        totals.0 += report.passed();
        totals.1 += report.total() - report.passed();
        print_report(&mut out, script, &report, arguments.get_flag("verbose"))?;
    }
    writeln!(out, "{} passed, {} failed", totals.0, totals.1)?;
    Ok(if totals.1 == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn print_report(
    out: &mut impl Write,
    script: &Path,
    report: &ScriptReport,
    verbose: bool,
) -> std::io::Result<()> {
    if verbose {
        for case in report.failures() {
            writeln!(out, "{}: {case}", script.display())?;
        }
    }
    let name = script.file_stem().unwrap_or_default().to_string_lossy();
    writeln!(out, "{name} {}/{}", report.passed(), report.total())
}

/// Adds `path` itself if it is a file, else all scripts below it, in order of their names.
fn collect_scripts(path: &Path, scripts: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let unreadable = || format!("cannot read {}", path.display());
    if std::fs::metadata(path).with_context(unreadable)?.is_file() {
        scripts.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)
        .with_context(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(unreadable)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir()
            || entry
                .extension()
                .is_some_and(|extension| extension == "test")
        {
            collect_scripts(&entry, scripts)?;
        }
    }
    Ok(())
}

/// An empty storage engine by its name in [`storage_argument`].
///
/// # Errors
/// The engine on disk does not open.
pub(super) fn open_storage(name: &str) -> anyhow::Result<Box<dyn ScriptStorage>> {
    match name {
        "memory" => Ok(Box::new(MemoryScriptStorage::new())),
        _ => Ok(Box::new(TsdbScriptStorage::open()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_scripts_pass_on_disk_across_a_restart() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../compat-tests/promql");
        let mut scripts = Vec::new();
        collect_scripts(Path::new(folder), &mut scripts).unwrap();
        assert!(scripts.len() > 10 && scripts.is_sorted());
        let engine = Engine::new(engine_options());
        let mut storage = open_storage("tsdb").unwrap();
        for script in scripts {
            let text = std::fs::read_to_string(&script).unwrap();
            let options = RunOptions::RestartAfterLoad;
            let report = run_script(&text, storage.as_mut(), &engine, options);
            let mut printed = Vec::new();
            print_report(&mut printed, &script, &report, true).unwrap();
            assert_eq!(
                report.passed(),
                report.total(),
                "{}",
                String::from_utf8_lossy(&printed)
            );
        }
    }
}
