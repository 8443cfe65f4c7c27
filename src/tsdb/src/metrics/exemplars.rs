//! What is counted of exemplars. Names and meanings are those of upstream's `tsdb/exemplar.go`.

use base::metrics::{Counter, Gauge, Registry};
use storage::CircularExemplars;

/// The metrics of exemplars.
#[derive(Clone, Debug)]
pub(crate) struct ExemplarMetrics {
    pub(crate) appended: Counter,
    pub(crate) out_of_order: Counter,
    stored: Gauge,
    series: Gauge,
    oldest_seconds: Gauge,
    max: Gauge,
}

impl ExemplarMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        let gauge = |name, help| registry.gauge(name, help, &[]);
        Self {
            appended: counter(
                "prometheus_tsdb_exemplar_exemplars_appended_total",
                "Total number of appended exemplars.",
            ),
            out_of_order: counter(
                "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
                "Total number of out-of-order exemplar ingestion failed attempts.",
            ),
            stored: gauge(
                "prometheus_tsdb_exemplar_exemplars_in_storage",
                "Number of exemplars currently in circular storage.",
            ),
            series: gauge(
                "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
                "Number of series with exemplars currently in circular storage.",
            ),
            oldest_seconds: gauge(
                "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
                "The timestamp of the oldest exemplar stored in circular storage.",
            ),
            max: gauge(
                "prometheus_tsdb_exemplar_max_exemplars",
                "Total number of exemplars the exemplar storage can store, resizeable.",
            ),
        }
    }

    /// Shows what a buffer holds.
    pub(crate) fn note(&self, buffer: &CircularExemplars) {
        #[expect(clippy::cast_precision_loss, reason = "gauges are float64")]
        {
            self.stored.set(buffer.len() as f64);
            self.series.set(buffer.series() as f64);
            self.max.set(buffer.capacity() as f64);
        }
        let oldest = buffer.oldest().map(|oldest| oldest.timestamp.as_seconds());
        self.oldest_seconds.set(oldest.unwrap_or(0.0));
    }
}
