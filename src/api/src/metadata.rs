//! `series`, `labels`, `label/<name>/values`: which series there are, without their samples.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::response::Response;
use model::quote::quoted;
use model::{Labels, Matcher, TimeRange};
use storage::{Querier, SelectHints, StorageError};

use crate::envelope::{ApiError, TRUNCATED, success_with_warnings};
use crate::form::Form;
use crate::json::{push_array, push_labels, push_strings};
use crate::params;
use crate::parts::Parts;

/// Label sets of the series that match any selector, sorted.
pub(crate) async fn series(State(parts): State<Parts>, form: Form) -> Result<Response, ApiError> {
    check_form(&form)?;
    if form.get("match[]").is_empty() && form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params::limit(&form)?;
    let range = params::time_range(&form)?;
    let sets =
        params::matcher_sets(&form).map_err(|cause| ApiError::parameter("match[]", cause))?;
    let found = read(&parts, range, move |querier| {
        let mut found = BTreeSet::new();
        for matchers in &sets {
            let set = querier.select(matchers, SelectHints::default())?;
            found.extend((0..set.len()).map(|index| set.labels(index)));
        }
        Ok(found.into_iter().collect::<Vec<Labels>>())
    });
    let (found, warnings) = cut(found.await?, limit);
    Ok(success_with_warnings(&warnings, |out| {
        push_array(&found, out, push_labels)
    }))
}

/// Names of the labels of matching series, of all series without selectors.
pub(crate) async fn label_names(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    check_form(&form)?;
    label_texts(&parts, &form, |querier, matchers| {
        querier.label_names(matchers)
    })
    .await
}

/// Values that one label has in matching series.
pub(crate) async fn label_values(
    State(parts): State<Parts>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let name = params::unescape_label_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format_args!(
            "invalid label name: {}",
            quoted(&name)
        )));
    }
    check_form(&form)?;
    label_texts(&parts, &form, move |querier, matchers| {
        querier.label_values(&name, matchers)
    })
    .await
}

fn check_form(form: &Form) -> Result<(), ApiError> {
    match form.error() {
        None => Ok(()),
        Some(error) => Err(ApiError::bad_data(format_args!(
            "error parsing form values: {error}"
        ))),
    }
}

/// The union of what `list` gives for each selector, sorted.
async fn label_texts(
    parts: &Parts,
    form: &Form,
    list: impl Fn(&dyn Querier, &[Matcher]) -> Result<Vec<String>, StorageError> + Send + 'static,
) -> Result<Response, ApiError> {
    let limit = params::limit(form)?;
    let range = params::time_range(form)?;
    let sets = params::matcher_sets(form).map_err(ApiError::bad_data)?;
    let found = read(parts, range, move |querier| match &sets[..] {
        [] => list(querier, &[]),
        [matchers] => list(querier, matchers),
        sets => {
            let mut union = BTreeSet::new();
            for matchers in sets {
                union.extend(list(querier, matchers)?);
            }
            Ok(union.into_iter().collect())
        }
    });
    let (found, warnings) = cut(found.await?, limit);
    Ok(success_with_warnings(&warnings, |out| {
        push_strings(&found, out)
    }))
}

/// Opens a view of storage and reads from it, off the async runtime. A range without instants holds
/// nothing.
async fn read<T: Default + Send + 'static>(
    parts: &Parts,
    range: TimeRange,
    work: impl FnOnce(&dyn Querier) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, ApiError> {
    let storage = parts.storage.get()?;
    if range.start > range.end {
        return Ok(T::default());
    }
    let done = parts.query_pool.run(move || {
        let querier = storage.queryable.querier(range)?;
        work(&*querier)
    });
    Ok(done.await??)
}

fn cut<T>(mut found: Vec<T>, limit: Option<usize>) -> (Vec<T>, Vec<String>) {
    match limit {
        Some(limit) if found.len() > limit => {
            found.truncate(limit);
            (found, vec![TRUNCATED.to_owned()])
        }
        _ => (found, Vec::new()),
    }
}
