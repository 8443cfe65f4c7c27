//! All jobs: applies configurations, tells what is scraped, ends everything.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use base::metrics::{FamilyKind, MetricFamily, MetricSample, Registry};
use base::{CpuPool, SharedClock, Shutdown, TaskGroup};
use config::{Config, ScrapeConfig};
use model::{Labels, Matcher, PromDuration, Timestamp};
use net::{ClientOptions, HttpClient, Redirects};
use parking_lot::Mutex;
use storage::{Appender, ExemplarStore, FamilyMetadata};

use crate::families::{FamilyCache, Texts};
use crate::looping::LoopHandle;
use crate::metrics::ScrapeMetrics;
use crate::pool::ScrapePool;
use crate::target::{Target, TargetHealth};
use crate::url::split_host_port;

/// Hosts that mean this machine. Source: upstream `LocalhostRepresentations`.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// What scraping works with.
#[derive(Clone)]
pub struct Parts {
    /// Where samples go.
    pub appender: Arc<dyn Appender>,
    /// Where exemplars go.
    pub exemplars: Arc<dyn ExemplarStore>,
    /// Where expositions are parsed and stored.
    pub cpu: CpuPool,
    /// What time it is.
    pub clock: SharedClock,
}

/// Settings that no configuration file holds.
#[derive(Clone, Debug, Default)]
pub struct ManagerOptions {
    /// Our version, for the `User-Agent` header.
    pub version: String,
    /// Moves the scrapes of this server inside their intervals, so that two servers with the same
    /// targets do not scrape at the same moments.
    pub jitter_seed: u64,
    /// How this machine is reached, for links to its targets.
    pub external: Option<ExternalAddress>,
}

/// How this server is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAddress {
    /// `http` or `https`.
    pub scheme: String,
    /// `host:port`.
    pub host: String,
    /// The port that this server listens on.
    pub listen_port: u16,
}

/// All targets at one time.
#[derive(Clone, Debug, Default)]
pub struct TargetsSnapshot {
    /// Targets that are scraped, in order of pool and URL.
    pub active: Vec<ActiveTarget>,
    /// Targets that relabelling dropped.
    pub dropped: Vec<DroppedTarget>,
    /// How many targets each pool dropped, pools without any among them.
    pub dropped_counts: BTreeMap<String, u64>,
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub struct ActiveTarget {
    /// Labels before any processing.
    pub discovered_labels: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    /// Its job.
    pub scrape_pool: String,
    /// What is fetched.
    pub scrape_url: String,
    /// The same as seen from other machines.
    pub global_url: String,
    /// Why the last scrape failed, else empty.
    pub last_error: String,
    /// When the last scrape began.
    pub last_scrape: Option<Timestamp>,
    /// How long the last scrape took, in seconds.
    pub last_scrape_seconds: f64,
    /// How the last scrape went.
    pub health: TargetHealth,
    /// How often it is scraped.
    pub scrape_interval: PromDuration,
    /// How long a scrape may take.
    pub scrape_timeout: PromDuration,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug)]
pub struct DroppedTarget {
    /// Labels before any processing.
    pub discovered_labels: Labels,
    /// Its job.
    pub scrape_pool: String,
}

/// What all pools share.
pub(crate) struct Shared {
    pub(crate) appender: Arc<dyn Appender>,
    pub(crate) exemplars: Arc<dyn ExemplarStore>,
    /// Help texts and names of families.
    pub(crate) texts: Arc<Texts>,
    pub(crate) cpu: CpuPool,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: ScrapeMetrics,
    pub(crate) options: ManagerOptions,
    pub(crate) server: Shutdown,
    following: HttpClient,
    returning: HttpClient,
}

impl Shared {
    /// The client that treats redirects as the job wants it.
    pub(crate) fn client(&self, config: &ScrapeConfig) -> HttpClient {
        if config.follow_redirects {
            self.following.clone()
        } else {
            self.returning.clone()
        }
    }
}

/// Scrapes the targets of all jobs. Its methods need a tokio runtime.
pub struct Manager {
    shared: Shared,
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    pools: BTreeMap<String, ScrapePool>,
    tasks: TaskGroup,
}

