//! Aggregations: series fold into their group's accumulator as they come, and a group is given out
//! as soon as its last series has been read.

mod accumulator;
mod count_values;
mod histograms;
mod limit;
mod quantile;
mod top;

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, METRIC_NAME};
use promql_syntax::ast::{AggregateOp, PosRange};

pub(crate) use accumulator::FoldKind;
use accumulator::{Accumulator, accumulator};
pub(crate) use count_values::CountValuesOperator;
use histograms::{HistogramFold, Histograms, Report};
pub(crate) use limit::{LimitOperator, LimitRule};
pub(crate) use top::{TopOperator, TopOrder};

use super::group_key::{is_in, is_kept_without, write_key};
use super::range_call::read_scalar;
use super::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared, metas_bytes};
use crate::annotations::Annotation;
use crate::error::{EngineError, ParameterError};
use crate::limits::{Limits, Reservation};
use crate::plan::Grouping;
use crate::slice::{Bitmap, SeriesSlice};

/// Which group each series belongs to.
pub(crate) struct Groups {
    /// For each series its group.
    pub(crate) of_series: Vec<usize>,
    /// The groups in order of their first series.
    pub(crate) metas: Vec<SeriesMeta>,
    /// How many series each group has.
    pub(crate) sizes: Vec<usize>,
    /// What the lists count as.
    memory: Reservation,
}

impl Groups {
    /// Sorts series into groups.
    pub(crate) fn new(
        series: &[SeriesMeta],
        grouping: &Grouping,
        limits: &Arc<Limits>,
    ) -> Result<Self, EngineError> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut groups = Self {
            of_series: Vec::with_capacity(series.len()),
            metas: Vec::new(),
            sizes: Vec::new(),
            memory: Reservation::bytes(limits, series.len().saturating_mul(size_of::<usize>()))?,
        };
        let (mut key, mut previous) = (String::new(), (String::new(), None));
        for meta in series {
            write_key(&meta.labels, &mut key, |name| counts(grouping, name));
            // Series of a group are often neighbours.
            let group = match previous.1 {
                Some(group) if previous.0 == key => group,
                _ => match places.get(&key) {
                    Some(group) => *group,
                    None => {
                        places.insert(key.clone(), groups.metas.len());
                        let labels = group_labels(&meta.labels, grouping);
                        groups.metas.push(SeriesMeta::new(labels));
                        groups.sizes.push(0);
                        groups.metas.len() - 1
                    }
                },
            };
            std::mem::swap(&mut previous.0, &mut key);
            previous.1 = Some(group);
            groups.metas[group].drop_name |= meta.drop_name;
            groups.sizes[group] += 1;
            groups.of_series.push(group);
        }
        groups.memory.add_bytes(metas_bytes(&groups.metas))?;
        Ok(groups)
    }
}

fn counts(grouping: &Grouping, label: &str) -> bool {
    match grouping {
        Grouping::By(names) => is_in(names, label),
        Grouping::Without(names) => is_kept_without(names, label),
    }
}

/// The labels of the group that a series belongs to.
pub(crate) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    labels.filter(|name| counts(grouping, name))
}

/// An aggregation that gives one series for each group.
pub(crate) struct FoldOperator {
    input: Box<dyn Operator>,
    kind: FoldKind,
    grouping: Grouping,
    steps: usize,
    param: Option<Param>,
    shared: Shared,
    of_series: Vec<usize>,
    /// What the lists of groups count as.
    memory: Option<Reservation>,
    /// For each group how many of its series are yet to be read.
    missing: Vec<usize>,
    /// What has been folded so far; made with a group's first series, gone with its last.
    folded: Vec<Option<Folded>>,
    /// Groups in the order in which they become complete.
    order: std::vec::IntoIter<usize>,
    next_input: usize,
    scratch: SeriesSlice,
    /// Where the expression stands that is aggregated.
    pos: PosRange,
    metrics: MetricNames,
    has_names: bool,
    /// Whether it was said that histograms are left out.
    is_ignorance_noted: bool,
}

/// The metrics of an input's series. Most often it is the same for many series in a row.
#[derive(Default)]
struct MetricNames {
    /// The first series of each stretch, and its metric.
    stretches: Vec<(usize, String)>,
}

