//! Runs a plan and gathers its value.

use std::sync::Arc;

use model::{FloatHistogram, Timestamp};
use promql_syntax::ast::{ValueType, WindowEdges};

use crate::error::{EngineError, FunctionError};
use crate::functions::extended::{Extended, Kind};
use crate::limits::{Reservation, SAMPLE_BYTES};
use crate::operators::{
    BuildContext, MergeOperator, NameRemoval, Names, Operator, RangeSamples, SERIES_PER_CHECK,
    SeriesMeta, Shared, WindowShape, build, build_range, without_metadata,
};
use crate::plan::{NodeKind, Plan, QueryTimes};
use crate::result::{SampleValue, Series, Value, VectorSample};
use crate::slice::SeriesSlice;

/// Runs the plan. The memory of the value counts until it is handed over.
pub(super) fn collect(
    plan: &Plan,
    times: QueryTimes,
    shared: &Shared,
    context: &mut BuildContext<'_>,
) -> Result<Value, EngineError> {
    let timestamp = Timestamp::from_millis(times.start_ms);
    if let NodeKind::Text(text) = &plan.root.kind {
        return Ok(Value::String(text.clone()));
    }
    context.find_commons(&plan.root);
    let value_type = plan.root.value_type();
    if value_type == ValueType::Matrix {
        return collect_windows(plan, shared, context);
    }
    // Every operator holds a slice of this size or several, so that too many steps never start.
    let _slice = Reservation::slice(&shared.limits, plan.grid.count(), 0)?;
    let mut operator = build(&plan.root, plan.grid, context)?;
    if value_type == ValueType::Scalar && times.is_instant() {
        operator.series()?;
        let mut slice = SeriesSlice::default();
        operator.next(&mut slice)?;
        return Ok(Value::Scalar {
            timestamp,
            value: slice.values[0],
        });
    }
    if shared.name_removal == NameRemoval::Delayed {
        operator = Box::new(MergeOperator::new(operator, Names::Finish, shared.clone()));
    }
    if times.is_instant() {
        collect_vector(operator, timestamp, shared)
    } else {
        collect_matrix(operator, plan, shared)
    }
}

fn collect_vector(
    mut operator: Box<dyn Operator>,
    timestamp: Timestamp,
    shared: &Shared,
) -> Result<Value, EngineError> {
    let metas = operator.series()?;
    let mut memory = Reservation::bytes(&shared.limits, metas.len() * size_of::<VectorSample>())?;
    let mut samples = Vec::with_capacity(metas.len());
    let mut slice = SeriesSlice::default();
    for (index, meta) in metas.into_iter().enumerate() {
        if index.is_multiple_of(SERIES_PER_CHECK) {
            shared.limits.check()?;
        }
        operator.next(&mut slice)?;
        if slice.present.get(0) {
            memory.add(0, slice.samples())?;
            samples.push(VectorSample {
                labels: meta.labels,
                timestamp,
                value: match slice.histogram(0) {
                    Some(histogram) => SampleValue::Histogram(Arc::clone(histogram)),
                    None => SampleValue::Float(slice.values[0]),
                },
            });
        }
    }
    Ok(Value::Vector(samples))
}

fn collect_matrix(
    mut operator: Box<dyn Operator>,
    plan: &Plan,
    shared: &Shared,
) -> Result<Value, EngineError> {
    let metas = operator.series()?;
    let mut matrix = MatrixBuilder::new(shared);
    let mut slice = SeriesSlice::default();
    for meta in metas {
        operator.next(&mut slice)?;
        let floats = slice
            .floats()
            .map(|(step, value)| (plan.grid.at(step), value));
        let histograms = slice
            .histogram_points()
            .map(|(step, histogram)| (plan.grid.at(step), Arc::clone(histogram)));
        matrix.push(meta, floats, histograms)?;
    }
    Ok(matrix.finish())
}

