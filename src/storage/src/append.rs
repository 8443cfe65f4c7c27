//! Writing: a whole request at once, as borrowed columns.

use std::ops::Range;

use model::{Histogram, LabelError, Labels, Timestamp};
use tokio::sync::oneshot;

use crate::error::AppendError;

/// A series inside one engine; stable while the engine is open, meaningless outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(u64);

impl SeriesRef {
    /// Wraps an engine's own number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The engine's own number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// How a request names a series.
#[derive(Clone, Copy, Debug)]
pub enum SeriesKey<'a> {
    /// The labels' bytes as they came over the wire. Senders repeat them unchanged, so an engine
    /// looks them up by hash and calls `parse` only for bytes it has not seen. Spans of different
    /// encodings must never be equal: `parse` alone does not tell them apart.
    Raw {
        /// The bytes.
        span: &'a [u8],
        /// Reads the bytes as labels.
        parse: fn(&[u8]) -> Result<Labels, LabelError>,
    },
    /// The labels themselves.
    Labels(&'a Labels),
    /// A series that an earlier append returned.
    Ref(SeriesRef),
}

/// One float sample. Stale markers are NaNs and keep their bits.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it was taken.
    pub timestamp: Timestamp,
    /// Its value, every bit of which is kept.
    pub value: f64,
}

/// One native histogram.
#[derive(Clone, Debug)]
pub struct HistogramSample {
    /// When it was taken.
    pub timestamp: Timestamp,
    /// The histogram, every bit of which is kept.
    pub histogram: Histogram,
}

/// One series of a request and its part of the sample columns. A series may have floats and
/// histograms; they are taken as one sequence in order of time, floats first where times are equal.
#[derive(Clone, Debug)]
pub struct AppendSeries<'a> {
    /// Which series.
    pub key: SeriesKey<'a>,
    /// Its samples: a range of [`AppendRequest::samples`].
    pub samples: Range<u32>,
    /// Its histograms: a range of [`AppendRequest::histograms`].
    pub histograms: Range<u32>,
}

/// Whether a request's samples are taken where they are older than what their series has, as far as
/// the engine takes such samples at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutOfOrder {
    /// Inside the engine's window.
    #[default]
    Accept,
    /// Never: results of rules, and stale markers of what has ended. Source: upstream
    /// `RejectOutOfOrder` of `storage.AppendV2Options`.
    Refuse,
}

/// A whole request: series, and columns with all their samples.
#[derive(Clone, Debug, Default)]
pub struct AppendRequest<'a> {
    /// The series, each with its range of `samples` and `histograms`.
    pub series: Vec<AppendSeries<'a>>,
    /// All samples, series by series.
    pub samples: Vec<Sample>,
    /// Since when each of `samples` has been counting, in milliseconds since the epoch, 0 where
    /// that is not known. Empty when none is.
    pub start_timestamps: Vec<i64>,
    /// All native histograms, series by series.
    pub histograms: Vec<HistogramSample>,
    /// As `start_timestamps`, for `histograms`.
    pub histogram_start_timestamps: Vec<i64>,
    /// What becomes of samples that are older than others of their series.
    pub out_of_order: OutOfOrder,
}

impl<'a> AppendRequest<'a> {
    /// Adds a series with its samples.
    pub fn push(&mut self, key: SeriesKey<'a>, samples: impl IntoIterator<Item = Sample>) {
        let start = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        self.samples.extend(samples);
        let end = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        let histograms = u32::try_from(self.histograms.len()).unwrap_or(u32::MAX);
        self.series.push(AppendSeries {
            key,
            samples: start..end,
            histograms: histograms..histograms,
        });
    }

    /// Adds histograms to the series that was pushed last.
    pub fn push_histograms(&mut self, histograms: impl IntoIterator<Item = HistogramSample>) {
        self.histograms.extend(histograms);
        if let Some(series) = self.series.last_mut() {
            series.histograms.end = u32::try_from(self.histograms.len()).unwrap_or(u32::MAX);
        }
    }
}

/// What happens to a request that holds a sample the engine refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendPolicy {
    /// Nothing of the request is kept: remote write 1.0.
    RollBack,
    /// The sample is left out and counted: scrapes and rules.
    Skip,
}

/// When a request counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When its commit has been written: what somebody is told was accepted.
    Acknowledged,
    /// At once; its samples are visible immediately and ride in the next commit.
    Deferred,
}

/// Samples that a request with [`AppendPolicy::Skip`] lost, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Older than the series' newest sample.
    pub out_of_order: u64,
    /// Another value at a time the series already has.
    pub duplicate: u64,
    /// Too far in the future or before retention.
    pub out_of_bounds: u64,
    /// Older than what is taken out of order.
    pub too_old: u64,
    /// Histograms with more than [`model::histogram::MAX_HISTOGRAM_PARTS`].
    pub too_large: u64,
    /// Samples of series whose labels form no set. Skipped under either policy, as upstream does.
    pub invalid_labels: u64,
}

/// What became of a request.
#[derive(Clone, Debug, Default)]
pub struct AppendOutcome {
    /// Samples that were stored. Exact repetitions count as stored.
    pub appended: u64,
    /// Samples that were left out.
    pub rejected: Rejected,
    /// Series created by the request.
    pub created_series: u64,
    /// For each series of the request its reference, `None` where its labels are invalid.
    pub refs: Vec<Option<SeriesRef>>,
}

/// A validated request on its way to the disk.
#[derive(Debug)]
pub struct PendingAppend {
    outcome: AppendOutcome,
    done: Option<oneshot::Receiver<Result<(), AppendError>>>,
}

impl PendingAppend {
    /// A request that needs no waiting.
    #[must_use]
    pub fn ready(outcome: AppendOutcome) -> Self {
        Self {
            outcome,
            done: None,
        }
    }

    /// A request whose commit reports through `done`.
    #[must_use]
    pub fn waiting(
        outcome: AppendOutcome,
        done: oneshot::Receiver<Result<(), AppendError>>,
    ) -> Self {
        Self {
            outcome,
            done: Some(done),
        }
    }

    /// Waits until the commit is written, without blocking the thread.
    ///
    /// # Errors
    /// The commit failed or the engine stopped; nothing of the request is stored.
    pub async fn wait(self) -> Result<AppendOutcome, AppendError> {
        match self.done {
            None => Ok(self.outcome),
            Some(done) => done
                .await
                .unwrap_or(Err(AppendError::NotReady))
                .map(|()| self.outcome),
        }
    }

    /// Waits until the commit is written, blocking the thread. Not for use on the async runtime.
    ///
    /// # Errors
    /// As [`PendingAppend::wait`].
    pub fn wait_blocking(self) -> Result<AppendOutcome, AppendError> {
        match self.done {
            None => Ok(self.outcome),
            Some(done) => done
                .blocking_recv()
                .unwrap_or(Err(AppendError::NotReady))
                .map(|()| self.outcome),
        }
    }
}

/// The writing side of an engine.
pub trait Appender: Send + Sync {
    /// Validates a whole request against the engine and hands it to the next commit. Returns after
    /// validation; an acknowledgement may only be given after [`PendingAppend::wait`].
    ///
    /// CPU-bound: call it off the async runtime.
    ///
    /// # Errors
    /// Under [`AppendPolicy::RollBack`] the first refused sample; nothing of the request is kept.
    /// Under either policy, an engine that cannot take writes.
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError>;
}
