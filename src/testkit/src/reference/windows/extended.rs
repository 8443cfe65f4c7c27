//! `rate`, `increase`, `delta` over anchored and smoothed windows: nothing is extrapolated, the
//! values at the edges come from samples around the window.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};
use promql::SampleValue;
use promql_syntax::ast::WindowEdges;

use super::{Input, interpolate, interpolate_histograms};

/// Which samples count: those from `first` to `last`, where the outer two stand for the edges.
struct Bounds {
    first: usize,
    last: usize,
}

impl Bounds {
    fn of(input: &Input<'_>, times: &[i64]) -> Option<Self> {
        let is_smoothed = input.edges == WindowEdges::Smoothed;
        let mut last = times.len().checked_sub(1)?;
        // The last sample at or before the left edge, else the first one.
        let inside = times[..last].iter().position(|at| *at > input.left_ms);
        let first = inside.unwrap_or(last).saturating_sub(1);
        if is_smoothed {
            let behind = times[..last].iter().position(|at| *at >= input.right_ms);
            last = behind.unwrap_or(last);
        }
        let is_empty =
            times[last] <= input.left_ms || (is_smoothed && times[first] > input.right_ms);
        (!is_empty).then_some(Self { first, last })
    }
}

pub(super) fn extended(input: &Input<'_>) -> Option<SampleValue> {
    if input.is_mixed() {
        return None;
    }
    let is_counter = input.name != "delta";
    if matches!(input.points.first()?.value, SampleValue::Float(_)) {
        return floats(input, is_counter).map(SampleValue::Float);
    }
    let histogram = histograms(input, is_counter)?;
    Some(SampleValue::Histogram(Arc::new(histogram)))
}

fn floats(input: &Input<'_>, is_counter: bool) -> Option<f64> {
    let points = input.floats();
    let times: Vec<i64> = points.iter().map(|(at, _)| *at).collect();
    let Bounds { first, last } = Bounds::of(input, &times)?;
    let is_smoothed = input.edges == WindowEdges::Smoothed;
    let left = if is_smoothed && points[first].0 < input.left_ms {
        interpolate(points[first], points[first + 1], input.left_ms, is_counter)
    } else {
        points[first].1
    };
    let right = if is_smoothed && last > 0 && points[last].0 > input.right_ms {
        interpolate(points[last - 1], points[last], input.right_ms, is_counter)
    } else {
        points[last].1
    };
    let mut change = right - left;
    if is_counter {
        let mut previous = left;
        for (index, (at_ms, value)) in points.iter().enumerate() {
            let is_between = index >= first
                && index <= last
                && !(index == first && *at_ms <= input.left_ms)
                && !(index == last && *at_ms >= input.right_ms);
            if !is_between {
                continue;
            }
            if *value < previous {
                change += previous;
            }
            previous = *value;
        }
        if right < previous {
            change += previous;
        }
    }
    if input.name == "rate" {
        change /= input.range_seconds();
    }
    Some(change)
}

fn histograms(input: &Input<'_>, is_counter: bool) -> Option<FloatHistogram> {
    let points = input.histograms();
    let times: Vec<i64> = points.iter().map(|(at, _)| *at).collect();
    let Bounds { first, last } = Bounds::of(input, &times)?;
    let is_smoothed = input.edges == WindowEdges::Smoothed;
    let is_custom = points[0].1.has_custom_buckets();
    let is_custom = if first == 0 {
        is_custom
    } else {
        points[first].1.has_custom_buckets()
    };
    if points[first..=last]
        .iter()
        .any(|(_, histogram)| histogram.has_custom_buckets() != is_custom)
    {
        return None;
    }
    let left = if is_smoothed && points[first].0 < input.left_ms {
        interpolate_histograms(points[first], points[first + 1], input.left_ms, is_counter)?
    } else {
        points[first].1.clone()
    };
    let right = if is_smoothed && last > 0 && points[last].0 > input.right_ms {
        interpolate_histograms(points[last - 1], points[last], input.right_ms, is_counter)?
    } else {
        points[last].1.clone()
    };
    let mut change = right.clone();
    change.sub(&left).ok()?;
    if is_counter
        && let Some(correction) = correction(input, &points, (first, last), (&left, &right))?
    {
        change.add(&correction).ok()?;
    }
    if input.name == "rate" {
        change.divide(input.range_seconds());
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact(0);
    Some(change)
}

/// What the resets between the edges took away; the outer `None` where layouts do not fit.
fn correction(
    input: &Input<'_>,
    points: &[(i64, &FloatHistogram)],
    (first, last): (usize, usize),
    (left, right): (&FloatHistogram, &FloatHistogram),
) -> Option<Option<FloatHistogram>> {
    let mut previous = left;
    let mut next = first + 1;
    if input.edges == WindowEdges::Smoothed
        && points[first].0 < input.left_ms
        && points[first + 1].1.is_reset_of(points[first].1)
    {
        // The reset lies in the gap that was interpolated.
        previous = points[first + 1].1;
        next += 1;
    }
    if next > last {
        return Some(None);
    }
    let mut correction: Option<FloatHistogram> = None;
    let mut add = |lost: &FloatHistogram| match &mut correction {
        Some(correction) => correction.add(lost).ok().map(|_| ()),
        None => {
            correction = Some(lost.clone());
            Some(())
        }
    };
    for (_, histogram) in &points[next..last] {
        if histogram.is_reset_of(previous) {
            add(previous)?;
        }
        previous = histogram;
    }
    if right.is_reset_of(previous) {
        add(previous)?;
    }
    Some(correction)
}
