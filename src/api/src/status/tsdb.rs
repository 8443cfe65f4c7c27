//! `status/tsdb`: how many series there are, and of what.

use axum::extract::State;
use axum::response::Response;
use storage::{Cardinality, HeadStatus};

use crate::envelope::{ApiError, success};
use crate::form::Form;
use crate::json::{Object, push_array};
use crate::parts::Parts;

/// Entries of each list, unless `limit` says otherwise.
const DEFAULT_LIMIT: usize = 10;
/// The largest `limit`. Source: upstream `maxTSDBLimit`.
const MAX_LIMIT: usize = 10_000;

/// Facts about the head, with the largest figures of each kind.
pub(crate) async fn tsdb(State(parts): State<Parts>, form: Form) -> Result<Response, ApiError> {
    let limit = limit(&form)?;
    let storage = parts.storage.get()?;
    let status = parts
        .query_pool
        .run(move || storage.status.head_status(limit));
    let status = status.await?;
    Ok(success(|out| push_status(&status, out)))
}

fn limit(form: &Form) -> Result<usize, ApiError> {
    let text = form.get("limit");
    if text.is_empty() {
        return Ok(DEFAULT_LIMIT);
    }
    let limit = text.parse::<i64>().ok().filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit > MAX_LIMIT {
        return Err(ApiError::bad_data(format_args!(
            "limit must not exceed {MAX_LIMIT}"
        )));
    }
    Ok(limit)
}

fn push_status(status: &HeadStatus, out: &mut String) {
    let Cardinality {
        series,
        label_pairs,
        ..
    } = status.cardinality;
    // A head without samples has its times the wrong way round. Source: upstream `tsdb.Head`.
    let (min_ms, max_ms) = match status.time {
        Some(time) => (time.start.as_millis(), time.end.as_millis()),
        None => (i64::MAX, i64::MIN),
    };
    let mut data = Object::begin(out);
    let mut head = Object::begin(data.key("headStats"));
    head.integer("numSeries", series)
        .integer("numLabelPairs", label_pairs)
        .integer("chunkCount", status.chunks)
        .integer("minTime", min_ms)
        .integer("maxTime", max_ms);
    head.end();
    for (key, counts) in [
        (
            "seriesCountByMetricName",
            &status.cardinality.series_by_metric,
        ),
        (
            "labelValueCountByLabelName",
            &status.cardinality.values_by_label,
        ),
        (
            "memoryInBytesByLabelName",
            &status.cardinality.bytes_by_label,
        ),
        (
            "seriesCountByLabelValuePair",
            &status.cardinality.series_by_pair,
        ),
    ] {
        push_array(counts, data.key(key), |count, out| {
            let mut entry = Object::begin(out);
            entry
                .string("name", &count.name)
                .integer("value", count.count);
            entry.end();
        });
    }
    data.end();
}
