//! What a query may use: bytes, samples, time. Every buffer that grows with the data is reserved
//! here first, so that a query fails before the process does.

mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::MemoryShare;

use crate::error::EngineError;
use crate::grid::Grid;
use crate::result::StepStats;
use crate::slice::SeriesSlice;
use steps::StepCounts;

/// Why a query has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its deadline has passed.
    Timeout,
    /// Nobody waits for it any more.
    Canceled,
}

/// Says whether a query has to stop. It is asked often, from any thread, and must be cheap. The
/// engine itself never reads a clock.
pub type StopCheck = Arc<dyn Fn() -> Option<StopReason> + Send + Sync>;

/// The part of the work that upstream's error texts name: before the first operator.
const EXECUTION: &str = "query execution";

/// The part of the work that upstream's error texts name: in operators.
const EVALUATION: &str = "expression evaluation";

/// Bytes that a held point costs beside its value: its share of the validity bits, rounded up.
const POINT_BYTES: usize = 9;

/// What one sample of those that a histogram counts as takes: time and value.
pub(crate) const SAMPLE_BYTES: usize = 16;

/// The limits of one query and what it uses of them.
pub(crate) struct Limits {
    max_bytes: u64,
    max_samples: u64,
    /// The query's part of what all queries may hold together.
    share: Option<Arc<MemoryShare>>,
    stop: Option<StopCheck>,
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    samples: AtomicU64,
    peak_samples: AtomicU64,
    queryable_samples: AtomicU64,
    samples_read: AtomicU64,
    saw_histograms: AtomicBool,
    steps: Option<StepCounts>,
}

impl Limits {
    pub(crate) fn new(max_bytes: u64, max_samples: u64, stop: Option<StopCheck>) -> Self {
        Self {
            max_bytes,
            max_samples,
            share: None,
            stop,
            bytes: AtomicU64::new(0),
            peak_bytes: AtomicU64::new(0),
            samples: AtomicU64::new(0),
            peak_samples: AtomicU64::new(0),
            queryable_samples: AtomicU64::new(0),
            samples_read: AtomicU64::new(0),
            saw_histograms: AtomicBool::new(false),
            steps: None,
        }
    }

    /// Counts samples for every step of `grid`, too.
    pub(crate) fn count_steps(self, grid: Grid) -> Self {
        let steps = Some(StepCounts::new(grid));
        Self { steps, ..self }
    }

    /// Counters of every step, where somebody asked for them.
    pub(crate) fn steps(&self) -> Option<&StepCounts> {
        self.steps.as_ref()
    }

    /// What the query has cost at every step, where somebody asked for it.
    pub(crate) fn step_stats(&self) -> Option<StepStats> {
        self.steps.as_ref().map(StepCounts::stats)
    }

    /// Counts the query's memory against a budget of all queries, too.
    pub(crate) fn with_share(self, share: Option<Arc<MemoryShare>>) -> Self {
        Self { share, ..self }
    }

    /// Fails when the query has to stop.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        self.check_in(EVALUATION)
    }

    /// Fails when the query has to stop before it has begun.
    pub(crate) fn check_before(&self) -> Result<(), EngineError> {
        self.check_in(EXECUTION)
    }

    fn check_in(&self, phase: &'static str) -> Result<(), EngineError> {
        match self.stop.as_ref().and_then(|stop| stop()) {
            None => Ok(()),
            Some(StopReason::Timeout) => Err(EngineError::Timeout(phase)),
            Some(StopReason::Canceled) => Err(EngineError::Canceled(phase)),
        }
    }

    /// As [`Limits::check`], but looks only now and then; `series` counts the series.
    pub(crate) fn check_every(&self, series: usize) -> Result<(), EngineError> {
        if series.is_multiple_of(crate::operators::SERIES_PER_CHECK) {
            self.check()?;
        }
        Ok(())
    }

    /// Counts samples that came from storage.
    pub(crate) fn count_read(&self, samples: usize) {
        self.samples_read
            .fetch_add(wide(samples), Ordering::Relaxed);
    }

    /// Notes that native histograms were read.
    pub(crate) fn note_histograms(&self) {
        self.saw_histograms.store(true, Ordering::Relaxed);
    }

    /// Whether native histograms were read.
    pub(crate) fn saw_histograms(&self) -> bool {
        self.saw_histograms.load(Ordering::Relaxed)
    }

    /// Counts samples that took part, once for every step.
    pub(crate) fn count_queryable(&self, samples: usize) {
        self.queryable_samples
            .fetch_add(wide(samples), Ordering::Relaxed);
    }

    /// What the query has cost so far.
    pub(crate) fn stats(&self) -> crate::result::QueryStats {
        crate::result::QueryStats {
            queryable_samples: self.queryable_samples.load(Ordering::Relaxed),
            samples_read: self.samples_read.load(Ordering::Relaxed),
            peak_samples: self.peak_samples.load(Ordering::Relaxed),
            peak_bytes: self.peak_bytes.load(Ordering::Relaxed),
        }
    }

    fn add(&self, bytes: u64, samples: u64) -> Result<(), EngineError> {
        let now = self
            .bytes
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        self.peak_bytes.fetch_max(now, Ordering::Relaxed);
        let held = self
            .samples
            .fetch_add(samples, Ordering::Relaxed)
            .saturating_add(samples);
        self.peak_samples.fetch_max(held, Ordering::Relaxed);
        let is_shared = || self.share.as_ref().is_none_or(|share| share.grow_to(now));
        if now > self.max_bytes || held > self.max_samples || !is_shared() {
            return Err(EngineError::TooManySamples);
        }
        Ok(())
    }

    fn remove(&self, bytes: u64, samples: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.samples.fetch_sub(samples, Ordering::Relaxed);
    }
}

