//! The functions: one small function and one line in a family's table each.

pub(crate) mod absent;
mod date;
pub(crate) mod extended;
pub(crate) mod extended_histogram;
pub(crate) mod extremes;
pub(crate) mod floats;
pub(crate) mod histogram;
mod histogram_rate;
mod histogram_sums;
pub(crate) mod labels;
mod math;
mod over_time;
pub(crate) mod quantile;
mod rate;
mod regression;
mod start;
mod sums;
mod trigonometry;
pub(crate) mod window;

use model::FloatHistogram;

use crate::calendar::CivilTime;
use crate::error::EngineError;
use crate::slice::SeriesSlice;
use window::{RangeContext, Windows};

/// A function over the windows of one series: sets `out` for the steps that have a result.
pub(crate) type RangeFunction =
    fn(&Windows<'_>, &mut RangeContext<'_>, &mut SeriesSlice) -> Result<(), EngineError>;

/// What a range function does beside its arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeTrait {
    /// Nothing special: the metric's name is dropped.
    Plain,
    /// The result is one of the samples, so the name stays.
    KeepsName,
    /// Meant for counters; others get an info.
    ForCounters,
    /// Looks at floats only; histograms beside them get an info.
    FloatsOnly,
}

/// How a function is computed.
#[derive(Clone, Copy)]
pub(crate) enum Implementation {
    /// Changes each value.
    Map(fn(f64) -> f64),
    /// Makes a value of each histogram and leaves floats out.
    MapHistogram(fn(&FloatHistogram) -> f64),
    /// Changes each value with the help of scalars; `None` removes the point.
    MapWith(fn(f64, &[f64]) -> Option<f64>),
    /// Reads a part of a date from each value, or from the step's time without an argument.
    Date(fn(&CivilTime) -> i64),
    /// Looks at the windows of one series after the other.
    Range(RangeTrait, RangeFunction),
    /// A scalar made of two scalars.
    Scalars(fn(f64, f64) -> f64),
    /// Everything else: an operator of its own.
    Special(Special),
}

/// Functions that are operators of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Absent,
    AbsentOverTime,
    End,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    LabelJoin,
    LabelReplace,
    Pi,
    Range,
    Scalar,
    Sort,
    SortByLabel,
    SortByLabelDesc,
    SortDesc,
    Start,
    StartTimestamp,
    Step,
    Time,
    Timestamp,
    Vector,
}

type Table = &'static [(&'static str, Implementation)];

const SPECIAL: Table = &[
    ("absent", Implementation::Special(Special::Absent)),
    (
        "absent_over_time",
        Implementation::Special(Special::AbsentOverTime),
    ),
    ("end", Implementation::Special(Special::End)),
    (
        "histogram_fraction",
        Implementation::Special(Special::HistogramFraction),
    ),
    (
        "histogram_quantile",
        Implementation::Special(Special::HistogramQuantile),
    ),
    (
        "histogram_quantiles",
        Implementation::Special(Special::HistogramQuantiles),
    ),
    ("label_join", Implementation::Special(Special::LabelJoin)),
    (
        "label_replace",
        Implementation::Special(Special::LabelReplace),
    ),
    ("pi", Implementation::Special(Special::Pi)),
    ("range", Implementation::Special(Special::Range)),
    ("scalar", Implementation::Special(Special::Scalar)),
    ("sort", Implementation::Special(Special::Sort)),
    (
        "sort_by_label",
        Implementation::Special(Special::SortByLabel),
    ),
    (
        "sort_by_label_desc",
        Implementation::Special(Special::SortByLabelDesc),
    ),
    ("sort_desc", Implementation::Special(Special::SortDesc)),
    ("start", Implementation::Special(Special::Start)),
    (
        "start_timestamp",
        Implementation::Special(Special::StartTimestamp),
    ),
    ("step", Implementation::Special(Special::Step)),
    ("time", Implementation::Special(Special::Time)),
    ("timestamp", Implementation::Special(Special::Timestamp)),
    ("vector", Implementation::Special(Special::Vector)),
];

/// All tables.
const TABLES: [Table; 10] = [
    SPECIAL,
    histogram::TABLE,
    math::TABLE,
    trigonometry::TABLE,
    date::TABLE,
    rate::TABLE,
    over_time::TABLE,
    sums::TABLE,
    extremes::TABLE,
    regression::TABLE,
];

/// The implementation of a function, `None` when the engine has none.
pub(crate) fn lookup(name: &str) -> Option<Implementation> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|(function, _)| *function == name)
        .map(|(_, implementation)| *implementation)
}
