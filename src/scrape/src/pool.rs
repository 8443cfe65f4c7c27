//! The targets of one job and their loops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::TaskGroup;
use config::ScrapeConfig;

use crate::fetch::Fetcher;
use crate::ingest::{Ingestion, TargetState};
use crate::labels::is_over;
use crate::looping::{Legacy, LoopHandle, Predecessor, ScrapeLoop};
use crate::manager::Shared;
use crate::target::{Target, TargetId};

/// The running loops of a job.
pub(crate) struct ScrapePool {
    pub(crate) config: Arc<ScrapeConfig>,
    pub(crate) loops: BTreeMap<TargetId, LoopHandle>,
    /// How often targets were looked at.
    pub(crate) syncs: u64,
    /// Targets that were none.
    pub(crate) sync_failures: u64,
}

impl ScrapePool {
    /// Starts the loops of a job, or changes those of an older version of it.
    pub(crate) fn start(
        config: &Arc<ScrapeConfig>,
        older: Option<Self>,
        shared: &Shared,
        tasks: &mut TaskGroup,
    ) -> Self {
        let (targets, failures) = targets(config);
        let limit = config.limits.targets;
        let over_target_limit = is_over(targets.len(), limit).then_some((targets.len(), limit));
        if over_target_limit.is_some() {
            shared.metrics.exceeded_target_limit.inc();
        }
        let legacy = match &older {
            Some(older) if keeps_series(&older.config, config) => Legacy::Inherited,
            _ => Legacy::Discarded,
        };
        let (mut old_loops, syncs, sync_failures) = match older {
            Some(older) => (older.loops, older.syncs, older.sync_failures),
            None => (BTreeMap::new(), 0, 0),
        };
        let mut loops = BTreeMap::new();
        for target in targets {
            let target = Arc::new(target);
            let older = old_loops.remove(&target.id);
            let families = older.as_ref().map(|handle| Arc::clone(&handle.families));
            let state = TargetState::new(&target, config);
            let state = state.with_families(families.unwrap_or_default());
            let handle = LoopHandle::new(Arc::clone(&target), state);
            let predecessor = older.map(|handle| {
                handle.stop();
                target.set_status(handle.target.status());
                Predecessor { handle, legacy }
            });
            let scrape_loop = ScrapeLoop {
                handle: handle.clone(),
                predecessor,
                ingestion: Arc::new(ingestion(&target, config, shared)),
                fetcher: Fetcher::new(
                    shared.client(config),
                    Arc::clone(&target),
                    config,
                    &shared.options.version,
                ),
                cpu: shared.cpu.clone(),
                over_target_limit,
                spread: target.id.0 ^ shared.options.jitter_seed,
                server: shared.server.clone(),
            };
            tasks.spawn(&format!("scrape {}", target.url), scrape_loop.run());
            loops.insert(target.id, handle);
        }
        for handle in old_loops.values() {
            handle.stop();
        }
        Self {
            config: Arc::clone(config),
            loops,
            syncs: syncs + 1,
            sync_failures: sync_failures + failures,
        }
    }

    /// Ends all loops; their series become stale.
    pub(crate) fn stop(&self) {
        for handle in self.loops.values() {
            handle.stop();
        }
    }
}

fn ingestion(target: &Arc<Target>, config: &Arc<ScrapeConfig>, shared: &Shared) -> Ingestion {
    Ingestion {
        target: Arc::clone(target),
        config: Arc::clone(config),
        appender: Arc::clone(&shared.appender),
        exemplars: Arc::clone(&shared.exemplars),
        texts: Arc::clone(&shared.texts),
        metrics: shared.metrics.clone(),
        clock: Arc::clone(&shared.clock),
    }
}

/// The job's targets, each once, and how many entries are none.
fn targets(config: &ScrapeConfig) -> (Vec<Target>, u64) {
    let mut targets = Vec::new();
    let mut ids = BTreeSet::new();
    let mut failures = 0;
    for group in &config.static_configs {
        for address in &group.targets {
            match Target::new(address, group, config) {
                Ok(target) if ids.insert(target.id) => targets.push(target),
                Ok(_repeated) => {}
                Err(error) => {
                    failures += 1;
                    let job = &config.job_name;
                    tracing::error!(%job, %address, %error, "creating target failed");
                }
            }
        }
    }
    (targets, failures)
}

/// Whether series under the two configurations are named and limited alike.
fn keeps_series(older: &ScrapeConfig, newer: &ScrapeConfig) -> bool {
    let label_limits = |config: &ScrapeConfig| {
        let limits = &config.limits;
        (
            limits.labels,
            limits.label_name_bytes,
            limits.label_value_bytes,
        )
    };
    older.honor_labels == newer.honor_labels
        && older.name_validation == newer.name_validation
        && label_limits(older) == label_limits(newer)
}
