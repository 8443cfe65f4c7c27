//! The command line of the workloads.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use base::Clock as _;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::heavy::Pressure;
use super::load::Load;
use super::query::Choice;
use super::recorded::Recording;
use super::server::{Kind, Setup};

/// The usual size of a workload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) series: u32,
    /// Samples of each series.
    pub(super) samples: u32,
    /// Samples of a series in one request.
    pub(super) batch: u32,
}

/// What the command line says.
pub(super) struct Options {
    pub(super) setup: Setup,
    pub(super) choice: Choice,
    pub(super) pressure: Pressure,
    pub(super) idle: Duration,
    pub(super) days: u32,
    size: [Option<u32>; 3],
    percent: u32,
    recording: Option<Recording>,
}

/// What is to be recorded.
pub(super) struct Record {
    pub(super) exporter: String,
    pub(super) file: PathBuf,
    pub(super) scrapes: u32,
    pub(super) every: Duration,
}

fn number(name: &'static str, help: impl Into<String>) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("NUMBER")
        .value_parser(value_parser!(u32).range(1..))
        .help(help.into())
}

fn text(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("TEXT")
        .default_value(default)
        .help(help)
}

/// The options of a workload, or of all at once.
pub(super) fn arguments(scale: Option<Scale>) -> Vec<Arg> {
    let mut arguments = vec![
        text(
            "firewatch",
            "bin/firewatch",
            "The server to measure; \"none\" leaves it out",
        ),
        text(
            "prometheus",
            "prometheus",
            "A server to compare with; \"none\" leaves it out",
        ),
        text(
            "victoria-metrics",
            "victoria-metrics",
            "Another; \"none\" leaves it out",
        ),
        Arg::new("flag")
            .long("flag")
            .action(ArgAction::Append)
            .help("A further flag of Firewatch, for example its memory limit"),
        Arg::new("recorded")
            .long("recorded")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Replay what bench record has written, as many targets"),
        number("percent", "Part of the usual number of series").default_value("100"),
        number("senders", "Connections that write at once").default_value("2"),
        number("max-minutes", "Most minutes of one server in one workload").default_value("40"),
        number("max-disk-gib", "Most data of one server in one workload").default_value("20"),
        number("repeat", "Runs of each query; the median counts").default_value("20"),
        Arg::new("only")
            .long("only")
            .help("Only the queries of this number, or that contain this text"),
        number("clients", "Clients that ask heavy queries").default_value("50"),
        number("seconds", "How long they ask").default_value("60"),
        number("idle", "Idle seconds before memory is measured").default_value("120"),
        number("days", "Simulated days of churn").default_value("30"),
    ];
    if let Some(scale) = scale {
        arguments.extend([
            number(
                "series",
                format!("Series to write [default: {}]", scale.series),
            ),
            number(
                "samples",
                format!("Samples of each series [default: {}]", scale.samples),
            ),
            number(
                "batch",
                format!(
                    "Samples of a series in one request [default: {}]",
                    scale.batch
                ),
            ),
        ]);
    }
    arguments
}

/// The options of a recording.
pub(super) fn record_arguments() -> Vec<Arg> {
    vec![
        text(
            "exporter",
            "prometheus-node-exporter",
            "The exporter to run",
        ),
        Arg::new("file")
            .long("file")
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("Where to write what it says"),
        number("scrapes", "How often to scrape it").default_value("1800"),
        number("every-ms", "Milliseconds between scrapes").default_value("1000"),
    ]
}

fn number_of(matches: &ArgMatches, name: &str) -> anyhow::Result<u32> {
    let number = matches.get_one::<u32>(name).copied();
    number.with_context(|| format!("--{name} is missing"))
}

impl Options {
    pub(super) fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        let number = |name| number_of(matches, name);
        let programs = Kind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, matches.get_one::<String>(kind.name())?.clone())))
            .filter(|(_, program)| program != "none")
            .collect();
        let size = ["series", "samples", "batch"]
            .map(|name| matches.try_get_one::<u32>(name).ok().flatten().copied());
        let recording = matches.get_one::<PathBuf>("recorded");
        Ok(Self {
            setup: Setup {
                programs,
                flags: matches
                    .get_many("flag")
                    .unwrap_or_default()
                    .cloned()
                    .collect(),
                senders: usize::try_from(number("senders")?)?,
                out_of_order: None,
                most_time: Duration::from_secs(u64::from(number("max-minutes")?) * 60),
                most_disk_bytes: u64::from(number("max-disk-gib")?) << 30,
            },
            choice: Choice {
                repeat: number("repeat")?,
                only: matches.get_one::<String>("only").cloned(),
            },
            pressure: Pressure {
                clients: usize::try_from(number("clients")?)?,
                seconds: u64::from(number("seconds")?),
            },
            idle: Duration::from_secs(u64::from(number("idle")?)),
            days: number("days")?,
            size,
            percent: number("percent")?,
            recording: recording.map(|file| Recording::read(file)).transpose()?,
        })
    }

    /// The load of a workload. It ends now, so that every server takes it.
    pub(super) fn load(&self, scale: Scale) -> anyhow::Result<Load> {
        let [series, samples, batch] = self.size;
        let usual = u64::from(scale.series) * u64::from(self.percent) / 100;
        let series = series.map_or(u32::try_from(usual), Ok)?.max(1);
        let samples = samples.unwrap_or(scale.samples);
        let now_ms = base::SystemClock.now().as_millis();
        let mut load = match &self.recording {
            Some(recording) => Load::recorded(recording.clone(), series, samples, now_ms),
            None => Load::new(series, samples, now_ms),
        };
        load.batch = batch.unwrap_or(scale.batch);
        Ok(load)
    }
}

impl Record {
    pub(super) fn of(matches: &ArgMatches) -> anyhow::Result<Self> {
        let text = |name| matches.get_one::<String>(name).cloned();
        Ok(Self {
            exporter: text("exporter").context("--exporter is missing")?,
            file: matches
                .get_one::<PathBuf>("file")
                .cloned()
                .context("--file is missing")?,
            scrapes: number_of(matches, "scrapes")?,
            every: Duration::from_millis(u64::from(number_of(matches, "every-ms")?)),
        })
    }
}
