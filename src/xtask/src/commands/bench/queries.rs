//! What the query benchmark asks: single panels and alerts, aggregations, joins, long windows, label
//! lookups. Windows of days are cut to the load: [`WHOLE_LOAD`] stands for its length.

/// The longest window of range queries, and some more.
pub(super) const BEHIND_FIRST_SAMPLE_MS: i64 = 70 * 60_000;
/// Stands for the length of the load in a window.
pub(super) const WHOLE_LOAD: &str = "$load";

/// How a query is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// At the end of the load.
    Instant,
    /// From [`BEHIND_FIRST_SAMPLE_MS`] to the end, a step every minute, or every 15 s of an hour:
    /// windows of an hour begin behind the first sample, as versions differ in how they extrapolate
    /// there.
    Range,
    /// A path under `/api/v1`, without times.
    Lookup,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Range => "range",
            Self::Lookup => "lookup",
        }
    }
}

/// Number, kind, text.
pub(super) const QUERIES: &[(u8, Kind, &str)] = &[
    (1, Kind::Instant, "up"),
    (
        2,
        Kind::Instant,
        r#"node_load1{instance="host-node-7:9100"}"#,
    ),
    (
        3,
        Kind::Range,
        r#"node_memory_MemAvailable_bytes{instance="host-node-7:9100"}"#,
    ),
    (
        4,
        Kind::Instant,
        "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < .10",
    ),
    (
        5,
        Kind::Range,
        r#"rate(node_cpu_seconds_total{instance="host-node-7:9100"}[5m])"#,
    ),
    (
        6,
        Kind::Range,
        r#"sum by (instance)(rate(node_cpu_seconds_total{mode!="idle"}[5m]))"#,
    ),
    (
        7,
        Kind::Range,
        r#"1 - avg without (cpu,mode)(rate(node_cpu_seconds_total{mode="idle"}[5m]))"#,
    ),
    (8, Kind::Instant, r#"count({__name__!=""})"#),
    (
        9,
        Kind::Instant,
        r#"count by (__name__)({job="node_exporter"})"#,
    ),
    (
        10,
        Kind::Instant,
        r#"topk(10, count by (__name__)({__name__=~".+"}))"#,
    ),
    (
        11,
        Kind::Range,
        "topk(5, sum by (instance)(rate(node_network_receive_bytes_total[5m])))",
    ),
    (
        12,
        Kind::Range,
        "histogram_quantile(0.99, sum by (le)(rate(http_request_duration_seconds_bucket[5m])))",
    ),
    (
        13,
        Kind::Range,
        "histogram_quantile(0.99, sum by (le, handler)(rate(http_request_duration_seconds_bucket[5m])))",
    ),
    (
        14,
        Kind::Instant,
        r#"predict_linear(node_filesystem_avail_bytes{fstype!~"^(fuse.*|tmpfs|cifs|nfs)"}[1h], 86400) <= 0 and node_filesystem_avail_bytes > 0"#,
    ),
    (
        15,
        Kind::Instant,
        "(node_filesystem_avail_bytes / node_filesystem_size_bytes < .10) and on (instance, device, mountpoint) node_filesystem_readonly == 0",
    ),
    (
        16,
        Kind::Range,
        "rate(node_context_switches_total[15m]) / rate(node_context_switches_total[1h])",
    ),
    (17, Kind::Instant, "max_over_time(node_load1[$load])"),
    (18, Kind::Range, "avg_over_time(node_load1[1h])"),
    (19, Kind::Range, "quantile_over_time(0.95, node_load1[1h])"),
    (20, Kind::Range, "sum_over_time(node_load1[10m:1m])"),
    (
        21,
        Kind::Range,
        r#"node_cpu_seconds_total{instance=~"host-node-1.*",mode=~"user|system"}"#,
    ),
    (
        22,
        Kind::Instant,
        r#"{__name__=~"node_.*_total",instance=~".*9:9100"}"#,
    ),
    (
        23,
        Kind::Range,
        "sum(rate(node_disk_read_time_seconds_total[1m])) / sum(rate(node_disk_reads_completed_total[1m]))",
    ),
    (
        24,
        Kind::Range,
        "max(node_large_metric) - min(node_large_metric) + avg(node_large_metric)",
    ),
    (
        25,
        Kind::Range,
        "node_load1 * on (instance) group_left (nodename) node_uname_info",
    ),
    (
        26,
        Kind::Range,
        "sum(node_network_receive_bytes_total) / (sum(node_network_receive_bytes_total) + sum(node_network_transmit_bytes_total))",
    ),
    (27, Kind::Instant, "changes(node_uname_info[1h]) > 0"),
    (28, Kind::Lookup, "labels"),
    (28, Kind::Lookup, "label/instance/values"),
    (28, Kind::Lookup, "series?match[]=node_cpu_seconds_total"),
    (
        29,
        Kind::Instant,
        "max(max_over_time(node_large_metric[$load]))",
    ),
    (30, Kind::Range, "node_large_metric"),
];
