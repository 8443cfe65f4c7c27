//! Queries: how long a client waits for an answer, and how much memory the server needs meanwhile.
//! Answers have to be those of Prometheus.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use testkit::process::Server;

use super::answer::compare;
use super::ingest::mebibytes;
use super::load::Load;
use super::queries::{BEHIND_FIRST_SAMPLE_MS, Kind as QueryKind, QUERIES, WHOLE_LOAD};
use super::report::Figure;
use super::server::{Candidate, Kind, Setup};

/// How far behind the last sample queries end, so that no step meets a sample: whether the left
/// edge of a window belongs to it differs between versions.
const BEHIND_LAST_SAMPLE_MS: i64 = 7_000;
/// How often memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(5);
/// The server has put off work of the load; it must not be taken for that of queries.
const QUIET: Duration = Duration::from_secs(3);
const MOST_SETTLING: Duration = Duration::from_secs(120);
/// Where both are faster, which one is does not matter.
const NOTICED_MS: f64 = 2.0;

type Query = (u8, QueryKind, &'static str);

/// What is asked how often.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) repeat: u32,
    /// Only the queries of this number, or that contain this text.
    pub(super) only: Option<String>,
}

/// What one query costs on one server.
struct Measured {
    millis: f64,
    /// The most anonymous memory while it ran.
    peak_bytes: u64,
    answer: String,
}

/// Loads the servers one after the other, prints the median of each query on each, and fails where
/// the answers of Firewatch are not those of Prometheus.
pub(super) fn run(setup: &Setup, load: &Load, choice: &Choice) -> anyhow::Result<Vec<Figure>> {
    let queries: Vec<Query> = QUERIES
        .iter()
        .filter(|query| choice.takes(query))
        .copied()
        .collect();
    let mut all = Vec::new();
    for (kind, _) in &setup.programs {
        all.push((
            *kind,
            measure_all(setup, *kind, load, (&queries, choice.repeat))?,
        ));
    }
    let mut out = std::io::stdout().lock();
    print_queries(&mut out, &queries, &all)?;
    print_slower(&mut out, &queries, &all)?;
    let (wrong, other) = differences(&queries, &all);
    writeln!(
        out,
        "\nvictoria-metrics means something else by: {}\n",
        if other.is_empty() {
            "nothing"
        } else {
            other.trim()
        }
    )?;
    anyhow::ensure!(wrong.is_empty(), "answers differ:\n{}", wrong.join("\n"));
    Ok(figures(load, &all))
}

impl Choice {
    fn takes(&self, (number, _, text): &Query) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| only == number.to_string() || text.contains(only))
    }
}

fn measure_all(
    setup: &Setup,
    kind: Kind,
    load: &Load,
    (queries, repeat): (&[Query], u32),
) -> anyhow::Result<Vec<Measured>> {
    let candidate = setup.start(kind)?;
    candidate.write_load(load)?;
    candidate.settle(QUIET, MOST_SETTLING)?;
    let measured = queries
        .iter()
        .map(|query| median(&candidate, &path(load, query), repeat))
        .collect::<anyhow::Result<_>>()?;
    candidate.stop()?;
    Ok(measured)
}

/// The path of a query, its times included.
fn path(load: &Load, (_, kind, text): &Query) -> String {
    let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
    let length_s = (load.end_ms() - load.start_ms) / 1000;
    let text = text.replace(WHOLE_LOAD, &format!("{length_s}s"));
    let end_ms = load.end_ms() + load.interval_ms - BEHIND_LAST_SAMPLE_MS;
    let end = seconds(end_ms);
    match kind {
        QueryKind::Lookup => {
            let separator = if text.contains('?') { '&' } else { '?' };
            let start = load.start_ms / 1000;
            format!("/api/v1/{text}{separator}start={start}&end={end}")
        }
        QueryKind::Instant => {
            format!(
                "/api/v1/query?query={}&time={end}&nocache=1",
                encoded(&text)
            )
        }
        QueryKind::Range => {
            let most_ms = load.end_ms() - load.start_ms - BEHIND_FIRST_SAMPLE_MS;
            let step_ms = if most_ms <= 3_600_000 { 15_000 } else { 60_000 };
            let length_ms = most_ms.max(step_ms) / step_ms * step_ms;
            format!(
                "/api/v1/query_range?query={}&start={}&end={end}&step={}&nocache=1",
                encoded(&text),
                seconds(end_ms - length_ms),
                step_ms / 1000
            )
        }
    }
}

/// A text as part of a URL's query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn median(candidate: &Candidate, path: &str, repeat: u32) -> anyhow::Result<Measured> {
    let (stop, stopped) = channel::<()>();
    std::thread::scope(|scope| {
        let server = &candidate.server;
        let watch = scope.spawn(move || {
            let mut peak_bytes = memory(server);
            while stopped.recv_timeout(MEMORY_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                peak_bytes = peak_bytes.max(memory(server));
            }
            peak_bytes
        });
        let timed = time_all(candidate, path, repeat);
        drop(stop);
        let peak_bytes = watch.join().unwrap_or(0);
        let (mut millis, answer) = timed?;
        millis.sort_by(f64::total_cmp);
        Ok(Measured {
            millis: millis[millis.len() / 2],
            peak_bytes,
            answer,
        })
    })
}

