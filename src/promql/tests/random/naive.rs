//! Evaluates a query for one instant by looking at all samples each time.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, LabelsBuilder, MatchOp, Matcher};
use promql::QueryRange;
use promql_syntax::ast::{
    AggregateExpr, AggregateOp, AtModifier, BinaryExpr, BinaryOp, Call, Expr, MatchCardinality,
    TimeModifiers, UnaryOp, ValueType, VectorMatching, VectorSelector,
};

use super::data::Data;

const LOOKBACK_MS: i64 = 300_000;

/// The query cannot be evaluated.
#[derive(Debug)]
pub(crate) struct Failure;

type Vector = Vec<(Labels, f64)>;

/// A series and its samples inside a window.
type Window = (Labels, Vec<(i64, f64)>);

/// A query and what it is about.
pub(crate) struct Naive<'a> {
    pub(crate) data: &'a Data,
    pub(crate) expr: &'a Expr,
    pub(crate) range: QueryRange,
}

impl Naive<'_> {
    /// The vector of one instant.
    pub(crate) fn evaluate(&self, at_ms: i64) -> Result<Vector, Failure> {
        self.vector(self.expr, at_ms)
    }

    fn vector(&self, expr: &Expr, at_ms: i64) -> Result<Vector, Failure> {
        let vector = match expr {
            Expr::Number(number) => vec![(Labels::empty(), number.value)],
            Expr::Paren(paren) => return self.vector(&paren.expr, at_ms),
            Expr::VectorSelector(selector) => self
                .newest(selector, at_ms)
                .into_iter()
                .map(|(labels, _, value)| (labels, value))
                .collect(),
            Expr::Unary(unary) => {
                let inner = self.vector(&unary.expr, at_ms)?;
                if unary.op == UnaryOp::Plus {
                    return Ok(inner);
                }
                inner
                    .into_iter()
                    .map(|(labels, value)| (no_name(&labels), -value))
                    .collect()
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, at_ms)?,
            Expr::Binary(binary) => self.binary(binary, at_ms)?,
            Expr::Call(call) => self.call(call, at_ms)?,
            other => unreachable!("not generated: {other:?}"),
        };
        unique(vector)
    }

    fn reference(&self, time: &TimeModifiers, at_ms: i64) -> i64 {
        let pinned = match time.at {
            None => at_ms,
            Some(AtModifier::Timestamp(at)) => at.as_millis(),
            Some(AtModifier::Start) => self.range.start.as_millis(),
            Some(AtModifier::End) => self.range.end.as_millis(),
        };
        pinned - time.offset.as_millis()
    }

    fn newest(&self, selector: &VectorSelector, at_ms: i64) -> Vec<(Labels, i64, f64)> {
        let reference = self.reference(&selector.time, at_ms);
        let mut found = Vec::new();
        for (labels, samples) in &self.data.series {
            let newest = samples.iter().rev().find(|(at, _)| *at <= reference);
            if let Some((at, value)) = newest
                && matches(labels, &selector.matchers)
                && *at > reference - LOOKBACK_MS
                && !model::is_stale_nan(*value)
            {
                found.push((labels.clone(), *at, *value));
            }
        }
        found
    }

    fn windows(&self, expr: &Expr, at_ms: i64) -> Result<Vec<Window>, Failure> {
        match expr {
            Expr::Paren(paren) => self.windows(&paren.expr, at_ms),
            Expr::MatrixSelector(matrix) => {
                let right = self.reference(&matrix.selector.time, at_ms);
                let left = right - matrix.range.as_millis();
                let inside = |(at, value): &&(i64, f64)| {
                    *at > left && *at <= right && !model::is_stale_nan(*value)
                };
                Ok(self
                    .data
                    .series
                    .iter()
                    .filter(|(labels, _)| matches(labels, &matrix.selector.matchers))
                    .map(|(labels, samples)| {
                        (
                            labels.clone(),
                            samples.iter().filter(inside).copied().collect(),
                        )
                    })
                    .filter(|(_, samples): &Window| !samples.is_empty())
                    .collect())
            }
            Expr::Subquery(subquery) => {
                let right = self.reference(&subquery.time, at_ms);
                let left = right - subquery.range.as_millis();
                let step = subquery.step.map_or(60_000, |step| step.as_millis());
                let mut series: BTreeMap<Labels, Vec<(i64, f64)>> = BTreeMap::new();
                let mut at = (left.div_euclid(step) + 1) * step;
                while at <= right {
                    for (labels, value) in self.vector(&subquery.expr, at)? {
                        series.entry(labels).or_default().push((at, value));
                    }
                    at += step;
                }
                Ok(series.into_iter().collect())
            }
            other => unreachable!("not generated: {other:?}"),
        }
    }

    fn aggregate(&self, aggregate: &AggregateExpr, at_ms: i64) -> Result<Vector, Failure> {
        let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
        for (labels, value) in self.vector(&aggregate.expr, at_ms)? {
            let group = if aggregate.without {
                labels.without(&aggregate.grouping)
            } else {
                labels.keep(&aggregate.grouping)
            };
            groups.entry(group).or_default().push(value);
        }
        let fold = |values: Vec<f64>| match aggregate.op {
            AggregateOp::Sum => values.iter().sum(),
            AggregateOp::Avg => mean(&values),
            AggregateOp::Min => extreme(&values, |new, old| new < old),
            AggregateOp::Max => extreme(&values, |new, old| new > old),
            AggregateOp::Count => values.len() as f64,
            AggregateOp::Group => 1.0,
            AggregateOp::Stdvar => variance(&values),
            other => unreachable!("not generated: {other:?}"),
        };
        Ok(groups
            .into_iter()
            .map(|(labels, values)| (labels, fold(values)))
            .collect())
    }

    fn scalar(&self, expr: &Expr, at_ms: i64) -> Result<f64, Failure> {
        match expr {
            Expr::Call(call) if call.func.name == "time" => Ok(at_ms as f64 / 1000.0),
            Expr::Call(call) if call.func.name == "scalar" => {
                match self.vector(&call.args[0], at_ms)?.as_slice() {
                    [(_, value)] => Ok(*value),
                    _ => Ok(f64::NAN),
                }
            }
            _ => Ok(self.vector(expr, at_ms)?[0].1),
        }
    }

    fn call(&self, call: &Call, at_ms: i64) -> Result<Vector, Failure> {
        let name = call.func.name;
        let map = |function: fn(f64) -> f64| -> Result<Vector, Failure> {
            let vector = self.vector(&call.args[0], at_ms)?;
            Ok(vector
                .into_iter()
                .map(|(labels, value)| (no_name(&labels), function(value)))
                .collect())
        };
        match name {
            "abs" => map(f64::abs),
            "timestamp" => match call.args[0].unwrap_parens() {
                Expr::VectorSelector(selector) => Ok(self
                    .newest(selector, at_ms)
                    .into_iter()
                    .map(|(labels, at, _)| (no_name(&labels), at as f64 / 1000.0))
                    .collect()),
                _ => {
                    let vector = self.vector(&call.args[0], at_ms)?;
                    Ok(vector
                        .into_iter()
                        .map(|(labels, _)| (no_name(&labels), at_ms as f64 / 1000.0))
                        .collect())
                }
            },
            "absent" => {
                let is_absent = self.vector(&call.args[0], at_ms)?.is_empty();
                Ok(Vec::from_iter(
                    is_absent.then(|| (fixed(&call.args[0]), 1.0)),
                ))
            }
            "absent_over_time" => {
                let is_absent = self.windows(&call.args[0], at_ms)?.is_empty();
                Ok(Vec::from_iter(
                    is_absent.then(|| (fixed(&call.args[0]), 1.0)),
                ))
            }
            _ => {
                let (right, length) = self.edges(&call.args[0], at_ms);
                let keeps_name = matches!(name, "last_over_time" | "first_over_time");
                let windows = self.windows(&call.args[0], at_ms)?;
                Ok(windows
                    .into_iter()
                    .filter_map(|(labels, samples)| {
                        let labels = if keeps_name { labels } else { no_name(&labels) };
                        Some((labels, over_window(name, &samples, right, length)?))
                    })
                    .collect())
            }
        }
    }

    fn edges(&self, expr: &Expr, at_ms: i64) -> (i64, i64) {
        match expr.unwrap_parens() {
            Expr::MatrixSelector(matrix) => (
                self.reference(&matrix.selector.time, at_ms),
                matrix.range.as_millis(),
            ),
            Expr::Subquery(subquery) => (
                self.reference(&subquery.time, at_ms),
                subquery.range.as_millis(),
            ),
            other => unreachable!("not generated: {other:?}"),
        }
    }

    fn binary(&self, binary: &BinaryExpr, at_ms: i64) -> Result<Vector, Failure> {
        let left = self.vector_or_empty(&binary.lhs, at_ms)?;
        if binary.rhs.value_type() == ValueType::Scalar {
            let scalar = self.scalar(&binary.rhs, at_ms)?;
            return Ok(left
                .into_iter()
                .filter_map(|(labels, value)| {
                    let result = apply(binary, value, scalar)?;
                    let keeps_name = binary.op.is_comparison() && !binary.return_bool;
                    Some((if keeps_name { labels } else { no_name(&labels) }, result))
                })
                .collect());
        }
        let right = self.vector_or_empty(&binary.rhs, at_ms)?;
        let matching = binary.matching.as_deref().expect("between vectors");
        let signature = |labels: &Labels| {
            if matching.on {
                labels.keep(&matching.labels)
            } else {
                labels.without(&matching.labels)
            }
        };
        let has = |vector: &Vector, labels: &Labels| {
            vector
                .iter()
                .any(|(other, _)| signature(other) == signature(labels))
        };
        match binary.op {
            BinaryOp::And => Ok(left.into_iter().filter(|(l, _)| has(&right, l)).collect()),
            BinaryOp::Unless => Ok(left.into_iter().filter(|(l, _)| !has(&right, l)).collect()),
            BinaryOp::Or => {
                let more: Vector = right
                    .into_iter()
                    .filter(|(labels, _)| !has(&left, labels))
                    .collect();
                Ok(left.into_iter().chain(more).collect())
            }
            _ => join(binary, matching, left, right, signature),
        }
    }

    fn vector_or_empty(&self, expr: &Expr, at_ms: i64) -> Result<Vector, Failure> {
        if expr.value_type() == ValueType::Scalar {
            Ok(Vec::new())
        } else {
            self.vector(expr, at_ms)
        }
    }
}

