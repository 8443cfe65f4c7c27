//! A target: its labels, its URL, its schedule, and how its last scrape went.

use std::time::Duration;

use config::{ScrapeConfig, StaticConfig};
use model::{Labels, LabelsBuilder, PromDuration, Timestamp};
use parking_lot::Mutex;

use crate::error::TargetError;
use crate::url::{Params, target_url};

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";

/// Tells targets of a job apart: same labels and URL, same id, on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetId(pub(crate) u64);

/// How the last scrape of a target went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetHealth {
    /// There was none yet.
    #[default]
    Unknown,
    /// Well.
    Up,
    /// It failed.
    Down,
}

/// What is known of the last scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetStatus {
    pub(crate) health: TargetHealth,
    pub(crate) last_error: String,
    pub(crate) last_scrape: Option<Timestamp>,
    pub(crate) last_duration: Duration,
}

/// A target of a job.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: TargetId,
    /// Labels before any processing.
    pub(crate) discovered: Labels,
    /// Labels that its series get.
    pub(crate) labels: Labels,
    pub(crate) url: String,
    pub(crate) interval: PromDuration,
    pub(crate) timeout: PromDuration,
    status: Mutex<TargetStatus>,
}

impl Target {
    /// Makes the target `address` of a job. Source: upstream `scrape/target.go`, `PopulateLabels`.
    pub(crate) fn new(
        address: &str,
        group: &StaticConfig,
        config: &ScrapeConfig,
    ) -> Result<Self, TargetError> {
        let discovered = discovered_labels(address, group, config)?;
        let address = discovered.get(ADDRESS).ok_or(TargetError::NoAddress)?;
        if address.contains('/') {
            return Err(TargetError::Hostname(address.to_owned()));
        }
        let scheme = discovered.value_or_empty(SCHEME);
        if scheme != "http" {
            return Err(TargetError::UnsupportedScheme(scheme.to_owned()));
        }
        let (interval, timeout) = interval_and_timeout(&discovered)?;
        let mut builder =
            LabelsBuilder::new(discovered.filter(|name| !name.starts_with(META_PREFIX)));
        if builder.get("instance").is_none() {
            builder.set("instance", address);
        }
        let processed = builder.build()?;
        let path = processed.value_or_empty(METRICS_PATH);
        let url = target_url(scheme, address, path, &params(&processed, config));
        let identity = format!("{:016x}{url}", processed.hash64());
        Ok(Self {
            id: TargetId(twox_hash::XxHash64::oneshot(0, identity.as_bytes())),
            labels: processed.filter(|name| !name.starts_with(RESERVED_PREFIX)),
            url,
            interval,
            timeout,
            status: Mutex::new(TargetStatus::default()),
            discovered,
        })
    }

    pub(crate) fn status(&self) -> TargetStatus {
        self.status.lock().clone()
    }

    pub(crate) fn set_status(&self, status: TargetStatus) {
        *self.status.lock() = status;
    }
}

/// The labels of an address: its own, its group's, the job's defaults.
fn discovered_labels(
    address: &str,
    group: &StaticConfig,
    config: &ScrapeConfig,
) -> Result<Labels, TargetError> {
    let mut builder = LabelsBuilder::default();
    for (name, value) in &group.labels {
        builder.set(name, value);
    }
    builder.set(ADDRESS, address);
    for (name, value) in [
        ("job", config.job_name.as_str()),
        (SCRAPE_INTERVAL, &config.scrape_interval.to_string()),
        (SCRAPE_TIMEOUT, &config.scrape_timeout.to_string()),
        (METRICS_PATH, &config.metrics_path),
        (SCHEME, &config.scheme),
    ] {
        if builder.get(name).is_none() {
            builder.set(name, value);
        }
    }
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            builder.set(&format!("{PARAM_PREFIX}{name}"), first);
        }
    }
    Ok(builder.build()?)
}