fn memory(server: &Server) -> u64 {
    server.usage().map_or(0, |usage| usage.anonymous_bytes)
}

fn time_all(candidate: &Candidate, path: &str, repeat: u32) -> anyhow::Result<(Vec<f64>, String)> {
    let mut millis = Vec::new();
    let mut last = String::new();
    for _ in 0..repeat.max(1) {
        let timer = Instant::now();
        let answer = candidate.client.get(path)?;
        millis.push(timer.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(
            answer.status == 200,
            "{}: {path}: {}",
            candidate.name(),
            answer.body
        );
        last = answer.body;
    }
    Ok((millis, last))
}

type OfServers = [(Kind, Vec<Measured>)];

/// What a server needs for query number `place`, if it was asked.
fn of(all: &OfServers, kind: Kind, place: usize) -> Option<&Measured> {
    let (_, measured) = all.iter().find(|(known, _)| *known == kind)?;
    measured.get(place)
}

fn print_queries(out: &mut impl Write, queries: &[Query], all: &OfServers) -> anyhow::Result<()> {
    write!(out, "| # | kind |")?;
    for (kind, _) in all {
        write!(out, " {} ms |", kind.name())?;
    }
    writeln!(out, " ÷ prometheus | query |")?;
    writeln!(
        out,
        "| --- | --- |{} ---: | --- |",
        " ---: |".repeat(all.len())
    )?;
    for (place, (number, kind, text)) in queries.iter().enumerate() {
        write!(out, "| {number} | {} |", kind.name())?;
        for (_, measured) in all {
            write!(out, " {:.2} |", measured[place].millis)?;
        }
        match ratio(all, Kind::Prometheus, place) {
            Some(ratio) => write!(out, " {ratio:.2} |")?,
            None => write!(out, " |")?,
        }
        writeln!(out, " `{}` |", text.replace('|', "\\|"))?;
    }
    Ok(())
}

/// The time of Firewatch as part of that of a peer.
fn ratio(all: &OfServers, peer: Kind, place: usize) -> Option<f64> {
    let (ours, theirs) = (of(all, Kind::Firewatch, place)?, of(all, peer, place)?);
    Some(ours.millis / theirs.millis)
}

fn print_slower(out: &mut impl Write, queries: &[Query], all: &OfServers) -> anyhow::Result<()> {
    let slower: Vec<String> = queries
        .iter()
        .enumerate()
        .filter(|(place, _)| {
            let noticed = of(all, Kind::Firewatch, *place).is_some_and(|m| m.millis > NOTICED_MS);
            noticed && ratio(all, Kind::Prometheus, *place).is_some_and(|ratio| ratio > 1.0)
        })
        .map(|(_, (number, _, _))| number.to_string())
        .collect();
    let slower = match slower.as_slice() {
        [] => "none".to_owned(),
        slower => slower.join(", "),
    };
    writeln!(
        out,
        "\nabove {NOTICED_MS} ms and slower than prometheus: {slower}"
    )?;
    Ok(())
}

/// Answers of Firewatch that are not those of Prometheus, and numbers of those of VictoriaMetrics.
fn differences(queries: &[Query], all: &OfServers) -> (Vec<String>, String) {
    let (mut wrong, mut other) = (Vec::new(), String::new());
    for (place, (number, _, text)) in queries.iter().enumerate() {
        let Some(expected) = of(all, Kind::Prometheus, place) else {
            continue;
        };
        let differs = |kind| {
            let measured = of(all, kind, place)?;
            compare(&measured.answer, &expected.answer).err()
        };
        if let Some(error) = differs(Kind::Firewatch) {
            wrong.push(format!("{text}: {error:#}"));
        }
        if differs(Kind::VictoriaMetrics).is_some() {
            other.push_str(&format!("{number} "));
        }
    }
    (wrong, other)
}

fn figures(load: &Load, all: &OfServers) -> Vec<Figure> {
    let name = |what: &str| format!("query, {} × {} samples: {what}", load.series, load.steps);
    let mut times = Figure::new(name("geometric mean of times"), "ms").goals(0.25, 0.5);
    let mut peaks = Figure::new(name("most anonymous memory"), "MiB").goal_of_prometheus(0.3);
    for (kind, measured) in all {
        times.add(*kind, geometric_mean(measured));
        let peak = measured.iter().map(|measured| measured.peak_bytes).max();
        peaks.add(*kind, mebibytes(peak.unwrap_or(0)));
    }
    vec![times, peaks]
}

#[expect(clippy::cast_precision_loss, reason = "a count of queries")]
fn geometric_mean(measured: &[Measured]) -> f64 {
    let logarithms: f64 = measured.iter().map(|measured| measured.millis.ln()).sum();
    (logarithms / measured.len() as f64).exp()
}
