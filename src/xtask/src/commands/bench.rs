//! `cargo xtask bench`: whole servers under load on loopback, beside Debian's Prometheus and
//! VictoriaMetrics where they are installed, one at a time on the same data. Figures of one run
//! belong together; compare ratios, not runs.

mod answer;
mod churn;
mod disk;
mod encode;
mod exact;
mod footprint;
mod heavy;
mod ingest;
mod late;
mod load;
mod memory;
mod node;
mod options;
mod queries;
mod query;
mod recorded;
mod report;
mod restart;
mod server;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

use load::Load;
use options::{Options, Scale};
use report::Figure;
use server::Setup;

/// A workload: what it is called, its usual size, and what it does.
pub(super) struct Workload {
    name: &'static str,
    about: &'static str,
    scale: Scale,
    run: fn(&Setup, &Load, &Options) -> anyhow::Result<Vec<Figure>>,
}

const fn scale(series: u32, samples: u32, batch: u32) -> Scale {
    Scale {
        series,
        samples,
        batch,
    }
}

/// Every workload, in the order in which `bench all` runs them.
const WORKLOADS: &[Workload] = &[
    Workload {
        name: "ingest",
        about: "CPU per sample of ten minutes of scrapes, as fast as they are taken",
        scale: scale(100_000, 40, 1),
        run: |setup, load, _| ingest::run(setup, load),
    },
    Workload {
        name: "disk",
        about: "Bytes per sample of a day, compacted, index included, read back bit for bit",
        scale: scale(20_000, 5_760, 24),
        run: |setup, load, _| disk::run(setup, load),
    },
    Workload {
        name: "memory",
        about: "Resident memory of active series after idle minutes",
        scale: scale(1_000_000, 4, 1),
        run: |setup, load, options| memory::run(setup, load, options.idle),
    },
    Workload {
        name: "restart",
        about: "Time from a kill to the first right answer, and acknowledged samples lost",
        scale: scale(1_000_000, 120, 4),
        run: |setup, load, _| restart::run(setup, load),
    },
    Workload {
        name: "churn",
        about: "CPU with and without a tenth of the targets replaced every ten minutes",
        scale: scale(100_000, 160, 1),
        run: |setup, load, _| churn::run(setup, load),
    },
    Workload {
        name: "month",
        about: "Index and memory over simulated days of that churn",
        scale: scale(2_400, 1, 1),
        run: |setup, load, options| churn::run_month(setup, load, options.days),
    },
    Workload {
        name: "query",
        about: "Milliseconds per query and peak memory; answers are compared",
        scale: scale(20_000, 1_440, 24),
        run: |setup, load, options| query::run(setup, load, &options.choice),
    },
    Workload {
        name: "query-wide",
        about: "The same with more series and less time",
        scale: scale(100_000, 480, 24),
        run: |setup, load, options| query::run(setup, load, &options.choice),
    },
    Workload {
        name: "out-of-order",
        about: "CPU per sample where one of twenty is up to half an hour late",
        scale: scale(20_000, 240, 1),
        run: |setup, load, _| late::run(setup, load),
    },
    Workload {
        name: "heavy",
        about: "Many clients with heavy queries: the server stays alive and inside its memory",
        scale: scale(20_000, 480, 24),
        run: |setup, load, options| heavy::run(setup, load, options.pressure),
    },
];

/// The command line.
pub(crate) fn arguments() -> Command {
    let workloads = WORKLOADS.iter().map(|workload| {
        Command::new(workload.name)
            .about(workload.about)
            .args(options::arguments(Some(workload.scale)))
    });
    Command::new("bench")
        .about("Measure servers beside Prometheus and VictoriaMetrics")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(workloads)
        .subcommand(
            Command::new("all")
                .about("All workloads but heavy, each in its usual size, and one table of all")
                .args(options::arguments(None)),
        )
        .subcommand(
            Command::new("record")
                .about("Record a node exporter for --recorded")
                .args(options::record_arguments()),
        )
}

/// Runs the benchmark that was asked for.
pub(crate) fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    match matches.subcommand() {
        Some(("record", matches)) => {
            let recording = options::Record::of(matches)?;
            recorded::record(
                &recording.exporter,
                &recording.file,
                recording.scrapes,
                recording.every,
            )?;
        }
        Some((name, matches)) => {
            let chosen = WORKLOADS.iter().filter(|workload| match name {
                "all" => workload.name != "heavy",
                name => workload.name == name,
            });
            run_all(&chosen.collect::<Vec<_>>(), matches)?;
        }
        None => anyhow::bail!("no workload given"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs workloads one after the other and prints the table of each, and at the end of all. One that
/// fails does not keep the next ones from running.
fn run_all(workloads: &[&Workload], matches: &ArgMatches) -> anyhow::Result<()> {
    let options = Options::of(matches)?;
    let setup = options.setup.clone();
    print(&report::machine(&setup))?;
    let (mut figures, mut failures) = (Vec::new(), Vec::new());
    for workload in workloads {
        let load = options.load(workload.scale)?;
        print(&format!(
            "\n{}: {} series × {} samples, {} of a series in a request\n",
            workload.name, load.series, load.steps, load.batch
        ))?;
        match (workload.run)(&setup, &load, &options) {
            Ok(mut of_workload) => {
                print(&report::table(&of_workload))?;
                figures.append(&mut of_workload);
            }
            Err(error) => {
                print(&format!("failed: {error:#}\n"))?;
                failures.push(workload.name);
            }
        }
    }
    if workloads.len() > 1 {
        print(&format!("\n{}", report::table(&figures)))?;
    }
    anyhow::ensure!(failures.is_empty(), "failed: {}", failures.join(", "));
    Ok(())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