/// A count as the counters hold it; no machine has more memory than fits.
fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What the points of a slice take.
pub(crate) fn slice_bytes(slice: &SeriesSlice) -> usize {
    let bytes = float_bytes(slice.values.len());
    if slice.histograms.is_empty() {
        return bytes;
    }
    let pointers = slice.histograms.len().saturating_mul(size_of::<usize>());
    bytes
        .saturating_add(pointers)
        .saturating_add(slice.samples().saturating_mul(SAMPLE_BYTES))
}

/// What the points of a slice of `steps` steps take, unless there are histograms.
pub(crate) fn float_bytes(steps: usize) -> usize {
    steps.saturating_mul(POINT_BYTES)
}

/// Memory that a query holds; given back when dropped.
pub(crate) struct Reservation {
    limits: Arc<Limits>,
    bytes: u64,
    samples: u64,
}

impl Reservation {
    /// Nothing yet.
    pub(crate) fn empty(limits: &Arc<Limits>) -> Self {
        Self {
            limits: Arc::clone(limits),
            bytes: 0,
            samples: 0,
        }
    }

    /// Reserves bytes.
    pub(crate) fn bytes(limits: &Arc<Limits>, bytes: usize) -> Result<Self, EngineError> {
        let mut reservation = Self::empty(limits);
        reservation.add_bytes(bytes)?;
        Ok(reservation)
    }

    /// Reserves room for a slice of `steps` steps, `points` of which hold a point.
    pub(crate) fn slice(
        limits: &Arc<Limits>,
        steps: usize,
        points: usize,
    ) -> Result<Self, EngineError> {
        let mut reservation = Self::empty(limits);
        reservation.add(float_bytes(steps), points)?;
        Ok(reservation)
    }

    /// Reserves what a slice holds.
    pub(crate) fn of_slice(limits: &Arc<Limits>, slice: &SeriesSlice) -> Result<Self, EngineError> {
        let mut reservation = Self::empty(limits);
        reservation.add_slice(slice)?;
        Ok(reservation)
    }

    /// Reserves what a slice holds, too.
    pub(crate) fn add_slice(&mut self, slice: &SeriesSlice) -> Result<(), EngineError> {
        self.add(slice_bytes(slice), slice.samples())
    }

    /// Reserves more bytes.
    pub(crate) fn add_bytes(&mut self, bytes: usize) -> Result<(), EngineError> {
        self.add(bytes, 0)
    }

    /// Reserves more bytes and samples.
    pub(crate) fn add(&mut self, bytes: usize, samples: usize) -> Result<(), EngineError> {
        let (bytes, samples) = (wide(bytes), wide(samples));
        // Counted before the check, so that dropping gives back what was added.
        self.bytes = self.bytes.saturating_add(bytes);
        self.samples = self.samples.saturating_add(samples);
        self.limits.add(bytes, samples)
    }

    /// Changes the reservation to exactly this much.
    pub(crate) fn set(&mut self, bytes: usize, samples: usize) -> Result<(), EngineError> {
        self.limits.remove(self.bytes, self.samples);
        (self.bytes, self.samples) = (0, 0);
        self.add(bytes, samples)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.limits.remove(self.bytes, self.samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_come_back_when_dropped() {
        let limits = Arc::new(Limits::new(100, 10, None));
        let first = Reservation::bytes(&limits, 60).expect("fits");
        assert!(matches!(
            Reservation::bytes(&limits, 50),
            Err(EngineError::TooManySamples)
        ));
        drop(first);
        let mut second = Reservation::bytes(&limits, 90).expect("fits again");
        assert!(second.add(0, 11).is_err());
        second.set(10, 5).expect("fits");
        assert_eq!(limits.stats().peak_bytes, 110);
        drop(second);
        assert_eq!(limits.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(limits.samples.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn queries_share_a_budget() {
        let budget = base::MemoryBudget::new(100);
        let limits = || {
            let share = budget.try_share(10).map(Arc::new);
            Arc::new(Limits::new(80, 10, None).with_share(share))
        };
        let (one, other) = (limits(), limits());
        let first = Reservation::bytes(&one, 60).expect("fits");
        assert!(Reservation::bytes(&other, 50).is_err());
        drop(first);
        // The share keeps what it once had until the query is done.
        assert!(Reservation::bytes(&other, 50).is_err());
        drop(one);
        assert!(Reservation::bytes(&other, 50).is_ok());
    }

    #[test]
    fn the_stop_check_decides_the_error() {
        for (reason, text) in [
            (
                StopReason::Timeout,
                "query timed out in expression evaluation",
            ),
            (
                StopReason::Canceled,
                "query was canceled in expression evaluation",
            ),
        ] {
            let limits = Limits::new(0, 0, Some(Arc::new(move || Some(reason))));
            let error = limits.check().expect_err("has to stop");
            assert_eq!(error.to_string(), text);
            let before = limits.check_before().expect_err("has to stop").to_string();
            let want = text.replace("expression evaluation", "query execution");
            assert_eq!(before, want);
        }
    }
}
