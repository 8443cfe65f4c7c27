//! Memory: what a server holds for active series, some scrapes long, after idle minutes.

use std::time::Duration;

use super::load::Load;
use super::report::{Figure, add_all};
use super::server::{Setup, pause};

/// Runs the servers one after the other.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn run(setup: &Setup, load: &Load, idle: Duration) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("memory: resident, anonymous + file", "bytes/series").goals(0.25, 0.5),
        Figure::new("memory: anonymous part", "bytes/series"),
        Figure::new(
            "memory: most while loading, anonymous + file",
            "bytes/series",
        ),
    ];
    for (kind, _) in &setup.programs {
        let candidate = setup.start(*kind)?;
        let mut most = 0;
        for steps in load.stretches() {
            candidate.write_steps(load, &steps)?;
            let usage = candidate.server.usage()?;
            most = most.max(usage.anonymous_bytes + usage.file_bytes);
        }
        pause(idle);
        let usage = candidate.server.usage()?;
        candidate.stop()?;
        let per_series = |bytes: u64| bytes as f64 / f64::from(load.series);
        let values = [
            per_series(usage.anonymous_bytes + usage.file_bytes),
            per_series(usage.anonymous_bytes),
            per_series(most),
        ];
        add_all(&mut figures, *kind, &values);
    }
    Ok(figures.into())
}