impl MetricNames {
    fn of(series: &[SeriesMeta]) -> Self {
        let mut names = Self::default();
        for (index, meta) in series.iter().enumerate() {
            let metric = meta.labels.value_or_empty(METRIC_NAME);
            if names.stretches.last().is_none_or(|last| last.1 != metric) {
                names.stretches.push((index, metric.to_owned()));
            }
        }
        names
    }

    fn get(&self, series: usize) -> &str {
        let behind = self
            .stretches
            .partition_point(|(first, _)| *first <= series);
        let stretch = behind.checked_sub(1).and_then(|at| self.stretches.get(at));
        stretch.map_or("", |(_, metric)| metric)
    }
}

/// A group whose series are being folded.
struct Folded {
    accumulator: Box<dyn Accumulator>,
    /// Only for a sum or mean of histograms.
    histograms: Option<Box<Histograms>>,
    /// The steps at which any series had a point.
    present: Bitmap,
    memory: Reservation,
}

/// The scalar parameter of an aggregation.
pub(crate) struct Param {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) pos: PosRange,
}

impl FoldOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (kind, param): (FoldKind, Option<Param>),
        (grouping, pos): (&Grouping, PosRange),
        steps: usize,
        shared: Shared,
    ) -> Self {
        Self {
            input,
            kind,
            grouping: grouping.clone(),
            steps,
            param,
            shared,
            of_series: Vec::new(),
            memory: None,
            missing: Vec::new(),
            folded: Vec::new(),
            order: Vec::new().into_iter(),
            next_input: 0,
            scratch: SeriesSlice::default(),
            pos,
            metrics: MetricNames::default(),
            has_names: true,
            is_ignorance_noted: false,
        }
    }

    /// Has warnings name no metric: the input's names were to be dropped.
    pub(crate) fn forget_names(&mut self) {
        self.has_names = false;
    }

    /// Evaluates the parameter, which is a φ: the only aggregation here with one is `quantile`.
    fn read_param(&mut self) -> Result<Vec<f64>, EngineError> {
        let Some(param) = &mut self.param else {
            return Ok(Vec::new());
        };
        let values = read_scalar(&mut *param.operator)?;
        let extremes = Extremes::of(&values);
        let is_invalid = [extremes.has_nan, extremes.max > 1.0, extremes.min < 0.0];
        for (is_invalid, phi) in is_invalid
            .into_iter()
            .zip([f64::NAN, extremes.max, extremes.min])
        {
            if is_invalid {
                self.shared
                    .notes
                    .add(&Annotation::InvalidQuantile(phi), param.pos);
            }
        }
        Ok(values)
    }

    fn read_one(&mut self) -> Result<(), EngineError> {
        if self.next_input.is_multiple_of(SERIES_PER_CHECK) {
            self.shared.limits.check()?;
        }
        self.input.next(&mut self.scratch)?;
        let series = self.next_input;
        let group = self.of_series[series];
        self.next_input += 1;
        self.missing[group] -= 1;
        if let Some(ignorant) = self.kind.ignores_histograms()
            && self.scratch.keep_floats()
            && !std::mem::replace(&mut self.is_ignorance_noted, true)
        {
            let annotation = Annotation::IgnoredInAggregation(ignorant);
            self.shared.notes.add(&annotation, self.pos);
        }
        if self.scratch.present.is_empty() {
            return Ok(());
        }
        let (steps, kind, limits) = (self.steps, &self.kind, &self.shared.limits);
        let folded = self.folded[group].get_or_insert_with(|| Folded {
            accumulator: accumulator(kind, steps),
            histograms: None,
            present: Bitmap::none(steps),
            memory: Reservation::empty(limits),
        });
        if let Some(fold) = kind.histogram_fold()
            && (folded.histograms.is_some() || !self.scratch.histograms.is_empty())
        {
            let report = Report {
                notes: &self.shared.notes,
                pos: self.pos,
            };
            folded.fold_histograms(fold, &mut self.scratch, self.metrics.get(series), &report);
        }
        folded.present.union(&self.scratch.present);
        folded.accumulator.fold(&self.scratch);
        folded.account()
    }
}

