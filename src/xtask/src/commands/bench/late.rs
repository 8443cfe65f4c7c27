//! Out of order: one sample of twenty comes up to half an hour late.

use std::time::Duration;

use super::exact;
use super::load::Load;
use super::report::{Figure, add_all};
use super::restart::lost_samples;
use super::server::Setup;

/// Half an hour.
const LATE_STEPS: u32 = 120;
const WINDOW: &str = "31m";
const QUIET: Duration = Duration::from_secs(2);
const MOST_SETTLING: Duration = Duration::from_secs(60);
/// Series that are read back.
const READ_BACK: u32 = 100;

/// Runs the servers one after the other under the same load.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn run(setup: &Setup, load: &Load) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("out of order: server CPU per sample", "ns").goals(0.25, 0.5),
        Figure::new("out of order: samples missing", "samples"),
        Figure::new(
            "out of order: samples read back that are not the same bits",
            "of a million",
        ),
    ];
    let mut load = load.clone();
    load.late_steps = LATE_STEPS.min(load.steps);
    let mut setup = setup.clone();
    setup.out_of_order = Some(WINDOW);
    for (kind, _) in &setup.programs {
        let candidate = setup.start(*kind)?;
        let before = candidate.server.usage()?;
        candidate.write_load(&load)?;
        let after = candidate.settle(QUIET, MOST_SETTLING)?;
        let missing = lost_samples(&candidate, &load)?;
        let wrong = exact::wrong_samples(&candidate, &load, READ_BACK)?;
        candidate.stop()?;
        let cpu = (after.cpu_seconds - before.cpu_seconds) * 1e9 / load.total_samples() as f64;
        add_all(&mut figures, *kind, &[cpu, missing, wrong * 1e6]);
    }
    Ok(figures.into())
}
