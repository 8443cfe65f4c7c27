//! `/-/healthy`, `/-/ready`, `/-/reload`, `/-/quit`: texts and status codes as upstream's.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};

use crate::envelope::{text_error, text_response};
use crate::parts::{Lifecycle, Parts, Phase};

/// The process runs.
pub(crate) async fn healthy() -> Response {
    text_response(StatusCode::OK, "Prometheus Server is Healthy.\n")
}

/// Requests are answered; the gate in front says so when they are not.
pub(crate) async fn ready() -> Response {
    text_response(StatusCode::OK, "Prometheus Server is Ready.\n")
}

/// Loads the configuration again.
pub(crate) async fn reload(State(parts): State<Parts>, method: Method) -> Response {
    if let Some(refusal) = refuse(&parts, &method) {
        return refusal;
    }
    match parts.control.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => text_error(
            StatusCode::INTERNAL_SERVER_ERROR,
            format_args!("failed to reload config: {error}"),
        ),
    }
}

/// Stops the server.
pub(crate) async fn quit(State(parts): State<Parts>, method: Method) -> Response {
    if let Some(refusal) = refuse(&parts, &method) {
        return refusal;
    }
    if parts.readiness.phase() == Phase::Stopping {
        return text_response(StatusCode::OK, "Termination already in progress.");
    }
    parts.control.quit();
    text_response(StatusCode::OK, "Requesting termination... Goodbye!")
}

fn refuse(parts: &Parts, method: &Method) -> Option<Response> {
    if method == Method::GET {
        let text = "Only POST or PUT requests allowed";
        return Some(text_response(StatusCode::METHOD_NOT_ALLOWED, text));
    }
    match parts.settings.lifecycle {
        Lifecycle::Enabled => None,
        Lifecycle::Disabled => Some(text_response(
            StatusCode::FORBIDDEN,
            "Lifecycle API is not enabled.",
        )),
    }
}
