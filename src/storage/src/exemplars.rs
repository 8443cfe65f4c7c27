//! Exemplars of series, beside their samples: a bounded number of the newest ones.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use model::{Exemplar, Labels, Matcher, PromDuration, TimeRange};

use crate::error::StorageError;

/// A series and some of its exemplars.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesExemplars {
    /// The series.
    pub series: Labels,
    /// Its exemplars.
    pub exemplars: Vec<Exemplar>,
}

/// Why an exemplar is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// Nothing is kept at all.
    #[error("exemplar storage is disabled or max exemplars is less than or equal to 0")]
    Disabled,
    /// Its labels are too long.
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    LabelLength,
    /// The series has newer ones.
    #[error("out of order exemplar")]
    OutOfOrder,
}

/// Keeps exemplars. Blocking: call it off the async runtime.
pub trait ExemplarStore: Send + Sync {
    /// Whether exemplars are kept: if not, nobody needs to collect them.
    fn is_enabled(&self) -> bool;

    /// Adds exemplars of series that have samples, and tells how many were out of order. Those that
    /// are not kept fail nothing else. The others survive a crash of the process when this returns.
    ///
    /// # Errors
    /// The engine failed; what was added may be lost with the process.
    fn add(&self, exemplars: &[SeriesExemplars]) -> Result<u64, StorageError>;

    /// The exemplars in a range of time of all series that pass any of the sets of matchers, in
    /// order of time, series in order of labels.
    fn select(&self, range: TimeRange, matchers: &[Vec<Matcher>]) -> Vec<SeriesExemplars>;
}

/// What became of an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is kept.
    Kept {
        /// Its number: later ones have greater numbers.
        number: u64,
    },
    /// It was there already.
    Repeated,
}

/// A circular buffer of exemplars: when it is full, the one that was added first goes.
/// Source: upstream `tsdb/exemplar.go`.
#[derive(Debug, Default)]
pub struct CircularExemplars {
    /// In order of addition; the last one has number `next - 1`.
    entries: VecDeque<(Labels, Exemplar)>,
    next: u64,
    capacity: usize,
    /// Numbers of each series' exemplars, in order of time.
    series: HashMap<Labels, VecDeque<u64>>,
}

impl CircularExemplars {
    /// Room for so many exemplars, the first of which gets the number `next`.
    #[must_use]
    pub fn new(capacity: usize, next: u64) -> Self {
        Self {
            capacity,
            next,
            ..Self::default()
        }
    }

