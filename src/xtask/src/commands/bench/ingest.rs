//! Ingestion: what a server spends on a sample that is sent as fast as it is taken.

use std::time::{Duration, Instant};

use super::load::Load;
use super::report::{Figure, add_all};
use super::server::{Candidate, Kind, Setup, encode_all};

/// What was put off counts too: the server is measured until it rests for so long.
const QUIET: Duration = Duration::from_secs(2);
const MOST_SETTLING: Duration = Duration::from_secs(60);

/// Runs the servers one after the other under the same load.
pub(super) fn run(setup: &Setup, load: &Load) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("ingest: server CPU per sample", "ns").goals(0.25, 0.5),
        Figure::new("ingest: time per sample, as fast as taken", "ns"),
        Figure::new("ingest: anonymous memory afterwards", "MiB"),
    ];
    let bodies = encode_all(load, setup.senders)?;
    for (kind, _) in &setup.programs {
        let values = measure(setup.start(*kind)?, load, &bodies)?;
        add_all(&mut figures, *kind, &values);
    }
    Ok(figures.into())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(
    candidate: Candidate,
    load: &Load,
    bodies: &[Vec<Vec<Vec<u8>>>],
) -> anyhow::Result<[f64; 3]> {
    let before = candidate.server.usage()?;
    let timer = Instant::now();
    for shares in bodies {
        candidate.write_bodies(shares)?;
    }
    let taken = timer.elapsed();
    let after = candidate.settle(QUIET, MOST_SETTLING)?;
    let samples = load.total_samples() as f64;
    let values = [
        (after.cpu_seconds - before.cpu_seconds) * 1e9 / samples,
        taken.as_secs_f64() * 1e9 / samples,
        mebibytes(after.anonymous_bytes),
    ];
    candidate.stop()?;
    Ok(values)
}

/// CPU seconds that a server spends on a load.
pub(super) fn cpu_seconds(setup: &Setup, kind: Kind, load: &Load) -> anyhow::Result<f64> {
    let candidate = setup.start(kind)?;
    let before = candidate.server.usage()?;
    candidate.write_load(load)?;
    let after = candidate.settle(QUIET, MOST_SETTLING)?;
    candidate.stop()?;
    Ok(after.cpu_seconds - before.cpu_seconds)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
