//! Requests: connection pool, deadline, redirects.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use crate::body::{self, Body, Encoding};
use crate::dial::{DialError, Dialer};
use crate::error::{BodyError, HttpError, RequestError};

/// As in Go's default client.
const MAX_REDIRECTS: usize = 10;

/// Idle connections live for this long, as in upstream: longer than most scrape intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Settings of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// How long making a connection may take, apart from the deadline of the request.
    pub connect_timeout: Duration,
    /// Idle connections that are kept for each host.
    pub idle_per_host: usize,
    /// What happens to redirects.
    pub redirects: Redirects,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            idle_per_host: 100,
            redirects: Redirects::Follow,
        }
    }
}

/// What happens to redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// They are followed, up to ten of them.
    Follow,
    /// They are answers as any other.
    Return,
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// An absolute URL.
    pub url: &'a str,
    /// Headers; `Host` is added.
    pub headers: &'a HeaderMap,
    /// How long everything may take, the body included.
    pub timeout: Duration,
    /// Bodies of this many bytes or more are refused.
    pub body_limit_bytes: Option<u64>,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The status with its phrase, as sent: `404 Not Found`.
    pub status_line: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

/// Fetches over HTTP. Clones share connections. Needs a tokio runtime.
#[derive(Clone, Debug)]
pub struct HttpClient {
    pool: legacy::Client<Dialer, Empty<Bytes>>,
    redirects: Redirects,
}

impl HttpClient {
    /// A client without connections.
    #[must_use]
    pub fn new(options: ClientOptions) -> Self {
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(options.idle_per_host)
            .build(Dialer {
                timeout: options.connect_timeout,
            });
        Self {
            pool,
            redirects: options.redirects,
        }
    }

    /// Fetches a URL with its whole body.
    ///
    /// # Errors
    /// No answer came, or not all of it. Any status is an answer.
    pub async fn get(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let deadline = Instant::now() + request.timeout;
        let response = self.head(&request, deadline).await?;
        let encoding = match response.headers().get(header::CONTENT_ENCODING) {
            Some(value) if value.as_bytes().eq_ignore_ascii_case(b"gzip") => Encoding::Gzip,
            _ => Encoding::Identity,
        };
        let status_line = status_line(&response);
        let (head, incoming) = response.into_parts();
        let bytes = timeout_at(deadline, body::read(incoming, request.body_limit_bytes))
            .await
            .map_err(|_| BodyError::Deadline)??;
        Ok(Response {
            status: head.status,
            status_line,
            headers: head.headers,
            body: Body::new(bytes, encoding),
        })
    }

    /// The answer's head, after redirects.
    async fn head(
        &self,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<http::Response<Incoming>, HttpError> {
        let mut url = request.url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let failed = |reason| HttpError::Request {
                url: url.clone(),
                reason,
            };
            let outgoing = outgoing(&url, request.headers).map_err(failed)?;
            let response = timeout_at(deadline, self.pool.request(outgoing))
                .await
                .map_err(|_| failed(RequestError::Deadline))?
                .map_err(|error| failed(explain(&error)))?;
            match self.redirect_target(&url, &response).map_err(failed)? {
                Some(target) => url = target,
                None => return Ok(response),
            }
        }
        Err(HttpError::Request {
            url,
            reason: RequestError::TooManyRedirects(MAX_REDIRECTS),
        })
    }

    fn redirect_target(
        &self,
        url: &str,
        response: &http::Response<Incoming>,
    ) -> Result<Option<String>, RequestError> {
        let is_redirect = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
        let location = match response.headers().get(header::LOCATION) {
            Some(location) if is_redirect && self.redirects == Redirects::Follow => location,
            _ => return Ok(None),
        };
        let shown = String::from_utf8_lossy(location.as_bytes());
        url::Url::parse(url)
            .and_then(|base| base.join(&shown))
            .map(|target| Some(target.to_string()))
            .map_err(|_| RequestError::BadLocation(shown.into_owned()))
    }
}

fn outgoing(url: &str, headers: &HeaderMap) -> Result<http::Request<Empty<Bytes>>, RequestError> {
    let uri: Uri = url.parse().map_err(|_| RequestError::InvalidUrl)?;
    match uri.scheme_str() {
        Some("http") => {}
        scheme => {
            return Err(RequestError::UnsupportedScheme(
                scheme.unwrap_or("").to_owned(),
            ));
        }
    }
    let mut request = http::Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers.clone();
    Ok(request)
}

fn status_line(response: &http::Response<Incoming>) -> String {
    let status = response.status();
    match response.extensions().get::<hyper::ext::ReasonPhrase>() {
        Some(phrase) => {
            format!(
                "{} {}",
                status.as_str(),
                String::from_utf8_lossy(phrase.as_bytes())
            )
        }
        None => format!(
            "{} {}",
            status.as_str(),
            status.canonical_reason().unwrap_or("")
        ),
    }
}

fn explain(error: &legacy::Error) -> RequestError {
    if let Some(dial) = source::<DialError>(error) {
        return RequestError::Dial(dial.clone());
    }
    if source::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message) {
        return RequestError::Closed;
    }
    if let Some(io) = source::<std::io::Error>(error) {
        return RequestError::Connection(format!("read: {}", crate::dial::os_text(io)));
    }
    let mut deepest: &dyn Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    RequestError::Connection(deepest.to_string())
}

/// The first cause of type `E` behind `error`, itself included.
pub(crate) fn source<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
