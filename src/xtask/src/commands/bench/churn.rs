//! Churn: targets are replaced all the time, as with every roll-out. What that adds to the cost of
//! a sample, and whether the index grows with what has been and gone.

use super::footprint::footprint;
use super::ingest::{cpu_seconds, mebibytes};
use super::load::{Churn, Load};
use super::report::{Figure, add_all};
use super::server::{Kind, Setup};

/// One of ten targets is replaced every ten minutes.
const REPLACED_ONE_OF: u32 = 10;
const ROUND_MS: i64 = 600_000;
const DAY_MS: i64 = 86_400_000;
/// Scrapes are rare in the simulated month: what counts is series.
const MONTH_INTERVAL_MS: i64 = 300_000;
/// Targets of the month are small and many.
const MONTH_TARGETS: u32 = 10;

/// CPU with and without churn, on the same number of samples.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn run(setup: &Setup, load: &Load) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("churn: server CPU per sample without", "ns"),
        Figure::new("churn: server CPU per sample with", "ns"),
        Figure::new(
            "churn: CPU with ÷ without (goal of firewatch alone: ≤ 1.3)",
            "ratio",
        ),
    ];
    let mut churning = load.clone();
    churning.churn = Some(churn(load.interval_ms));
    let samples = load.total_samples() as f64;
    for (kind, _) in &setup.programs {
        let without = cpu_seconds(setup, *kind, load)? * 1e9 / samples;
        let with = cpu_seconds(setup, *kind, &churning)? * 1e9 / samples;
        add_all(&mut figures, *kind, &[without, with, with / without]);
    }
    Ok(figures.into())
}

fn churn(interval_ms: i64) -> Churn {
    let steps = u32::try_from(ROUND_MS / interval_ms).unwrap_or(1);
    Churn {
        one_of: REPLACED_ONE_OF,
        steps_per_round: steps.max(1),
    }
}

/// A month of churn that lies in the past: the index after each third of it. Servers are stopped
/// for each look.
pub(super) fn run_month(setup: &Setup, load: &Load, days: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new(
            format!("churn: index of the first third of {days} days"),
            "MiB",
        ),
        Figure::new("churn: index added by the second third", "MiB"),
        Figure::new("churn: index added by the last third", "MiB"),
        Figure::new("churn: last third ÷ first third (flat: 1)", "ratio"),
        Figure::new("churn: index at the end", "bytes/series"),
        Figure::new("churn: resident memory at the end, anonymous", "MiB"),
    ];
    let load = month(load, days);
    for (kind, _) in &setup.programs {
        let values = measure_month(setup, *kind, &load)?;
        add_all(&mut figures, *kind, &values);
    }
    Ok(figures.into())
}

/// The load stretched over days that end where it ended.
fn month(load: &Load, days: u32) -> Load {
    let mut load = load.clone();
    let end_ms = load.end_ms();
    load.keep_templates((load.series / MONTH_TARGETS).max(1) as usize);
    load.interval_ms = MONTH_INTERVAL_MS;
    let length_ms = i64::from(days) * DAY_MS;
    load.steps = u32::try_from(length_ms / MONTH_INTERVAL_MS).unwrap_or(u32::MAX);
    load.start_ms = end_ms - length_ms;
    let churn = churn(MONTH_INTERVAL_MS);
    load.batch = churn.steps_per_round;
    load.churn = Some(churn);
    load
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure_month(setup: &Setup, kind: Kind, load: &Load) -> anyhow::Result<[f64; 6]> {
    let mut candidate = setup.start(kind)?;
    let mut indexes = [0_u64; 3];
    let mut resident = 0;
    let third = load.steps.div_ceil(3);
    let mut stretches = load.stretches().peekable();
    for (number, index) in (1..).zip(&mut indexes) {
        while let Some(steps) = stretches.next_if(|steps| steps.start < third * number) {
            candidate.write_steps(load, &steps)?;
        }
        resident = candidate.server.usage()?.anonymous_bytes;
        candidate.restart_after(|data| {
            *index = footprint(kind, data)?.index;
            Ok(())
        })?;
    }
    candidate.stop()?;
    let [first, second, last] = indexes;
    let churn = churn(load.interval_ms);
    let rounds = load.steps.div_ceil(churn.steps_per_round).saturating_sub(1);
    let series = f64::from(load.series) * (1.0 + f64::from(rounds) / f64::from(churn.one_of));
    let added = |from: u64, to: u64| mebibytes(to) - mebibytes(from);
    Ok([
        mebibytes(first),
        added(first, second),
        added(second, last),
        added(second, last) / mebibytes(first),
        last as f64 / series,
        mebibytes(resident),
    ])
}