impl Manager {
    /// A manager without jobs.
    #[must_use]
    pub fn new(parts: Parts, options: ManagerOptions, registry: &Registry) -> Self {
        let running = Arc::new(Mutex::new(Running::default()));
        let observed = Arc::downgrade(&running);
        registry.collector(move || match observed.upgrade() {
            Some(running) => pool_metrics(&running.lock().pools),
            None => Vec::new(),
        });
        let client = |redirects| {
            HttpClient::new(ClientOptions {
                redirects,
                ..ClientOptions::default()
            })
        };
        let shared = Shared {
            appender: parts.appender,
            exemplars: parts.exemplars,
            texts: Arc::default(),
            cpu: parts.cpu,
            clock: parts.clock,
            metrics: ScrapeMetrics::register(registry),
            options,
            server: Shutdown::new(),
            following: client(Redirects::Follow),
            returning: client(Redirects::Return),
        };
        Self { shared, running }
    }

    /// Makes the jobs of `config` the ones that run. Unchanged jobs do not notice; changed ones
    /// restart their loops and keep what they know of targets that stay; series of targets that
    /// went away become stale two intervals later. Returns at once: a scrape under way ends in its
    /// own time, and the loop that follows it waits.
    pub fn apply_config(&self, config: &Config) {
        if self.shared.server.is_triggered() {
            return;
        }
        let mut running = self.running.lock();
        let Running { pools, tasks } = &mut *running;
        tasks.reap();
        pools.retain(|job, pool| {
            let stays = config
                .scrape_configs
                .iter()
                .any(|config| config.job_name == *job);
            if !stays {
                pool.stop();
            }
            stays
        });
        for job in &config.scrape_configs {
            let older = pools.remove(&job.job_name);
            match &older {
                None => self.shared.metrics.pools.inc(),
                Some(older) if older.config != *job => self.shared.metrics.pool_reloads.inc(),
                Some(_) => {}
            }
            let pool = match older {
                Some(older) if older.config == *job => older,
                older => ScrapePool::start(job, older, &self.shared, tasks),
            };
            pools.insert(job.job_name.clone(), pool);
        }
    }

    /// What is scraped now.
    #[must_use]
    pub fn targets(&self) -> TargetsSnapshot {
        let running = self.running.lock();
        let mut snapshot = TargetsSnapshot::default();
        for (job, pool) in &running.pools {
            let mut active: Vec<ActiveTarget> = pool
                .loops
                .values()
                .map(|handle| self.describe(job, &handle.target))
                .collect();
            active.sort_by(|a, b| (&a.scrape_url, &a.labels).cmp(&(&b.scrape_url, &b.labels)));
            snapshot.active.extend(active);
            snapshot.dropped_counts.insert(job.clone(), 0);
        }
        snapshot
    }

    /// Metadata of the families of active targets, target by target in order of pool and URL.
    /// Of each target whose labels pass `matchers` come all families, sorted by name, or the one
    /// that is named, if the target has it. Ends early when `visit` breaks.
    pub fn visit_metadata(
        &self,
        matchers: &[Matcher],
        family: Option<&str>,
        visit: &mut dyn FnMut(&Labels, Vec<FamilyMetadata>) -> ControlFlow<()>,
    ) {
        let mut handles: Vec<LoopHandle> = Vec::new();
        // The lock is not held while others' code runs.
        for pool in self.running.lock().pools.values() {
            let first = handles.len();
            handles.extend(pool.loops.values().cloned());
            let key = |handle: &LoopHandle| {
                let target = &handle.target;
                (target.url.clone(), target.labels.clone())
            };
            handles[first..].sort_by_cached_key(key);
        }
        for LoopHandle {
            target, families, ..
        } in handles
        {
            let passes =
                |matcher: &Matcher| matcher.matches(target.labels.value_or_empty(matcher.name()));
            if !matchers.iter().all(passes) {
                continue;
            }
            let families = match family {
                None => families.lock().list(),
                Some(name) => families.lock().get(name).into_iter().collect(),
            };
            if visit(&target.labels, families).is_break() {
                return;
            }
        }
    }

