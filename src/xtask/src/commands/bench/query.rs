//! Queries: how long a client waits for an answer.

use std::io::Write as _;
use std::time::Instant;

use super::load::Shape;
use super::server::Candidate;

/// Queries of dashboards and alerts over the load's series.
const QUERIES: &[(&str, &str)] = &[
    (
        "one series",
        r#"node_counter_12_total{instance="host-node-1:9100",device="device-3"}"#,
    ),
    (
        "rate of one target",
        r#"rate(node_counter_12_total{instance="host-node-1:9100"}[5m])"#,
    ),
    (
        "sum by of rate",
        "sum by (instance) (rate(node_cpu_seconds_15_total[5m]))",
    ),
    ("quantile", "quantile(0.9, node_load_19_ratio)"),
    (
        "join",
        "node_memory_17_bytes / on (instance, device) node_memory_18_bytes",
    ),
    (
        "topk",
        "topk(5, sum by (instance, device) (rate(node_counter_13_total[5m])))",
    ),
    (
        "count by name",
        "count by (__name__) ({__name__=~\"node_.*\"})",
    ),
    (
        "avg over time",
        "avg_over_time(node_load_19_ratio{device=\"device-7\"}[1h])",
    ),
];

/// Loads the servers and prints the median of each query on each.
pub(super) fn run(shape: &Shape, repeat: u32) -> anyhow::Result<()> {
    let mut candidates = vec![Candidate::firewatch(shape)?];
    candidates.extend(Candidate::prometheus(shape)?);
    for candidate in &candidates {
        candidate.write_load(shape)?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} series × {} samples; milliseconds, median of {repeat}",
        shape.series, shape.samples
    )?;
    write!(out, "{:<22} {:<8}", "query", "kind")?;
    for candidate in &candidates {
        write!(out, " {:>12}", candidate.name)?;
    }
    writeln!(out)?;
    for (name, query) in QUERIES {
        for kind in [Kind::Instant, Kind::Range] {
            write!(out, "{name:<22} {:<8}", kind.name())?;
            for candidate in &candidates {
                write!(
                    out,
                    " {:>12.2}",
                    median(candidate, shape, (query, kind), repeat)?
                )?;
            }
            writeln!(out)?;
        }
    }
    for candidate in candidates {
        candidate.stop()?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    Instant,
    /// One hour, a step a minute.
    Range,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Range => "1h@1m",
        }
    }
}

fn median(
    candidate: &Candidate,
    shape: &Shape,
    (query, kind): (&str, Kind),
    repeat: u32,
) -> anyhow::Result<f64> {
    let end = (shape.end_ms() / 1000).to_string();
    let start = (shape.end_ms() / 1000 - 3600).to_string();
    let mut millis = Vec::new();
    for _ in 0..repeat.max(1) {
        let timer = Instant::now();
        let answer = match kind {
            Kind::Instant => candidate
                .client
                .post_form("/api/v1/query", &[("query", query), ("time", &end)])?,
            Kind::Range => candidate.client.post_form(
                "/api/v1/query_range",
                &[
                    ("query", query),
                    ("start", &start),
                    ("end", &end),
                    ("step", "60"),
                ],
            )?,
        };
        millis.push(timer.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(
            answer["status"] == "success",
            "{}: {answer}",
            candidate.name
        );
    }
    millis.sort_by(f64::total_cmp);
    Ok(millis[millis.len() / 2])
}