impl Folded {
    /// Folds the histograms of a series and leaves its floats.
    #[inline(never)]
    fn fold_histograms(
        &mut self,
        fold: HistogramFold,
        slice: &mut SeriesSlice,
        metric: &str,
        report: &Report<'_>,
    ) {
        let steps = slice.values.len();
        let present = &mut self.present;
        let histograms = self
            .histograms
            .get_or_insert_with(|| Box::new(Histograms::new(fold, present, steps)));
        histograms.fold(slice, metric, report);
        present.union(&slice.present);
        slice.keep_floats();
    }

    fn account(&mut self) -> Result<(), EngineError> {
        let histograms = self.histograms.as_ref();
        let bytes = histograms.map_or(0, |histograms| histograms.bytes());
        let size = histograms.map_or(0, |histograms| histograms.size());
        self.memory.set(
            self.accumulator.bytes().saturating_add(bytes),
            self.present.count().saturating_add(size),
        )
    }
}

impl Operator for FoldOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let values = self.read_param()?;
        if let FoldKind::Quantile(phis) = &mut self.kind {
            *phis = values.into();
        }
        let series = self.input.series()?;
        let groups = Groups::new(&series, &self.grouping, &self.shared.limits)?;
        if self.kind.histogram_fold().is_some() && self.has_names {
            self.metrics = MetricNames::of(&series);
        }
        let mut last = vec![0; groups.metas.len()];
        for (index, group) in groups.of_series.iter().enumerate() {
            last[*group] = index;
        }
        let mut order: Vec<usize> = (0..groups.metas.len()).collect();
        order.sort_by_key(|group| last[*group]);
        let metas = order
            .iter()
            .map(|group| groups.metas[*group].clone())
            .collect();
        self.of_series = groups.of_series;
        self.memory = Some(groups.memory);
        self.missing = groups.sizes;
        self.folded.resize_with(self.missing.len(), || None);
        self.order = order.into_iter();
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.steps);
        let Some(group) = self.order.next() else {
            return Ok(());
        };
        while self.missing[group] > 0 {
            self.read_one()?;
        }
        if let Some(mut folded) = self.folded[group].take() {
            folded.accumulator.finish(&folded.present, &mut out.values);
            out.present = folded.present;
            if let Some(histograms) = folded.histograms {
                let report = Report {
                    notes: &self.shared.notes,
                    pos: self.pos,
                };
                histograms.finish(out, &report);
            }
        }
        Ok(())
    }
}

/// The extremes of a parameter over all steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extremes {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) has_nan: bool,
}

impl Extremes {
    /// NaN does not count for the extremes.
    pub(crate) fn of(values: &[f64]) -> Self {
        let start = Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            has_nan: false,
        };
        values.iter().fold(start, |so_far, value| Self {
            min: so_far.min.min(*value),
            max: so_far.max.max(*value),
            has_nan: so_far.has_nan || value.is_nan(),
        })
    }

    /// Checks a number of series. Source of the order of checks: upstream `rangeEvalAgg`.
    pub(crate) fn check_count(&self) -> Result<(), ParameterError> {
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        if self.has_nan {
            return Err(ParameterError::NotANumber);
        }
        if self.max < 1.0 {
            return Ok(());
        }
        if self.min <= -LIMIT {
            return Err(ParameterError::Underflow(self.min));
        }
        if self.max >= LIMIT {
            return Err(ParameterError::Overflow(self.max));
        }
        Ok(())
    }
}

/// The fold that an aggregation is; `None` when it is no fold.
pub(crate) fn fold_kind(op: AggregateOp) -> Option<FoldKind> {
    match op {
        AggregateOp::Avg => Some(FoldKind::Avg),
        AggregateOp::Count => Some(FoldKind::Count),
        AggregateOp::Group => Some(FoldKind::Group),
        AggregateOp::Max => Some(FoldKind::Max),
        AggregateOp::Min => Some(FoldKind::Min),
        AggregateOp::Quantile => Some(FoldKind::Quantile([].into())),
        AggregateOp::Stddev => Some(FoldKind::Stddev),
        AggregateOp::Stdvar => Some(FoldKind::Stdvar),
        AggregateOp::Sum => Some(FoldKind::Sum),
        AggregateOp::Bottomk
        | AggregateOp::CountValues
        | AggregateOp::LimitRatio
        | AggregateOp::Limitk
        | AggregateOp::Topk => None,
    }
}
