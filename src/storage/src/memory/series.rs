//! One series in memory: short chunks with summaries, as a disk engine has them.

use std::sync::Arc;

use model::{
    CounterResetHint, FloatHistogram, Histogram, Labels, TimeRange, Timestamp, ValueSummary,
};

use super::MemoryChunks;
use crate::error::AppendError;
use crate::points::{Point, PointValue};
use crate::read::{ChunkSummary, Columns};

/// A series and its chunks. Only the last chunk grows; full ones are shared with readers.
#[derive(Clone, Debug)]
pub(super) struct MemorySeries {
    labels: Labels,
    form: MemoryChunks,
    chunks: Vec<Arc<MemoryChunk>>,
    newest: Option<(Timestamp, MemoryValue)>,
    /// Ranges in which samples are deleted.
    deleted: Vec<TimeRange>,
}

/// A value as it was sent: the columns of a chunk hold integer histograms as floats.
#[derive(Clone, Debug)]
enum MemoryValue {
    Float(f64),
    Histogram(Histogram),
}

impl MemoryValue {
    fn of(value: PointValue<'_>) -> Self {
        match value {
            PointValue::Float(value) => Self::Float(value),
            PointValue::Histogram(histogram) => Self::Histogram(histogram.clone()),
        }
    }

    fn as_point(&self) -> PointValue<'_> {
        match self {
            Self::Float(value) => PointValue::Float(*value),
            Self::Histogram(histogram) => PointValue::Histogram(histogram),
        }
    }
}

impl MemorySeries {
    pub(super) fn new(labels: Labels, form: MemoryChunks) -> Self {
        Self {
            labels,
            form,
            chunks: Vec::new(),
            newest: None,
            deleted: Vec::new(),
        }
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn chunks(&self) -> &[Arc<MemoryChunk>] {
        &self.chunks
    }

    /// Whether a chunk shares an instant with `range`.
    pub(super) fn overlaps(&self, range: TimeRange) -> bool {
        self.chunks.iter().any(|chunk| chunk.overlaps(range))
    }

    /// Adds a sample behind the newest one, or before it where `late` allows that. The same sample
    /// again is accepted and changes nothing, and so is an older one at a time that is taken.
    pub(super) fn append(&mut self, point: Point<'_>, late: Late) -> Result<(), AppendError> {
        point.value.check_size()?;
        let at = point.timestamp;
        if let Some((newest, value)) = &self.newest {
            let newest = *newest;
            if at < newest {
                return match late {
                    Late::Refused => Err(AppendError::OutOfOrder { at, newest }),
                    Late::From(from) | Late::RefusedFrom(from) if at < from => {
                        Err(AppendError::TooOld { at, from })
                    }
                    Late::RefusedFrom(_) => Err(AppendError::OutOfOrder { at, newest }),
                    Late::From(_) => {
                        self.insert(point);
                        Ok(())
                    }
                };
            }
            if at == newest {
                return if point.value == value.as_point() {
                    Ok(())
                } else {
                    Err(AppendError::DuplicateForTimestamp { at })
                };
            }
        }
        self.newest = Some((at, MemoryValue::of(point.value)));
        let full = self.form.samples.max(1);
        if self
            .chunks
            .last()
            .is_none_or(|chunk| chunk.columns.len() >= full)
        {
            self.chunks.push(Arc::default());
        }
        if let Some(open) = self.chunks.last_mut() {
            let open = Arc::make_mut(open);
            open.push(point);
            if self.form.summaries && open.columns.len() >= full {
                open.summarise();
            }
        }
        Ok(())
    }

    /// Removes the samples in a range, and those that will come in it.
    pub(super) fn delete(&mut self, range: TimeRange) {
        let Some((newest, _)) = self.newest else {
            return;
        };
        let range = TimeRange::new(range.start, range.end.min(newest));
        if range.start > range.end {
            return;
        }
        self.deleted.push(range);
        for chunk in &mut self.chunks {
            if chunk.overlaps(range) {
                Arc::make_mut(chunk).delete(range);
            }
        }
        self.chunks.retain(|chunk| !chunk.columns.is_empty());
    }

    /// From here on samples may come in ranges that were deleted.
    pub(super) fn forget_deleted(&mut self) {
        self.deleted.clear();
    }

    /// Puts a sample between others.
    fn insert(&mut self, point: Point<'_>) {
        if self
            .deleted
            .iter()
            .any(|range| range.contains(point.timestamp))
        {
            return;
        }
        let place = self
            .chunks
            .partition_point(|chunk| chunk.ends_before(point.timestamp));
        // Behind all where what was newest is deleted.
        if place == self.chunks.len() {
            self.chunks.push(Arc::default());
        }
        if let Some(chunk) = self.chunks.get_mut(place) {
            let chunk = Arc::make_mut(chunk);
            chunk.insert(point);
            chunk.summarise_again();
        }
    }
}

/// What becomes of samples that are older than the newest one of their series.
#[derive(Clone, Copy, Debug)]
pub(super) enum Late {
    /// They are out of order.
    Refused,
    /// They are out of order, or too old before this time.
    RefusedFrom(Timestamp),
    /// They are taken, but not before this time.
    From(Timestamp),
}

/// Samples of a stretch of time. Never empty for readers.
#[derive(Clone, Debug, Default)]
pub(super) struct MemoryChunk {
    columns: Columns,
    values: Option<ValueSummary>,
}

impl MemoryChunk {
    fn push(&mut self, point: Point<'_>) {
        let at = point.timestamp.as_millis();
        match point.value {
            PointValue::Float(value) => self.columns.push(at, value),
            PointValue::Histogram(histogram) => {
                self.columns.push_histogram(at, histogram.to_float());
            }
        }
        self.columns.set_last_start(point.start_timestamp_ms);
    }

