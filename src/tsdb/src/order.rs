//! Which samples a series takes: order, duplicates, and the bounds of time.

use std::sync::atomic::{AtomicI64, Ordering};

use model::{PromDuration, Timestamp};
use storage::{AppendError, OutOfOrder, Point};

use crate::db::{Engine, Tsdb};
use crate::head::{HeadSeries, Newest};
use crate::keys;
use crate::metrics::Metrics;
use crate::partition::Partition;

/// Samples further ahead of the clock are refused. Source: upstream `scrape` and remote write.
const MAX_FUTURE: PromDuration = PromDuration::from_secs(10 * 60);

/// How far behind the newest sample of all series a sample may be.
#[derive(Debug)]
pub(crate) struct OrderWindow {
    window_ms: AtomicI64,
    /// Newest time of any published sample; the least integer before there is one.
    newest_ms: AtomicI64,
}

/// Times that the samples of a request may have.
pub(crate) struct Bounds<'a> {
    oldest: Timestamp,
    newest: Timestamp,
    /// Newest published sample of all series.
    head_newest: Timestamp,
    /// The window; zero takes nothing out of order.
    window: PromDuration,
    /// Whether the request wants samples out of order to be taken.
    order: OutOfOrder,
    metrics: &'a Metrics,
}

/// What to do with one sample.
pub(crate) enum Verdict {
    New,
    /// Older than the newest sample of its series, and taken.
    Late,
    /// The series has exactly this sample already.
    Repeated,
    Refused(AppendError),
}

impl OrderWindow {
    pub(crate) fn new(window: PromDuration) -> Self {
        Self {
            window_ms: AtomicI64::new(window.as_millis()),
            newest_ms: AtomicI64::new(i64::MIN),
        }
    }

    /// The window; zero or less takes nothing out of order.
    pub(crate) fn window(&self) -> PromDuration {
        PromDuration::from_millis(self.window_ms.load(Ordering::Relaxed))
    }

    /// Newest time of any published sample; the least one before there is one.
    pub(crate) fn newest(&self) -> Timestamp {
        Timestamp::from_millis(self.newest_ms.load(Ordering::Relaxed))
    }

    /// Notes the newest one of some published samples.
    #[inline]
    pub(crate) fn note_newest(&self, timestamp_ms: i64) {
        self.newest_ms.fetch_max(timestamp_ms, Ordering::Relaxed);
    }
}

impl Tsdb {
    /// How far behind the newest sample a sample may be; zero or less refuses all that is out of
    /// order. Source: upstream `storage.tsdb.out_of_order_time_window`, which a reload changes too.
    pub fn set_out_of_order_window(&self, window: PromDuration) {
        let window_ms = window.as_millis().max(0);
        let order = &self.engine().order;
        order.window_ms.store(window_ms, Ordering::Relaxed);
    }
}

impl Engine {
    /// What holds for a request that begins now.
    pub(crate) fn bounds(&self, order: OutOfOrder) -> Bounds<'_> {
        let now = self.clock.now();
        let oldest = match self.retention.time() {
            Some(retention) => now.saturating_sub(retention),
            None => Timestamp::MIN,
        };
        Bounds {
            oldest,
            newest: now.saturating_add(MAX_FUTURE),
            head_newest: self.order.newest(),
            window: self.order.window(),
            order,
            metrics: &self.metrics,
        }
    }

    /// Adds the newest time of all samples to a batch that seals some of them.
    pub(crate) fn put_newest_time(&self, batch: &mut kv::Batch<'_>) {
        let bytes = self.order.newest().as_millis().to_be_bytes();
        batch.put(kv::Family::Meta, keys::META_NEWEST_TIME, &bytes);
    }
}

#[inline]
pub(crate) fn judge(head: &HeadSeries, point: &Point<'_>, bounds: &Bounds<'_>) -> Verdict {
    if let Some(error) = bounds.refusal(point) {
        return Verdict::Refused(error);
    }
    let at = point.timestamp;
    let newest = match head.newest() {
        Newest::Unknown | Newest::None => return Verdict::New,
        Newest::Time | Newest::Float | Newest::Histogram => {
            Timestamp::from_millis(head.reserved_ms)
        }
    };
    if at > newest {
        Verdict::New
    } else if at < newest {
        bounds.judge_older(at, newest)
    } else if head.repeats(point.value) {
        Verdict::Repeated
    } else {
        Verdict::Refused(AppendError::DuplicateForTimestamp { at })
    }
}

impl Bounds<'_> {
    /// Why a sample is refused whatever its series has.
    #[inline]
    pub(crate) fn refusal(&self, point: &Point<'_>) -> Option<AppendError> {
        if let Err(error) = point.value.check_size() {
            return Some(error);
        }
        let at = point.timestamp;
        let is_outside = at < self.oldest || at > self.newest || Partition::of(at).is_none();
        is_outside.then(|| self.outside(at))
    }

    fn takes_late(&self) -> bool {
        self.window > PromDuration::ZERO && self.order == OutOfOrder::Accept
    }

    /// A sample older than the newest one of its series. Source: upstream `tsdb/head_append.go`,
    /// `appendable`: the window reaches back from the newest sample of all series.
    #[cold]
    fn judge_older(&self, at: Timestamp, newest: Timestamp) -> Verdict {
        let behind = self.head_newest.since(at);
        #[expect(clippy::cast_precision_loss, reason = "metrics are float64")]
        self.metrics
            .append
            .out_of_order_delta
            .observe(behind.as_millis() as f64 / 1000.0);
        let from = self.head_newest.saturating_sub(self.window);
        if self.takes_late() && at >= from {
            Verdict::Late
        } else if self.window > PromDuration::ZERO && at < from {
            Verdict::Refused(AppendError::TooOld { at, from })
        } else {
            Verdict::Refused(AppendError::OutOfOrder { at, newest })
        }
    }

    /// A sample from before retention or from the future. With a window, upstream calls all that
    /// is behind it too old.
    #[cold]
    fn outside(&self, at: Timestamp) -> AppendError {
        if at < self.oldest && self.takes_late() {
            let from = self.oldest;
            return AppendError::TooOld { at, from };
        }
        AppendError::OutOfBounds { at }
    }
}
