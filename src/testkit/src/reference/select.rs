//! Selectors: the newest sample of each series, or all samples of a window.

use std::collections::BTreeMap;

use model::{Labels, Matcher};
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{
    AtModifier, MatrixSelector, SubqueryExpr, TimeModifiers, VectorSelector, WindowEdges,
};

use super::durations::duration_ms;
use super::evaluate::Reference;
use super::windows::{interpolate, interpolate_histograms};
use super::{Context, DataPoint, DataSeries, Item, Outcome, ReferenceError, Steps, bare};

/// A range vector at one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows {
    pub(super) series: Vec<Window>,
    /// The window is behind `left_ms`, up to and including `right_ms`.
    pub(super) left_ms: i64,
    pub(super) right_ms: i64,
    pub(super) edges: WindowEdges,
}

/// The samples of a series in a window. With `anchored` and `smoothed`, samples around it too.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) labels: Labels,
    /// Whether the name goes when the query is done.
    pub(super) drop_name: bool,
    pub(super) points: Vec<DataPoint>,
}

/// Where a selector stands in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    offset_ms: i64,
    pinned_ms: Option<i64>,
}

impl Place {
    /// Where a selector stands that is evaluated at the steps of a subquery.
    pub(super) fn inside(self, subquery: Self) -> Self {
        if self.pinned_ms.is_some() {
            return self;
        }
        Self {
            offset_ms: self.offset_ms + subquery.offset_ms,
            pinned_ms: subquery.pinned_ms,
        }
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        self.pinned_ms.is_some() == other.pinned_ms.is_some() && self.at(0) == other.at(0)
    }

    pub(super) fn at(self, at_ms: i64) -> i64 {
        self.pinned_ms.unwrap_or(at_ms) - self.offset_ms
    }
}

pub(super) fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.value_or_empty(matcher.name())))
}

