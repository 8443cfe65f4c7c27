//! In-memory engine for tests and tools: the storage contracts in their simplest true form. Keeps
//! everything until it is dropped, touches no disk, asks no clock, so it refuses no sample as out
//! of bounds.

mod exemplars;
mod maintenance;
mod metadata;
mod series;
mod state;
mod status;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, PromDuration, TimeRange, Timestamp};
use parking_lot::{Mutex, RwLock};

use crate::append::{
    AppendOutcome, AppendPolicy, AppendRequest, AppendSeries, Appender, Durability, OutOfOrder,
    PendingAppend, Rejected, SeriesKey, SeriesRef,
};
use crate::changes::ChangeLog;
use crate::error::{AppendError, StorageError};
use crate::exemplars::CircularExemplars;
use crate::metadata::FamilyTable;
use crate::read::{Querier, Queryable, WriteGeneration};
use crate::state::StateEntry;
use series::{Late, MemorySeries};
use view::MemoryQuerier;

/// Length of the ranges of time whose changes are told apart: two hours.
const PARTITION_MS: i64 = 2 * 3_600_000;

/// How an engine in memory cuts its series into chunks.
#[derive(Clone, Copy, Debug)]
pub struct MemoryChunks {
    /// Samples of a full chunk; at least one.
    pub samples: usize,
    /// Whether full chunks tell facts about their values.
    pub summaries: bool,
}

impl Default for MemoryChunks {
    /// As many samples as in upstream's head.
    fn default() -> Self {
        Self {
            samples: 128,
            summaries: true,
        }
    }
}

/// Samples and state in memory. Readers see the moment they were opened at: series are shared and
/// copied on write.
#[derive(Debug)]
pub struct MemoryStorage {
    data: RwLock<Data>,
    changes: Mutex<ChangeLog>,
    state: Mutex<BTreeMap<String, Namespace>>,
    exemplars: Mutex<CircularExemplars>,
    metadata: Mutex<FamilyTable>,
}

/// Entries of one namespace of state, by key.
type Namespace = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a reader sees; cloning it is taking a snapshot.
#[derive(Clone, Debug, Default)]
struct Data {
    chunks: MemoryChunks,
    series: Vec<Arc<MemorySeries>>,
    by_labels: HashMap<Labels, usize>,
    /// How far behind the newest sample a sample may be; zero takes nothing out of order.
    window: PromDuration,
    /// Newest time of all samples.
    newest: Option<Timestamp>,
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::with_chunks(MemoryChunks::default())
    }
}

impl MemoryStorage {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty engine with such chunks.
    #[must_use]
    pub fn with_chunks(chunks: MemoryChunks) -> Self {
        let data = Data {
            chunks,
            ..Data::default()
        };
        Self {
            data: RwLock::new(data),
            changes: Mutex::new(ChangeLog::new(PARTITION_MS)),
            state: Mutex::default(),
            exemplars: Mutex::default(),
            metadata: Mutex::default(),
        }
    }

    /// From now on samples may be this far behind the newest one of all series.
    pub fn set_out_of_order_window(&self, window: PromDuration) {
        self.data.write().window = window;
    }

    /// Removes all samples and series; state stays. References from before become invalid.
    pub fn clear(&self) {
        let mut data = self.data.write();
        data.series.clear();
        data.by_labels.clear();
        data.newest = None;
        drop(data);
        self.changes.lock().record(TimeRange::ALL);
    }