    /// Changes the room; the oldest exemplars go where it becomes too small.
    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.shrink(capacity);
    }

    /// Most exemplars that are kept.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many series have any.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Number of the oldest one that is kept, or of the next one.
    #[must_use]
    pub fn first_number(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// The one that was added first.
    #[must_use]
    pub fn oldest(&self) -> Option<&Exemplar> {
        self.entries.front().map(|(_, exemplar)| exemplar)
    }

    /// Adds an exemplar, up to `window` behind the newest one of its series.
    ///
    /// # Errors
    /// It is not kept.
    pub fn add(
        &mut self,
        series: &Labels,
        exemplar: &Exemplar,
        window: PromDuration,
    ) -> Result<Added, ExemplarError> {
        if self.capacity == 0 {
            return Err(ExemplarError::Disabled);
        }
        if !exemplar.fits() {
            return Err(ExemplarError::LabelLength);
        }
        let Some(place) = self.place(series, exemplar, window)? else {
            return Ok(Added::Repeated);
        };
        let number = self.insert(series, exemplar, place);
        Ok(Added::Kept { number })
    }

    /// Puts back an exemplar that was kept before, and returns its number.
    pub fn restore(&mut self, series: &Labels, exemplar: &Exemplar) -> u64 {
        let numbers = self.series.get(series);
        let place = numbers.map_or(0, |numbers| {
            let at = |number: &u64| self.get(*number).map(|known| known.timestamp);
            numbers.partition_point(|number| at(number) <= Some(exemplar.timestamp))
        });
        self.insert(series, exemplar, place)
    }

    fn insert(&mut self, series: &Labels, exemplar: &Exemplar, place: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.entries.push_back((series.clone(), exemplar.clone()));
        let numbers = self.series.entry(series.clone()).or_default();
        numbers.insert(place.min(numbers.len()), number);
        self.shrink(self.capacity);
        number
    }

    /// Where an exemplar belongs among those of its series; `None` if it is there already.
    fn place(
        &self,
        series: &Labels,
        exemplar: &Exemplar,
        window: PromDuration,
    ) -> Result<Option<usize>, ExemplarError> {
        let Some(numbers) = self.series.get(series) else {
            return Ok(Some(0));
        };
        let newest = numbers.back().and_then(|number| self.get(*number));
        let Some(newest) = newest else {
            return Ok(Some(0));
        };
        if newest == exemplar {
            return Ok(None);
        }
        let order = exemplar
            .timestamp
            .cmp(&newest.timestamp)
            .then(exemplar.value.total_cmp(&newest.value))
            .then_with(|| exemplar.labels.cmp(&newest.labels));
        if exemplar.timestamp >= newest.timestamp {
            // Several at one time, of the buckets of a histogram, come in order of their values.
            return match order {
                Ordering::Less => Err(ExemplarError::OutOfOrder),
                Ordering::Equal | Ordering::Greater => Ok(Some(numbers.len())),
            };
        }
        if exemplar.timestamp <= newest.timestamp.saturating_sub(window) {
            return Err(ExemplarError::OutOfOrder);
        }
        let at = |number: &u64| self.get(*number).map(|known| known.timestamp);
        let place = numbers.partition_point(|number| at(number) <= Some(exemplar.timestamp));
        let before = place.checked_sub(1).and_then(|before| numbers.get(before));
        let is_taken = before.and_then(at) == Some(exemplar.timestamp);
        Ok((!is_taken).then_some(place))
    }

    fn get(&self, number: u64) -> Option<&Exemplar> {
        let position = number.checked_sub(self.first_number())?;
        let entry = self.entries.get(usize::try_from(position).ok()?);
        entry.map(|(_, exemplar)| exemplar)
    }

    fn shrink(&mut self, capacity: usize) {
        while self.entries.len() > capacity {
            let first = self.first_number();
            let Some((series, _)) = self.entries.pop_front() else {
                return;
            };
            let Some(numbers) = self.series.get_mut(&series) else {
                continue;
            };
            // Mostly the first.
            if let Some(position) = numbers.iter().position(|number| *number == first) {
                numbers.remove(position);
            }
            if numbers.is_empty() {
                self.series.remove(&series);
            }
        }
    }

    /// See [`ExemplarStore::select`].
    #[must_use]
    pub fn select(&self, range: TimeRange, matchers: &[Vec<Matcher>]) -> Vec<SeriesExemplars> {
        let passes = |labels: &Labels| {
            let passes = |matcher: &Matcher| matcher.matches(labels.value_or_empty(matcher.name()));
            matchers.iter().any(|set| set.iter().all(passes))
        };
        let mut found: Vec<SeriesExemplars> = self
            .series
            .iter()
            .filter(|(labels, _)| passes(labels))
            .filter_map(|(labels, numbers)| {
                let exemplars = numbers.iter().filter_map(|number| self.get(*number));
                let inside = exemplars.filter(|exemplar| range.contains(exemplar.timestamp));
                let exemplars: Vec<Exemplar> = inside.cloned().collect();
                (!exemplars.is_empty()).then(|| SeriesExemplars {
                    series: labels.clone(),
                    exemplars,
                })
            })
            .collect();
        found.sort_unstable_by(|a, b| a.series.cmp(&b.series));
        found
    }
}

#[cfg(test)]
mod tests;
