//! Whether a server gives back what it was sent, bit for bit.

use anyhow::Context as _;
use serde_json::Value;

use super::load::{Load, SeriesId};
use super::server::Candidate;

/// The part of samples that is missing or differs, over so many series of the load.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn wrong_samples(
    candidate: &Candidate,
    load: &Load,
    series: u32,
) -> anyhow::Result<f64> {
    let distance = (load.series / series.max(1)).max(1) as usize;
    let (mut wrong, mut all) = (0_usize, 0_usize);
    for number in (0..load.series).step_by(distance) {
        let series = load.series_at(number, load.steps.saturating_sub(1));
        wrong += wrong_of(candidate, load, series)?;
        all += load.steps as usize;
    }
    Ok(wrong as f64 / all.max(1) as f64)
}

fn wrong_of(candidate: &Candidate, load: &Load, series: SeriesId) -> anyhow::Result<usize> {
    let seconds = (load.end_ms() - load.start_ms) / 1000 + 30;
    let query = format!("{}[{seconds}s]", load.selector(series));
    let result = candidate.result(&query, load.end_ms() + 10_000)?;
    let none = Vec::new();
    let points = result[0]["values"].as_array().unwrap_or(&none);
    let mut points = points.iter().map(point).peekable();
    let mut wrong = 0;
    for step in 0..load.steps {
        let (at_ms, value) = load.sample(series, step);
        let found = points.next_if(|point| matches!(point, Ok((found, _)) if *found == at_ms));
        match found.transpose()? {
            Some((_, found)) if found.to_bits() == value.to_bits() => {}
            Some(_) | None => wrong += 1,
        }
    }
    // What was never sent is wrong as well.
    for unexpected in points {
        unexpected?;
        wrong += 1;
    }
    Ok(wrong)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of this century"
)]
fn point(pair: &Value) -> anyhow::Result<(i64, f64)> {
    let at = pair[0].as_f64().context("a point without time")?;
    let value = pair[1].as_str().context("a point without value")?;
    Ok(((at * 1000.0).round() as i64, value.parse()?))
}
