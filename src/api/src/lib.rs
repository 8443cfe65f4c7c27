//! HTTP: Prometheus' v1 API, ingest, status pages. The only crate with axum and served JSON. Gets
//! everything it serves handed in and starts nothing but connections.

mod admin;
mod ast;
mod body;
mod cancel;
mod cors;
mod endpoint;
mod envelope;
mod expressions;
mod form;
mod home;
mod json;
mod lifecycle;
mod metadata;
mod metric_metadata;
mod metrics;
mod params;
pub mod parts;
mod query;
mod reply;
mod router;
pub mod serve;
mod status;
mod targets;
mod write;

pub use parts::{
    ActiveQueries, ActiveTarget, AdminApi, BuildInfo, Control, DroppedTarget, Flag, Lifecycle,
    Parts, Phase, QueryLog, Readiness, ReloadError, RuntimeInfo, Settings, Storage, StorageSlot,
    TargetHealth, TargetSource, TargetsView, WriteReceiver,
};
pub use router::router;
pub use serve::{ServeOptions, serve};
