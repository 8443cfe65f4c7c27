//! The frame around every answer of the v1 API: status, data, errors, warnings. Key order:
//! `status,data,errorType,error,warnings,infos`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base::{ErrorKind, PoolError};
use http::{HeaderValue, StatusCode, header};

use crate::json::{Object, push_strings};

/// Most warnings, and most infos, in one answer. Source: upstream's API.
pub(crate) const MAX_ANNOTATIONS: usize = 10;

/// Warning of an answer that a `limit` parameter cut.
pub(crate) const TRUNCATED: &str = "results truncated due to limit";

/// What a request failed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    kind: ErrorKind,
    text: String,
}

impl ApiError {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// The request is wrong.
    pub(crate) fn bad_data(text: impl ToString) -> Self {
        Self::new(ErrorKind::BadData, text.to_string())
    }

    /// The same error with what was being done in front.
    pub(crate) fn within(self, doing: &str) -> Self {
        Self::new(self.kind, format!("{doing}: {}", self.text))
    }

    /// A parameter of the request is wrong.
    pub(crate) fn parameter(name: &str, cause: impl std::fmt::Display) -> Self {
        Self::new(
            ErrorKind::BadData,
            format!("invalid parameter \"{name}\": {cause}"),
        )
    }
}

impl From<storage::StorageError> for ApiError {
    fn from(error: storage::StorageError) -> Self {
        Self::new(error.kind(), base::report(&error))
    }
}

impl From<PoolError> for ApiError {
    fn from(error: PoolError) -> Self {
        Self::new(ErrorKind::Internal, error.to_string())
    }
}

/// The status code of an error. Source: upstream `respondError`, where `unavailable` has no case
/// of its own and falls to the default.
pub(crate) fn http_status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::BadData => StatusCode::BAD_REQUEST,
        ErrorKind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Canceled => {
            StatusCode::from_u16(499).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        ErrorKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ErrorKind::Internal | ErrorKind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = String::with_capacity(64 + self.text.len());
        let mut object = Object::begin(&mut body);
        object.string("status", "error");
        object
            .string("errorType", self.kind.as_str())
            .string("error", &self.text);
        object.end();
        json_response(http_status(self.kind), Body::from(body))
    }
}

/// An answer with status 200; `push_data` appends the value of `data`.
pub(crate) fn success(push_data: impl FnOnce(&mut String)) -> Response {
    success_with_warnings(&[], push_data)
}

/// An answer with status 200 and warnings.
pub(crate) fn success_with_warnings(
    warnings: &[String],
    push_data: impl FnOnce(&mut String),
) -> Response {
    let mut body = String::new();
    let mut object = Object::begin(&mut body);
    push_data(object.string("status", "success").key("data"));
    if !warnings.is_empty() {
        push_strings(warnings, object.key("warnings"));
    }
    object.end();
    json_response(StatusCode::OK, Body::from(body))
}

pub(crate) fn json_response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A plain text.
pub(crate) fn text_response(status: StatusCode, text: impl Into<String>) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text.into(),
    )
        .into_response()
}

/// A plain text that reports a failure; a line feed is added. Source: Go's `http.Error`.
pub(crate) fn text_error(status: StatusCode, text: impl std::fmt::Display) -> Response {
    let mut response = text_response(status, format!("{text}\n"));
    let no_sniffing = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, no_sniffing);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_kinds_to_status_codes() {
        for (kind, status) in [
            (ErrorKind::BadData, 400),
            (ErrorKind::Execution, 422),
            (ErrorKind::Canceled, 499),
            (ErrorKind::Timeout, 503),
            (ErrorKind::Internal, 500),
            (ErrorKind::NotFound, 404),
            (ErrorKind::NotAcceptable, 406),
            (ErrorKind::Unavailable, 500),
        ] {
            assert_eq!(http_status(kind).as_u16(), status, "{kind:?}");
        }
    }
}