/// The samples of a bare range selector or subquery in an instant query.
fn collect_windows(
    plan: &Plan,
    shared: &Shared,
    context: &mut BuildContext<'_>,
) -> Result<Value, EngineError> {
    let (mut operator, shape) = build_range((&plan.root, None), plan.grid, context)?;
    let metas = operator.series()?;
    let mut matrix = MatrixBuilder::new(shared);
    let (mut samples, mut bounds) = (RangeSamples::default(), Vec::new());
    for mut meta in metas {
        if meta.drop_name {
            meta.labels = without_metadata(&meta.labels);
        }
        operator.next(&mut samples)?;
        shape.find_bounds(&samples.columns, &mut bounds);
        let (first, end) = bounds.first().copied().unwrap_or_default();
        let queryable = samples.queryable(&bounds);
        let columns = &mut samples.columns;
        shared.limits.count_queryable(queryable);
        if let Some(steps) = shared.limits.steps() {
            steps.add_queryable(shape.reference, std::iter::once((0, queryable)));
        }
        let histograms: Vec<_> = (first..end)
            .filter_map(|at| Some((columns.timestamps[at], Arc::clone(columns.histogram(at)?))))
            .collect();
        if let Some(modifier) = shape.edges.keyword()
            && !histograms.is_empty()
        {
            return Err(FunctionError::ExtendedHistograms(modifier).into());
        }
        columns.retain(|columns, at| (first..end).contains(&at) && columns.histogram(at).is_none());
        let points = window_points(&shape, &columns.timestamps, &columns.values);
        matrix.push(meta, points.into_iter(), histograms.into_iter())?;
    }
    let mut value = matrix.finish();
    if let Value::Matrix(series) = &mut value {
        merge_equal_labels(series)?;
    }
    Ok(value)
}

/// Joins neighbours that are one series without their names. Source: upstream
/// `mergeSeriesWithSameLabelset`.
fn merge_equal_labels(series: &mut Vec<Series>) -> Result<(), EngineError> {
    let mut merged: Vec<Series> = Vec::with_capacity(series.len());
    for next in series.drain(..) {
        match merged.last_mut().filter(|last| last.labels == next.labels) {
            Some(last) => {
                last.points.extend(next.points);
                last.histograms.extend(next.histograms);
            }
            None => merged.push(next),
        }
    }
    for one in &mut merged {
        one.points.sort_by_key(|(at, _)| *at);
        one.histograms.sort_by_key(|(at, _)| *at);
        let floats = one.points.iter().map(|(at, _)| *at);
        let mut times: Vec<i64> = floats
            .chain(one.histograms.iter().map(|(at, _)| *at))
            .collect();
        times.sort_unstable();
        if times.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(EngineError::DuplicateLabelset);
        }
    }
    *series = merged;
    Ok(())
}

/// The points of one window, with those at its edges where these are settled.
fn window_points(shape: &WindowShape, timestamps: &[i64], values: &[f64]) -> Vec<(i64, f64)> {
    let points = |range: std::ops::Range<usize>| {
        let times = timestamps[range.clone()].iter().copied();
        times.zip(values[range].iter().copied())
    };
    if shape.edges == WindowEdges::Plain {
        return points(0..values.len()).collect();
    }
    let right_ms = shape.reference.at(0);
    let left_ms = right_ms.saturating_sub(shape.range_ms);
    let samples = Extended {
        timestamps,
        values,
        left_ms,
        right_ms,
        edges: shape.edges,
    };
    let Some(settled) = samples.settle(Kind::Gauge) else {
        return Vec::new();
    };
    let mut all = vec![(left_ms, settled.left)];
    all.extend(points(settled.inner));
    all.push((right_ms, settled.right));
    all
}

/// Gathers series.
struct MatrixBuilder<'a> {
    shared: &'a Shared,
    series: Vec<Series>,
    seen: usize,
    memory: Reservation,
}

impl<'a> MatrixBuilder<'a> {
    fn new(shared: &'a Shared) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            shared,
            series: Vec::new(),
            seen: 0,
            memory,
        }
    }

    /// Adds a series unless it has no point.
    fn push(
        &mut self,
        meta: SeriesMeta,
        floats: impl Iterator<Item = (i64, f64)>,
        histograms: impl Iterator<Item = (i64, Arc<FloatHistogram>)>,
    ) -> Result<(), EngineError> {
        if self.seen.is_multiple_of(SERIES_PER_CHECK) {
            self.shared.limits.check()?;
        }
        self.seen += 1;
        let points: Vec<_> = floats.collect();
        let histograms: Vec<_> = histograms.collect();
        if points.is_empty() && histograms.is_empty() {
            return Ok(());
        }
        let sizes = histograms
            .iter()
            .map(|(_, histogram): &(i64, Arc<FloatHistogram>)| histogram.size_in_samples());
        let samples = sizes.fold(points.len(), usize::saturating_add);
        let bytes = size_of::<Series>().saturating_add(samples.saturating_mul(SAMPLE_BYTES));
        self.memory.add(bytes, samples)?;
        self.series.push(Series {
            labels: meta.labels,
            points,
            histograms,
        });
        Ok(())
    }

    fn finish(mut self) -> Value {
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Value::Matrix(self.series)
    }
}
