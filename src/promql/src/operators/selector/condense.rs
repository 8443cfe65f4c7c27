//! Windows over long ranges without decoding them: chunks whose summary says what a function asks
//! of them are replaced by one or two samples that stand for them.
//!
//! A chunk can be replaced if every window holds either all of it or nothing. Such chunks lie between
//! the windows' edges, so that the longer windows are, compared with chunks, the fewer are decoded.
//! Results keep their bits: a chunk that leaves any doubt is decoded.

use model::ValueSummary;
use storage::{ChunkSummary, SeriesSet};

use crate::error::EngineError;
use crate::grid::Reference;
use crate::operators::range_samples::RangeSamples;

/// What a function asks of the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condensation {
    /// How many there are.
    Count,
    /// The smallest value.
    Minimum,
    /// The largest value.
    Maximum,
    /// The sum, and how many there are.
    Sum,
    /// The first sample.
    First,
    /// The last sample.
    Last,
    /// The first and the last sample, and how many there are.
    Ends,
    /// As [`Condensation::Ends`], and where values fall.
    Falls,
    /// Where values change.
    Changes,
}

impl Condensation {
    /// What a function asks, if summaries can say that. `use_start_timestamps` says whether functions
    /// over counters look at those, of which summaries say nothing.
    pub(crate) fn of(function: &str, use_start_timestamps: bool) -> Option<Self> {
        Some(match function {
            "absent_over_time" | "count_over_time" | "present_over_time" => Self::Count,
            "min_over_time" => Self::Minimum,
            "max_over_time" => Self::Maximum,
            "avg_over_time" | "sum_over_time" => Self::Sum,
            "first_over_time" | "ts_of_first_over_time" => Self::First,
            "last_over_time" | "ts_of_last_over_time" => Self::Last,
            "delta" if !use_start_timestamps => Self::Ends,
            "increase" | "rate" | "resets" if !use_start_timestamps => Self::Falls,
            "changes" => Self::Changes,
            _ => return None,
        })
    }

    /// The samples that stand for a chunk without stale markers; `None` if it has to be decoded.
    fn stand_ins(self, chunk: &ChunkSummary, values: &ValueSummary) -> Option<StandIns> {
        let (start, end) = (chunk.first.as_millis(), chunk.last.as_millis());
        let (first, last) = ((start, values.first), (end, values.last));
        let one = |sample| Some((sample, None));
        let ends = if chunk.samples > 1 {
            Some((first, Some(last)))
        } else {
            one(first)
        };
        match self {
            Self::Count | Self::Last => one(last),
            Self::First => one(first),
            // Which NaN stays depends on all values.
            Self::Minimum => one((end, values.min)).filter(|_| !values.min.is_nan()),
            Self::Maximum => one((end, values.max)).filter(|_| !values.max.is_nan()),
            Self::Sum => one((end, values.exact_sum?)),
            Self::Ends => ends,
            Self::Falls => ends.filter(|_| values.is_monotone),
            Self::Changes => {
                one(last).filter(|_| values.is_monotone && values.first == values.last)
            }
        }
    }
}

/// One or two samples.
type StandIns = ((i64, f64), Option<(i64, f64)>);

/// Reads series for a function over plain windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condenser {
    asked: Condensation,
    /// The right edges of windows.
    right: Reference,
    /// The left edges of windows, which do not belong to them.
    left: Reference,
    window_ms: i64,
}

impl Condenser {
    /// `None` where edges are beyond all times.
    pub(super) fn new(asked: Condensation, right: Reference, window_ms: i64) -> Option<Self> {
        right.first_ms().checked_sub(window_ms)?;
        Some(Self {
            asked,
            right,
            left: right.later(-window_ms),
            window_ms,
        })
    }

    /// Reads a series into `out`, which is empty; `false` if it has to be read as any other, because
    /// not everything that the function needs is certain. Then `out` means nothing.
    pub(super) fn read(
        &self,
        set: &dyn SeriesSet,
        index: usize,
        out: &mut RangeSamples,
    ) -> Result<bool, EngineError> {
        let exact = match self.asked {
            Condensation::Sum => match self.exact_sums(set, index)? {
                Some(magnitude) => Some(magnitude),
                None => return Ok(false),
            },
            _ => None,
        };
        let mut chunks = set.chunks(index)?;
        let mut decoded = exact.unwrap_or(0.0);
        while let Some(chunk) = chunks.summary()? {
            if !self.is_needed(&chunk) {
                chunks.skip()?;
                continue;
            }
            if let Some((first, second)) = self.stand_ins(&chunk) {
                let behind_first = u32::from(second.is_some());
                out.push_for(chunk.samples - behind_first * (chunk.samples - 1), first);
                if let Some(second) = second {
                    out.push_for(chunk.samples - 1, second);
                }
                chunks.skip()?;
                continue;
            }
            let from = out.columns.len();
            chunks.decode(&mut out.columns)?;
            if exact.is_some() && !stays_exact(&out.columns.values[from..], &mut decoded) {
                return Ok(false);
            }
        }
        if !out.stands_for.is_empty() {
            out.pad();
        }
        Ok(true)
    }

    /// The magnitude of all sums that stand for chunks, if there is one and all are exact.
    fn exact_sums(&self, set: &dyn SeriesSet, index: usize) -> Result<Option<f64>, EngineError> {
        let mut chunks = set.chunks(index)?;
        let mut magnitude = None;
        while let Some(chunk) = chunks.summary()? {
            if self.is_needed(&chunk)
                && self.is_whole(&chunk)
                && let Some(values) = &chunk.values
            {
                if values.exact_sum.is_none() {
                    return Ok(None);
                }
                magnitude = Some(magnitude.unwrap_or(0.0) + values.magnitude());
            }
            chunks.skip()?;
        }
        Ok(magnitude.filter(|magnitude| *magnitude < ValueSummary::EXACT_SUMS_BELOW))
    }

    /// Whether any window holds a part of the chunk.
    fn is_needed(&self, chunk: &ChunkSummary) -> bool {
        let (first, last) = (chunk.first.as_millis(), chunk.last.as_millis());
        self.right.needs(first, last, self.window_ms)
    }

    /// Whether every window holds all of the chunk or nothing.
    fn is_whole(&self, chunk: &ChunkSummary) -> bool {
        let inside = chunk.first.as_millis()..chunk.last.as_millis();
        !self.right.any_within(inside.clone()) && !self.left.any_within(inside)
    }

    fn stand_ins(&self, chunk: &ChunkSummary) -> Option<StandIns> {
        let values = chunk.values.as_ref()?;
        // Otherwise there are stale markers, and the times of the others are not known.
        if values.count != chunk.samples || !self.is_whole(chunk) {
            return None;
        }
        self.asked.stand_ins(chunk, values)
    }
}

/// Whether sums stay exact with these values beside those of `magnitude`, which grows by theirs.
fn stays_exact(values: &[f64], magnitude: &mut f64) -> bool {
    match ValueSummary::of(values) {
        None => values.iter().all(|value| model::is_stale_nan(*value)),
        Some(summary) => {
            *magnitude += summary.magnitude();
            summary.exact_sum.is_some() && *magnitude < ValueSummary::EXACT_SUMS_BELOW
        }
    }
}
