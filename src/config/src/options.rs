//! The settings of a valid configuration, defaults filled in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, PromDuration};

use crate::error::ConfigError;
use crate::raw::RawConfig;
use crate::{validate, yaml};

/// A valid prometheus.yml.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What holds for every job.
    pub global: Global,
    /// The jobs, in the order of the file.
    pub scrape_configs: Vec<Arc<ScrapeConfig>>,
    /// Settings of the storage engine.
    pub storage: StorageConfig,
    /// The text that was read.
    pub source: Arc<str>,
}

/// `global`. Limits and names are already part of each [`ScrapeConfig`].
#[derive(Clone, Debug, PartialEq)]
pub struct Global {
    /// How often targets are scraped.
    pub scrape_interval: PromDuration,
    /// How long a scrape may take.
    pub scrape_timeout: PromDuration,
    /// How often rules are evaluated.
    pub evaluation_interval: PromDuration,
    /// How far in the past rules are evaluated.
    pub rule_query_offset: PromDuration,
    /// Labels of everything that leaves this server, environment expanded.
    pub external_labels: Labels,
    /// Where a line is written for each query. A relative path starts at the configuration file's
    /// folder.
    pub query_log_file: Option<PathBuf>,
}

/// An entry of `scrape_configs`, with what it inherits from `global`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    /// Its name, unique, and the default of label `job`.
    pub job_name: String,
    /// How often its targets are scraped.
    pub scrape_interval: PromDuration,
    /// How long a scrape may take; never longer than the interval.
    pub scrape_timeout: PromDuration,
    /// Formats to ask for, the best first.
    pub scrape_protocols: Vec<ScrapeProtocol>,
    /// The format of answers that do not say theirs.
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Path of the targets' metrics.
    pub metrics_path: String,
    /// `http`; label `__scheme__` may say otherwise.
    pub scheme: String,
    /// Query parameters.
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the target win over ours.
    pub honor_labels: bool,
    /// Whether timestamps of the target are taken.
    pub honor_timestamps: bool,
    /// Whether series with timestamps get stale markers.
    pub track_timestamps_staleness: bool,
    /// Whether to ask for gzip.
    pub enable_compression: bool,
    /// Whether redirects are followed.
    pub follow_redirects: bool,
    /// Whether `scrape_timeout_seconds` and the like are written.
    pub extra_scrape_metrics: bool,
    /// Which metric and label names are accepted.
    pub name_validation: NameValidation,
    /// How targets are asked to write names outside the old character set.
    pub escaping_scheme: EscapingScheme,
    /// What a scrape must not exceed.
    pub limits: ScrapeLimits,
    /// Targets given in the file.
    pub static_configs: Vec<StaticConfig>,
}

/// What a scrape must not exceed. Zero means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Bytes of an uncompressed body.
    pub body_size_bytes: u64,
    /// Samples of a scrape.
    pub samples: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_bytes: u64,
    /// Bytes of a label's value.
    pub label_value_bytes: u64,
    /// Dropped targets that are remembered.
    pub keep_dropped_targets: u64,
}

/// Targets that share labels.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticConfig {
    /// `host:port` each.
    pub targets: Vec<String>,
    /// Labels of all of them.
    pub labels: BTreeMap<String, String>,
}

/// Exemplars that are kept when nobody says otherwise. Source: upstream `DefaultExemplarsConfig`.
const DEFAULT_MAX_EXEMPLARS: usize = 100_000;

/// `storage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// How long samples are kept; the flag or its default holds where the file says nothing.
    pub retention_time: Option<PromDuration>,
    /// Most bytes on disk, 0 for no limit; as for the time.
    pub retention_size_bytes: Option<u64>,
    /// Most of the disk that may be taken, in hundredths of a percent, 0 to 10 000; more than 0
    /// takes the size's place.
    pub retention_basis_points: Option<u16>,
    /// How far behind the newest sample of all series a sample may be; zero takes none that is
    /// older than others of its series.
    pub out_of_order_time_window: PromDuration,
    /// How many exemplars are kept, where any are.
    pub max_exemplars: usize,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            retention_time: None,
            retention_size_bytes: None,
            retention_basis_points: None,
            out_of_order_time_window: PromDuration::ZERO,
            max_exemplars: DEFAULT_MAX_EXEMPLARS,
        }
    }
}

/// A format that targets can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrapeProtocol {
    /// OpenMetrics text 0.0.1.
    OpenMetricsText001,
    /// OpenMetrics text 1.0.0.
    OpenMetricsText100,
    /// Delimited protocol buffers.
    PrometheusProto,
    /// The text format of old.
    PrometheusText004,
    /// The text format with quoted names.
    PrometheusText100,
}

impl ScrapeProtocol {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::OpenMetricsText001,
        Self::OpenMetricsText100,
        Self::PrometheusProto,
        Self::PrometheusText004,
        Self::PrometheusText100,
    ];

    /// What is asked for where the file says nothing. Source: upstream `DefaultScrapeProtocols`.
    pub const DEFAULT: [Self; 4] = [
        Self::OpenMetricsText100,
        Self::OpenMetricsText001,
        Self::PrometheusText100,
        Self::PrometheusText004,
    ];

    /// The name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenMetricsText001 => "OpenMetricsText0.0.1",
            Self::OpenMetricsText100 => "OpenMetricsText1.0.0",
            Self::PrometheusProto => "PrometheusProto",
            Self::PrometheusText004 => "PrometheusText0.0.4",
            Self::PrometheusText100 => "PrometheusText1.0.0",
        }
    }

    /// Whether this build reads the format.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        !matches!(self, Self::PrometheusProto)
    }
}

/// Which names are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameValidation {
    /// Any UTF-8.
    #[default]
    Utf8,
    /// Letters, digits, underscore, and colon in metric names.
    Legacy,
}

/// How names outside the old character set are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscapingScheme {
    /// As they are.
    AllowUtf8,
    /// With underscores in place of other characters.
    Underscores,
    /// With `_dot_` for dots.
    Dots,
    /// With code points.
    Values,
}

impl EscapingScheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values];

    /// The name in the file and in `Accept` headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

impl Config {
    /// Reads a configuration; external labels see the process' environment. An empty text is a
    /// configuration of defaults.
    ///
    /// # Errors
    /// The text is no YAML, has unknown keys or values, or breaks a rule.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(text, &|name| std::env::var(name).ok())
    }

    /// As [`Config::parse`], in the environment that `lookup` gives.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_in(
        text: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw: RawConfig = yaml::decode(text)?.unwrap_or_default();
        validate::config(raw, text, lookup)
            .map_err(|reason| ConfigError::Invalid { file: None, reason })
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or as [`Config::parse`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut config = Self::parse(&text).map_err(|error| error.in_file(path))?;
        let log = &mut config.global.query_log_file;
        if let (Some(folder), Some(log)) = (path.parent(), log) {
            *log = folder.join(&log);
        }
        Ok(config)
    }

    /// The configuration of a server that was given none: it scrapes itself, which listens on
    /// `own_address`, every 15 seconds.
    ///
    /// # Errors
    /// None that a socket address can cause; the text takes the same way as any other.
    pub fn embedded_default(own_address: SocketAddr) -> Result<Self, ConfigError> {
        let target = match own_address.ip().is_unspecified() {
            true => format!("localhost:{}", own_address.port()),
            false => own_address.to_string(),
        };
        Self::parse(&format!(
            "global:\n  scrape_interval: 15s\n  evaluation_interval: 15s\nscrape_configs:\n  \
             - job_name: firewatch\n    static_configs:\n      - targets: ['{target}']\n"
        ))
    }
}
