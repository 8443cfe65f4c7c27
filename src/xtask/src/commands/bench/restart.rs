//! Restart: a server is killed in the middle of its work, and how long it takes until it answers
//! right again. What was acknowledged before has to be there.

use std::time::{Duration, Instant};

use super::exact;
use super::load::Load;
use super::report::{Figure, add_all};
use super::server::{Candidate, Setup, pause};

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// A server that gives so many wrong answers in a row will not come to the right one.
const WRONG_FOR_GOOD: u32 = 200;
/// Behind the last sample, before staleness.
const BEHIND_LAST_SAMPLE_MS: i64 = 7_000;
/// Series that are read back bit for bit.
const READ_BACK: u32 = 100;

/// Runs the servers one after the other under the same load.
pub(super) fn run(setup: &Setup, load: &Load) -> anyhow::Result<Vec<Figure>> {
    let mut figures = [
        Figure::new("restart: kill to first right count of all series", "s")
            .goal_of_prometheus(0.1),
        Figure::new("restart: kill to the newest acknowledged sample", "s").goal_of_prometheus(0.1),
        Figure::new("restart: wrong answers before the right one", "answers"),
        Figure::new("restart: acknowledged samples lost", "samples"),
        Figure::new(
            "restart: samples read back that are not the same bits",
            "of a million",
        ),
        Figure::new("restart: CPU until everything is right", "s"),
        Figure::new("restart: resident memory afterwards, anonymous", "MiB"),
    ];
    for (kind, _) in &setup.programs {
        let candidate = setup.start(*kind)?;
        candidate.write_load(load)?;
        let values = measure(setup, candidate, load)?;
        add_all(&mut figures, *kind, &values);
    }
    Ok(figures.into())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(setup: &Setup, mut candidate: Candidate, load: &Load) -> anyhow::Result<[f64; 7]> {
    let started = candidate.kill_and_start()?;
    let mut poll = Poll {
        candidate: &candidate,
        started,
        most: setup.most_time,
        at_ms: load.end_ms() + BEHIND_LAST_SAMPLE_MS,
        wrong_answers: 0,
    };
    let counted = poll.until("count({__name__!=\"\"})", f64::from(load.series))?;
    let last = load.series_at(load.series - 1, load.steps - 1);
    let (newest_ms, _) = load.sample(last, load.steps - 1);
    let newest = format!("timestamp({})", load.selector(last));
    let seen = poll.until(&newest, newest_ms as f64 / 1000.0)?;
    let wrong_answers = poll.wrong_answers;
    let usage = candidate.server.usage()?;
    let lost = lost_samples(&candidate, load)?;
    let wrong = exact::wrong_samples(&candidate, load, READ_BACK)?;
    let resident = candidate.server.usage()?.anonymous_bytes;
    candidate.stop()?;
    Ok([
        counted,
        seen,
        f64::from(wrong_answers),
        lost,
        wrong * 1e6,
        usage.cpu_seconds,
        super::ingest::mebibytes(resident),
    ])
}

/// Asks a server that has just been started.
struct Poll<'a> {
    candidate: &'a Candidate,
    started: Instant,
    most: Duration,
    at_ms: i64,
    /// Answers with success that were not the right ones.
    wrong_answers: u32,
}

impl Poll<'_> {
    /// Seconds from the start until the answer is the wanted one; NaN if the server keeps giving
    /// another: it has lost something.
    fn until(&mut self, query: &str, wanted: f64) -> anyhow::Result<f64> {
        let mut wrong_in_a_row = 0;
        while self.started.elapsed() < self.most {
            // Not yet listening and not yet ready are both errors.
            match self.candidate.value(query, self.at_ms) {
                Ok(Some(value)) if is_near(value.parse()?, wanted) => {
                    return Ok(self.started.elapsed().as_secs_f64());
                }
                Ok(_) => wrong_in_a_row += 1,
                Err(_) => wrong_in_a_row = 0,
            }
            if wrong_in_a_row > WRONG_FOR_GOOD {
                return Ok(f64::NAN);
            }
            self.wrong_answers += u32::from(wrong_in_a_row > 0);
            pause(POLL_INTERVAL);
        }
        anyhow::bail!("{} does not answer {query}", self.candidate.name())
    }
}

/// Timestamps are seconds with milliseconds.
fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.000_5
}

/// Acknowledged samples that are not there, counted metric by metric: functions drop the name, and
/// what is left of different metrics may be the same.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn lost_samples(candidate: &Candidate, load: &Load) -> anyhow::Result<f64> {
    let seconds = (load.end_ms() - load.start_ms) / 1000 + 30;
    let mut found = 0.0;
    for name in load.metric_names() {
        let query = format!("sum(count_over_time({name}[{seconds}s]))");
        let value = candidate.value(&query, load.end_ms() + 10_000)?;
        found += value.map_or(Ok(0.0), |value| value.parse::<f64>())?;
    }
    Ok(load.total_samples() as f64 - found)
}
