//! Accepting requests: resolve, validate, reserve, join the open commit.

use std::ops::ControlFlow;

use model::Histogram;
use storage::{
    AppendError, AppendOutcome, AppendPolicy, AppendRequest, AppendSeries, Appender, Durability,
    PendingAppend, Point, PointValue, Points, Rejected, Sample, SeriesRef,
};

use crate::catalog::{SeriesEntry, Unresolved};
use crate::commit::{Block, Visibility};
use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::head::{HeadSeries, LockedShards, Newest, Persisted};
use crate::order::{Bounds, Verdict, judge};
use crate::rows::Rows;

impl Appender for Tsdb {
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        self.engine().append(request, policy, durability)
    }
}

/// What has been accepted so far, and how to take it back.
#[derive(Default)]
struct Acceptance {
    rows: Rows,
    undo: Vec<Undo>,
    /// The histograms that `undo` brings back, in the same order.
    undo_histograms: Vec<Histogram>,
    rejected: Rejected,
    repeated: u64,
    /// A series has samples on their way to the disk: its new ones have to follow them.
    must_follow: bool,
    /// A series may have no row in the store, nor on its way there.
    has_new: bool,
}

struct Undo {
    series: u32,
    newest: Newest,
    reserved_ms: i64,
    reserved_value: f64,
}

/// A series of the request was removed, or has stopped, between its look-up and its lock.
struct SeriesRemoved;

impl Engine {
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        if !self.replayed.is_done() {
            if let Some(pending) = self.append_early(request, durability)? {
                return Ok(pending);
            }
            self.replayed.wait()?;
        }
        self.committer.wait_for_room()?;
        loop {
            let resolution = self
                .catalog
                .resolve(request.series.iter().map(|series| series.key), self)?;
            if policy == AppendPolicy::RollBack
                && resolution
                    .iter()
                    .any(|id| matches!(id, Err(Unresolved::UnknownRef)))
            {
                return Err(AppendError::UnknownSeries);
            }
            if let Ok(pending) = self.accept(request, &resolution, policy, durability)? {
                return Ok(pending);
            }
            // Upkeep is removing a series of the request; afterwards it is looked for again.
            std::thread::yield_now();
        }
    }

    fn accept(
        &self,
        request: &AppendRequest<'_>,
        resolution: &[Result<u32, Unresolved>],
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<Result<PendingAppend, SeriesRemoved>, AppendError> {
        let bounds = self.bounds(request.out_of_order);
        let restored_ids = self.restored_ids();
        let ids = || resolution.iter().filter_map(|id| id.as_ref().ok().copied());
        let mut locked = self.head.lock(ids());
        let mut acceptance = Acceptance {
            rows: Rows::with_capacity(request.samples.len() + request.histograms.len()),
            ..Acceptance::default()
        };
        for (series, id) in request.series.iter().zip(resolution) {
            let points = request.points(series);
            let Ok(id) = id else {
                acceptance.rejected.invalid_labels += points.len() as u64;
                continue;
            };
            let head = locked.series(*id);
            // What nobody has touched yet may have been forgotten since it was looked up.
            let is_forgotten =
                head.newest() == Newest::Unknown && self.catalog.place(*id).is_none();
            if head.is_removed() || is_forgotten {
                acceptance.undo(&mut locked);
                return Ok(Err(SeriesRemoved));
            }
            acceptance.must_follow |= head.is_pending();
            acceptance.has_new |= head.persisted() == Persisted::No && *id >= restored_ids;
            let outcome = self
                .know_newest(*id, head, &points)
                .map_err(AppendError::from)
                .and_then(|()| match plain_floats(request, series) {
                    Some(samples) => {
                        let points = samples.iter().map(plain_point);
                        acceptance.take_series((*id, head), points, &bounds, policy)
                    }
                    None => acceptance.take_series((*id, head), points, &bounds, policy),
                });
            if let Err(error) = outcome {
                acceptance.undo(&mut locked);
                self.note_refusal();
                self.metrics.append.count_refusal(&error);
                return Err(error);
            }
        }
        Ok(Ok(self.enqueue(locked, acceptance, resolution, durability)))
    }

    /// Hands accepted rows to the open commit, and publishes them if nobody waits for it.
    fn enqueue(
        &self,
        mut locked: LockedShards<'_>,
        acceptance: Acceptance,
        resolution: &[Result<u32, Unresolved>],
        durability: Durability,
    ) -> PendingAppend {
        let Acceptance {
            rows,
            rejected,
            repeated,
            must_follow,
            has_new,
            ..
        } = acceptance;
        let new_series = if has_new {
            self.queue_new_series(&rows, &mut locked)
        } else {
            Vec::new()
        };
        let outcome = AppendOutcome {
            appended: rows.len() as u64 + repeated,
            rejected,
            created_series: new_series.len() as u64,
            refs: resolution
                .iter()
                .map(|id| reference(id.as_ref().ok()))
                .collect(),
        };
        self.metrics.append.count(&outcome, &rows);
        if outcome.rejected != Rejected::default() {
            self.note_refusal();
        }
        let publish_now = durability == Durability::Deferred && !must_follow;
        if publish_now {
            // Taken only when needed: a long look at the index must not hold up known series.
            if !new_series.is_empty() {
                let mut index = self.index.write();
                for (id, entry) in &new_series {
                    index.add(*id, &entry.labels);
                }
            }
            let began = locked.publish(&rows, self.committer.last_committed() + 1);
            self.note_published(&rows, &began);
        }
        let visibility = if publish_now {
            Visibility::Already
        } else {
            Visibility::AtCommit
        };
        let block = Block { rows, visibility };
        self.committer
            .join_with(block, new_series, outcome, durability)
    }

    /// Series of the rows that no commit has carried yet.
    fn queue_new_series(
        &self,
        rows: &Rows,
        locked: &mut LockedShards<'_>,
    ) -> Vec<(u32, SeriesEntry)> {
        let mut new_ids = Vec::new();
        let restored_ids = self.restored_ids();
        for row in rows {
            if row.series < restored_ids {
                continue;
            }
            let head = locked.series(row.series);
            if head.persisted() == Persisted::No {
                head.set_persisted(Persisted::Queued);
                new_ids.push(row.series);
            }
        }
        self.catalog.get_many(new_ids.into_iter())
    }

    /// Looks up the series' newest stored sample, once after a restart: its value only when a
    /// sample of the same time asks for it.
    fn know_newest(
        &self,
        id: u32,
        head: &mut HeadSeries,
        points: &Points<'_>,
    ) -> Result<(), TsdbError> {
        let repeats = |point: Point<'_>| point.timestamp.as_millis() == head.reserved_ms;
        match head.newest() {
            Newest::None | Newest::Float | Newest::Histogram => return Ok(()),
            Newest::Time if !points.clone().any(repeats) => return Ok(()),
            Newest::Time | Newest::Unknown => {}
        }
        let stored = if id < self.restored_ids() || self.stopped.contains(id) {
            self.newest_stored(id)?
        } else {
            None
        };
        head.set_stored(stored);
        Ok(())
    }
}

