//! `admin/tsdb`: deletes, cleaning up behind them, snapshots. Source: upstream `web/api/v1/api.go`.

use std::path::{Path, PathBuf};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use base::ErrorKind;
use http::StatusCode;
use model::Timestamp;
use storage::{Maintenance, SnapshotHead, StorageError};

use crate::envelope::{ApiError, success};
use crate::form::Form;
use crate::json::Object;
use crate::params;
use crate::parts::{AdminApi, Parts};

/// Deletes the samples of matching series.
pub(crate) async fn delete_series(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    check_enabled(&parts)?;
    if let Some(error) = form.error() {
        return Err(ApiError::bad_data(format_args!(
            "error parsing form values: {error}"
        )));
    }
    if form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let range = params::time_range(&form)?;
    // Unlike elsewhere, selectors of everything are taken.
    let sets = form
        .all("match[]")
        .map(promql_syntax::parse_metric_selector)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| ApiError::parameter("match[]", cause))?;
    maintain(&parts, move |storage| {
        sets.iter()
            .try_for_each(|matchers| storage.delete(range, matchers))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Frees the space of deleted samples.
pub(crate) async fn clean_tombstones(State(parts): State<Parts>) -> Result<Response, ApiError> {
    check_enabled(&parts)?;
    maintain(&parts, |storage| storage.clean_tombstones()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Copies everything into a new folder and names it.
pub(crate) async fn snapshot(State(parts): State<Parts>, form: Form) -> Result<Response, ApiError> {
    check_enabled(&parts)?;
    let head = match form.get("skip_head") {
        "" => SnapshotHead::Include,
        text => match parse_bool(text) {
            Some(true) => SnapshotHead::Skip,
            Some(false) => SnapshotHead::Include,
            None => {
                let text = model::quote::quoted(text);
                let cause = format!(
                    "unable to parse boolean: strconv.ParseBool: parsing {text}: invalid syntax"
                );
                return Err(ApiError::parameter("skip_head", cause));
            }
        },
    };
    let name = snapshot_name(parts.clock.now(), parts.control.nonce());
    let data = PathBuf::from(parts.control.runtime().storage_path);
    let folder = data.join("snapshots").join(&name);
    let taken = maintain(&parts, move |storage| snapshot_into(storage, &folder, head));
    taken
        .await
        .map_err(|error| error.within("create snapshot"))?;
    Ok(success(|out| {
        let mut object = Object::begin(out);
        object.string("name", &name);
        object.end();
    }))
}

fn snapshot_into(
    storage: &dyn Maintenance,
    folder: &Path,
    head: SnapshotHead,
) -> Result<(), StorageError> {
    std::fs::create_dir_all(folder).map_err(|error| StorageError::Engine(Box::new(error)))?;
    storage.snapshot(folder, head)
}

fn check_enabled(parts: &Parts) -> Result<(), ApiError> {
    match parts.settings.admin_api {
        AdminApi::Enabled => Ok(()),
        AdminApi::Disabled => Err(ApiError::new(ErrorKind::Unavailable, "admin APIs disabled")),
    }
}

/// Runs work on storage off the async runtime. What fails is internal.
async fn maintain(
    parts: &Parts,
    work: impl FnOnce(&dyn Maintenance) -> Result<(), StorageError> + Send + 'static,
) -> Result<(), ApiError> {
    let storage = parts.storage.get()?;
    let done = parts
        .ingest_pool
        .run(move || work(&*storage.maintenance))
        .await?;
    Ok(done?)
}

/// Go's `strconv.ParseBool`.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// As upstream names them: `20060102T150405Z-0123456789abcdef`.
fn snapshot_name(now: Timestamp, nonce: u64) -> String {
    let second = Timestamp::from_millis(now.as_millis().div_euclid(1000) * 1000);
    let mut stamp = params::format_rfc3339(second);
    stamp.retain(|c| c != '-' && c != ':');
    format!("{stamp}-{:016x}", nonce >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_named_as_upstream() {
        let at = Timestamp::from_millis(1_512_940_344_123);
        assert_eq!(
            snapshot_name(at, 0x1234),
            "20171210T211224Z-000000000000091a"
        );
        assert_eq!(
            snapshot_name(at, u64::MAX),
            "20171210T211224Z-7fffffffffffffff"
        );
    }
}
