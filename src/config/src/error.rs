//! Why a configuration is refused: which file, which line, what, in upstream's wording.

use std::path::{Path, PathBuf};

use model::quote::quoted;

use crate::options::ScrapeProtocol;

/// A configuration file that could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("open {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The text is no YAML.
    #[error("{}yaml: {}{message}", in_file(file.as_deref()), at_line(*line))]
    Syntax {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// Line of the fault, from 1.
        line: Option<u64>,
        /// What is wrong there.
        message: String,
    },
    /// The text is YAML of another shape.
    #[error("{}yaml: unmarshal errors:\n  {}{message}", in_file(file.as_deref()), at_line(*line))]
    Shape {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// Line of the fault, from 1.
        line: Option<u64>,
        /// What is wrong there.
        message: String,
    },
    /// The settings contradict each other, or one is out of its range.
    #[error("{}{reason}", in_file(file.as_deref()))]
    Invalid {
        /// The file, where the text came from one.
        file: Option<PathBuf>,
        /// The rule that is broken.
        reason: InvalidConfig,
    },
}

/// A rule that a configuration breaks. Source of the texts: upstream `config/config.go`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// `scrape_timeout` of `global` is too long.
    #[error("global scrape timeout greater than scrape interval")]
    GlobalTimeout,
    /// An entry of `scrape_configs` is null.
    #[error("empty or null scrape config section")]
    EmptyScrapeConfig,
    /// An entry of `static_configs` is null.
    #[error("empty or null section in static_configs")]
    EmptyStaticConfig,
    /// A scrape configuration has no name.
    #[error("job_name is empty")]
    EmptyJobName,
    /// Two scrape configurations share a name.
    #[error("found multiple scrape configs with job name {}", quoted(.0))]
    DuplicateJob(String),
    /// A job's `scrape_timeout` is too long.
    #[error(
        "scrape timeout greater than scrape interval for scrape config with job name {}",
        quoted(.0)
    )]
    JobTimeout(String),
    /// A target is no `host:port`.
    #[error("{} is not a valid hostname", quoted(.0))]
    Hostname(String),
    /// A label's name is empty.
    #[error("{} is not a valid label name", quoted(.0))]
    LabelName(String),
    /// `scrape_protocols` is an empty list.
    #[error("scrape_protocols cannot be empty {0}")]
    NoProtocols(Scope),
    /// `scrape_protocols` names a protocol twice.
    #[error(
        "duplicated protocol in scrape_protocols, got {} {scope}",
        listed(protocols)
    )]
    DuplicateProtocol {
        /// The list.
        protocols: Vec<ScrapeProtocol>,
        /// Where it stands.
        scope: Scope,
    },
    /// None of the protocols can be read by this build.
    #[error(
        "scrape_protocols names no supported protocol, got {} {scope}",
        listed(protocols)
    )]
    UnsupportedProtocols {
        /// The list.
        protocols: Vec<ScrapeProtocol>,
        /// Where it stands.
        scope: Scope,
    },
    /// The fallback protocol cannot be read by this build.
    #[error(
        "invalid fallback_scrape_protocol for scrape config with job name {}: {} is not supported yet",
        quoted(job_name),
        protocol.name()
    )]
    UnsupportedFallback {
        /// The job.
        job_name: String,
        /// Its protocol.
        protocol: ScrapeProtocol,
    },
    /// Names outside the old character set cannot be allowed and forbidden at once.
    #[error("utf8 metric names requested but validation scheme is not set to UTF8")]
    EscapingContradiction,
    /// Only plain HTTP is scraped so far.
    #[error(
        "scheme {} is not supported yet for scrape config with job name {}",
        quoted(scheme),
        quoted(job_name)
    )]
    UnsupportedScheme {
        /// The scheme.
        scheme: String,
        /// The job.
        job_name: String,
    },
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In `global`.
    Global,
    /// In the scrape configuration of this name.
    Job(String),
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global => f.write_str("for global config"),
            Self::Job(name) => write!(f, "for scrape config with job name {}", quoted(name)),
        }
    }
}

impl ConfigError {
    /// The line of the fault, from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Syntax { line, .. } | Self::Shape { line, .. } => *line,
            Self::Read { .. } | Self::Invalid { .. } => None,
        }
    }

    /// The same error, in `path`.
    #[must_use]
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        match &mut self {
            Self::Syntax { file, .. } | Self::Shape { file, .. } | Self::Invalid { file, .. } => {
                *file = Some(path.to_owned());
            }
            Self::Read { .. } => {}
        }
        self
    }
}

fn in_file(file: Option<&Path>) -> String {
    match file {
        Some(path) => format!("parsing YAML file {}: ", path.display()),
        None => String::new(),
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map(|line| format!("line {line}: "))
        .unwrap_or_default()
}

fn listed(protocols: &[ScrapeProtocol]) -> String {
    let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
    format!("[{}]", names.join(" "))
}