fn join(
    binary: &BinaryExpr,
    matching: &VectorMatching,
    left: Vector,
    right: Vector,
    signature: impl Fn(&Labels) -> Labels,
) -> Result<Vector, Failure> {
    let swapped = matching.card == MatchCardinality::OneToMany;
    let (many, one) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    let groups: BTreeSet<Labels> = one.iter().map(|(labels, _)| signature(labels)).collect();
    if !many.is_empty() && groups.len() < one.len() {
        return Err(Failure);
    }
    let mut out: Vec<(Labels, Labels, Option<f64>)> = Vec::new();
    for (labels, value) in &many {
        let group = signature(labels);
        let Some((other, partner)) = one.iter().find(|(other, _)| signature(other) == group) else {
            continue;
        };
        let (l, r) = if swapped {
            (*partner, *value)
        } else {
            (*value, *partner)
        };
        let mut result = labels.clone();
        if !binary.op.is_comparison() || binary.return_bool {
            result = no_name(&result);
        }
        if matching.card == MatchCardinality::OneToOne {
            result = if matching.on {
                result.keep(&matching.labels)
            } else {
                result.filter(|name| !matching.labels.iter().any(|label| label == name))
            };
        }
        let mut builder = LabelsBuilder::new(result);
        for name in &matching.include {
            builder.set(name, other.value_or_empty(name));
        }
        let result = builder.build().expect("valid labels");
        let is_taken = out.iter().any(|(other_group, other_labels, _)| {
            *other_group == group
                && (matching.card == MatchCardinality::OneToOne || *other_labels == result)
        });
        if is_taken {
            return Err(Failure);
        }
        out.push((group, result, apply(binary, l, r)));
    }
    Ok(out
        .into_iter()
        .filter_map(|(_, labels, value)| Some((labels, value?)))
        .collect())
}

