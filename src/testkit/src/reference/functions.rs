//! Functions of instant vectors and scalars.

mod classic;
mod dates;
mod labels;
mod math;

use model::{Labels, METRIC_NAME, MatchOp};
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{BinaryOp, Call, ValueType};

use super::evaluate::{Reference, constant, scalar, unique};
use super::{Context, Item, Outcome, ReferenceError, Steps, Vector, bare};

impl Reference<'_> {
    pub(super) fn call(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let is_matrix = |arg: &Expr| arg.value_type() == ValueType::Matrix;
        if call.args.iter().any(is_matrix) {
            return self.window_call(call, context);
        }
        let start = self.times.start.as_millis() as f64 / 1000.0;
        let end = self.times.end.as_millis() as f64 / 1000.0;
        match call.func.name {
            "pi" => Ok(constant(std::f64::consts::PI, context)),
            "time" => Ok(context
                .times()
                .map(|at| scalar(at as f64 / 1000.0))
                .collect()),
            "start" => Ok(constant(start, context)),
            "end" => Ok(constant(end, context)),
            "range" => Ok(constant(end - start, context)),
            "step" => Ok(constant(self.times.step_ms as f64 / 1000.0, context)),
            "timestamp" | "start_timestamp" => self.sample_times(call, context),
            "info" => self.info(call, context),
            "label_replace" | "label_join" => self.relabel(call, context),
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                self.estimate(call, context)
            }
            "scalar" => {
                let steps = self.steps(&call.args[0], context)?;
                Ok(steps
                    .iter()
                    .map(|vector| scalar(only_float(vector)))
                    .collect())
            }
            "vector" => self.steps(&call.args[0], context),
            "absent" => {
                let labels = absent_labels(&call.args[0]);
                let steps = self.steps(&call.args[0], context)?;
                Ok(steps.iter().map(|vector| absent(vector, &labels)).collect())
            }
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                self.sorted(call, context)
            }
            "max_of" | "min_of" => {
                let left = self.scalars(&call.args[0], context)?;
                let right = self.scalars(&call.args[1], context)?;
                let pairs = left.into_iter().zip(right);
                let chosen = pairs.map(|(a, b)| scalar(math::chosen(call.func.name, a, b)));
                Ok(chosen.collect())
            }
            _ => self.map(call, context),
        }
    }

    /// Functions that turn each sample into one number.
    fn map(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let name = call.func.name;
        let Some((first, others)) = call.args.split_first() else {
            // `hour()` and the like are of the evaluation time.
            let times = context.times();
            return times
                .map(|at| Ok(scalar(dates::part(name, at as f64 / 1000.0)?)))
                .collect();
        };
        let mut params = Vec::new();
        for other in others {
            params.push(self.scalars(other, context)?);
        }
        if matches!(name, "histogram_count" | "histogram_sum" | "histogram_avg") {
            check_parts(first)?;
        }
        let mut steps = Steps::new();
        for (step, vector) in self.steps(first, context)?.into_iter().enumerate() {
            let params: Vec<f64> = params.iter().map(|values| values[step]).collect();
            let mut out = Vector::new();
            for mut item in vector {
                if let Some(value) = one(name, &item.value, &params)? {
                    item.value = SampleValue::Float(value);
                    self.drop_name(&mut item);
                    out.push(item);
                }
            }
            unique(&out)?;
            steps.push(out);
        }
        Ok(steps)
    }

    /// `timestamp`, `start_timestamp`: of the samples themselves where the argument is a selector.
    fn sample_times(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let is_start = call.func.name == "start_timestamp";
        let mut steps = Steps::new();
        if let Expr::VectorSelector(selector) = bare(&call.args[0]) {
            for at_ms in context.times() {
                let mut out = Vector::new();
                for (series, point) in self.newest_points(selector, at_ms)? {
                    let time_ms = if is_start {
                        point.start_ms
                    } else {
                        point.at_ms
                    };
                    let mut item = Item {
                        labels: series.labels.clone(),
                        value: SampleValue::Float(time_ms as f64 / 1000.0),
                        drop_name: false,
                    };
                    self.drop_name(&mut item);
                    if !is_start || self.settings.use_start_timestamps {
                        out.push(item);
                    }
                }
                unique(&out)?;
                steps.push(out);
            }
            return Ok(steps);
        }
        let inputs = self.steps(&call.args[0], context)?;
        for (at_ms, mut vector) in context.times().zip(inputs) {
            for item in &mut vector {
                item.value = SampleValue::Float(at_ms as f64 / 1000.0);
                self.drop_name(item);
            }
            if is_start {
                vector.clear();
            }
            unique(&vector)?;
            steps.push(vector);
        }
        Ok(steps)
    }

    fn sorted(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let name = call.func.name;
        let mut names = Vec::new();
        for arg in &call.args[1..] {
            names.push(text(arg)?);
        }
        let mut steps = self.steps(&call.args[0], context)?;
        for vector in &mut steps {
            if names.is_empty() && matches!(name, "sort" | "sort_desc") {
                vector.retain(|item| item.float().is_some());
                vector.sort_by(|a, b| {
                    let (a, b) = (a.float().unwrap_or(0.0), b.float().unwrap_or(0.0));
                    let order = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
                    let order = if name == "sort" {
                        order
                    } else {
                        order.reverse()
                    };
                    // NaN comes last.
                    a.is_nan().cmp(&b.is_nan()).then(order)
                });
            }
        }
        Ok(steps)
    }
}

