//! Reading: matchers in, series with columns of samples out.

use std::sync::Arc;

use model::{FloatHistogram, Labels, Matcher, PromDuration, TimeRange, Timestamp, ValueSummary};

use crate::error::StorageError;

/// What the caller is going to do with a selection, so that an engine can skip work. Engines may
/// ignore it; results do not depend on it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelectHints {
    /// Distance between evaluation steps; zero for an instant query.
    pub step: PromDuration,
    /// Length of the range selector; zero for an instant selector.
    pub window: PromDuration,
}

/// Numbers what an engine holds: it grows whenever samples are added or removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriteGeneration(pub u64);

/// The reading side of an engine.
pub trait Queryable: Send + Sync {
    /// Opens a consistent view: what is acknowledged before the call is in it.
    ///
    /// # Errors
    /// The engine cannot serve reads.
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError>;

    /// The present write generation. A view that is opened later holds every change up to it.
    fn write_generation(&self) -> WriteGeneration;

    /// The earliest time inside `range` at which samples may have been added or removed after
    /// `since` was the write generation; `None` promises that every view of `range` opened since then
    /// gives the same answers. Samples that are written in order of time leave what is older
    /// unchanged; late ones, deletions and retention change what they touch.
    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp>;
}

/// A view of an engine over the range of time it was opened for. CPU-bound: use it off the async
/// runtime.
pub trait Querier: Send + Sync {
    /// Selects the series that pass all `matchers` and may have samples in the view's range, with
    /// those samples. The order of series is the same whenever the stored data is the same.
    ///
    /// # Errors
    /// The engine failed.
    fn select(
        &self,
        matchers: &[Matcher],
        hints: SelectHints,
    ) -> Result<Box<dyn SeriesSet>, StorageError>;

    /// Names of the labels of matching series (of all series without matchers), sorted.
    ///
    /// # Errors
    /// The engine failed.
    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, StorageError>;

    /// Values that label `name` has in matching series, sorted, without the empty one.
    ///
    /// # Errors
    /// The engine failed.
    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, StorageError>;
}

/// Selected series. All labels are known before any sample is read, and series are read
/// independently of each other, by any thread.
pub trait SeriesSet: Send + Sync {
    /// How many series there are. A series may turn out to have no sample in range.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of series `index`, `index < len()`.
    fn labels(&self, index: usize) -> Labels;

    /// The samples of series `index`, chunk by chunk, oldest first, without overlap.
    ///
    /// # Errors
    /// The engine failed.
    fn chunks(&self, index: usize) -> Result<Box<dyn ChunkCursor + '_>, StorageError>;

    /// As [`SeriesSet::read`], but may leave out all but the newest sample.
    ///
    /// # Errors
    /// The engine failed.
    fn read_newest(&self, index: usize, columns: &mut Columns) -> Result<(), StorageError> {
        columns.clear();
        let mut cursor = self.chunks(index)?;
        while cursor.summary()?.is_some() {
            cursor.decode_newest(columns)?;
        }
        Ok(())
    }

    /// Reads all samples of series `index` into `columns`, which is cleared first.
    ///
    /// # Errors
    /// The engine failed.
    fn read(&self, index: usize, columns: &mut Columns) -> Result<(), StorageError> {
        columns.clear();
        let mut cursor = self.chunks(index)?;
        while cursor.summary()?.is_some() {
            cursor.decode(columns)?;
        }
        Ok(())
    }
}

/// Walks the chunks of one series.
pub trait ChunkCursor {
    /// What the next chunk holds; `None` at the end. Does not decode it.
    ///
    /// # Errors
    /// The engine failed.
    fn summary(&mut self) -> Result<Option<ChunkSummary>, StorageError>;

    /// Appends those samples of the next chunk that lie in the view's range to `columns`, and moves
    /// behind the chunk.
    ///
    /// # Errors
    /// The engine failed, or stored bytes do not decode.
    fn decode(&mut self, columns: &mut Columns) -> Result<(), StorageError>;

    /// As [`ChunkCursor::decode`], but may leave out all but the newest of those samples.
    ///
    /// # Errors
    /// As [`ChunkCursor::decode`].
    fn decode_newest(&mut self, columns: &mut Columns) -> Result<(), StorageError> {
        self.decode(columns)
    }

    /// Moves behind the next chunk without decoding it.
    ///
    /// # Errors
    /// The engine failed.
    fn skip(&mut self) -> Result<(), StorageError>;
}

/// What is known of a chunk without decoding it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChunkSummary {
    /// Time of its first sample.
    pub first: Timestamp,
    /// Time of its last sample.
    pub last: Timestamp,
    /// How many samples it holds.
    pub samples: u32,
    /// Facts about its values, where the engine keeps them; never of a chunk with histograms. They
    /// are of exactly the samples that decoding gives a view of all times: an engine tells none of a
    /// chunk that is merged with another one or of which samples are deleted.
    pub values: Option<ValueSummary>,
}

