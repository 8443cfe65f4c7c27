//! Sums and means of windows, and variances. Windows that overlap much are computed from sums that
//! several of them share; never by subtracting what leaves the window, which would lose bits.

use super::floats::by_kind;
use super::window::{RangeContext, Windows};
use super::{Implementation, RangeTrait, Table, histogram_sums};
use crate::error::EngineError;
use crate::kahan::{self, KahanSum};
use crate::numeric::count;
use crate::slice::SeriesSlice;

pub(super) const TABLE: Table = &[
    (
        "avg_over_time",
        Implementation::Range(RangeTrait::Plain, avg_over_time),
    ),
    (
        "stddev_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, stddev_over_time),
    ),
    (
        "stdvar_over_time",
        Implementation::Range(RangeTrait::FloatsOnly, stdvar_over_time),
    ),
    (
        "sum_over_time",
        Implementation::Range(RangeTrait::Plain, sum_over_time),
    ),
];

fn sum_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    by_kind(windows, context, out, float_sums, histogram_sums::sums)
}

fn float_sums(windows: &Windows<'_>, context: &mut RangeContext<'_>, out: &mut SeriesSlice) {
    each_sum(
        windows,
        &mut context.scratch.sums,
        |(step, first, end), sum| {
            let exact = match sum {
                Some(sum) if sum.sum.is_finite() => sum,
                _ => direct_sum(&windows.values[first..end]),
            };
            out.set(step, exact.total());
        },
    );
}

fn avg_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    by_kind(windows, context, out, float_means, histogram_sums::means)
}

fn float_means(windows: &Windows<'_>, context: &mut RangeContext<'_>, out: &mut SeriesSlice) {
    each_sum(
        windows,
        &mut context.scratch.sums,
        |(step, first, end), sum| {
            let samples = windows.samples(first, end);
            let mean = match sum {
                Some(sum) if sum.sum.is_finite() => {
                    sum.sum / count(samples) + sum.compensation / count(samples)
                }
                _ => direct_mean(&windows.values[first..end], samples),
            };
            out.set(step, mean);
        },
    );
}

fn direct_sum(values: &[f64]) -> KahanSum {
    let mut sum = KahanSum::EMPTY;
    for value in values {
        sum.add(*value);
    }
    sum
}

/// The mean of `samples` samples, some of which may stand for several: then sums are exact. When the
/// sum would overflow it goes on as a running mean. Source: upstream `funcAvgOverTime`.
fn direct_mean(values: &[f64], samples: usize) -> f64 {
    let Some((first, rest)) = values.split_first() else {
        return f64::NAN;
    };
    let (mut sum, mut compensation) = (*first, 0.0);
    let mut is_mean = false;
    for (index, value) in rest.iter().enumerate() {
        let samples = count(index + 2);
        if !is_mean {
            let (next, lost) = kahan::add(sum, compensation, *value);
            if !next.is_infinite() {
                (sum, compensation) = (next, lost);
                continue;
            }
            is_mean = true;
            sum /= samples - 1.0;
            compensation /= samples - 1.0;
        }
        let weight = (samples - 1.0) / samples;
        (sum, compensation) = kahan::add(weight * sum, weight * compensation, value / samples);
    }
    if is_mean {
        sum + compensation
    } else {
        sum / count(samples) + compensation / count(samples)
    }
}

/// Calls `found` for each filled window: step, positions, and its sum if windows overlap so that it
/// comes cheap.
///
/// Borders are multiples of the windows' length, so that each window holds one: it is a suffix of the
/// samples up to the border and a prefix of those behind it. The sums of all suffixes are computed
/// when the first window of a border comes, the prefix grows with the window. So each sample is added
/// twice, and a window's sum does not depend on which other windows there are.
fn each_sum(
    windows: &Windows<'_>,
    suffixes: &mut Vec<KahanSum>,
    mut found: impl FnMut((usize, usize, usize), Option<KahanSum>),
) {
    let values = windows.values;
    if !windows.overlap() {
        for window in windows.filled() {
            found(window, None);
        }
        return;
    }
    // `suffixes[index]` is the sum of `values[base + index..border]`.
    let (mut base, mut behind) = (0, 0);
    let mut border_ms = None;
    let mut prefix = KahanSum::EMPTY;
    suffixes.clear();
    for (step, first, end) in windows.filled() {
        let right_ms = windows.reference.at(step);
        let next_ms = right_ms.saturating_sub(right_ms.rem_euclid(windows.range_ms));
        if border_ms != Some(next_ms) {
            border_ms = Some(next_ms);
            let border =
                first + windows.timestamps[first..end].partition_point(|at| *at <= next_ms);
            (base, behind) = (first, border);
            prefix = KahanSum::EMPTY;
            suffixes.clear();
            suffixes.resize(border - first, KahanSum::EMPTY);
            let mut suffix = KahanSum::EMPTY;
            for index in (first..border).rev() {
                suffix.add(values[index]);
                suffixes[index - first] = suffix;
            }
        }
        for value in &values[behind..end] {
            prefix.add(*value);
        }
        behind = end;
        // A window may begin behind all samples up to its border.
        let mut sum = suffixes
            .get(first - base)
            .copied()
            .unwrap_or(KahanSum::EMPTY);
        sum.merge(prefix);
        found((step, first, end), Some(sum));
    }
}

fn stddev_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        out.set(step, variance(&windows.values[first..end]).sqrt());
    }
    Ok(())
}

fn stdvar_over_time(
    windows: &Windows<'_>,
    context: &mut RangeContext<'_>,
    out: &mut SeriesSlice,
) -> Result<(), EngineError> {
    for (step, first, end) in windows.filled() {
        context.spend(end - first)?;
        out.set(step, variance(&windows.values[first..end]));
    }
    Ok(())
}

/// Population variance after Welford, with compensated mean and squares. Source: upstream
/// `varianceOverTime`.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (KahanSum::EMPTY, KahanSum::EMPTY);
    for (index, value) in values.iter().enumerate() {
        let delta = value - mean.total();
        mean.add(delta / count(index + 1));
        squares.add(delta * (value - mean.total()));
    }
    squares.total() / count(values.len())
}