    fn entries(&self, namespace: &str, prefix: &[u8]) -> Vec<StateEntry> {
        let state = self.state.lock();
        let Some(entries) = state.get(namespace) else {
            return Vec::new();
        };
        entries
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

impl Appender for MemoryStorage {
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        _durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        let mut data = self.data.write();
        let mut changed = data.clone();
        let mut times = None;
        let mut outcome = AppendOutcome::default();
        let late = data.late(request.out_of_order);
        for series in &request.series {
            let reference = changed.append_series((request, late), series, policy, &mut outcome)?;
            for point in request.points(series) {
                let at = TimeRange::new(point.timestamp, point.timestamp);
                times = Some(times.map_or(at, |times: TimeRange| {
                    TimeRange::new(times.start.min(at.start), times.end.max(at.end))
                }));
            }
            outcome.refs.push(reference);
        }
        *data = changed;
        drop(data);
        if let Some(times) = times {
            self.changes.lock().record(times);
        }
        Ok(PendingAppend::ready(outcome))
    }
}

impl Queryable for MemoryStorage {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        let data = self.data.read();
        let mut series: Vec<Arc<MemorySeries>> = data
            .series
            .iter()
            .filter(|series| series.overlaps(range))
            .map(Arc::clone)
            .collect();
        series.sort_unstable_by(|a, b| a.labels().cmp(b.labels()));
        Ok(Box::new(MemoryQuerier::new(series, range)))
    }

    fn write_generation(&self) -> WriteGeneration {
        self.changes.lock().generation()
    }

    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        self.changes.lock().first_change(since, range)
    }
}

impl Data {
    /// Applies one series of a request. The caller throws `self` away after an error.
    fn append_series(
        &mut self,
        (request, late): (&AppendRequest<'_>, Late),
        series: &AppendSeries<'_>,
        policy: AppendPolicy,
        outcome: &mut AppendOutcome,
    ) -> Result<Option<SeriesRef>, AppendError> {
        let points = request.points(series);
        let Some(index) = self.resolve(&series.key, outcome)? else {
            outcome.rejected.invalid_labels += points.len() as u64;
            return Ok(None);
        };
        for point in points {
            match Arc::make_mut(&mut self.series[index]).append(point, late) {
                Ok(()) => {
                    self.newest = self.newest.max(Some(point.timestamp));
                    outcome.appended += 1;
                }
                Err(refused) if policy == AppendPolicy::RollBack => return Err(refused),
                Err(refused) => count_rejected(&refused, &mut outcome.rejected),
            }
        }
        Ok(Some(SeriesRef::new(index as u64)))
    }

    /// What holds for a request that begins now. Source: upstream `tsdb/head_append.go`.
    fn late(&self, order: OutOfOrder) -> Late {
        if self.window <= PromDuration::ZERO {
            return Late::Refused;
        }
        let newest = self.newest.unwrap_or(Timestamp::MIN);
        let from = newest.saturating_sub(self.window);
        match order {
            OutOfOrder::Accept => Late::From(from),
            OutOfOrder::Refuse => Late::RefusedFrom(from),
        }
    }

    /// Position of the series that `key` names, created if it is new; `None` for invalid labels.
    fn resolve(
        &mut self,
        key: &SeriesKey<'_>,
        outcome: &mut AppendOutcome,
    ) -> Result<Option<usize>, AppendError> {
        let labels = match key {
            SeriesKey::Ref(reference) => {
                return usize::try_from(reference.get())
                    .ok()
                    .filter(|index| *index < self.series.len())
                    .map(Some)
                    .ok_or(AppendError::UnknownSeries);
            }
            SeriesKey::Labels(labels) => (*labels).clone(),
            SeriesKey::Raw { span, parse } => match parse(span) {
                Ok(labels) => labels,
                Err(_invalid) => return Ok(None),
            },
        };
        // Upstream refuses the empty set as an invalid sample.
        if labels.is_empty() {
            return Ok(None);
        }
        if let Some(index) = self.by_labels.get(&labels) {
            return Ok(Some(*index));
        }
        let index = self.series.len();
        let series = MemorySeries::new(labels.clone(), self.chunks);
        self.series.push(Arc::new(series));
        self.by_labels.insert(labels, index);
        outcome.created_series += 1;
        Ok(Some(index))
    }
}

fn count_rejected(refused: &AppendError, rejected: &mut Rejected) {
    match refused {
        AppendError::DuplicateForTimestamp { .. } => rejected.duplicate += 1,
        AppendError::TooOld { .. } => rejected.too_old += 1,
        AppendError::HistogramTooLarge { .. } => rejected.too_large += 1,
        _ => rejected.out_of_order += 1,
    }
}

#[cfg(test)]
mod tests;