fn apply(binary: &BinaryExpr, left: f64, right: f64) -> Option<f64> {
    let decide = |is_true: bool| match (binary.return_bool, is_true) {
        (true, _) => Some(f64::from(u8::from(is_true))),
        (false, true) => Some(left),
        (false, false) => None,
    };
    match binary.op {
        BinaryOp::Add => Some(left + right),
        BinaryOp::Sub => Some(left - right),
        BinaryOp::Mul => Some(left * right),
        BinaryOp::Div => Some(left / right),
        BinaryOp::Eq => decide(left == right),
        BinaryOp::Ne => decide(left != right),
        BinaryOp::Lt => decide(left < right),
        BinaryOp::Le => decide(left <= right),
        BinaryOp::Gt => decide(left > right),
        BinaryOp::Ge => decide(left >= right),
        other => unreachable!("not generated: {other:?}"),
    }
}

fn no_name(labels: &Labels) -> Labels {
    labels.without_metric_name()
}

fn unique(vector: Vector) -> Result<Vector, Failure> {
    let labels: BTreeSet<&Labels> = vector.iter().map(|(labels, _)| labels).collect();
    if labels.len() == vector.len() {
        Ok(vector)
    } else {
        Err(Failure)
    }
}

fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.value_or_empty(matcher.name())))
}

