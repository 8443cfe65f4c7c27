//! Windows whose edges are settled by samples outside of them: `anchored` and `smoothed`. Source:
//! upstream `extendedRate` and `extendFloats`.

use std::ops::Range;

use promql_syntax::ast::WindowEdges;

use super::window::Windows;

/// Whether values are those of a counter, which only decreases when it starts again from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
}

/// Samples in and around a window.
#[derive(Clone, Copy)]
pub(crate) struct Extended<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The window's edges.
    pub(crate) left_ms: i64,
    pub(crate) right_ms: i64,
    pub(crate) edges: WindowEdges,
}

/// The values at a window's edges, and the samples strictly between them.
pub(crate) struct Settled {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) inner: Range<usize>,
}

impl<'a> Extended<'a> {
    /// The samples of a step, of which there is at least one.
    pub(crate) fn of(windows: &Windows<'a>, (step, first, end): (usize, usize, usize)) -> Self {
        let right_ms = windows.reference.at(step);
        Self {
            timestamps: &windows.timestamps[first..end],
            values: &windows.values[first..end],
            left_ms: right_ms.saturating_sub(windows.range_ms),
            right_ms,
            edges: windows.edges,
        }
    }

    /// The position of the sample that stands at the left edge: the last one not inside, or the
    /// first there is. `None` when all samples are before the window.
    pub(crate) fn anchor(&self) -> Option<usize> {
        let last = self.timestamps.len().checked_sub(1)?;
        let inside = self.timestamps[..last].partition_point(|at| *at <= self.left_ms);
        (self.timestamps[last] > self.left_ms).then(|| inside.saturating_sub(1))
    }

    /// The positions of the samples that settle the edges; `None` when all samples are on one side
    /// of the window.
    pub(crate) fn outermost(&self) -> Option<(usize, usize)> {
        let first = self.anchor()?;
        let mut last = self.timestamps.len() - 1;
        if self.edges == WindowEdges::Smoothed {
            last = self.timestamps[..last].partition_point(|at| *at < self.right_ms);
            if self.timestamps[last] <= self.left_ms || self.timestamps[first] > self.right_ms {
                return None;
            }
        }
        Some((first, last))
    }

    /// Settles the edges; `None` when all samples are on one side of the window.
    pub(crate) fn settle(&self, kind: Kind) -> Option<Settled> {
        let (first, last) = self.outermost()?;
        let is_smoothed = self.edges == WindowEdges::Smoothed;
        let left = if is_smoothed && self.timestamps[first] < self.left_ms {
            self.interpolate(first, self.left_ms, kind)
        } else {
            self.values[first]
        };
        let right = if is_smoothed && last > 0 && self.timestamps[last] > self.right_ms {
            self.interpolate(last - 1, self.right_ms, kind)
        } else {
            self.values[last]
        };
        let start = first + usize::from(self.timestamps[first] <= self.left_ms);
        let end = last + 1 - usize::from(self.timestamps[last] >= self.right_ms);
        Some(Settled {
            left,
            right,
            inner: start..end.max(start),
        })
    }

    /// The value between sample `index` and the next one. A counter that has been reset between
    /// them counted from zero.
    fn interpolate(&self, index: usize, at_ms: i64, kind: Kind) -> f64 {
        let (mut from, to) = (self.values[index], self.values[index + 1]);
        if kind == Kind::Counter && to < from {
            from = 0.0;
        }
        let (start, end) = (self.timestamps[index], self.timestamps[index + 1]);
        from + (to - from) * (at_ms - start) as f64 / (end - start) as f64
    }

    /// The difference between the edges, with the resets of a counter between them made up for.
    pub(crate) fn difference(&self, kind: Kind) -> Option<f64> {
        let settled = self.settle(kind)?;
        let mut difference = settled.right - settled.left;
        if kind == Kind::Counter {
            let mut previous = settled.left;
            for value in self.values[settled.inner].iter().chain([&settled.right]) {
                if *value < previous {
                    difference += previous;
                }
                previous = *value;
            }
        }
        Some(difference)
    }

    /// The value at an instant: that of a sample, or between two, or of the last one before.
    pub(crate) fn value_at(&self, at_ms: i64) -> Option<f64> {
        let next = self
            .timestamps
            .partition_point(|timestamp| *timestamp < at_ms);
        match (next.checked_sub(1), self.timestamps.get(next)) {
            (_, Some(timestamp)) if *timestamp == at_ms => Some(self.values[next]),
            (Some(previous), Some(_)) => Some(self.interpolate(previous, at_ms, Kind::Gauge)),
            (Some(previous), None) => Some(self.values[previous]),
            (None, _) => None,
        }
    }
}