impl Reference<'_> {
    pub(super) fn place(&self, time: &TimeModifiers) -> Outcome<Place> {
        let offset_ms = match &time.offset_expr {
            Some(expr) => duration_ms(expr, self.times, false)?,
            None => time.offset.as_millis(),
        };
        let pinned_ms = time.at.map(|at| match at {
            AtModifier::Timestamp(at) => at.as_millis(),
            AtModifier::Start => self.times.start.as_millis(),
            AtModifier::End => self.times.end.as_millis(),
        });
        Ok(Place {
            offset_ms,
            pinned_ms,
        })
    }

    fn matching<'s>(
        &'s self,
        selector: &'s VectorSelector,
    ) -> impl Iterator<Item = &'s DataSeries> {
        self.data
            .series
            .iter()
            .filter(|series| matches(&series.labels, &selector.matchers))
    }

    /// An instant selector.
    pub(super) fn select(&self, selector: &VectorSelector, context: Context) -> Outcome<Steps> {
        let place = self.place(&selector.time)?;
        let at = |at_ms: i64| {
            self.matching(selector)
                .filter_map(|series| {
                    let value = match selector.edges {
                        WindowEdges::Smoothed => self.smoothed(series, place.at(at_ms)),
                        _ => self
                            .newest(series, place.at(at_ms))
                            .map(|point| point.value.clone()),
                    };
                    Some(Item {
                        labels: series.labels.clone(),
                        value: value?,
                        drop_name: false,
                    })
                })
                .collect()
        };
        Ok(context.times().map(at).collect())
    }

    /// The sample that counts at a time: the newest one, unless it is too old or a stale marker.
    pub(super) fn newest<'s>(&self, series: &'s DataSeries, at_ms: i64) -> Option<&'s DataPoint> {
        let point = series.points.iter().rfind(|point| point.at_ms <= at_ms)?;
        let counts = point.at_ms > at_ms - self.settings.lookback_ms && !point.is_stale();
        counts.then_some(point)
    }

    /// The newest samples of a selector with all that is known of them, for `timestamp` and
    /// `start_timestamp`.
    pub(super) fn newest_points<'s>(
        &'s self,
        selector: &'s VectorSelector,
        at_ms: i64,
    ) -> Outcome<Vec<(&'s DataSeries, &'s DataPoint)>> {
        let at_ms = self.place(&selector.time)?.at(at_ms);
        Ok(self
            .matching(selector)
            .filter_map(|series| Some((series, self.newest(series, at_ms)?)))
            .collect())
    }

    /// `selector smoothed`: between two samples a line, behind the last one its value.
    fn smoothed(&self, series: &DataSeries, at_ms: i64) -> Option<SampleValue> {
        let lookback = self.settings.lookback_ms;
        let points = points_inside(series, at_ms - lookback, at_ms + lookback);
        if is_mixed(&points) {
            return None;
        }
        let behind = points.iter().position(|point| point.at_ms >= at_ms);
        let (before, next) = match behind {
            Some(index) if points[index].at_ms == at_ms => {
                return Some(points[index].value.clone());
            }
            Some(0) => return None,
            Some(index) => (&points[index - 1], &points[index]),
            None => {
                let mut value = points.last()?.value.clone();
                if let SampleValue::Histogram(histogram) = &mut value {
                    std::sync::Arc::make_mut(histogram).counter_reset_hint =
                        model::CounterResetHint::Unknown;
                }
                return Some(value);
            }
        };
        match (&before.value, &next.value) {
            (SampleValue::Float(a), SampleValue::Float(b)) => {
                let value = interpolate((before.at_ms, *a), (next.at_ms, *b), at_ms, false);
                Some(SampleValue::Float(value))
            }
            (SampleValue::Histogram(a), SampleValue::Histogram(b)) => {
                let gauge = model::CounterResetHint::Gauge;
                let is_counter = a.counter_reset_hint != gauge || b.counter_reset_hint != gauge;
                let sides = ((before.at_ms, &**a), (next.at_ms, &**b));
                let value = interpolate_histograms(sides.0, sides.1, at_ms, is_counter)?;
                Some(SampleValue::Histogram(value.into()))
            }
            _ => None,
        }
    }

    /// A range vector at each step.
    pub(super) fn windows(&self, expr: &Expr, context: Context) -> Outcome<Vec<Windows>> {
        match bare(expr) {
            Expr::MatrixSelector(matrix) => self.matrix_windows(matrix, context),
            Expr::Subquery(subquery) => self.subquery_windows(subquery, context),
            _ => Err(ReferenceError::Argument),
        }
    }

    fn matrix_windows(&self, matrix: &MatrixSelector, context: Context) -> Outcome<Vec<Windows>> {
        let place = self.place(&matrix.selector.time)?;
        let range_ms = match &matrix.range_expr {
            Some(expr) => duration_ms(expr, self.times, true)?,
            None => matrix.range.as_millis(),
        };
        let edges = matrix.selector.edges;
        let lookback = self.settings.lookback_ms;
        let at = |at_ms: i64| {
            let right_ms = place.at(at_ms);
            let left_ms = right_ms - range_ms;
            let (from_ms, to_ms) = match edges {
                WindowEdges::Plain => (left_ms, right_ms),
                WindowEdges::Anchored => (left_ms - lookback, right_ms),
                WindowEdges::Smoothed => (left_ms - lookback, right_ms + lookback),
            };
            let windows = self.matching(&matrix.selector).map(|series| Window {
                labels: series.labels.clone(),
                drop_name: false,
                points: points_inside(series, from_ms, to_ms),
            });
            Windows {
                series: windows.filter(|window| !window.points.is_empty()).collect(),
                left_ms,
                right_ms,
                edges,
            }
        };
        Ok(context.times().map(at).collect())
    }

    fn subquery_windows(&self, subquery: &SubqueryExpr, context: Context) -> Outcome<Vec<Windows>> {
        let place = self.place(&subquery.time)?;
        let range_ms = match &subquery.range_expr {
            Some(expr) => duration_ms(expr, self.times, true)?,
            None => subquery.range.as_millis(),
        };
        let step_ms = match (&subquery.step_expr, subquery.step) {
            (Some(expr), _) => duration_ms(expr, self.times, true)?,
            (None, Some(step)) if step.as_millis() > 0 => step.as_millis(),
            (None, _) => self.settings.default_subquery_step_ms,
        };
        let last_ms = context.times().last().unwrap_or(context.start_ms);
        let first_left_ms = place.at(context.start_ms) - range_ms;
        // Steps are multiples of their distance, the first one behind the window's left edge.
        let inner = Context {
            start_ms: (first_left_ms.div_euclid(step_ms) + 1) * step_ms,
            end_ms: place.at(last_ms),
            step_ms,
        };
        let mut series: BTreeMap<Labels, (bool, Vec<DataPoint>)> = BTreeMap::new();
        for (at_ms, vector) in inner.times().zip(self.steps(&subquery.expr, inner)?) {
            for item in vector {
                let (_, points) = series
                    .entry(item.labels)
                    .or_insert_with(|| (item.drop_name, Vec::new()));
                points.push(DataPoint {
                    at_ms,
                    value: item.value,
                    start_ms: 0,
                });
            }
        }
        let at = |at_ms: i64| {
            let right_ms = place.at(at_ms);
            let left_ms = right_ms - range_ms;
            let windows = series.iter().map(|(labels, (drop_name, points))| Window {
                labels: labels.clone(),
                drop_name: *drop_name,
                points: points
                    .iter()
                    .filter(|point| point.at_ms > left_ms && point.at_ms <= right_ms)
                    .cloned()
                    .collect(),
            });
            Windows {
                series: windows.filter(|window| !window.points.is_empty()).collect(),
                left_ms,
                right_ms,
                edges: WindowEdges::Plain,
            }
        };
        Ok(context.times().map(at).collect())
    }
}

fn points_inside(series: &DataSeries, left_ms: i64, right_ms: i64) -> Vec<DataPoint> {
    series
        .points
        .iter()
        .filter(|point| point.at_ms > left_ms && point.at_ms <= right_ms && !point.is_stale())
        .cloned()
        .collect()
}

/// Whether there are both floats and histograms.
pub(super) fn is_mixed(points: &[DataPoint]) -> bool {
    let is_float = |point: &DataPoint| matches!(point.value, SampleValue::Float(_));
    points.iter().any(is_float) && !points.iter().all(is_float)
}