    fn delete(&mut self, range: TimeRange) {
        self.columns.retain(|columns, position| {
            !range.contains(Timestamp::from_millis(columns.timestamps[position]))
        });
        self.summarise_again();
    }

    fn summarise_again(&mut self) {
        if self.values.take().is_some() {
            self.summarise();
        }
    }

    /// Puts a sample where it belongs, unless its time is taken. What histograms said of the one
    /// before them is not known any more.
    fn insert(&mut self, point: Point<'_>) {
        let at = point.timestamp.as_millis();
        let times = &self.columns.timestamps;
        let place = times.partition_point(|known| *known < at);
        if times.get(place) == Some(&at) {
            return;
        }
        let old = std::mem::take(&mut self.columns);
        if place == old.len() {
            self.columns = old;
            self.push(point);
            return self.forget_hint();
        }
        for position in 0..old.len() {
            if position == place {
                self.push(point);
                self.forget_hint();
            }
            match old.histogram(position) {
                Some(histogram) => {
                    let at = old.timestamps[position];
                    self.columns.push_histogram(at, Arc::clone(histogram));
                }
                None => self
                    .columns
                    .push(old.timestamps[position], old.values[position]),
            }
            let start = old.start_timestamps.get(position);
            self.columns.set_last_start(start.copied().unwrap_or(0));
            if position == place {
                self.forget_hint();
            }
        }
    }

    /// Of the sample that was added last.
    fn forget_hint(&mut self) {
        if let Some(Some(last)) = self.columns.histograms.last_mut()
            && last.counter_reset_hint == CounterResetHint::NotCounterReset
        {
            let mut unsure = FloatHistogram::clone(last);
            unsure.counter_reset_hint = CounterResetHint::Unknown;
            *last = Arc::new(unsure);
        }
    }

    /// Sets the facts about the values of a chunk that will not change any more.
    fn summarise(&mut self) {
        if self.columns.histograms.is_empty() {
            self.values = ValueSummary::of(&self.columns.values);
        }
    }

    fn bounds(&self) -> TimeRange {
        let first = self.columns.timestamps.first().copied().unwrap_or(i64::MAX);
        let last = self.columns.timestamps.last().copied().unwrap_or(i64::MIN);
        TimeRange::new(Timestamp::from_millis(first), Timestamp::from_millis(last))
    }

    pub(super) fn overlaps(&self, range: TimeRange) -> bool {
        self.bounds().overlaps(&range)
    }

    pub(super) fn ends_before(&self, at: Timestamp) -> bool {
        self.bounds().end < at
    }

    pub(super) fn summary(&self) -> ChunkSummary {
        let bounds = self.bounds();
        ChunkSummary {
            first: bounds.start,
            last: bounds.end,
            samples: u32::try_from(self.columns.len()).unwrap_or(u32::MAX),
            values: self.values,
        }
    }

    /// Appends the samples inside `range` to `columns`.
    pub(super) fn decode(&self, range: TimeRange, columns: &mut Columns) {
        let from = columns.len();
        columns.extend(&self.columns);
        columns.trim(from, range);
    }
}
