//! What checks work with: the engine under test, shorthand for requests, comparison of answers.

use std::fmt;

use model::{LabelError, Labels, MatchOp, Matcher, PromDuration, TimeRange, Timestamp};

use crate::append::{
    AppendOutcome, AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey,
};
use crate::error::{AppendError, StorageError};
use crate::read::{Columns, Querier, Queryable, SelectHints};

/// An empty engine and a moment from which it accepts samples. Checks write at most two hours
/// after `start`.
#[derive(Clone, Copy)]
pub struct Fixture<'a> {
    /// The engine's writing side.
    pub appender: &'a dyn Appender,
    /// Its reading side.
    pub queryable: &'a dyn Queryable,
    /// First moment that samples may have.
    pub start: Timestamp,
}

/// What an engine did against its contract.
pub struct Violation(String);

impl Violation {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Violation {
    fn from(error: E) -> Self {
        Self(format!("unexpected error: {}", base::report(&error)))
    }
}

/// Milliseconds after the fixture's start, and a value.
pub(super) type Point = (i64, f64);

/// A series as read back: its labels as text, its times after the start and the bits of its values.
pub(super) type ReadSeries = (String, Vec<(i64, u64)>);

/// Refuses `got` unless it equals `want`.
pub(super) fn expect_equal<T: PartialEq + fmt::Debug>(
    what: &str,
    got: T,
    want: T,
) -> Result<(), Violation> {
    if got == want {
        return Ok(());
    }
    Err(Violation::new(format!(
        "{what}: got {got:?}, want {want:?}"
    )))
}

/// Refuses a condition that does not hold.
pub(super) fn expect_that(what: &str, holds: Result<(), String>) -> Result<(), Violation> {
    holds.map_err(|why| Violation::new(format!("{what}: {why}")))
}

/// Reads `name|label=value|label=value`.
pub(super) fn labels(text: &str) -> Result<Labels, LabelError> {
    let mut parts = text.split('|');
    let name = parts.next().unwrap_or_default();
    let pairs = parts.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    Labels::from_pairs([(model::METRIC_NAME, name)].into_iter().chain(pairs))
}

/// Builds a matcher from its three parts.
pub(super) fn matcher(name: &str, op: MatchOp, value: &str) -> Result<Matcher, Violation> {
    Matcher::new(op, name, value)
        .map_err(|error| Violation::new(format!("pattern {value:?}: {error}")))
}

pub(super) fn in_order(points: &[Point]) -> Vec<(i64, u64)> {
    points
        .iter()
        .map(|(at, value)| (*at, value.to_bits()))
        .collect()
}

impl Fixture<'_> {
    pub(super) fn at(&self, offset_ms: i64) -> Timestamp {
        self.start
            .saturating_add(PromDuration::from_millis(offset_ms))
    }

    pub(super) fn samples(&self, points: &[Point]) -> Vec<Sample> {
        points
            .iter()
            .map(|(offset, value)| Sample {
                timestamp: self.at(*offset),
                value: *value,
            })
            .collect()
    }

    /// From `first` to `last` milliseconds after the start, both inside.
    pub(super) fn range(&self, first: i64, last: i64) -> TimeRange {
        TimeRange::new(self.at(first), self.at(last))
    }

    /// Everything that checks write.
    pub(super) fn whole_range(&self) -> TimeRange {
        self.range(0, 7_200_000)
    }

    /// Sends one request with each series under its labels and waits for its commit.
    pub(super) fn try_append(
        &self,
        policy: AppendPolicy,
        series: &[(&str, &[Point])],
    ) -> Result<Result<AppendOutcome, AppendError>, Violation> {
        let mut keyed = Vec::with_capacity(series.len());
        for (text, points) in series {
            keyed.push((labels(text)?, self.samples(points)));
        }
        let mut request = AppendRequest::default();
        for (labels, samples) in &keyed {
            request.push(SeriesKey::Labels(labels), samples.iter().copied());
        }
        Ok(self.send(&request, policy))
    }

    /// Sends a request that must be accepted whole.
    pub(super) fn append(&self, series: &[(&str, &[Point])]) -> Result<AppendOutcome, Violation> {
        Ok(self.try_append(AppendPolicy::RollBack, series)??)
    }

    pub(super) fn send(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
    ) -> Result<AppendOutcome, AppendError> {
        self.appender
            .append(request, policy, Durability::Acknowledged)?
            .wait_blocking()
    }

    pub(super) fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.queryable.querier(range)
    }

    /// All series with samples in `range`, sorted by their text.
    pub(super) fn read(
        &self,
        range: TimeRange,
        matchers: &[Matcher],
    ) -> Result<Vec<ReadSeries>, Violation> {
        let set = self
            .querier(range)?
            .select(matchers, SelectHints::default())?;
        let mut found = Vec::new();
        let mut columns = Columns::default();
        for index in 0..set.len() {
            set.read(index, &mut columns)?;
            if !columns.is_empty() {
                found.push((set.labels(index).to_string(), self.relative(&columns)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Everything stored under the metric `name`.
    pub(super) fn read_metric(&self, name: &str) -> Result<Vec<ReadSeries>, Violation> {
        self.read(
            self.whole_range(),
            &[Matcher::equal(model::METRIC_NAME, name)],
        )
    }

    /// Refuses anything but exactly `want` under the metric `name`, given as in [`labels`].
    pub(super) fn expect_stored(
        &self,
        name: &str,
        want: &[(&str, &[Point])],
    ) -> Result<(), Violation> {
        let mut wanted = Vec::with_capacity(want.len());
        for (text, points) in want {
            wanted.push((labels(text)?.to_string(), in_order(points)));
        }
        wanted.sort();
        expect_equal(
            &format!("samples of {name}"),
            self.read_metric(name)?,
            wanted,
        )
    }

    fn relative(&self, columns: &Columns) -> Vec<(i64, u64)> {
        let start = self.start.as_millis();
        columns
            .timestamps
            .iter()
            .zip(&columns.values)
            .map(|(at, value)| (at - start, value.to_bits()))
            .collect()
    }
}
