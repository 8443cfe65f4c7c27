//! `status/…` and `/version`: what was built, how it runs, how it was configured.

mod tsdb;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use crate::envelope::{success, text_response};
use crate::json::Object;
use crate::params::format_rfc3339;
use crate::parts::{BuildInfo, Parts};
pub(crate) use tsdb::tsdb;

/// What was built. Grafana reads it to learn which server it talks to.
pub(crate) async fn build_info(State(parts): State<Parts>) -> Response {
    success(|out| push_build_info(&parts.settings.build, out))
}

/// The same as a text, without the envelope.
pub(crate) async fn version(State(parts): State<Parts>) -> Response {
    let mut body = String::new();
    push_build_info(&parts.settings.build, &mut body);
    body.push('\n');
    text_response(StatusCode::OK, body)
}

fn push_build_info(build: &BuildInfo, out: &mut String) {
    let mut data = Object::begin(out);
    data.string("version", &build.version)
        .string("revision", &build.revision)
        .string("branch", &build.branch)
        .string("buildUser", &build.build_user)
        .string("buildDate", &build.build_date)
        .string("goVersion", &build.compiler);
    data.end();
}

/// How the process runs. Keys that speak of Go's runtime hold the nearest equal, or nothing.
pub(crate) async fn runtime_info(State(parts): State<Parts>) -> Response {
    let info = parts.control.runtime();
    let whole_seconds = info.config_loaded_at.as_millis().div_euclid(1000) * 1000;
    let loaded_at = model::Timestamp::from_millis(whole_seconds);
    success(|out| {
        let mut data = Object::begin(out);
        data.string("startTime", &format_rfc3339(info.start_time))
            .string("CWD", &info.working_directory)
            .string("hostname", &info.hostname)
            .string("serverTime", &format_rfc3339(parts.clock.now()))
            .boolean("reloadConfigSuccess", info.reload_succeeded)
            .string("lastConfigTime", &format_rfc3339(loaded_at))
            .integer("corruptionCount", info.corruptions)
            .integer("goroutineCount", info.threads)
            .integer("GOMAXPROCS", info.processors)
            .integer("GOMEMLIMIT", i64::MAX)
            .string("GOGC", "")
            .string("GODEBUG", "")
            .string("storageRetention", &info.retention);
        data.end();
    })
}

/// All flags with their values.
pub(crate) async fn flags(State(parts): State<Parts>) -> Response {
    success(|out| {
        let mut data = Object::begin(out);
        for flag in &parts.settings.flags {
            data.string(&flag.name, &flag.value);
        }
        data.end();
    })
}

/// The configuration in force.
pub(crate) async fn config(State(parts): State<Parts>) -> Response {
    let yaml = parts.control.config_yaml();
    success(|out| {
        let mut data = Object::begin(out);
        data.string("yaml", &yaml);
        data.end();
    })
}
