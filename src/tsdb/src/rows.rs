//! Rows: the accepted samples of a request on their way to log and head.
//!
//! Nearly all samples are floats without a start timestamp. What the others have stands beside
//! the rows, so that those pay nothing for it.

use std::num::NonZeroU32;

use model::{Histogram, Timestamp};
use storage::{Point, PointValue};

use crate::partition::Partition;

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) series: u32,
    /// Position of the row's [`Extra`] plus one.
    extra: Option<NonZeroU32>,
    pub(crate) timestamp_ms: i64,
    /// The value of a float; 0 of a histogram.
    pub(crate) value: f64,
}

/// What a sample has beyond time and float.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extra {
    /// Since when it has been counting, in milliseconds since the epoch; 0 if that is not known.
    pub(crate) start_timestamp_ms: i64,
    pub(crate) histogram: Option<Histogram>,
    /// The sample was older than the newest one of its series when it was accepted.
    pub(crate) out_of_order: bool,
}

impl Extra {
    /// Whether there is more than a float and its place in the order.
    pub(crate) const fn has_more(&self) -> bool {
        self.start_timestamp_ms != 0 || self.histogram.is_some()
    }
}

/// The samples of one request, or of one commit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    extras: Vec<Extra>,
}

impl Rows {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            extras: Vec::new(),
        }
    }

    /// Adds a sample of a series.
    #[inline]
    pub(crate) fn push(&mut self, series: u32, point: &Point<'_>) {
        let timestamp_ms = point.timestamp.as_millis();
        let start_timestamp_ms = point.start_timestamp_ms;
        match point.value {
            PointValue::Float(value) if start_timestamp_ms == 0 => {
                self.push_float(series, timestamp_ms, value);
            }
            PointValue::Float(value) => {
                self.push_float(series, timestamp_ms, value);
                self.set_last_extra(Extra {
                    start_timestamp_ms,
                    ..Extra::default()
                });
            }
            PointValue::Histogram(histogram) => {
                self.push_float(series, timestamp_ms, 0.0);
                self.set_last_extra(Extra {
                    start_timestamp_ms,
                    histogram: Some(histogram.clone()),
                    ..Extra::default()
                });
            }
        }
    }

    /// Adds a sample that came out of order.
    pub(crate) fn push_late(&mut self, series: u32, point: &Point<'_>) {
        self.push(series, point);
        let Some(row) = self.rows.last_mut() else {
            return;
        };
        match row.extra {
            Some(_) => {
                if let Some(extra) = self.extras.last_mut() {
                    extra.out_of_order = true;
                }
            }
            None => self.set_last_extra(Extra {
                out_of_order: true,
                ..Extra::default()
            }),
        }
    }

    /// Adds a float without a start timestamp.
    #[inline]
    pub(crate) fn push_float(&mut self, series: u32, timestamp_ms: i64, value: f64) {
        self.rows.push(Row::float(series, timestamp_ms, value));
    }

    /// Says what the row that was added last has beyond time and float.
    pub(crate) fn set_last_extra(&mut self, extra: Extra) {
        self.extras.push(extra);
        let position = u32::try_from(self.extras.len()).unwrap_or(u32::MAX);
        if let Some(row) = self.rows.last_mut() {
            row.extra = NonZeroU32::new(position);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }

    pub(crate) fn as_slice(&self) -> &[Row] {
        &self.rows
    }

    /// Plain rows.
    pub(crate) const fn of(rows: Vec<Row>) -> Self {
        Self {
            rows,
            extras: Vec::new(),
        }
    }

    /// Gives the rows the extras that [`Row::set_extra`] has told them of.
    pub(crate) fn set_extras(&mut self, extras: Vec<Extra>) {
        self.extras = extras;
    }

    pub(crate) fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// What a row has beyond time and float.
    #[inline]
    pub(crate) fn extra(&self, row: &Row) -> Option<&Extra> {
        let position = row.extra?.get() as usize;
        self.extras.get(position - 1)
    }

    /// Whether any row has more than time and float.
    pub(crate) fn has_extras(&self) -> bool {
        !self.extras.is_empty()
    }

    /// Whether any row came out of order.
    pub(crate) fn has_late(&self) -> bool {
        self.extras.iter().any(|extra| extra.out_of_order)
    }

    /// How many rows came out of order: floats and histograms.
    pub(crate) fn late(&self) -> [u64; 2] {
        let mut late = [0; 2];
        for extra in self.extras.iter().filter(|extra| extra.out_of_order) {
            late[usize::from(extra.histogram.is_some())] += 1;
        }
        late
    }

    /// How many rows are histograms.
    pub(crate) fn histograms(&self) -> usize {
        let of_histogram = |extra: &&Extra| extra.histogram.is_some();
        self.extras.iter().filter(of_histogram).count()
    }

    /// Memory that the rows take, in plain rows.
    pub(crate) fn weight(&self) -> usize {
        let parts = self
            .extras
            .iter()
            .map(|extra| 2 + extra.histogram.as_ref().map_or(0, |h| 4 + h.parts() / 2));
        self.rows.len() + parts.sum::<usize>()
    }
}

impl Row {
    /// A float without a start timestamp.
    pub(crate) const fn float(series: u32, timestamp_ms: i64, value: f64) -> Self {
        Self {
            series,
            extra: None,
            timestamp_ms,
            value,
        }
    }

    /// The partition of its time.
    pub(crate) fn partition(&self) -> Partition {
        Partition::nearest(Timestamp::from_millis(self.timestamp_ms))
    }

    /// Marks the row as having the extra at `position`.
    pub(crate) fn set_extra(&mut self, position: usize) {
        self.extra = u32::try_from(position + 1).ok().and_then(NonZeroU32::new);
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
