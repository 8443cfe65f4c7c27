//! `targets` and `scrape_pools`.

use axum::extract::State;
use axum::response::Response;

use crate::envelope::success;
use crate::form::Form;
use crate::json::{Object, push_array, push_strings};
use crate::params::format_rfc3339;
use crate::parts::{ActiveTarget, DroppedTarget, Parts};

/// What Go prints for a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// All targets; `state` is `active`, `dropped` or, as anything else that is empty, both.
pub(crate) async fn targets(State(parts): State<Parts>, form: Form) -> Response {
    let mut view = parts.targets.targets();
    let pool = form.get("scrapePool");
    if !pool.is_empty() {
        view.active.retain(|target| target.scrape_pool == pool);
        view.dropped.retain(|target| target.scrape_pool == pool);
        view.dropped_counts.retain(|(name, _)| name == pool);
    }
    let state = form.get("state").to_lowercase();
    let wants = |kind: &str| state.is_empty() || state == "any" || state == kind;
    if !wants("active") {
        view.active.clear();
    }
    if !wants("dropped") {
        view.dropped.clear();
        view.dropped_counts.clear();
    }
    success(|out| {
        let mut data = Object::begin(out);
        push_array(&view.active, data.key("activeTargets"), push_active);
        push_array(&view.dropped, data.key("droppedTargets"), push_dropped);
        let mut counts = Object::begin(data.key("droppedTargetCounts"));
        for (pool, count) in &view.dropped_counts {
            counts.integer(pool, *count);
        }
        counts.end();
        data.end();
    })
}

fn push_active(target: &ActiveTarget, out: &mut String) {
    let last_scrape = target
        .last_scrape
        .map_or_else(|| NEVER.to_owned(), format_rfc3339);
    let mut object = Object::begin(out);
    object
        .labels("discoveredLabels", &target.discovered_labels)
        .labels("labels", &target.labels)
        .string("scrapePool", &target.scrape_pool)
        .string("scrapeUrl", &target.scrape_url)
        .string("globalUrl", &target.global_url)
        .string("lastError", &target.last_error)
        .string("lastScrape", &last_scrape)
        .number("lastScrapeDuration", target.last_scrape_seconds)
        .string("health", target.health.as_str())
        .string("scrapeInterval", &target.scrape_interval.to_string())
        .string("scrapeTimeout", &target.scrape_timeout.to_string());
    object.end();
}

fn push_dropped(target: &DroppedTarget, out: &mut String) {
    let mut object = Object::begin(out);
    object
        .labels("discoveredLabels", &target.discovered_labels)
        .string("scrapePool", &target.scrape_pool);
    object.end();
}

/// Names of all pools, sorted.
pub(crate) async fn scrape_pools(State(parts): State<Parts>) -> Response {
    let view = parts.targets.targets();
    let active = view.active.into_iter().map(|target| target.scrape_pool);
    let dropped = view.dropped.into_iter().map(|target| target.scrape_pool);
    let mut pools: Vec<String> = active.chain(dropped).collect();
    pools.sort_unstable();
    pools.dedup();
    success(|out| {
        let mut data = Object::begin(out);
        push_strings(&pools, data.key("scrapePools"));
        data.end();
    })
}
