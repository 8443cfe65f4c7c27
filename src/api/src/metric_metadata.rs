//! `metadata` and `targets/metadata`: what metric families measure, their help texts, their units.
//! Source: upstream `web/api/v1/api.go`, `metricMetadata` and `targetMetadata`, whose answers come
//! in no certain order where these are sorted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use model::{Labels, Matcher};
use storage::FamilyMetadata;

use crate::envelope::{ApiError, success};
use crate::form::Form;
use crate::json::{Object, push_array};
use crate::parts::{Parts, TargetSource};

/// What is said of one family: kind, help, unit.
type Entry = (&'static str, Arc<str>, Arc<str>);

/// Families by name, each with everything different that is said of it.
type Families = BTreeMap<Arc<str>, BTreeSet<Entry>>;

/// What is known of metric families: by name, everything different that active targets and senders
/// of remote write say. Of each family, senders say one thing, the last one. Upstream, which keeps
/// nothing of what senders say, knows targets alone.
pub(crate) async fn metadata(State(parts): State<Parts>, form: Form) -> Result<Response, ApiError> {
    let limit = number(&form, "limit")?;
    let per_metric = number(&form, "limit_per_metric")?.filter(|limit| *limit > 0);
    let metric = metric(&form);
    let storage = parts.storage.get()?;
    let targets = Arc::clone(&parts.targets);
    let answered = parts.query_pool.run(move || {
        let mut families = Families::new();
        add(storage.metadata.metadata(metric.as_deref()), &mut families);
        targets.visit_metadata(&[], metric.as_deref(), &mut |_, found| {
            add(found, &mut families);
            ControlFlow::Continue(())
        });
        success(|out| {
            let mut data = Object::begin(out);
            for (family, entries) in families.iter().take(limit.unwrap_or(usize::MAX)) {
                let entries = entries.iter().take(per_metric.unwrap_or(usize::MAX));
                push_array(entries, data.key(family), push_entry);
            }
            data.end();
        })
    });
    Ok(answered.await?)
}

fn add(found: Vec<FamilyMetadata>, families: &mut Families) {
    for metadata in found {
        let entries = families.entry(metadata.family).or_default();
        entries.insert((metadata.kind.as_str(), metadata.help, metadata.unit));
    }
}

fn push_entry((kind, help, unit): &Entry, out: &mut String) {
    let mut object = Object::begin(out);
    object
        .string("type", kind)
        .string("help", help)
        .string("unit", unit);
    object.end();
}

/// What each target says of its families. `limit` is looked at between targets: the one that
/// reaches it comes as a whole.
pub(crate) async fn target_metadata(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = number(&form, "limit")?.unwrap_or(usize::MAX);
    let matchers = match form.get("match_target") {
        "" => Vec::new(),
        selector => promql_syntax::parse_metric_selector(selector)
            .map_err(|error| ApiError::parameter("match_target", error))?,
    };
    let metric = metric(&form);
    let targets = Arc::clone(&parts.targets);
    let answered = parts.query_pool.run(move || {
        success(|out| {
            out.push('[');
            push_targets(&*targets, (&matchers, metric.as_deref()), limit, out);
            out.push(']');
        })
    });
    Ok(answered.await?)
}

/// Appends the entries of targets, without brackets.
fn push_targets(
    targets: &dyn TargetSource,
    (matchers, metric): (&[Matcher], Option<&str>),
    limit: usize,
    out: &mut String,
) {
    if limit == 0 {
        return;
    }
    let mut count = 0;
    targets.visit_metadata(matchers, metric, &mut |labels, families| {
        for family in &families {
            if count > 0 {
                out.push(',');
            }
            push_target_entry((labels, family), metric.is_none(), out);
            count += 1;
        }
        if count < limit {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
}

/// Whoever asks for one family knows its name, and is not told.
fn push_target_entry((target, family): (&Labels, &FamilyMetadata), named: bool, out: &mut String) {
    let mut object = Object::begin(out);
    object.labels("target", target);
    if named {
        object.string("metric", &family.family);
    }
    object
        .string("type", family.kind.as_str())
        .string("help", &family.help)
        .string("unit", &family.unit);
    object.end();
}

fn metric(form: &Form) -> Option<String> {
    Some(form.get("metric").to_owned()).filter(|metric| !metric.is_empty())
}

/// A bound; `None` where there is none, which negative numbers say too.
fn number(form: &Form, name: &str) -> Result<Option<usize>, ApiError> {
    let text = form.get(name);
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(number) => Ok(usize::try_from(number).ok()),
        Err(_) => Err(ApiError::bad_data(format_args!("{name} must be a number"))),
    }
}
