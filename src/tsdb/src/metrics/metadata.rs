//! What is counted of metadata that senders told.

use base::metrics::{Counter, Gauge, Registry};
use storage::metadata::FamilyTable;

/// The metrics of metadata.
#[derive(Clone, Debug)]
pub(crate) struct MetadataMetrics {
    pub(crate) written: Counter,
    pub(crate) left_out: Counter,
    families: Gauge,
}

impl MetadataMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        Self {
            written: counter(
                "firewatch_tsdb_metadata_written_total",
                "Total number of new and changed metric families whose metadata was stored.",
            ),
            left_out: counter(
                "firewatch_tsdb_metadata_left_out_total",
                "Total number of entries of metadata without room, or with a name or unit that is \
                 none.",
            ),
            families: registry.gauge(
                "firewatch_tsdb_metadata_families",
                "Number of metric families whose metadata is stored.",
                &[],
            ),
        }
    }

    /// Shows what a table holds.
    pub(crate) fn note(&self, table: &FamilyTable) {
        #[expect(clippy::cast_precision_loss, reason = "gauges are float64")]
        self.families.set(table.len() as f64);
    }
}
