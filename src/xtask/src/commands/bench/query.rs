//! Queries: how long a client waits for an answer, and how much memory the server needs meanwhile.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use testkit::process::Server;

use super::answer::compare;
use super::load::Shape;
use super::node;
use super::queries::{Kind, QUERIES};
use super::server::Candidate;

/// How far behind the last sample queries end, so that no step meets a sample: whether the left
/// edge of a window belongs to it differs between versions.
const BEHIND_LAST_SAMPLE_MS: i64 = 7_000;
/// Length of range queries.
const RANGE_MS: i64 = 50 * 60_000;
/// How often memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(5);

/// Loads the servers, compares their answers, and prints the median of each query on each. `only`
/// chooses queries whose number or text it is part of.
pub(super) fn run(shape: &Shape, repeat: u32, only: Option<&str>) -> anyhow::Result<()> {
    let mut candidates = vec![Candidate::firewatch(shape)?];
    candidates.extend(Candidate::prometheus(shape)?);
    let series = node::series(shape);
    for candidate in &candidates {
        candidate.write_bodies(shape, node::stretches(shape), |from| {
            node::bodies(shape, &series, from)
        })?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} series × {} samples; milliseconds, median of {repeat}",
        shape.series, shape.samples
    )?;
    let (mut ratios, mut differences) = (Vec::new(), Vec::new());
    let mut peaks = vec![0_u64; candidates.len()];
    print_header(&mut out, &candidates)?;
    for query in QUERIES.iter().filter(|query| is_chosen(query, only)) {
        let measured = measure(&candidates, shape, query, repeat)?;
        for (peak, measured) in peaks.iter_mut().zip(&measured) {
            *peak = (*peak).max(measured.peak_bytes);
        }
        print_line(&mut out, query, &measured)?;
        if let [ours, theirs] = measured.as_slice() {
            ratios.push(ours.millis / theirs.millis);
            if let Err(error) = compare(&ours.answer, &theirs.answer) {
                differences.push(format!("{}: {error:#}", query.2));
            }
        }
    }
    print_summary(&mut out, &candidates, &ratios, &peaks)?;
    for candidate in candidates {
        candidate.stop()?;
    }
    anyhow::ensure!(
        differences.is_empty(),
        "answers differ:\n{}",
        differences.join("\n")
    );
    Ok(())
}

fn is_chosen((number, _, text): &(u8, Kind, &str), only: Option<&str>) -> bool {
    only.is_none_or(|only| only == number.to_string() || text.contains(only))
}

/// What one query costs on one server.
struct Measured {
    millis: f64,
    /// The most anonymous memory while it ran.
    peak_bytes: u64,
    answer: String,
}

fn measure(
    candidates: &[Candidate],
    shape: &Shape,
    query: &(u8, Kind, &str),
    repeat: u32,
) -> anyhow::Result<Vec<Measured>> {
    let path = path(shape, query);
    candidates
        .iter()
        .map(|candidate| median(candidate, &path, repeat))
        .collect()
}

/// The path of a query, its times included.
fn path(shape: &Shape, (_, kind, text): &(u8, Kind, &str)) -> String {
    let seconds = |millis: i64| format!("{}.{:03}", millis / 1000, millis % 1000);
    let end_ms = shape.end_ms() - BEHIND_LAST_SAMPLE_MS;
    let end = seconds(end_ms);
    match kind {
        Kind::Lookup => format!("/api/v1/{text}"),
        Kind::Instant => format!("/api/v1/query?query={}&time={end}", encoded(text)),
        Kind::Range => format!(
            "/api/v1/query_range?query={}&start={}&end={end}&step=15",
            encoded(text),
            seconds(end_ms - RANGE_MS)
        ),
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
    server.usage().map_or(0, |usage| usage.resident_bytes)
}

fn time_all(candidate: &Candidate, path: &str, repeat: u32) -> anyhow::Result<(Vec<f64>, String)> {
    let mut millis = Vec::new();
    let mut last = String::new();
    for _ in 0..repeat.max(1) {
        let timer = Instant::now();
        let answer = candidate.client.get(path)?;
        millis.push(timer.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(answer.status == 200, "{}: {}", candidate.name, answer.body);
        last = answer.body;
    }
    Ok((millis, last))
}

fn print_header(out: &mut impl Write, candidates: &[Candidate]) -> anyhow::Result<()> {
    write!(out, "{:>3} {:<8}", "", "kind")?;
    for candidate in candidates {
        write!(out, " {:>11} {:>9}", candidate.name, "MiB")?;
    }
    writeln!(out, " {:>6}  query", "ratio")?;
    Ok(())
}

fn print_line(
    out: &mut impl Write,
    (number, kind, text): &(u8, Kind, &str),
    measured: &[Measured],
) -> anyhow::Result<()> {
    write!(out, "{number:>3} {:<8}", kind.name())?;
    for measured in measured {
        write!(
            out,
            " {:>11.2} {:>9.1}",
            measured.millis,
            mebibytes(measured.peak_bytes)
        )?;
    }
    match measured {
        [ours, theirs] => write!(out, " {:>6.2}", ours.millis / theirs.millis)?,
        _ => write!(out, " {:>6}", "")?,
    }
    writeln!(out, "  {text}")?;
    out.flush()?;
    Ok(())
}

/// The geometric mean of the times' ratios, and the most memory of both.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn print_summary(
    out: &mut impl Write,
    candidates: &[Candidate],
    ratios: &[f64],
    peaks: &[u64],
) -> anyhow::Result<()> {
    if !ratios.is_empty() {
        let logarithms: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
        let mean = (logarithms / ratios.len() as f64).exp();
        writeln!(
            out,
            "firewatch / prometheus, geometric mean of times: {mean:.3}"
        )?;
    }
    for (candidate, peak) in candidates.iter().zip(peaks) {
        writeln!(
            out,
            "{}: at most {:.1} MiB of anonymous memory",
            candidate.name,
            mebibytes(*peak)
        )?;
    }
    if let [ours, theirs] = peaks {
        let ratio = *ours as f64 / *theirs as f64;
        writeln!(out, "firewatch / prometheus, most memory: {ratio:.3}")?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
