//! `limitk` and `limit_ratio`: some series of each group, whatever their values.

use super::{Extremes, Groups, Param};
use crate::annotations::Annotation;
use crate::error::{EngineError, ParameterError};
use crate::limits::Reservation;
use crate::numeric::to_index;
use crate::operators::range_call::read_scalar;
use crate::operators::{Operator, SeriesMeta, Shared};
use crate::plan::Grouping;
use crate::slice::SeriesSlice;

/// Which series are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitRule {
    /// The first so many of each group and step.
    Count,
    /// Those whose labels' hash is in the given share.
    Ratio,
}

/// `limitk` or `limit_ratio`.
pub(crate) struct LimitOperator {
    input: Box<dyn Operator>,
    rule: LimitRule,
    param: Param,
    grouping: Grouping,
    steps: usize,
    shared: Shared,
    params: Vec<f64>,
    of_series: Vec<usize>,
    /// For `limitk`: how many points each group and step has; `group · steps + step`.
    kept: Vec<usize>,
    /// For `limit_ratio`: where each series' hash lies between 0 and 1.
    offsets: Vec<f64>,
    next_series: usize,
    memory: Reservation,
}

impl LimitOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (rule, param): (LimitRule, Param),
        grouping: &Grouping,
        steps: usize,
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            rule,
            param,
            grouping: grouping.clone(),
            steps,
            shared,
            params: Vec::new(),
            of_series: Vec::new(),
            kept: Vec::new(),
            offsets: Vec::new(),
            next_series: 0,
            memory,
        }
    }

    fn check_ratio(&self, extremes: Extremes) -> Result<(), EngineError> {
        if extremes.has_nan {
            return Err(ParameterError::RatioNotANumber.into());
        }
        for (is_outside, ratio, capped) in [
            (extremes.max > 1.0, extremes.max, 1.0),
            (extremes.min < -1.0, extremes.min, -1.0),
        ] {
            if is_outside {
                let annotation = Annotation::InvalidRatio { ratio, capped };
                self.shared.notes.add(&annotation, self.param.pos);
            }
        }
        Ok(())
    }
}

impl Operator for LimitOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.params = read_scalar(&mut *self.param.operator)?;
        let metas = self.input.series()?;
        let extremes = Extremes::of(&self.params);
        match self.rule {
            LimitRule::Count => {
                extremes.check_count()?;
                let groups = Groups::new(&metas, &self.grouping, &self.shared.limits)?;
                let cells = groups.metas.len().saturating_mul(self.steps);
                self.memory
                    .set(cells.saturating_mul(size_of::<usize>()), 0)?;
                self.kept = vec![0; cells];
                self.of_series = groups.of_series;
            }
            LimitRule::Ratio => {
                self.check_ratio(extremes)?;
                self.offsets = metas.iter().map(hash_offset).collect();
            }
        }
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        let series = self.next_series;
        self.next_series += 1;
        match self.rule {
            LimitRule::Count => {
                let first_cell = self.of_series[series] * self.steps;
                out.present.retain(|step| {
                    let kept = &mut self.kept[first_cell + step];
                    let is_wanted = *kept < to_index(self.params[step]);
                    *kept += usize::from(is_wanted);
                    is_wanted
                });
            }
            LimitRule::Ratio => {
                let offset = self.offsets[series];
                out.present.retain(|step| {
                    let ratio = self.params[step].clamp(-1.0, 1.0);
                    if ratio >= 0.0 {
                        offset < ratio
                    } else {
                        offset >= 1.0 + ratio
                    }
                });
            }
        }
        Ok(())
    }
}

/// Where the hash of a series' labels lies between 0 and 1. Source of the hashed bytes: upstream
/// `Labels.Hash` with packed labels: size, name, size, value for each label.
fn hash_offset(meta: &SeriesMeta) -> f64 {
    let mut bytes = Vec::new();
    for (name, value) in &meta.labels {
        push_sized(&mut bytes, name);
        push_sized(&mut bytes, value);
    }
    let hash = twox_hash::XxHash64::oneshot(0, &bytes);
    hash as f64 / u64::MAX as f64
}

/// A text behind its size: one byte below 255, else 255 and three bytes, the lowest first.
fn push_sized(bytes: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(size) if size < u8::MAX => bytes.push(size),
        _ => {
            bytes.push(u8::MAX);
            bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}
