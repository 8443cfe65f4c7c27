//! Nodes of the tree, one after the other.

use std::collections::BTreeMap;

use model::Labels;
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{UnaryOp, ValueType};

use super::{
    Context, Dataset, Item, Outcome, ReferenceError, ReferenceSettings, ReferenceTimes,
    ReferenceValue, Steps, Vector, bare,
};

/// Evaluates queries over a data set.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// The samples.
    pub data: &'a Dataset,
    /// Settings.
    pub settings: ReferenceSettings,
    /// When the query is evaluated.
    pub times: ReferenceTimes,
}

impl Reference<'_> {
    /// The value of a query.
    ///
    /// # Errors
    /// The query has no value.
    pub fn evaluate(&self, expr: &Expr) -> Result<ReferenceValue, ReferenceError> {
        let context = Context {
            start_ms: self.times.start.as_millis(),
            end_ms: self.times.end.as_millis(),
            step_ms: self.times.step_ms,
        };
        match expr.value_type() {
            ValueType::String => match bare(expr) {
                Expr::String(text) => Ok(ReferenceValue::String(text.value.clone())),
                _ => Err(ReferenceError::Argument),
            },
            ValueType::Matrix => self.bare_windows(expr, context),
            _ => {
                let steps = self.steps(expr, context)?;
                self.finish(steps, context)
            }
        }
    }

    /// Drops what is still to be dropped and sorts points by series.
    fn finish(&self, steps: Steps, context: Context) -> Outcome<ReferenceValue> {
        let mut steps = steps;
        if self.settings.delayed_name_removal {
            // Upstream drops by series: the flag of a series' first step counts.
            let mut flags: BTreeMap<Labels, bool> = BTreeMap::new();
            for item in steps.iter().flatten() {
                flags.entry(item.labels.clone()).or_insert(item.drop_name);
            }
            for vector in &mut steps {
                for item in vector.iter_mut().filter(|item| flags[&item.labels]) {
                    item.labels = item.labels.without_metric_name();
                }
                unique(vector)?;
            }
        }
        if self.times.step_ms == 0 {
            let vector = steps.into_iter().next().unwrap_or_default();
            let samples = vector.into_iter().map(|item| (item.labels, item.value));
            return Ok(ReferenceValue::Vector(samples.collect()));
        }
        let mut series: BTreeMap<Labels, Vec<(i64, SampleValue)>> = BTreeMap::new();
        for (at_ms, vector) in context.times().zip(steps) {
            for item in vector {
                series
                    .entry(item.labels)
                    .or_default()
                    .push((at_ms, item.value));
            }
        }
        Ok(ReferenceValue::Series(series.into_iter().collect()))
    }

    fn bare_windows(&self, expr: &Expr, context: Context) -> Outcome<ReferenceValue> {
        let windows = self.windows(expr, context)?;
        let mut series: BTreeMap<Labels, BTreeMap<i64, SampleValue>> = BTreeMap::new();
        for window in windows.into_iter().next().unwrap_or_default().series {
            let labels = if window.drop_name && self.settings.delayed_name_removal {
                window.labels.without_metric_name()
            } else {
                window.labels
            };
            let points = series.entry(labels).or_default();
            for point in window.points {
                if points.insert(point.at_ms, point.value).is_some() {
                    return Err(ReferenceError::Labels);
                }
            }
        }
        let series = series.into_iter();
        let series = series.map(|(labels, points)| (labels, points.into_iter().collect()));
        Ok(ReferenceValue::Series(series.collect()))
    }

    /// The value of a scalar or an instant vector at each step.
    pub(super) fn steps(&self, expr: &Expr, context: Context) -> Outcome<Steps> {
        match expr {
            Expr::Paren(paren) => self.steps(&paren.expr, context),
            Expr::Number(number) => Ok(constant(number.value, context)),
            Expr::VectorSelector(selector) => self.select(selector, context),
            Expr::Unary(unary) => {
                let mut steps = self.steps(&unary.expr, context)?;
                if unary.op == UnaryOp::Minus {
                    for vector in &mut steps {
                        for item in vector.iter_mut() {
                            item.value = negated(&item.value);
                            self.drop_name(item);
                        }
                        unique(vector)?;
                    }
                }
                Ok(steps)
            }
            Expr::Binary(binary) => self.binary(binary, context),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, context),
            Expr::Call(call) => self.call(call, context),
            Expr::String(_) | Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(ReferenceError::Argument)
            }
        }
    }

    /// The value of a scalar at each step.
    pub(super) fn scalars(&self, expr: &Expr, context: Context) -> Outcome<Vec<f64>> {
        let steps = self.steps(expr, context)?;
        Ok(steps
            .into_iter()
            .map(|vector| vector.first().and_then(Item::float).unwrap_or(f64::NAN))
            .collect())
    }

    /// Drops the metric's name, now or when the query is done.
    pub(super) fn drop_name(&self, item: &mut Item) {
        item.drop_name = true;
        if !self.settings.delayed_name_removal {
            item.labels = item.labels.without_metric_name();
        }
    }
}

/// One number at every step.
pub(super) fn constant(value: f64, context: Context) -> Steps {
    context.times().map(|_| scalar(value)).collect()
}

/// A scalar at one step.
pub(super) fn scalar(value: f64) -> Vector {
    vec![Item {
        labels: Labels::empty(),
        value: SampleValue::Float(value),
        drop_name: false,
    }]
}

/// Refuses a vector in which two series have the same labels.
pub(super) fn unique(vector: &Vector) -> Outcome<()> {
    let mut labels: Vec<&Labels> = vector.iter().map(|item| &item.labels).collect();
    labels.sort();
    if labels.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ReferenceError::Labels);
    }
    Ok(())
}

fn negated(value: &SampleValue) -> SampleValue {
    match value {
        SampleValue::Float(value) => SampleValue::Float(-value),
        SampleValue::Histogram(histogram) => {
            let mut histogram = (**histogram).clone();
            histogram.scale(-1.0);
            SampleValue::Histogram(histogram.into())
        }
    }
}