/// The labels of `absent`; generated selectors have no label twice.
fn fixed(expr: &Expr) -> Labels {
    let matchers = match expr.unwrap_parens() {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let equal = matchers
        .iter()
        .filter(|matcher| matcher.op() == MatchOp::Equal && matcher.name() != "__name__")
        .map(|matcher| (matcher.name(), matcher.value()));
    Labels::from_pairs(equal).expect("valid labels")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / values.len() as f64
}

fn extreme(values: &[f64], is_better: fn(f64, f64) -> bool) -> f64 {
    values.iter().fold(f64::NAN, |best, value| {
        if best.is_nan() || is_better(*value, best) {
            *value
        } else {
            best
        }
    })
}

fn over_window(name: &str, samples: &[(i64, f64)], right: i64, length: i64) -> Option<f64> {
    let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
    let pairs = || values.windows(2).map(|pair| (pair[0], pair[1]));
    let (first, last) = (*samples.first()?, *samples.last()?);
    Some(match name {
        "sum_over_time" => values.iter().sum(),
        "avg_over_time" => mean(&values),
        "min_over_time" => extreme(&values, |new, old| new < old),
        "max_over_time" => extreme(&values, |new, old| new > old),
        "count_over_time" => values.len() as f64,
        "last_over_time" => last.1,
        "first_over_time" => first.1,
        "present_over_time" => 1.0,
        "stdvar_over_time" => variance(&values),
        "resets" => pairs().filter(|(a, b)| b < a).count() as f64,
        "changes" => pairs()
            .filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
            .count() as f64,
        _ if samples.len() < 2 => return None,
        "irate" | "idelta" => {
            let (before, after) = pairs().next_back()?;
            let seconds = (last.0 - samples[samples.len() - 2].0) as f64 / 1000.0;
            match name {
                "idelta" => after - before,
                _ if after < before => after / seconds,
                _ => (after - before) / seconds,
            }
        }
        _ => {
            let is_counter = name != "delta";
            let mut difference = last.1 - first.1;
            if is_counter {
                difference += pairs().filter(|(a, b)| b < a).map(|(a, _)| a).sum::<f64>();
            }
            let seconds = |millis: i64| millis as f64 / 1000.0;
            let sampled = seconds(last.0 - first.0);
            let spacing = sampled / (samples.len() - 1) as f64;
            let mut to_start = seconds(first.0 - (right - length));
            let mut to_end = seconds(right - last.0);
            if to_start >= spacing * 1.1 {
                to_start = spacing / 2.0;
            }
            if is_counter && difference > 0.0 && first.1 >= 0.0 {
                to_start = to_start.min(sampled * (first.1 / difference));
            }
            if to_end >= spacing * 1.1 {
                to_end = spacing / 2.0;
            }
            let result = difference * ((sampled + to_start + to_end) / sampled);
            if name == "rate" {
                result / seconds(length)
            } else {
                result
            }
        }
    })
}
