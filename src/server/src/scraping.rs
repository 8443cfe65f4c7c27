//! The scrape manager, from before storage is open to the end, and its targets as the API shows
//! them.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use api::{TargetSource, TargetsView};
use base::metrics::Registry;
use config::Config;
use model::{Labels, Matcher};
use scrape::{ExternalAddress, Manager, ManagerOptions, TargetsSnapshot};
use storage::FamilyMetadata;

use crate::{build, host};

/// The scrape manager, once it runs. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Scraping(Arc<OnceLock<Manager>>);

impl Scraping {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Starts the manager, without jobs. `own_address` is where this server listens.
    pub(crate) fn start(
        &self,
        parts: scrape::Parts,
        own_address: Option<SocketAddr>,
        registry: &Registry,
    ) {
        let hostname = host::hostname();
        let external = own_address.map(|address| ExternalAddress {
            scheme: "http".to_owned(),
            host: format!("{hostname}:{}", address.port()),
            listen_port: address.port(),
        });
        let options = ManagerOptions {
            version: build::VERSION.to_owned(),
            jitter_seed: jitter_seed(&hostname),
            external,
        };
        // A second start would be a second server in this object, which does not happen.
        let _first = self
            .0
            .get_or_init(|| Manager::new(parts, options, registry));
    }

    /// Makes the jobs of `config` the ones that run.
    pub(crate) fn apply(&self, config: &Config) {
        if let Some(manager) = self.0.get() {
            manager.apply_config(config);
        }
    }

    /// Ends all scrapes.
    pub(crate) async fn stop(&self) {
        if let Some(manager) = self.0.get() {
            manager.shutdown().await;
        }
    }
}

/// Servers on different machines scrape the same target at different moments.
fn jitter_seed(hostname: &str) -> u64 {
    Labels::from_pairs([("hostname", hostname)]).map_or(0, |labels| labels.hash64())
}

impl TargetSource for Scraping {
    fn targets(&self) -> TargetsView {
        self.0
            .get()
            .map_or_else(TargetsView::default, |manager| view(manager.targets()))
    }

    fn visit_metadata(
        &self,
        matchers: &[Matcher],
        family: Option<&str>,
        visit: &mut dyn FnMut(&Labels, Vec<FamilyMetadata>) -> ControlFlow<()>,
    ) {
        if let Some(manager) = self.0.get() {
            manager.visit_metadata(matchers, family, visit);
        }
    }
}

fn view(snapshot: TargetsSnapshot) -> TargetsView {
    let active = snapshot.active.into_iter().map(|target| api::ActiveTarget {
        discovered_labels: target.discovered_labels,
        labels: target.labels,
        scrape_pool: target.scrape_pool,
        scrape_url: target.scrape_url,
        global_url: target.global_url,
        last_error: target.last_error,
        last_scrape: target.last_scrape,
        last_scrape_seconds: target.last_scrape_seconds,
        health: match target.health {
            scrape::TargetHealth::Up => api::TargetHealth::Up,
            scrape::TargetHealth::Down => api::TargetHealth::Down,
            scrape::TargetHealth::Unknown => api::TargetHealth::Unknown,
        },
        scrape_interval: target.scrape_interval,
        scrape_timeout: target.scrape_timeout,
    });
    let dropped = snapshot
        .dropped
        .into_iter()
        .map(|target| api::DroppedTarget {
            discovered_labels: target.discovered_labels,
            scrape_pool: target.scrape_pool,
        });
    TargetsView {
        active: active.collect(),
        dropped: dropped.collect(),
        dropped_counts: snapshot.dropped_counts.into_iter().collect(),
    }
}
