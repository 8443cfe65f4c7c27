//! Disk: bytes per sample when a server has compacted what it has, index included, and whether it
//! gives back the same bits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use testkit::process::folder_bytes;

use super::exact;
use super::footprint::{Footprint, footprint};
use super::load::Load;
use super::report::{Figure, add_all};
use super::server::{Candidate, Kind, Setup, pause};

/// Prometheus looks for blocks to compact once a minute.
const QUIET: Duration = Duration::from_secs(65);
const MOST_SETTLING: Duration = Duration::from_secs(600);
/// Series that are read back.
const READ_BACK: u32 = 100;

/// Runs the servers one after the other under the same load.
pub(super) fn run(setup: &Setup, load: &Load) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("disk: all, index included", "bytes/sample").goals(0.25, 0.8),
        Figure::new("disk: index", "bytes/series"),
        Figure::new("disk: before compaction, log included", "bytes/sample"),
        Figure::new("disk: CPU per sample, compaction included", "ns"),
        Figure::new(
            "disk: samples read back that are not the same bits",
            "of a million",
        ),
    ];
    for (kind, _) in &setup.programs {
        let values = measure(setup, setup.start(*kind)?, load)?;
        add_all(&mut figures, *kind, &values);
    }
    Ok(figures.into())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(setup: &Setup, mut candidate: Candidate, load: &Load) -> anyhow::Result<[f64; 5]> {
    candidate.write_load(load)?;
    let samples = load.total_samples() as f64;
    let written = folder_bytes(&candidate.data());
    let usage = candidate.settle(QUIET, setup.most_time.min(MOST_SETTLING))?;
    let wrong = exact::wrong_samples(&candidate, load, READ_BACK)?;
    let cpu = usage.cpu_seconds;
    let (footprint, wrong) = match candidate.kind {
        Kind::Firewatch => {
            let program = candidate.program().to_owned();
            let mut compacted = None;
            candidate.restart_after(|data| {
                compact(&program, data)?;
                compacted = Some(footprint(Kind::Firewatch, data)?);
                Ok(())
            })?;
            // The large chunks have to give the same bits as the small ones did.
            let wrong = wrong.max(exact::wrong_samples(&candidate, load, READ_BACK)?);
            (compacted.context("not measured")?, wrong)
        }
        Kind::Prometheus => (footprint(candidate.kind, &snapshot(&candidate)?)?, wrong),
        Kind::VictoriaMetrics => {
            force_merge(&candidate, MOST_SETTLING)?;
            (footprint(candidate.kind, &candidate.data())?, wrong)
        }
    };
    candidate.stop()?;
    let Footprint { all, index } = footprint;
    Ok([
        all as f64 / samples,
        index as f64 / f64::from(load.series),
        written as f64 / samples,
        cpu * 1e9 / samples,
        wrong * 1e6,
    ])
}

/// Runs the offline compaction of Firewatch, where it has one.
fn compact(program: &str, data: &Path) -> anyhow::Result<()> {
    let help = Command::new(program)
        .args(["tsdb", "compact", "--help"])
        .output()?;
    if !help.status.success() {
        return Ok(());
    }
    let output = Command::new(program)
        .args(["tsdb", "compact"])
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "compaction failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Lets Prometheus write all it has as blocks; returns their folder.
fn snapshot(candidate: &Candidate) -> anyhow::Result<PathBuf> {
    let answer = candidate
        .client
        .post_form("/api/v1/admin/tsdb/snapshot", &[])?;
    let name = answer["data"]["name"]
        .as_str()
        .with_context(|| format!("no snapshot: {answer}"))?;
    Ok(candidate.data().join("snapshots").join(name))
}

/// Lets VictoriaMetrics merge all parts, and waits for it.
fn force_merge(candidate: &Candidate, most: Duration) -> anyhow::Result<()> {
    for path in ["/internal/force_flush", "/internal/force_merge"] {
        let answer = candidate.client.get(path)?;
        anyhow::ensure!(answer.status == 200, "{path}: {}", answer.body);
    }
    let timer = Instant::now();
    while timer.elapsed() < most {
        pause(Duration::from_secs(1));
        let metrics = candidate.client.get("/metrics")?.body;
        let active = metrics
            .lines()
            .find_map(|line| line.strip_prefix("vm_active_force_merges "));
        if active == Some("0") {
            return Ok(());
        }
    }
    anyhow::bail!("the merge does not end")
}