impl Acceptance {
    #[inline]
    fn take_series<'a>(
        &mut self,
        (id, head): (u32, &mut HeadSeries),
        points: impl Iterator<Item = Point<'a>>,
        bounds: &Bounds<'_>,
        policy: AppendPolicy,
    ) -> Result<(), AppendError> {
        for point in points {
            match judge(head, &point, bounds) {
                Verdict::New => self.take(id, head, &point),
                Verdict::Late => self.take_late(id, head, &point),
                Verdict::Repeated => self.repeated += 1,
                Verdict::Refused(error) => {
                    if let ControlFlow::Break(error) = self.refuse(error, policy) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a sample that leaves the newest one of its series as it is.
    #[cold]
    fn take_late(&mut self, id: u32, head: &mut HeadSeries, point: &Point<'_>) {
        self.note_undo(id, head);
        head.add_pending();
        self.rows.push_late(id, point);
    }

    #[inline]
    fn take(&mut self, id: u32, head: &mut HeadSeries, point: &Point<'_>) {
        self.note_undo(id, head);
        head.reserve(point.timestamp.as_millis(), point.value);
        self.rows.push(id, point);
    }

    #[inline]
    fn note_undo(&mut self, id: u32, head: &HeadSeries) {
        self.undo.push(Undo {
            series: id,
            newest: head.newest(),
            reserved_ms: head.reserved_ms,
            reserved_value: head.reserved_value,
        });
        if head.newest() == Newest::Histogram {
            self.undo_histograms
                .extend(head.reserved_histogram().cloned());
        }
    }

    fn refuse(&mut self, error: AppendError, policy: AppendPolicy) -> ControlFlow<AppendError> {
        if policy == AppendPolicy::RollBack {
            return ControlFlow::Break(error);
        }
        match error {
            AppendError::DuplicateForTimestamp { .. } => self.rejected.duplicate += 1,
            AppendError::OutOfBounds { .. } => self.rejected.out_of_bounds += 1,
            AppendError::TooOld { .. } => self.rejected.too_old += 1,
            AppendError::HistogramTooLarge { .. } => self.rejected.too_large += 1,
            _ => self.rejected.out_of_order += 1,
        }
        ControlFlow::Continue(())
    }

    fn undo(&mut self, locked: &mut LockedShards<'_>) {
        for undo in self.undo.drain(..).rev() {
            let histogram = match undo.newest {
                Newest::Histogram => self.undo_histograms.pop(),
                _ => None,
            };
            let reserved = (undo.reserved_ms, undo.reserved_value);
            locked
                .series(undo.series)
                .unreserve(undo.newest, reserved, histogram);
        }
    }
}

/// The samples of a series that has nothing else: nearly all series of nearly all requests.
fn plain_floats<'a>(
    request: &'a AppendRequest<'_>,
    series: &AppendSeries<'_>,
) -> Option<&'a [Sample]> {
    let plain = series.histograms.is_empty() && request.start_timestamps.is_empty();
    let samples = series.samples.start as usize..series.samples.end as usize;
    plain.then(|| request.samples.get(samples).unwrap_or_default())
}

#[inline]
const fn plain_point(sample: &Sample) -> Point<'_> {
    Point {
        timestamp: sample.timestamp,
        value: PointValue::Float(sample.value),
        start_timestamp_ms: 0,
    }
}

pub(crate) fn reference(id: Option<&u32>) -> Option<SeriesRef> {
    id.map(|id| SeriesRef::new(u64::from(*id)))
}
