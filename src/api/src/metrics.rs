//! `/metrics`: our own metrics in the text format.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base::metrics::{FamilyKind, MetricFamily};
use exposition::{MetricKind, TextWriter};
use http::header;

use crate::parts::Parts;

/// All metrics of the registry.
pub(crate) async fn metrics(State(parts): State<Parts>) -> Response {
    let text = write_families(&parts.registry.gather());
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

fn write_families(families: &[MetricFamily]) -> String {
    let mut writer = TextWriter::new();
    for family in families {
        let kind = match family.kind {
            FamilyKind::Counter => MetricKind::Counter,
            FamilyKind::Gauge => MetricKind::Gauge,
            FamilyKind::Histogram => MetricKind::Histogram,
        };
        writer.family(&family.name, &family.help, kind);
        for line in &family.samples {
            let labels = line
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            writer.sample(&line.name, labels, line.value);
        }
    }
    writer.finish()
}
