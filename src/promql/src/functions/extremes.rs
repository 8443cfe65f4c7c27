//! Smallest and largest values of windows.

use std::collections::VecDeque;

use super::window::{RangeContext, Windows};
use super::{Implementation, RangeTrait, Table};
use crate::error::EngineError;
use crate::operators::seconds;
use crate::slice::SeriesSlice;

pub(super) const TABLE: Table = &[
    (
        "max_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, max_over_time),
    ),
    (
        "min_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, min_over_time),
    ),
    (
        "ts_of_max_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, ts_of_max),
    ),
    (
        "ts_of_min_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, ts_of_min),
    ),
];

fn max_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    extreme(windows, &mut context.scratch.queue, out, |new, old| {
        new > old
    });
    Ok(())
}

fn min_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    extreme(windows, &mut context.scratch.queue, out, |new, old| {
        new < old
    });
    Ok(())
}

/// The most extreme value of each window, the first of equal ones. NaN counts only where there is
/// nothing else.
fn extreme(
    windows: &Windows<'_>,
    queue: &mut VecDeque<usize>,
    out: &mut SeriesSlice,
    is_better: impl Fn(f64, f64) -> bool,
) {
    if windows.overlap() {
        return sliding_extreme(windows, queue, out, is_better);
    }
    for (step, first, end) in windows.filled() {
        let mut best = windows.values[first];
        for value in &windows.values[first..end] {
            if is_better(*value, best) || best.is_nan() {
                best = *value;
            }
        }
        out.set(step, best);
    }
}

/// As [`extreme`], looking at each sample once: the queue holds those that no later sample of the
/// window beats, so that the best is in front.
fn sliding_extreme(
    windows: &Windows<'_>,
    queue: &mut VecDeque<usize>,
    out: &mut SeriesSlice,
    is_better: impl Fn(f64, f64) -> bool,
) {
    let values = windows.values;
    queue.clear();
    let mut seen = 0;
    for (step, first, end) in windows.filled() {
        for index in seen..end {
            let value = values[index];
            if value.is_nan() {
                continue;
            }
            while queue
                .back()
                .is_some_and(|last| is_better(value, values[*last]))
            {
                queue.pop_back();
            }
            queue.push_back(index);
        }
        seen = end;
        while queue.front().is_some_and(|index| *index < first) {
            queue.pop_front();
        }
        let best = queue.front().copied().unwrap_or(end - 1);
        out.set(step, values[best]);
    }
}

fn ts_of_max(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    time_of_extreme(windows, context, out, |new, old| new >= old)
}

fn ts_of_min(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    time_of_extreme(windows, context, out, |new, old| new <= old)
}

/// The time of the most extreme value of each window, the last of equal ones.
fn time_of_extreme(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
    is_at_least: impl Fn(f64, f64) -> bool,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        let mut best = first;
        for index in first..end {
            let old = windows.values[best];
            if is_at_least(windows.values[index], old) || old.is_nan() {
                best = index;
            }
        }
        out.set(step, seconds(windows.timestamps[best]));
    }
    Ok(())
}