fn interval_and_timeout(labels: &Labels) -> Result<(PromDuration, PromDuration), TargetError> {
    let interval_text = labels.value_or_empty(SCRAPE_INTERVAL);
    let interval = PromDuration::parse(interval_text).map_err(TargetError::Interval)?;
    if interval == PromDuration::ZERO {
        return Err(TargetError::ZeroInterval);
    }
    let timeout_text = labels.value_or_empty(SCRAPE_TIMEOUT);
    let timeout = PromDuration::parse(timeout_text).map_err(TargetError::Timeout)?;
    if timeout == PromDuration::ZERO {
        return Err(TargetError::ZeroTimeout);
    }
    if timeout > interval {
        return Err(TargetError::LongTimeout {
            timeout: timeout_text.to_owned(),
            interval: interval_text.to_owned(),
        });
    }
    Ok((interval, timeout))
}

/// The job's parameters, of which labels may replace the first value. Source: upstream
/// `scrape/target.go`, `Target.URL`.
fn params(labels: &Labels, config: &ScrapeConfig) -> Params {
    let mut params = config.params.clone();
    for (label, value) in labels {
        let Some(name) = label.strip_prefix(PARAM_PREFIX) else {
            continue;
        };
        let values = params.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the only target of a job and shows what it is, or why it is none.
    fn show(yaml: &str) -> String {
        let text = format!(
            "scrape_configs:\n- job_name: j\n  {}",
            yaml.replace('\n', "\n  ")
        );
        let config = match config::Config::parse(&text) {
            Ok(config) => config,
            Err(error) => return error.to_string(),
        };
        let job = &config.scrape_configs[0];
        let group = &job.static_configs[0];
        match Target::new(&group.targets[0], group, job) {
            Ok(target) => {
                format!(
                    "{} {} {}/{}",
                    target.labels, target.url, target.timeout, target.interval
                )
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn labels_and_urls_follow_the_job_and_the_group() {
        for (yaml, want) in [
            (
                "static_configs: [{targets: ['h:1']}]",
                r#"{instance="h:1", job="j"} http://h:1/metrics 10s/1m"#,
            ),
            (
                "static_configs: [{targets: [h], labels: {job: x, instance: y, __z: a, __meta_b: c}}]",
                r#"{instance="y", job="x"} http://h/metrics 10s/1m"#,
            ),
            (
                "metrics_path: /p\nparams: {a: ['1', '2'], b: ['3']}\nstatic_configs: [{targets: ['h:1']}]",
                r#"{instance="h:1", job="j"} http://h:1/p?a=1&a=2&b=3 10s/1m"#,
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__param_q: up, __metrics_path__: /f, __address__: 'i:2'}}]",
                r#"{instance="h:1", job="j"} http://h:1/f?q=up 10s/1m"#,
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__scrape_interval__: 5s, __scrape_timeout__: 4s}}]",
                r#"{instance="h:1", job="j"} http://h:1/metrics 4s/5s"#,
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__scrape_interval__: 5s}}]",
                r#"scrape timeout cannot be greater than scrape interval ("10s" > "5s")"#,
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__scrape_interval__: soon}}]",
                r#"error parsing scrape interval: not a valid duration string: "soon""#,
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__scrape_timeout__: 0s}}]",
                "scrape timeout cannot be 0",
            ),
            (
                "static_configs: [{targets: ['h:1'], labels: {__scheme__: https}}]",
                r#"scheme "https" is not supported yet"#,
            ),
            ("static_configs: [{targets: ['']}]", "no address"),
        ] {
            assert_eq!(show(yaml), want, "{yaml}");
        }
    }

    #[test]
    fn ids_tell_targets_apart() {
        let config = config::Config::parse(
            "scrape_configs: [{job_name: j, static_configs: [{targets: [a, b, a]}]}]",
        )
        .unwrap();
        let job = &config.scrape_configs[0];
        let group = &job.static_configs[0];
        let ids: Vec<TargetId> = group
            .targets
            .iter()
            .map(|address| Target::new(address, group, job).unwrap().id)
            .collect();
        assert_eq!(ids[0], ids[2]);
        assert_ne!(ids[0], ids[1]);
    }
}
