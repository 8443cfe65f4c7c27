//! What all endpoints share: methods, readiness, cross-origin headers, request metrics. Routes
//! state it as data; one function in front of each handler applies it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::metrics::{Counter, Histogram, Registry};
use http::{HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;

use crate::cors::CorsOrigin;
use crate::envelope::{text_error, text_response};
use crate::parts::{Phase, Readiness};

/// When an endpoint answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Always.
    Open,
    /// When the server is ready.
    WhenReady,
}

/// How `OPTIONS` is answered, and whether pages of other origins may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Of the v1 API: 204, with cross-origin headers.
    Api,
    /// Everything else: 200 with the methods.
    Site,
}

/// An endpoint, apart from its handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// Path in axum's notation.
    pub(crate) path: &'static str,
    /// Path in the notation of upstream's metrics.
    pub(crate) handler: &'static str,
    /// Methods other than `OPTIONS`.
    pub(crate) methods: &'static [Method],
    /// When it answers.
    pub(crate) gate: Gate,
    /// Who calls it.
    pub(crate) audience: Audience,
}

/// A [`Spec`] with what it needs at run time.
#[derive(Debug)]
pub(crate) struct Endpoint {
    spec: Spec,
    readiness: Readiness,
    cors: Arc<CorsOrigin>,
    metrics: HandlerMetrics,
}

impl Endpoint {
    pub(crate) fn new(
        spec: Spec,
        readiness: Readiness,
        cors: Arc<CorsOrigin>,
        registry: &Registry,
    ) -> Self {
        let metrics = HandlerMetrics::new(registry.clone(), spec.handler);
        Self {
            spec,
            readiness,
            cors,
            metrics,
        }
    }

    fn refusal(&self, method: &Method) -> Option<Response> {
        let spec = &self.spec;
        if method == Method::OPTIONS && spec.audience == Audience::Site {
            return Some(with_allow(StatusCode::OK.into_response(), spec.methods));
        }
        if method != Method::OPTIONS && !spec.methods.contains(method) {
            let refusal = text_error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            return Some(with_allow(refusal, spec.methods));
        }
        if spec.gate == Gate::WhenReady
            && let Some(refusal) = not_ready(self.readiness.phase())
        {
            return Some(refusal);
        }
        (method == Method::OPTIONS).then(|| StatusCode::NO_CONTENT.into_response())
    }
}

/// Applies an endpoint's rules around its handler.
pub(crate) async fn guard(
    State(endpoint): State<Arc<Endpoint>>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = match endpoint.refusal(request.method()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    if endpoint.spec.audience == Audience::Api {
        endpoint
            .cors
            .set_headers(origin.as_ref(), response.headers_mut());
    }
    endpoint.metrics.count(&response, started);
    response
}

/// The answer before the server is ready and after it has begun to stop.
pub(crate) fn not_ready(phase: Phase) -> Option<Response> {
    let stopping = match phase {
        Phase::Ready => return None,
        Phase::Starting => "false",
        Phase::Stopping => "true",
    };
    let mut response = text_response(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    let stopping = HeaderValue::from_static(stopping);
    response
        .headers_mut()
        .insert("x-prometheus-stopping", stopping);
    Some(response)
}

fn with_allow(mut response: Response, methods: &[Method]) -> Response {
    let mut names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    names.push("OPTIONS");
    names.sort_unstable();
    if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// Request metrics of one handler. Names, help texts and buckets as upstream's.
struct HandlerMetrics {
    registry: Registry,
    handler: &'static str,
    seconds: Histogram,
    response_bytes: Histogram,
    requests: Mutex<BTreeMap<StatusCode, Counter>>,
}

impl std::fmt::Debug for HandlerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerMetrics")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}

impl HandlerMetrics {
    fn new(registry: Registry, handler: &'static str) -> Self {
        let labels = [("handler", handler)];
        let seconds = registry.histogram(
            "prometheus_http_request_duration_seconds",
            "Histogram of latencies for HTTP requests.",
            &labels,
            &[0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0],
        );
        let response_bytes = registry.histogram(
            "prometheus_http_response_size_bytes",
            "Histogram of response size for HTTP requests.",
            &labels,
            &[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9],
        );
        let metrics = Self {
            registry,
            handler,
            seconds,
            response_bytes,
            requests: Mutex::default(),
        };
        // As upstream: every handler shows up from the start with a count of zero.
        metrics
            .requests
            .lock()
            .insert(StatusCode::OK, metrics.counter(StatusCode::OK));
        metrics
    }

    fn counter(&self, status: StatusCode) -> Counter {
        self.registry.counter(
            "prometheus_http_requests_total",
            "Counter of HTTP requests.",
            &[("code", status.as_str()), ("handler", self.handler)],
        )
    }

    #[expect(clippy::cast_precision_loss, reason = "histograms hold float64")]
    fn count(&self, response: &Response, started: Instant) {
        let status = response.status();
        self.requests
            .lock()
            .entry(status)
            .or_insert_with(|| self.counter(status))
            .inc();
        self.seconds.observe(started.elapsed().as_secs_f64());
        self.response_bytes
            .observe(response.body().size_hint().lower() as f64);
    }
}