/// Upstream reads counts and sums without buckets where no more is asked for. Resets of gauges are
/// then seen by their counts alone, additions see what was read of resets, and comparisons see no
/// buckets; the reference always has them.
fn check_parts(expr: &Expr) -> Outcome<()> {
    let mut depends = false;
    expr.walk(|node| {
        depends |= match node {
            Expr::Binary(binary) => {
                use BinaryOp::{Add, Eq, Ne, Sub};
                binary.matching.is_some() && matches!(binary.op, Add | Sub | Eq | Ne)
            }
            Expr::MatrixSelector(matrix) => matrix
                .selector
                .matchers
                .iter()
                .any(|matcher| matcher.name() == METRIC_NAME && matcher.matches(GAUGES)),
            _ => false,
        };
    });
    if depends {
        return Err(ReferenceError::Undetermined(
            "resets that counts alone tell otherwise",
        ));
    }
    Ok(())
}

/// The name that random data gives to gauges that are histograms.
const GAUGES: &str = "hg";

/// One number of one sample; `None` where the function leaves the sample out.
fn one(name: &str, value: &SampleValue, params: &[f64]) -> Outcome<Option<f64>> {
    match value {
        SampleValue::Histogram(histogram) => Ok(match name {
            "histogram_count" => Some(histogram.count),
            "histogram_sum" => Some(histogram.sum),
            "histogram_avg" => Some(histogram.sum / histogram.count),
            "histogram_stdvar" => Some(histogram.variance()),
            "histogram_stddev" => Some(histogram.variance().sqrt()),
            _ => None,
        }),
        SampleValue::Float(_) if name.starts_with("histogram_") => Ok(None),
        SampleValue::Float(value) if dates::is_known(name) => dates::part(name, *value).map(Some),
        SampleValue::Float(value) => math::apply(name, *value, params),
    }
}

/// The text of an argument.
fn text(arg: &Expr) -> Outcome<&str> {
    match bare(arg) {
        Expr::String(text) => Ok(&text.value),
        _ => Err(ReferenceError::Argument),
    }
}

fn only_float(vector: &Vector) -> f64 {
    let floats: Vec<f64> = vector.iter().filter_map(Item::float).collect();
    match floats[..] {
        [only] => only,
        _ => f64::NAN,
    }
}

fn absent(vector: &Vector, labels: &Labels) -> Vector {
    if !vector.is_empty() {
        return Vector::new();
    }
    vec![Item {
        labels: labels.clone(),
        value: SampleValue::Float(1.0),
        drop_name: false,
    }]
}

/// The labels that `absent` gives: those of equality matchers that are the only ones of their label.
pub(super) fn absent_labels(expr: &Expr) -> Labels {
    let matchers = match bare(expr) {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let fixed = matchers.iter().filter(|matcher| {
        let same = matchers
            .iter()
            .filter(|other| other.name() == matcher.name());
        matcher.op() == MatchOp::Equal && matcher.name() != METRIC_NAME && same.count() == 1
    });
    let pairs = fixed.map(|matcher| (matcher.name(), matcher.value()));
    Labels::from_pairs(pairs).unwrap_or_else(|_| Labels::empty())
}
