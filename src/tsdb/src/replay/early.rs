//! Writes that are taken while the log is replayed.
//!
//! Whether a sample is the next one of its series needs nothing of the head but the series' newest
//! time. Such samples join the log behind what is being replayed, and the replay itself brings them
//! into the head. Everything else waits for its end: what is new, late, repeated or to be refused.

use parking_lot::Mutex;
use storage::{AppendError, AppendOutcome, AppendRequest, Durability, PendingAppend, Point};

use crate::append::reference;
use crate::commit::{Block, Visibility};
use crate::db::Engine;
use crate::order::Bounds;
use crate::paged::Paged;
use crate::rows::Rows;

/// Time of the newest sample of a series, accepted while the log is replayed or before.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewestTime(i64);

/// By series id.
pub(super) type NewestTimes = Paged<NewestTime>;

/// Takes writes before the head is complete; closed until it is known what they are held against.
#[derive(Debug, Default)]
pub(crate) struct EarlyWrites {
    newest: Mutex<Option<NewestTimes>>,
}

/// The samples of a request that are taken so far.
struct Taken<'a> {
    newest: &'a mut NewestTimes,
    rows: Rows,
    /// What `newest` was before each of the rows.
    before: Vec<NewestTime>,
}

impl NewestTime {
    pub(super) const fn new(timestamp_ms: i64) -> Self {
        Self(timestamp_ms)
    }

    pub(super) const fn is_known(self) -> bool {
        self.0 != i64::MAX
    }
}

impl Default for NewestTime {
    /// Not known: no sample is newer.
    fn default() -> Self {
        Self(i64::MAX)
    }
}

impl EarlyWrites {
    pub(super) fn open(&self, newest: NewestTimes) {
        *self.newest.lock() = Some(newest);
    }

    /// From here on writes wait for the end of the replay. Those that were taken have joined the
    /// open commit.
    pub(crate) fn close(&self) {
        *self.newest.lock() = None;
    }

    pub(super) fn is_open(&self) -> bool {
        self.newest.lock().is_some()
    }
}

impl Engine {
    /// Takes a request that consists of nothing but the next samples of known series; `None` if it
    /// has to wait for the end of the replay.
    pub(crate) fn append_early(
        &self,
        request: &AppendRequest<'_>,
        durability: Durability,
    ) -> Result<Option<PendingAppend>, AppendError> {
        if !self.early.is_open() {
            return Ok(None);
        }
        let keys = request.series.iter().map(|series| series.key);
        let Some(ids) = self.catalog.find_known(keys) else {
            return Ok(None);
        };
        self.committer.wait_for_room()?;
        let bounds = self.bounds(request.out_of_order);
        let mut newest = self.early.newest.lock();
        let Some(newest) = newest.as_mut() else {
            return Ok(None);
        };
        let Some(rows) = Taken::take_all(newest, request, &ids, &bounds) else {
            return Ok(None);
        };
        let outcome = AppendOutcome {
            appended: rows.len() as u64,
            refs: ids.iter().map(|id| reference(Some(id))).collect(),
            ..AppendOutcome::default()
        };
        self.metrics.append.count(&outcome, &rows);
        let visibility = Visibility::AtReplay;
        let block = Block { rows, visibility };
        // With the times locked: the log has the samples of a series in their order.
        Ok(Some(self.committer.join_with(
            block,
            Vec::new(),
            outcome,
            durability,
        )))
    }
}

impl<'a> Taken<'a> {
    /// The samples of a request, if they are all the next ones of their series; otherwise nothing
    /// has happened.
    fn take_all(
        newest: &'a mut NewestTimes,
        request: &AppendRequest<'_>,
        ids: &[u32],
        bounds: &Bounds<'_>,
    ) -> Option<Rows> {
        let samples = request.samples.len() + request.histograms.len();
        let mut taken = Self {
            newest,
            rows: Rows::with_capacity(samples),
            before: Vec::with_capacity(samples),
        };
        let are_next = request.series.iter().zip(ids).all(|(series, id)| {
            let mut points = request.points(series);
            points.all(|point| taken.take(*id, &point, bounds))
        });
        if are_next {
            return Some(taken.rows);
        }
        for (row, before) in taken.rows.iter().zip(&taken.before).rev() {
            *taken.newest.entry(row.series as usize) = *before;
        }
        None
    }

    /// Takes a sample if it is the next one of its series.
    fn take(&mut self, id: u32, point: &Point<'_>, bounds: &Bounds<'_>) -> bool {
        let before = self.newest.get(id as usize).copied().unwrap_or_default();
        let at_ms = point.timestamp.as_millis();
        let is_next = at_ms > before.0 && bounds.refusal(point).is_none();
        if is_next {
            *self.newest.entry(id as usize) = NewestTime(at_ms);
            self.before.push(before);
            self.rows.push(id, point);
        }
        is_next
    }
}
