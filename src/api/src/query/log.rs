//! The query log: one JSON object for each query that ended, in the file that
//! `global.query_log_file` names. Keys as upstream's engine writes them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::extract::FromRequestParts;
use base::metrics::{Counter, Gauge, Registry};
use http::request::Parts as RequestHead;
use model::{PromDuration, Timestamp};

use crate::json::{Escape, Object, push_string};
use crate::params::format_rfc3339_millis;
use crate::serve::ClientAddress;

/// Where in this program lines come from, as log lines have it.
const SOURCE: &str = concat!("log.rs:", line!());

/// The log, or nothing while no file is configured. Clones share it.
#[derive(Clone)]
pub struct QueryLog(Arc<Shared>);

struct Shared {
    file: ArcSwapOption<File>,
    enabled: Gauge,
    failures: Counter,
}

/// Who asked, for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    client_ip: String,
    method: String,
    path: String,
}

/// A query that has ended.
pub(crate) struct LoggedQuery<'a> {
    pub(crate) query: &'a str,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) step: PromDuration,
    /// Why it failed, if it did.
    pub(crate) error: Option<&'a str>,
    /// The value of `stats`.
    pub(crate) stats: &'a str,
    pub(crate) origin: &'a Origin,
}

impl QueryLog {
    /// A log without a file.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self(Arc::new(Shared {
            file: ArcSwapOption::empty(),
            enabled: registry.gauge(
                "prometheus_engine_query_log_enabled",
                "State of the query log.",
                &[],
            ),
            failures: registry.counter(
                "prometheus_engine_query_log_failures_total",
                "The number of query log failures.",
                &[],
            ),
        }))
    }

    /// Writes to the end of this file from now on, or nowhere. A path that was in use is opened
    /// again, so that the file may have been moved away. Blocking.
    ///
    /// # Errors
    /// The file cannot be opened; the one before stays in use.
    pub fn reopen(&self, path: Option<&Path>) -> io::Result<()> {
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let file = path.map(open).transpose()?;
        self.0.enabled.set(f64::from(u8::from(file.is_some())));
        self.0.file.store(file.map(Arc::new));
        Ok(())
    }

    /// Whether anything is written.
    pub(crate) fn is_on(&self) -> bool {
        self.0.file.load().is_some()
    }

    /// Writes a line. Blocking.
    pub(crate) fn write(&self, now: Timestamp, query: &LoggedQuery<'_>) {
        let Some(file) = self.0.file.load_full() else {
            return;
        };
        // In one piece: lines of several threads must not mix.
        if let Err(error) = (&*file).write_all(line(now, query).as_bytes()) {
            self.0.failures.inc();
            tracing::error!(%error, "can't log query");
        }
    }
}

fn line(now: Timestamp, query: &LoggedQuery<'_>) -> String {
    let mut out = String::with_capacity(512 + query.query.len());
    let mut object = Object::begin(&mut out);
    object
        .string("time", &format_rfc3339_millis(now))
        .string("level", "INFO")
        .string("source", SOURCE)
        .string("msg", "promql query logged");
    let mut params = Object::begin(object.key("params"));
    params.string("end", &format_rfc3339_millis(query.end));
    push_string(query.query, Escape::Plain, params.key("query"));
    params
        .string("start", &format_rfc3339_millis(query.start))
        .integer("step", query.step.as_millis() / 1000);
    params.end();
    if let Some(error) = query.error {
        push_string(error, Escape::Plain, object.key("error"));
    }
    object.key("stats").push_str(query.stats);
    let mut request = Object::begin(object.key("httpRequest"));
    request
        .string("clientIP", &query.origin.client_ip)
        .string("method", &query.origin.method)
        .string("path", &query.origin.path);
    request.end();
    object.end();
    out.push('\n');
    out
}

impl<S: Sync> FromRequestParts<S> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        head: &mut RequestHead,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        let client = head.extensions.get::<ClientAddress>();
        Ok(Self {
            client_ip: client.map_or_else(String::new, |client| client.0.to_string()),
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_upstreams_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("query.log");
        let log = QueryLog::new(&Registry::new());
        assert!(!log.is_on());
        log.reopen(Some(&path)).unwrap();
        let origin = Origin {
            client_ip: "::1".to_owned(),
            method: "GET".to_owned(),
            path: "/api/v1/query_range".to_owned(),
        };
        let mut query = LoggedQuery {
            query: "up < 1",
            start: Timestamp::from_millis(1_581_173_710_368),
            end: Timestamp::from_millis(1_581_173_990_000),
            step: PromDuration::from_millis(5999),
            error: None,
            stats: "{}",
            origin: &origin,
        };
        log.write(Timestamp::EPOCH, &query);
        let moved = folder.path().join("old.log");
        std::fs::rename(&path, &moved).unwrap();
        log.reopen(Some(&path)).unwrap();
        query.error = Some("query timed out in query queue");
        log.write(Timestamp::EPOCH, &query);
        assert!(log.reopen(Some(folder.path())).is_err() && log.is_on());
        log.reopen(None).unwrap();
        log.write(Timestamp::EPOCH, &query);
        let want = |error: &str| {
            format!(
                "{{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"INFO\",\"source\":\"{SOURCE}\",\
                 \"msg\":\"promql query logged\",\"params\":{{\"end\":\"2020-02-08T14:59:50.000Z\",\
                 \"query\":\"up < 1\",\"start\":\"2020-02-08T14:55:10.368Z\",\"step\":5}},{error}\
                 \"stats\":{{}},\"httpRequest\":{{\"clientIP\":\"::1\",\"method\":\"GET\",\
                 \"path\":\"/api/v1/query_range\"}}}}\n"
            )
        };
        assert_eq!(std::fs::read_to_string(moved).unwrap(), want(""));
        let failed = want("\"error\":\"query timed out in query queue\",");
        assert_eq!(std::fs::read_to_string(path).unwrap(), failed);
    }
}