    /// Ends all loops and waits for them. No series becomes stale: the server may be back soon.
    pub async fn shutdown(&self) {
        self.shared.server.trigger();
        let mut tasks = std::mem::take(&mut self.running.lock().tasks);
        tasks.join().await;
    }

    fn describe(&self, job: &str, target: &Target) -> ActiveTarget {
        let status = target.status();
        ActiveTarget {
            discovered_labels: target.discovered.clone(),
            labels: target.labels.clone(),
            scrape_pool: job.to_owned(),
            scrape_url: target.url.clone(),
            global_url: global_url(&target.url, self.shared.options.external.as_ref()),
            last_error: status.last_error,
            last_scrape: status.last_scrape,
            last_scrape_seconds: status.last_duration.as_secs_f64(),
            health: status.health,
            scrape_interval: target.interval,
            scrape_timeout: target.timeout,
        }
    }
}

/// A target's URL as seen from other machines: local hosts are replaced by the external one.
/// Source: upstream `web/api/v1`, `getGlobalURL`.
fn global_url(url: &str, external: Option<&ExternalAddress>) -> String {
    let replaced = || {
        let external = external?;
        let (_scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (address, path) = rest.split_at(end);
        let (host, port) = split_host_port(address)?;
        if !LOCAL_HOSTS.contains(&host) {
            return None;
        }
        if port == external.listen_port.to_string() {
            return Some(format!("{}://{}{path}", external.scheme, external.host));
        }
        let (external_host, _) = split_host_port(&external.host)?;
        let external_host = match external_host.contains(':') {
            true => format!("[{external_host}]"),
            false => external_host.to_owned(),
        };
        Some(format!("http://{external_host}:{port}{path}"))
    };
    replaced().unwrap_or_else(|| url.to_owned())
}

/// Metrics of the pools that exist now.
fn pool_metrics(pools: &BTreeMap<String, ScrapePool>) -> Vec<MetricFamily> {
    type Value = fn(&ScrapePool) -> u64;
    let families: [(&str, &str, FamilyKind, Value); 6] = [
        (
            "prometheus_target_metadata_cache_bytes",
            "The number of bytes that are currently used for storing metric metadata in the cache",
            FamilyKind::Gauge,
            |pool| sum_of_loops(pool, FamilyCache::text_bytes),
        ),
        (
            "prometheus_target_metadata_cache_entries",
            "Total number of metric metadata entries in the cache",
            FamilyKind::Gauge,
            |pool| sum_of_loops(pool, FamilyCache::len),
        ),
        (
            "prometheus_target_scrape_pool_sync_total",
            "Total number of syncs that were executed on a scrape pool.",
            FamilyKind::Counter,
            |pool| pool.syncs,
        ),
        (
            "prometheus_target_scrape_pool_target_limit",
            "Maximum number of targets allowed in this scrape pool.",
            FamilyKind::Gauge,
            |pool| pool.config.limits.targets,
        ),
        (
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            FamilyKind::Gauge,
            |pool| u64::try_from(pool.loops.len()).unwrap_or(u64::MAX),
        ),
        (
            "prometheus_target_sync_failed_total",
            "Total number of target sync failures.",
            FamilyKind::Counter,
            |pool| pool.sync_failures,
        ),
    ];
    families
        .into_iter()
        .map(|(name, help, kind, value)| MetricFamily {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            samples: pools
                .iter()
                .map(|(job, pool)| pool_sample(name, job, value(pool)))
                .collect(),
        })
        .collect()
}

fn sum_of_loops(pool: &ScrapePool, count: impl Fn(&FamilyCache) -> usize) -> u64 {
    let loops = pool.loops.values();
    loops
        .map(|handle| count(&handle.families.lock()) as u64)
        .sum()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are exported as float64"
)]
fn pool_sample(name: &str, job: &str, value: u64) -> MetricSample {
    MetricSample {
        name: name.to_owned(),
        labels: vec![("scrape_job".to_owned(), job.to_owned())],
        value: value as f64,
    }
}

#[cfg(test)]
mod tests;
