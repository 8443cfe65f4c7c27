//! Metrics of queries. Names and help texts as upstream's engine.

use base::metrics::{Counter, Gauge, Histogram, Registry};

#[derive(Clone)]
pub(crate) struct QueryMetrics {
    pub(crate) waiting_or_running: Gauge,
    pub(crate) queue_seconds: Histogram,
    pub(crate) preparation_seconds: Histogram,
    pub(crate) evaluation_seconds: Histogram,
    pub(crate) samples: Counter,
    pub(crate) samples_read: Counter,
}

/// Counts a query from its arrival to its end.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.add(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.add(-1.0);
    }
}

impl QueryMetrics {
    #[expect(clippy::cast_precision_loss, reason = "gauges hold float64")]
    pub(crate) fn new(registry: &Registry, most: usize) -> Self {
        registry
            .gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
                &[],
            )
            .set(most as f64);
        let seconds = |slice| {
            registry.histogram(
                "prometheus_engine_query_duration_histogram_seconds",
                "The duration of various parts of PromQL query execution.",
                &[("slice", slice)],
                &[0.01, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0],
            )
        };
        Self {
            waiting_or_running: registry.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
                &[],
            ),
            queue_seconds: seconds("queue_time"),
            preparation_seconds: seconds("prepare_time"),
            evaluation_seconds: seconds("inner_eval"),
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries.",
                &[],
            ),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read from storage by all queries.",
                &[],
            ),
        }
    }
}
