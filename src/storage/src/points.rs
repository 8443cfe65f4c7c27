//! The samples of one series of a request as one sequence: floats and native histograms merged in
//! order of time, each with its start timestamp.

use model::histogram::MAX_HISTOGRAM_PARTS;
use model::{Histogram, Timestamp};

use crate::append::{AppendRequest, AppendSeries, HistogramSample, Sample};
use crate::error::AppendError;

/// The value of a sample, borrowed from its request.
#[derive(Clone, Copy, Debug)]
pub enum PointValue<'a> {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(&'a Histogram),
}

impl PointValue<'_> {
    /// Checks that engines keep a value of this size.
    ///
    /// # Errors
    /// [`AppendError::HistogramTooLarge`].
    #[inline]
    pub fn check_size(&self) -> Result<(), AppendError> {
        match self {
            Self::Histogram(histogram) if histogram.parts() > MAX_HISTOGRAM_PARTS => {
                Err(AppendError::HistogramTooLarge {
                    parts: histogram.parts(),
                    limit: MAX_HISTOGRAM_PARTS,
                })
            }
            Self::Float(_) | Self::Histogram(_) => Ok(()),
        }
    }
}

impl PartialEq for PointValue<'_> {
    /// Compares bits: what an engine takes for a repetition. A float never equals a histogram, nor
    /// an integer histogram one of floats.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            (Self::Float(_), Self::Histogram(_)) | (Self::Histogram(_), Self::Float(_)) => false,
        }
    }
}

/// One sample of a request.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// When it was taken.
    pub timestamp: Timestamp,
    /// Its value.
    pub value: PointValue<'a>,
    /// Since when it has been counting, in milliseconds since the epoch; 0 if that is not known.
    pub start_timestamp_ms: i64,
}

/// See [`AppendRequest::points`].
#[derive(Clone, Debug)]
pub struct Points<'a> {
    samples: &'a [Sample],
    /// Empty, or as long as `samples`.
    starts: &'a [i64],
    histograms: &'a [HistogramSample],
    /// Empty, or as long as `histograms`.
    histogram_starts: &'a [i64],
}

impl AppendRequest<'_> {
    /// The samples of `series`, floats and histograms merged: always the earlier one of the two
    /// that come next, the float where they are of one time. Each kind keeps its order.
    #[must_use]
    #[inline]
    pub fn points(&self, series: &AppendSeries<'_>) -> Points<'_> {
        let samples = series.samples.start as usize..series.samples.end as usize;
        let histograms = series.histograms.start as usize..series.histograms.end as usize;
        Points {
            starts: self
                .start_timestamps
                .get(samples.clone())
                .unwrap_or_default(),
            samples: self.samples.get(samples).unwrap_or_default(),
            histogram_starts: self
                .histogram_start_timestamps
                .get(histograms.clone())
                .unwrap_or_default(),
            histograms: self.histograms.get(histograms).unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Points<'a> {
    type Item = Point<'a>;

    #[inline]
    fn next(&mut self) -> Option<Point<'a>> {
        let histogram_is_next = match (self.samples.first(), self.histograms.first()) {
            (Some(sample), Some(histogram)) => histogram.timestamp < sample.timestamp,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if histogram_is_next {
            let (next, rest) = self.histograms.split_first()?;
            self.histograms = rest;
            return Some(Point {
                timestamp: next.timestamp,
                value: PointValue::Histogram(&next.histogram),
                start_timestamp_ms: take_start(&mut self.histogram_starts),
            });
        }
        let (next, rest) = self.samples.split_first()?;
        self.samples = rest;
        Some(Point {
            timestamp: next.timestamp,
            value: PointValue::Float(next.value),
            start_timestamp_ms: take_start(&mut self.starts),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.samples.len() + self.histograms.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Points<'_> {}

#[inline]
fn take_start(starts: &mut &[i64]) -> i64 {
    let Some((start, rest)) = starts.split_first() else {
        return 0;
    };
    *starts = rest;
    *start
}
