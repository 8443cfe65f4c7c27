//! `format_query`, `parse_query` and `query_exemplars`: what only looks at a query's text.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use model::{Exemplar, Matcher};
use promql_syntax::{Expr, ParseErrors, parse_expr, prettify};

use storage::SeriesExemplars;

use crate::ast::push_expr;
use crate::envelope::{ApiError, success};
use crate::form::Form;
use crate::json::{
    Escape, Object, push_array, push_labels, push_quoted_number, push_string, push_timestamp,
};
use crate::params;
use crate::parts::Parts;

/// The query over several lines, as the printer would have it.
pub(crate) async fn format_query(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    let formatted = parsed(&parts, &form, prettify);
    let formatted = formatted
        .await?
        .map_err(|errors| ApiError::parameter("query", errors))?;
    Ok(success(|out| push_string(&formatted, Escape::Html, out)))
}

/// The query's syntax tree.
pub(crate) async fn parse_query(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    let tree = parsed(&parts, &form, |expr| {
        let mut out = String::new();
        push_expr(expr, &mut out);
        out
    });
    let tree = tree
        .await?
        .map_err(|errors| ApiError::parameter("query", errors))?;
    Ok(success(|out| out.push_str(&tree)))
}

/// Exemplars of the series that the query's selectors name.
pub(crate) async fn query_exemplars(
    State(parts): State<Parts>,
    form: Form,
) -> Result<Response, ApiError> {
    let range = params::time_range(&form)?;
    if range.end < range.start {
        let cause = "end timestamp must not be before start timestamp";
        return Err(ApiError::bad_data(cause));
    }
    let storage = parts.storage.get()?;
    let found = parsed(&parts, &form, move |expr| {
        let selectors = expr.selectors();
        let sets: Vec<Vec<Matcher>> = selectors.iter().map(|it| it.matchers.clone()).collect();
        (!sets.is_empty()).then(|| storage.exemplars.select(range, &sets))
    });
    Ok(match found.await?.map_err(ApiError::bad_data)? {
        Some(found) => success(|out| push_array(&found, out, push_series)),
        // As upstream: no data at all.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

fn push_series(found: &SeriesExemplars, out: &mut String) {
    let mut object = Object::begin(out);
    push_labels(&found.series, object.key("seriesLabels"));
    push_array(&found.exemplars, object.key("exemplars"), push_exemplar);
    object.end();
}

fn push_exemplar(exemplar: &Exemplar, out: &mut String) {
    let mut object = Object::begin(out);
    push_labels(&exemplar.labels, object.key("labels"));
    push_quoted_number(exemplar.value, object.key("value"));
    push_timestamp(exemplar.timestamp, object.key("timestamp"));
    object.end();
}

/// What `look` makes of the parameter `query`, off the async runtime.
async fn parsed<T: Send + 'static>(
    parts: &Parts,
    form: &Form,
    look: impl FnOnce(&Expr) -> T + Send + 'static,
) -> Result<Result<T, ParseErrors>, ApiError> {
    let query = form.get("query").to_owned();
    let options = parts.engine.options().parser.clone();
    let work = move || parse_expr(&query, &options).map(|expr| look(&expr));
    Ok(parts.query_pool.run(work).await?)
}
