//! From the file's structure to settings: defaults, inheritance, and the rules between parts.
//! Source: upstream `config/config.go`, the `UnmarshalYAML` and `Validate` methods.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, PromDuration};

use crate::error::{InvalidConfig, Scope};
use crate::expand::expand;
use crate::options::{
    Config, EscapingScheme, Global, NameValidation, ScrapeConfig, ScrapeLimits, ScrapeProtocol,
    StaticConfig, StorageConfig,
};
use crate::raw::{RawConfig, RawGlobal, RawScrapeConfig, RawStaticConfig, RawStorage, Size};
use crate::yaml::{Pairs, Scalar};

const DEFAULT_INTERVAL: PromDuration = PromDuration::from_secs(60);
const DEFAULT_TIMEOUT: PromDuration = PromDuration::from_secs(10);

/// What jobs inherit from `global`.
struct Inherited {
    interval: PromDuration,
    timeout: PromDuration,
    protocols: Vec<ScrapeProtocol>,
    limits: ScrapeLimits,
    name_validation: NameValidation,
    escaping_scheme: Option<EscapingScheme>,
    extra_metrics: bool,
}

/// Builds the settings of a whole file.
pub(crate) fn config(
    raw: RawConfig,
    source: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, InvalidConfig> {
    let (global, inherited) = global(raw.global.unwrap_or_default(), lookup)?;
    let mut scrape_configs: Vec<Arc<ScrapeConfig>> = Vec::new();
    for raw_job in raw.scrape_configs.unwrap_or_default() {
        let job = scrape_config(raw_job.ok_or(InvalidConfig::EmptyScrapeConfig)?, &inherited)?;
        if scrape_configs
            .iter()
            .any(|other| other.job_name == job.job_name)
        {
            return Err(InvalidConfig::DuplicateJob(job.job_name));
        }
        scrape_configs.push(Arc::new(job));
    }
    Ok(Config {
        global,
        scrape_configs,
        storage: storage(raw.storage.unwrap_or_default()),
        source: Arc::from(source),
    })
}

fn global(
    raw: RawGlobal,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(Global, Inherited), InvalidConfig> {
    let external_labels = external_labels(raw.external_labels.unwrap_or_default(), lookup)?;
    let interval = non_zero(raw.scrape_interval).unwrap_or(DEFAULT_INTERVAL);
    let timeout = match non_zero(raw.scrape_timeout) {
        Some(timeout) if timeout > interval => return Err(InvalidConfig::GlobalTimeout),
        Some(timeout) => timeout,
        None => DEFAULT_TIMEOUT.min(interval),
    };
    let protocols = match raw.scrape_protocols {
        Some(listed) => protocols(listed, &Scope::Global)?,
        None => ScrapeProtocol::DEFAULT.to_vec(),
    };
    let inherited = Inherited {
        interval,
        timeout,
        protocols,
        limits: ScrapeLimits {
            body_size_bytes: raw.body_size_limit.map_or(0, |Scalar(Size(bytes))| bytes),
            samples: count(raw.sample_limit),
            targets: count(raw.target_limit),
            labels: count(raw.label_limit),
            label_name_bytes: count(raw.label_name_length_limit),
            label_value_bytes: count(raw.label_value_length_limit),
            keep_dropped_targets: count(raw.keep_dropped_targets),
        },
        name_validation: raw
            .metric_name_validation_scheme
            .map_or_else(Default::default, |s| s.0),
        escaping_scheme: raw.metric_name_escaping_scheme.map(|scheme| scheme.0),
        extra_metrics: raw.extra_scrape_metrics.is_some_and(|flag| flag.0),
    };
    escaping(inherited.name_validation, inherited.escaping_scheme)?;
    let global = Global {
        scrape_interval: interval,
        scrape_timeout: timeout,
        evaluation_interval: non_zero(raw.evaluation_interval).unwrap_or(DEFAULT_INTERVAL),
        rule_query_offset: raw
            .rule_query_offset
            .map_or(PromDuration::ZERO, |offset| offset.0),
        external_labels,
        query_log_file: raw
            .query_log_file
            .filter(|path| !path.is_empty())
            .map(Into::into),
    };
    Ok((global, inherited))
}

fn external_labels(
    raw: Pairs<String>,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Labels, InvalidConfig> {
    let pairs: Vec<(String, String)> = raw
        .0
        .into_iter()
        .map(|(name, value)| (name, expand(&value, lookup)))
        .collect();
    let borrowed = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    // Keys were unique, so only an empty or a huge one is left to refuse.
    Labels::from_pairs(borrowed).map_err(|error| {
        InvalidConfig::LabelName(match error {
            model::LabelError::DuplicateName(name) | model::LabelError::TooLong(name) => name,
            _ => String::new(),
        })
    })
}

fn scrape_config(
    raw: RawScrapeConfig,
    inherited: &Inherited,
) -> Result<ScrapeConfig, InvalidConfig> {
    let job_name = raw
        .job_name
        .filter(|name| !name.is_empty())
        .ok_or(InvalidConfig::EmptyJobName)?;
    let scope = Scope::Job(job_name.clone());
    let interval = non_zero(raw.scrape_interval).unwrap_or(inherited.interval);
    let timeout = match non_zero(raw.scrape_timeout) {
        Some(timeout) if timeout > interval => return Err(InvalidConfig::JobTimeout(job_name)),
        Some(timeout) => timeout,
        None => inherited.timeout.min(interval),
    };
    let scheme = raw
        .scheme
        .filter(|scheme| !scheme.is_empty())
        .unwrap_or("http".to_owned());
    if scheme != "http" {
        return Err(InvalidConfig::UnsupportedScheme { scheme, job_name });
    }
    let fallback_scrape_protocol = raw.fallback_scrape_protocol.map(|protocol| protocol.0);
    if let Some(protocol) = fallback_scrape_protocol.filter(|protocol| !protocol.is_supported()) {
        return Err(InvalidConfig::UnsupportedFallback { job_name, protocol });
    }
    let name_validation = raw
        .metric_name_validation_scheme
        .map_or(inherited.name_validation, |scheme| scheme.0);
    let escaping_scheme = raw
        .metric_name_escaping_scheme
        .map(|scheme| scheme.0)
        .or(inherited.escaping_scheme);
    let global = inherited.limits;
    let limits = ScrapeLimits {
        body_size_bytes: raw
            .body_size_limit
            .map(|Scalar(Size(bytes))| bytes)
            .filter(|bytes| *bytes > 0)
            .unwrap_or(global.body_size_bytes),
        samples: count_or(raw.sample_limit, global.samples),
        targets: count_or(raw.target_limit, global.targets),
        labels: count_or(raw.label_limit, global.labels),
        label_name_bytes: count_or(raw.label_name_length_limit, global.label_name_bytes),
        label_value_bytes: count_or(raw.label_value_length_limit, global.label_value_bytes),
        keep_dropped_targets: count_or(raw.keep_dropped_targets, global.keep_dropped_targets),
    };
    Ok(ScrapeConfig {
        scrape_interval: interval,
        scrape_timeout: timeout,
        scrape_protocols: match raw.scrape_protocols {
            Some(listed) => protocols(listed, &scope)?,
            None => inherited.protocols.clone(),
        },
        fallback_scrape_protocol,
        metrics_path: non_empty_or(raw.metrics_path, "/metrics"),
        scheme,
        params: raw.params.unwrap_or_default().0.into_iter().collect(),
        honor_labels: raw.honor_labels.is_some_and(|flag| flag.0),
        honor_timestamps: raw.honor_timestamps.is_none_or(|flag| flag.0),
        track_timestamps_staleness: raw.track_timestamps_staleness.is_some_and(|flag| flag.0),
        enable_compression: raw.enable_compression.is_none_or(|flag| flag.0),
        follow_redirects: raw.follow_redirects.is_none_or(|flag| flag.0),
        extra_scrape_metrics: raw
            .extra_scrape_metrics
            .map_or(inherited.extra_metrics, |flag| flag.0),
        name_validation,
        escaping_scheme: escaping(name_validation, escaping_scheme)?,
        limits,
        static_configs: raw
            .static_configs
            .unwrap_or_default()
            .into_iter()
            .map(|raw| static_config(raw.ok_or(InvalidConfig::EmptyStaticConfig)?))
            .collect::<Result<_, _>>()?,
        job_name,
    })
}

fn static_config(raw: RawStaticConfig) -> Result<StaticConfig, InvalidConfig> {
    let targets = raw.targets.unwrap_or_default();
    // The usual mistake is a whole URL in place of an address.
    if let Some(url) = targets.iter().find(|target| target.contains('/')) {
        return Err(InvalidConfig::Hostname(url.clone()));
    }
    let labels: BTreeMap<String, String> = raw.labels.unwrap_or_default().0.into_iter().collect();
    if labels.contains_key("") {
        return Err(InvalidConfig::LabelName(String::new()));
    }
    Ok(StaticConfig { targets, labels })
}

fn storage(raw: RawStorage) -> StorageConfig {
    let max_exemplars = raw.exemplars.and_then(|exemplars| exemplars.max_exemplars);
    let tsdb = raw.tsdb.unwrap_or_default();
    let retention = tsdb.retention.unwrap_or_default();
    StorageConfig {
        retention_time: retention.time.map(|time| time.0),
        retention_size_bytes: retention.size.map(|size| size.0.0),
        retention_basis_points: retention.percentage.map(|percentage| percentage.0.0),
        out_of_order_time_window: tsdb
            .out_of_order_time_window
            .map_or(PromDuration::ZERO, |window| window.0),
        max_exemplars: max_exemplars.map_or(StorageConfig::default().max_exemplars, |max| {
            usize::try_from(max.0.0).unwrap_or(usize::MAX)
        }),
    }
}

fn protocols(
    listed: Vec<Scalar<ScrapeProtocol>>,
    scope: &Scope,
) -> Result<Vec<ScrapeProtocol>, InvalidConfig> {
    let protocols: Vec<ScrapeProtocol> = listed.into_iter().map(|protocol| protocol.0).collect();
    let scope = scope.clone();
    if protocols.is_empty() {
        return Err(InvalidConfig::NoProtocols(scope));
    }
    let is_repeated = |at: usize| protocols[..at].contains(&protocols[at]);
    if (0..protocols.len()).any(is_repeated) {
        return Err(InvalidConfig::DuplicateProtocol { protocols, scope });
    }
    if !protocols.iter().any(|protocol| protocol.is_supported()) {
        return Err(InvalidConfig::UnsupportedProtocols { protocols, scope });
    }
    Ok(protocols)
}

/// The escaping to ask for: names that may not appear must be escaped.
fn escaping(
    validation: NameValidation,
    scheme: Option<EscapingScheme>,
) -> Result<EscapingScheme, InvalidConfig> {
    match (validation, scheme) {
        (NameValidation::Legacy, Some(EscapingScheme::AllowUtf8)) => {
            Err(InvalidConfig::EscapingContradiction)
        }
        (NameValidation::Legacy, None) => Ok(EscapingScheme::Underscores),
        (NameValidation::Utf8, None) => Ok(EscapingScheme::AllowUtf8),
        (_, Some(scheme)) => Ok(scheme),
    }
}

/// As in upstream, a zero duration means that nothing was set.
fn non_zero(duration: Option<Scalar<PromDuration>>) -> Option<PromDuration> {
    duration
        .map(|Scalar(duration)| duration)
        .filter(|duration| *duration != PromDuration::ZERO)
}

fn count(limit: Option<Scalar<u64>>) -> u64 {
    count_or(limit, 0)
}

/// As in upstream, a limit of zero in a job means that the global one holds.
fn count_or(limit: Option<Scalar<u64>>, inherited: u64) -> u64 {
    limit
        .map(|Scalar(limit)| limit)
        .filter(|limit| *limit > 0)
        .unwrap_or(inherited)
}

fn non_empty_or(text: Option<String>, default: &str) -> String {
    text.filter(|text| !text.is_empty())
        .unwrap_or_else(|| default.to_owned())
}
