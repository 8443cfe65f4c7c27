//! Ingestion: what a server spends on a sample.

use std::io::Write as _;
use std::time::Instant;

use super::load::Shape;
use super::server::Candidate;

/// Runs the servers one after the other under the same load and prints a line for each.
pub(super) fn run(shape: &Shape) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} series × {} samples, {} senders, 2,000 samples a request",
        shape.series, shape.samples, shape.senders
    )?;
    writeln!(
        out,
        "{:<12} {:>16} {:>12} {:>14} {:>14} {:>12}",
        "server", "samples/CPU s", "CPU s", "samples/s", "bytes/sample", "RSS MiB"
    )?;
    let ours = measure(Candidate::firewatch(shape)?, shape, &mut out)?;
    if let Some(prometheus) = Candidate::prometheus(shape)? {
        let theirs = measure(prometheus, shape, &mut out)?;
        writeln!(
            out,
            "firewatch / prometheus, samples per CPU second: {:.2}",
            ours / theirs
        )?;
    }
    Ok(())
}

/// Returns samples per CPU second of the server.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(
    candidate: Candidate,
    shape: &Shape,
    out: &mut impl std::io::Write,
) -> anyhow::Result<f64> {
    let before = candidate.server.usage()?;
    let timer = Instant::now();
    candidate.write_load(shape)?;
    let seconds = timer.elapsed().as_secs_f64();
    let after = candidate.server.usage()?;
    let name = candidate.name;
    let bytes = candidate.stop()?;
    let samples = shape.total_samples() as f64;
    let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    let per_cpu_second = samples / cpu_seconds.max(0.01);
    writeln!(
        out,
        "{name:<12} {per_cpu_second:>16.0} {cpu_seconds:>12.2} {:>14.0} {:>14.2} {:>12.1}",
        samples / seconds,
        bytes as f64 / samples,
        after.resident_bytes as f64 / f64::from(1 << 20),
    )?;
    Ok(per_cpu_second)
}
