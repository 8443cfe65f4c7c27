//! The routes: every endpoint with its rules and its handler.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::cors::CorsOrigin;
use crate::endpoint::{Audience, Endpoint, Gate, Spec, guard};
use crate::envelope::text_error;
use crate::parts::Parts;
use crate::{
    admin, expressions, home, lifecycle, metadata, metric_metadata, metrics, query, status,
    targets, write,
};

/// Answers below this size are not worth compressing: they fit one packet anyway.
const MIN_COMPRESSED_BYTES: u64 = 1024;

const GET: &[Method] = &[Method::GET];
const GET_HEAD: &[Method] = &[Method::GET, Method::HEAD];
const GET_POST: &[Method] = &[Method::GET, Method::POST];
const POST: &[Method] = &[Method::POST];
const POST_PUT: &[Method] = &[Method::POST, Method::PUT];
const GET_POST_PUT: &[Method] = &[Method::GET, Method::POST, Method::PUT];

/// Builds the service for all of HTTP.
///
/// # Errors
/// The pattern for cross-origin calls is not valid in Go's dialect.
pub fn router(parts: Parts) -> Result<Router, re2::Error> {
    let cors = Arc::new(CorsOrigin::parse(&parts.settings.cors_origin)?);
    let routes = Routes {
        cors: Arc::clone(&cors),
        router: Router::new(),
        parts: parts.clone(),
    };
    let routes = target_routes(api_routes(routes, &parts), &parts);
    let routes = routes
        .add(site("/", GET_HEAD, Gate::Open), home::home, &parts)
        .add(site("/version", GET, Gate::Open), status::version, &parts)
        .add(
            site("/-/healthy", GET_HEAD, Gate::Open),
            lifecycle::healthy,
            &parts,
        )
        .add(
            site("/-/ready", GET_HEAD, Gate::WhenReady),
            lifecycle::ready,
            &parts,
        )
        .add(
            site("/-/reload", GET_POST_PUT, Gate::Open),
            lifecycle::reload,
            &parts,
        )
        .add(
            site("/-/quit", GET_POST_PUT, Gate::Open),
            lifecycle::quit,
            &parts,
        )
        .add(site("/metrics", GET, Gate::Open), metrics::metrics, &parts);
    let compression = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(MIN_COMPRESSED_BYTES));
    Ok(routes
        .router
        .fallback(move |method: Method, uri: Uri, headers: HeaderMap| {
            std::future::ready(not_found(&cors, &method, &uri, &headers))
        })
        .layer(compression)
        .layer(CatchPanicLayer::custom(panicked)))
}

fn api_routes(routes: Routes, parts: &Parts) -> Routes {
    let writer = Arc::new(write::Writer::new(parts));
    let queries = Arc::new(query::Queries::new(parts));
    routes
        .add(api("/api/v1/query", GET_POST), query::instant, &queries)
        .add(api("/api/v1/query_range", GET_POST), query::range, &queries)
        .add(
            api("/api/firewatch/v1/query/explain", GET_POST),
            query::explain::explain,
            &queries,
        )
        .add(
            api("/api/v1/query_exemplars", GET_POST),
            expressions::query_exemplars,
            parts,
        )
        .add(
            api("/api/v1/format_query", GET_POST),
            expressions::format_query,
            parts,
        )
        .add(
            api("/api/v1/parse_query", GET_POST),
            expressions::parse_query,
            parts,
        )
        .add(api("/api/v1/series", GET_POST), metadata::series, parts)
        .add(
            api("/api/v1/labels", GET_POST),
            metadata::label_names,
            parts,
        )
        .add(
            Spec {
                handler: "/api/v1/label/:name/values",
                ..api("/api/v1/label/{name}/values", GET)
            },
            metadata::label_values,
            parts,
        )
        .add(
            api("/api/v1/status/buildinfo", GET),
            status::build_info,
            parts,
        )
        .add(
            api("/api/v1/status/runtimeinfo", GET),
            status::runtime_info,
            parts,
        )
        .add(api("/api/v1/status/flags", GET), status::flags, parts)
        .add(api("/api/v1/status/config", GET), status::config, parts)
        .add(api("/api/v1/status/tsdb", GET), status::tsdb, parts)
        .add(api("/api/v1/write", POST), write::write, &writer)
        .add(
            api("/api/v1/admin/tsdb/delete_series", POST_PUT),
            admin::delete_series,
            parts,
        )
        .add(
            api("/api/v1/admin/tsdb/clean_tombstones", POST_PUT),
            admin::clean_tombstones,
            parts,
        )
        .add(
            api("/api/v1/admin/tsdb/snapshot", POST_PUT),
            admin::snapshot,
            parts,
        )
}

fn target_routes(routes: Routes, parts: &Parts) -> Routes {
    routes
        .add(
            api("/api/v1/metadata", GET),
            metric_metadata::metadata,
            parts,
        )
        .add(api("/api/v1/targets", GET), targets::targets, parts)
        .add(
            api("/api/v1/targets/metadata", GET),
            metric_metadata::target_metadata,
            parts,
        )
        .add(
            api("/api/v1/scrape_pools", GET),
            targets::scrape_pools,
            parts,
        )
}

const fn api(path: &'static str, methods: &'static [Method]) -> Spec {
    let (gate, audience) = (Gate::WhenReady, Audience::Api);
    Spec {
        path,
        handler: path,
        methods,
        gate,
        audience,
    }
}

const fn site(path: &'static str, methods: &'static [Method], gate: Gate) -> Spec {
    Spec {
        path,
        handler: path,
        methods,
        gate,
        audience: Audience::Site,
    }
}

struct Routes {
    router: Router,
    cors: Arc<CorsOrigin>,
    parts: Parts,
}

impl Routes {
    fn add<H, T, S>(mut self, spec: Spec, handler: H, state: &S) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
        S: Clone + Send + Sync + 'static,
    {
        let parts = &self.parts;
        let cors = Arc::clone(&self.cors);
        let endpoint = Endpoint::new(spec, parts.readiness.clone(), cors, &parts.registry);
        let route = axum::routing::any(handler)
            .with_state(state.clone())
            .layer(from_fn_with_state(Arc::new(endpoint), guard));
        self.router = self.router.route(spec.path, route);
        self
    }
}

/// Answers what no route matches. `OPTIONS` on anything below the API is a success.
fn not_found(cors: &CorsOrigin, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    if method == Method::OPTIONS && uri.path().starts_with("/api/v1/") {
        let mut response = StatusCode::NO_CONTENT.into_response();
        cors.set_headers(headers.get(header::ORIGIN), response.headers_mut());
        return response;
    }
    text_error(StatusCode::NOT_FOUND, "404 page not found")
}

fn panicked(_cause: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("request handler panicked");
    text_error(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
}
