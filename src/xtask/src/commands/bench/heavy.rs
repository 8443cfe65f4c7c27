//! Too much at once: a query beyond its budget, then many clients with heavy queries beside one
//! with light ones. The server has to stay alive, inside its memory, and answer the light ones.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::ingest::mebibytes;
use super::load::Load;
use super::report::Figure;
use super::server::{Candidate, Kind, Setup, pause};

/// How many clients, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pressure {
    pub(super) clients: usize,
    pub(super) seconds: u64,
}

/// Queries that look at every sample, as range queries over the whole load.
const HEAVY: &[&str] = &[
    r#"{__name__=~"node_.*"}"#,
    r#"sum by (__name__, instance, device) (rate({__name__=~"node_.*_total"}[5m]))"#,
    r#"label_replace({job="node_exporter"}, "copy", "$1", "device", "(.*)")"#,
    r#"sort_desc(quantile_over_time(0.9, {__name__=~"node_.*"}[30m:15s]))"#,
    r#"{job="node_exporter"} * on (__name__, instance, device) {job="node_exporter"}"#,
];

/// A query of one series.
const LIGHT: &str = r#"node_large_metric{instance="host-node-1:9100",device="device-3"}"#;

/// What a client keeps of an answer.
const KEEP_BYTES: usize = 4096;

/// Upstream's answer to a query that holds too much.
const OVER_BUDGET: &str =
    "query processing would load too many samples into memory in query execution";

/// What clients were told: HTTP status or failure, and how often.
type Answers = BTreeMap<String, u64>;

/// Loads the server, presses it and prints what happened.
pub(super) fn run(setup: &Setup, load: &Load, pressure: Pressure) -> anyhow::Result<Vec<Figure>> {
    let candidate = setup.start(Kind::Firewatch)?;
    candidate.write_load(load)?;
    let mut out = std::io::stdout().lock();
    let loaded = candidate.server.usage()?.anonymous_bytes;
    writeln!(
        out,
        "{} series × {} samples loaded, {:.0} MiB resident",
        load.series,
        load.steps,
        mebibytes(loaded)
    )?;
    let (status, body) = range_query(&candidate, load, HEAVY[0])?;
    let after = candidate.server.usage()?.anonymous_bytes;
    writeln!(
        out,
        "one heavy query: status {status}, {}, {:.0} MiB resident after it",
        if body.contains(OVER_BUDGET) {
            "over budget in upstream's words"
        } else {
            "answered"
        },
        mebibytes(after)
    )?;
    press(&candidate, load, pressure, &mut out)?;
    candidate.stop()?;
    Ok(Vec::new())
}

fn press(
    candidate: &Candidate,
    load: &Load,
    pressure: Pressure,
    out: &mut impl std::io::Write,
) -> anyhow::Result<()> {
    let stop = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(pressure.seconds);
    let (heavy, light, resident) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let heavy: Vec<_> = (0..pressure.clients)
            .map(|client| {
                scope.spawn({
                    let stop = &stop;
                    move || press_one(candidate, load, client, stop)
                })
            })
            .collect();
        let light = scope.spawn(|| light_queries(candidate, load, &stop));
        let resident = watch(candidate, deadline);
        stop.store(true, Ordering::Relaxed);
        let mut answers = Answers::new();
        for client in heavy {
            let Ok(told) = client.join() else {
                anyhow::bail!("a client panicked");
            };
            for (what, times) in told {
                *answers.entry(what).or_default() += times;
            }
        }
        let Ok(light) = light.join() else {
            anyhow::bail!("the light client panicked");
        };
        Ok((answers, light, resident?))
    })?;
    writeln!(
        out,
        "{} clients for {} s: {heavy:?}",
        pressure.clients, pressure.seconds
    )?;
    let half = resident.len() / 2;
    let peak = |part: &[u64]| mebibytes(part.iter().copied().max().unwrap_or(0));
    writeln!(
        out,
        "resident: peak {:.0} MiB in the first half, {:.0} MiB in the second",
        peak(&resident[..half]),
        peak(&resident[half..])
    )?;
    let (answered, failed, mut millis) = light;
    millis.sort_by(f64::total_cmp);
    let median = millis.get(millis.len() / 2).copied().unwrap_or(f64::NAN);
    let worst = millis.last().copied().unwrap_or(f64::NAN);
    writeln!(
        out,
        "light queries: {answered} answered, {failed} not; median {median:.1} ms, worst {worst:.1} ms"
    )?;
    anyhow::ensure!(
        answered > 0 && failed == 0,
        "light queries were not answered"
    );
    let (status, _) = range_query(candidate, load, LIGHT)?;
    anyhow::ensure!(status == 200, "the server is not well afterwards: {status}");
    Ok(())
}

/// Asks heavy queries in turn until `stop`; a client that has to wait too long counts as such.
fn press_one(candidate: &Candidate, load: &Load, client: usize, stop: &AtomicBool) -> Answers {
    let mut answers = Answers::new();
    let queries = HEAVY.iter().cycle().skip(client % HEAVY.len());
    for query in queries {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let told = match range_query(candidate, load, query) {
            Ok((status, _)) => status.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        *answers.entry(told).or_default() += 1;
    }
    answers
}

/// Asks light queries until `stop`: how many were answered, how many not, milliseconds of each.
fn light_queries(candidate: &Candidate, load: &Load, stop: &AtomicBool) -> (u64, u64, Vec<f64>) {
    let (mut answered, mut failed, mut millis) = (0, 0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let timer = Instant::now();
        match range_query(candidate, load, LIGHT) {
            Ok((200, body)) if body.contains("host-node-1:9100") => answered += 1,
            Ok(_) | Err(_) => failed += 1,
        }
        millis.push(timer.elapsed().as_secs_f64() * 1000.0);
    }
    (answered, failed, millis)
}

/// Resident bytes of the server, ten times a second until `deadline`.
fn watch(candidate: &Candidate, deadline: Instant) -> anyhow::Result<Vec<u64>> {
    let mut resident = Vec::new();
    while Instant::now() < deadline {
        resident.push(candidate.server.usage()?.anonymous_bytes);
        pause(Duration::from_millis(100));
    }
    Ok(resident)
}

/// Status and body of a range query over the whole load, a step every 15 seconds.
fn range_query(candidate: &Candidate, load: &Load, query: &str) -> anyhow::Result<(u16, String)> {
    let (start, end) = (load.start_ms / 1000, load.end_ms() / 1000);
    let answer = candidate.client.post_form_head(
        "/api/v1/query_range",
        &[
            ("query", query),
            ("start", &start.to_string()),
            ("end", &end.to_string()),
            ("step", "15"),
        ],
        KEEP_BYTES,
    )?;
    Ok((answer.status, answer.body))
}