/// Columns of samples: equal length, times strictly increasing. Stale markers are included.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Times in milliseconds since the epoch.
    pub timestamps: Vec<i64>,
    /// Values. Where there is a histogram, an ordinary NaN; where a histogram is a stale marker,
    /// that marker.
    pub values: Vec<f64>,
    /// Native histograms, `None` for floats and stale markers. Empty when there is none, otherwise
    /// as long as `timestamps`.
    pub histograms: Vec<Option<Arc<FloatHistogram>>>,
    /// Since when each sample has been counting, in milliseconds since the epoch, 0 where that is
    /// not known. Empty when none is known, otherwise as long as `timestamps`.
    pub start_timestamps: Vec<i64>,
    /// The histogram right before the first sample, where reading came across it: whether the first
    /// sample stands behind a reset is seen by comparing the two.
    pub before: Option<Arc<FloatHistogram>>,
}

impl Columns {
    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Removes all samples and keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.values.clear();
        self.histograms.clear();
        self.start_timestamps.clear();
        self.before = None;
    }

    /// Adds a float.
    pub fn push(&mut self, timestamp_ms: i64, value: f64) {
        self.timestamps.push(timestamp_ms);
        self.values.push(value);
        self.pad();
    }

    /// Adds a histogram.
    pub fn push_histogram(&mut self, timestamp_ms: i64, histogram: Arc<FloatHistogram>) {
        if histogram.is_stale() {
            self.push(timestamp_ms, histogram.sum);
            return;
        }
        self.push(timestamp_ms, model::sample::normal_nan());
        self.histograms.resize(self.timestamps.len(), None);
        if let Some(last) = self.histograms.last_mut() {
            *last = Some(histogram);
        }
    }

    /// Says since when the sample added last has been counting; 0 if that is not known.
    pub fn set_last_start(&mut self, start_timestamp_ms: i64) {
        if start_timestamp_ms == 0 && self.start_timestamps.is_empty() {
            return;
        }
        self.start_timestamps.resize(self.timestamps.len(), 0);
        if let Some(last) = self.start_timestamps.last_mut() {
            *last = start_timestamp_ms;
        }
    }

    /// Adds all samples of `other`.
    pub fn extend(&mut self, other: &Self) {
        let from = self.len();
        self.timestamps.extend_from_slice(&other.timestamps);
        self.values.extend_from_slice(&other.values);
        if !other.histograms.is_empty() {
            self.histograms.resize(from, None);
            self.histograms.extend_from_slice(&other.histograms);
        }
        if !other.start_timestamps.is_empty() {
            self.start_timestamps.resize(from, 0);
            self.start_timestamps
                .extend_from_slice(&other.start_timestamps);
        }
        self.pad();
    }

    /// Makes the optional columns that are in use as long as the others: to be called when floats
    /// were added to `timestamps` and `values` directly.
    pub fn pad(&mut self) {
        if !self.histograms.is_empty() {
            self.histograms.resize(self.timestamps.len(), None);
        }
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.timestamps.len(), 0);
        }
    }

    /// The histogram of a sample; `None` for floats and stale markers.
    #[must_use]
    pub fn histogram(&self, index: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(index)?.as_ref()
    }

    /// Keeps the samples for which `keep(position)` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Self, usize) -> bool) {
        let mut kept = 0;
        for index in 0..self.len() {
            if !keep(self, index) {
                continue;
            }
            if kept < index {
                self.timestamps[kept] = self.timestamps[index];
                self.values[kept] = self.values[index];
                if !self.histograms.is_empty() {
                    self.histograms.swap(kept, index);
                }
                if !self.start_timestamps.is_empty() {
                    self.start_timestamps[kept] = self.start_timestamps[index];
                }
            }
            kept += 1;
        }
        self.truncate(kept);
    }

    /// Removes the samples at positions `from..` that lie outside `range`. Their times are sorted.
    pub fn trim(&mut self, from: usize, range: TimeRange) {
        let tail = &self.timestamps[from..];
        let end = from + tail.partition_point(|at| *at <= range.end.as_millis());
        let start = from + tail.partition_point(|at| *at < range.start.as_millis());
        self.truncate(end);
        let start = start.clamp(from, end);
        let outside = from..start;
        if outside.is_empty() {
            return;
        }
        if from == 0 {
            self.before = self.histogram(start - 1).cloned();
        }
        self.timestamps.drain(outside.clone());
        self.values.drain(outside.clone());
        if !self.histograms.is_empty() {
            self.histograms.drain(outside.clone());
        }
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.drain(outside);
        }
    }

    fn truncate(&mut self, len: usize) {
        self.timestamps.truncate(len);
        self.values.truncate(len);
        self.histograms.truncate(len);
        self.start_timestamps.truncate(len);
    }
}
