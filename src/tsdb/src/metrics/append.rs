//! What is counted of requests: samples that were taken, and those that were not.

use base::metrics::{Counter, Histogram, Registry};
use storage::{AppendError, AppendOutcome};

use crate::rows::Rows;

/// The metrics of requests. Pairs are floats and histograms.
#[derive(Clone, Debug)]
pub(crate) struct AppendMetrics {
    appended: [Counter; 2],
    late_appended: [Counter; 2],
    pub(crate) out_of_order_delta: Histogram,
    series_created: Counter,
    out_of_order: Counter,
    duplicate: Counter,
    out_of_bounds: Counter,
    too_old: Counter,
}

impl AppendMetrics {
    pub(super) fn register(registry: &Registry) -> Self {
        let counter = |name, help| registry.counter(name, help, &[]);
        let pair = |name, help| {
            ["float", "histogram"].map(|kind| registry.counter(name, help, &[("type", kind)]))
        };
        Self {
            appended: pair(
                "prometheus_tsdb_head_samples_appended_total",
                "Total number of appended samples.",
            ),
            late_appended: pair(
                "prometheus_tsdb_head_out_of_order_samples_appended_total",
                "Total number of appended out of order samples.",
            ),
            out_of_order_delta: registry.histogram(
                "prometheus_tsdb_sample_ooo_delta",
                "Delta in seconds by which a sample is considered out of order (reported \
                 regardless of OOO time window and whether sample is accepted or not).",
                &[],
                &[600.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0],
            ),
            series_created: counter(
                "prometheus_tsdb_head_series_created_total",
                "Total number of series created.",
            ),
            out_of_order: counter(
                "prometheus_tsdb_out_of_order_samples_total",
                "Total number of samples refused since they were older than their series.",
            ),
            duplicate: counter(
                "firewatch_tsdb_duplicate_samples_total",
                "Total number of samples refused since their series had another value at the time.",
            ),
            out_of_bounds: counter(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Total number of samples refused since they were too new or past retention.",
            ),
            too_old: counter(
                "prometheus_tsdb_too_old_samples_total",
                "Total number of samples refused since they were behind the out-of-order window.",
            ),
        }
    }

    /// Counts a request that was taken, with what it lost.
    pub(crate) fn count(&self, outcome: &AppendOutcome, rows: &Rows) {
        let histograms = rows.histograms() as u64;
        let floats = outcome.appended.saturating_sub(histograms);
        for (counter, count) in self.appended.iter().zip([floats, histograms]) {
            counter.add(count);
        }
        for (counter, count) in self.late_appended.iter().zip(rows.late()) {
            counter.add(count);
        }
        self.series_created.add(outcome.created_series);
        self.out_of_order.add(outcome.rejected.out_of_order);
        self.duplicate.add(outcome.rejected.duplicate);
        self.out_of_bounds.add(outcome.rejected.out_of_bounds);
        self.too_old.add(outcome.rejected.too_old);
    }

    /// Counts a request that was refused.
    pub(crate) fn count_refusal(&self, error: &AppendError) {
        match error {
            AppendError::OutOfOrder { .. } => self.out_of_order.inc(),
            AppendError::DuplicateForTimestamp { .. } => self.duplicate.inc(),
            AppendError::OutOfBounds { .. } => self.out_of_bounds.inc(),
            AppendError::TooOld { .. } => self.too_old.inc(),
            _ => {}
        }
    }
}
