//! HTTP API: Prometheus v1, ingest, status pages. The only crate with axum and served JSON.
