//! Asks a target for its metrics.

use std::sync::Arc;

use config::{ScrapeConfig, ScrapeProtocol};
use exposition::Format;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use net::{Body, HttpClient, Request};

use crate::error::ScrapeError;
use crate::target::Target;

const TIMEOUT_HEADER: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");

/// Weight of the first format in `Accept`, in tenths; each further one weighs one less.
const FIRST_WEIGHT: usize = 6;

/// An answer with status 200.
pub(crate) struct Fetched {
    pub(crate) body: Body,
    pub(crate) content_type: String,
}

/// Fetches one target.
pub(crate) struct Fetcher {
    client: HttpClient,
    target: Arc<Target>,
    headers: HeaderMap,
    body_limit_bytes: Option<u64>,
}

impl Fetcher {
    pub(crate) fn new(
        client: HttpClient,
        target: Arc<Target>,
        config: &ScrapeConfig,
        version: &str,
    ) -> Self {
        let headers = headers(config, &target, version);
        let limit = config.limits.body_size_bytes;
        Self {
            client,
            target,
            headers,
            body_limit_bytes: (limit > 0).then_some(limit),
        }
    }

    pub(crate) async fn fetch(&self) -> Result<Fetched, ScrapeError> {
        let response = self
            .client
            .get(Request {
                url: &self.target.url,
                headers: &self.headers,
                timeout: self.target.timeout.to_std(),
                body_limit_bytes: self.body_limit_bytes,
            })
            .await?;
        if response.status != StatusCode::OK {
            return Err(ScrapeError::Status(response.status_line));
        }
        let content_type = response
            .headers
            .get(CONTENT_TYPE)
            .map_or("".into(), |value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Fetched {
            content_type: content_type.into_owned(),
            body: response.body,
        })
    }
}

fn headers(config: &ScrapeConfig, target: &Target, version: &str) -> HeaderMap {
    let encoding = if config.enable_compression {
        "gzip"
    } else {
        "identity"
    };
    let timeout = model::number::format_plain(target.timeout.as_seconds());
    [
        (ACCEPT, accept(config)),
        (ACCEPT_ENCODING, encoding.to_owned()),
        (USER_AGENT, format!("Firewatch/{version}")),
        (TIMEOUT_HEADER, timeout),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
    .collect()
}

/// The formats that are asked for: those of the job that this build reads, then anything. Source:
/// upstream `scrape/scrape.go`, `acceptHeader`.
fn accept(config: &ScrapeConfig) -> String {
    let formats: Vec<Format> = config
        .scrape_protocols
        .iter()
        .copied()
        .filter_map(format_of)
        .collect();
    let mut parts = Vec::new();
    for (position, format) in formats.iter().enumerate() {
        let escaping = match format.has_escaping() {
            true => format!(";escaping={}", config.escaping_scheme.name()),
            false => String::new(),
        };
        let weight = FIRST_WEIGHT.saturating_sub(position);
        parts.push(format!("{}{escaping};q=0.{weight}", format.media_type()));
    }
    parts.push(format!(
        "*/*;q=0.{}",
        FIRST_WEIGHT.saturating_sub(formats.len())
    ));
    parts.join(",")
}

/// The format that a protocol names, if this build reads it.
pub(crate) fn format_of(protocol: ScrapeProtocol) -> Option<Format> {
    match protocol {
        ScrapeProtocol::PrometheusText004 => Some(Format::Text004),
        ScrapeProtocol::PrometheusText100 => Some(Format::Text100),
        ScrapeProtocol::OpenMetricsText001 => Some(Format::OpenMetrics001),
        ScrapeProtocol::OpenMetricsText100 => Some(Format::OpenMetrics100),
        ScrapeProtocol::PrometheusProto => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_asked_for_in_the_order_of_the_job() {
        for (settings, want) in [
            (
                "",
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ),
            (
                ", scrape_protocols: [PrometheusProto, PrometheusText0.0.4]",
                "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
            ),
            (
                ", scrape_protocols: [PrometheusText1.0.0], metric_name_validation_scheme: legacy",
                "text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5",
            ),
        ] {
            let text = format!("scrape_configs: [{{job_name: j{settings}}}]");
            let config = config::Config::parse(&text).unwrap();
            assert_eq!(accept(&config.scrape_configs[0]), want);
        }
    }

    #[test]
    fn every_protocol_that_is_configurable_is_read() {
        for protocol in ScrapeProtocol::ALL {
            assert_eq!(protocol.is_supported(), format_of(protocol).is_some());
        }
    }
}
