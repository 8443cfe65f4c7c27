//! Aggregations, and the statistics that functions share with them.

use std::collections::BTreeMap;

use model::{FloatHistogram, Labels, LabelsBuilder};
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{AggregateExpr, AggregateOp};

use super::evaluate::Reference;
use super::windows::total;
use super::{Context, Item, Outcome, ReferenceError, Steps, Vector, bare};

impl Reference<'_> {
    pub(super) fn aggregate(&self, node: &AggregateExpr, context: Context) -> Outcome<Steps> {
        let label = match node.param.as_deref().map(bare) {
            Some(Expr::String(text)) => Some(text.value.as_str()),
            _ => None,
        };
        let params = match &node.param {
            Some(param) if label.is_none() => self.scalars(param, context)?,
            _ => context.times().map(|_| 0.0).collect(),
        };
        check_params(node.op, &params)?;
        let inputs = self.steps(&node.expr, context)?;
        let mut steps = Steps::new();
        for (input, param) in inputs.into_iter().zip(params) {
            steps.push(match (node.op, label) {
                (AggregateOp::CountValues, Some(label)) => count_values(node, label, input)?,
                _ => aggregate_step(node, param, input)?,
            });
        }
        Ok(steps)
    }
}

/// Refuses parameters that are no numbers of series, as upstream does before anything is read.
fn check_params(op: AggregateOp, params: &[f64]) -> Outcome<()> {
    let is_refused = |param: &f64| match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => {
            param.is_nan() || param.abs() >= 9_223_372_036_854_775_808.0
        }
        AggregateOp::LimitRatio => param.is_nan(),
        _ => false,
    };
    if params.iter().any(is_refused) {
        return Err(ReferenceError::Argument);
    }
    Ok(())
}

fn group_of(node: &AggregateExpr, labels: &Labels) -> Labels {
    if node.without {
        labels.without(&node.grouping)
    } else {
        labels.keep(&node.grouping)
    }
}

fn aggregate_step(node: &AggregateExpr, param: f64, input: Vector) -> Outcome<Vector> {
    let mut groups: BTreeMap<Labels, Vector> = BTreeMap::new();
    for item in input {
        groups
            .entry(group_of(node, &item.labels))
            .or_default()
            .push(item);
    }
    let mut out = Vector::new();
    for (labels, members) in groups {
        match node.op {
            AggregateOp::Topk | AggregateOp::Bottomk => out.extend(best(node.op, param, members)?),
            AggregateOp::Limitk => out.extend(some(param, members)?),
            AggregateOp::LimitRatio => out.extend(share(param, members)),
            _ => {
                let drop_name = members.iter().any(|item| item.drop_name);
                if let Some(value) = fold(node.op, param, &members) {
                    out.push(Item {
                        labels,
                        value,
                        drop_name,
                    });
                }
            }
        }
    }
    Ok(out)
}

fn fold(op: AggregateOp, param: f64, members: &Vector) -> Option<SampleValue> {
    let floats: Vec<f64> = members.iter().filter_map(Item::float).collect();
    let value = match op {
        AggregateOp::Count => members.len() as f64,
        AggregateOp::Group => 1.0,
        AggregateOp::Sum | AggregateOp::Avg if floats.len() < members.len() => {
            if !floats.is_empty() {
                return None;
            }
            return histogram_total(members, op == AggregateOp::Avg);
        }
        _ if floats.is_empty() => return None,
        AggregateOp::Sum => sum(&floats),
        AggregateOp::Avg => average(&floats),
        AggregateOp::Min => extreme(&floats, |new, old| new < old),
        AggregateOp::Max => extreme(&floats, |new, old| new > old),
        AggregateOp::Stdvar => variance(&floats),
        AggregateOp::Stddev => variance(&floats).sqrt(),
        AggregateOp::Quantile => quantile(param, &floats),
        _ => return None,
    };
    Some(SampleValue::Float(value))
}

fn histogram_total(members: &Vector, is_mean: bool) -> Option<SampleValue> {
    let histograms: Vec<&FloatHistogram> = members
        .iter()
        .filter_map(|item| match &item.value {
            SampleValue::Histogram(histogram) => Some(&**histogram),
            SampleValue::Float(_) => None,
        })
        .collect();
    let mut total = total(&histograms, is_mean)?;
    if let SampleValue::Histogram(histogram) = &mut total {
        std::sync::Arc::make_mut(histogram).compact(0);
    }
    Some(total)
}

/// `topk`, `bottomk`: the best numbers. Which one of two equal numbers stays depends on upstream's
/// order of series.
fn best(op: AggregateOp, param: f64, members: Vector) -> Outcome<Vector> {
    let mut members: Vector = members
        .into_iter()
        .filter(|item| item.float().is_some())
        .collect();
    let rank = |item: &Item| {
        let value = item.float().unwrap_or(f64::NAN);
        if op == AggregateOp::Topk {
            -value
        } else {
            value
        }
    };
    // NaN is worse than any number.
    members.sort_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.is_nan()
            .cmp(&b.is_nan())
            .then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
    });
    let count = count_of(param);
    if count < members.len() && count > 0 {
        let (last_in, first_out) = (rank(&members[count - 1]), rank(&members[count]));
        if last_in == first_out || (last_in.is_nan() && first_out.is_nan()) {
            return Err(ReferenceError::Undetermined(
                "equal numbers in topk or bottomk",
            ));
        }
    }
    members.truncate(count);
    Ok(members)
}

fn count_of(param: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounds towards zero as upstream does, negative numbers become zero"
    )]
    let count = param as usize;
    count
}

/// `limitk`: any members, as long as there are so many.
fn some(param: f64, members: Vector) -> Outcome<Vector> {
    match count_of(param) {
        0 => Ok(Vector::new()),
        count if count >= members.len() => Ok(members),
        _ => Err(ReferenceError::Undetermined("limitk may take any members")),
    }
}

/// `limit_ratio`: members by the hash of their labels.
fn share(param: f64, members: Vector) -> Vector {
    let ratio = param.clamp(-1.0, 1.0);
    members
        .into_iter()
        .filter(|item| {
            let offset = hash_offset(&item.labels);
            if ratio >= 0.0 {
                offset < ratio
            } else {
                offset >= 1.0 + ratio
            }
        })
        .collect()
}

/// Where the hash of the labels lies between 0 and 1. Source: upstream `Labels.Hash` of packed
/// labels.
fn hash_offset(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for (name, value) in labels {
        for text in [name, value] {
            // Generated labels are short, so that one byte holds their size.
            bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    twox_hash::XxHash64::oneshot(0, &bytes) as f64 / u64::MAX as f64
}

fn count_values(node: &AggregateExpr, label: &str, input: Vector) -> Outcome<Vector> {
    let mut node = node.clone();
    if !node.without {
        node.grouping.push(label.to_owned());
    }
    let mut groups: BTreeMap<Labels, f64> = BTreeMap::new();
    for item in input {
        let text = match &item.value {
            SampleValue::Float(value) => model::number::format_plain(*value),
            SampleValue::Histogram(histogram) => histogram.to_string(),
        };
        if has_many_digits(&text) {
            return Err(ReferenceError::Undetermined(
                "digits that depend on the order of additions",
            ));
        }
        let mut labels = LabelsBuilder::new(item.labels);
        labels.set(label, &text);
        let labels = labels.build().map_err(|_| ReferenceError::Argument)?;
        *groups.entry(group_of(&node, &labels)).or_default() += 1.0;
    }
    let items = groups.into_iter().map(|(labels, count)| Item {
        labels,
        value: SampleValue::Float(count),
        drop_name: false,
    });
    Ok(items.collect())
}

/// Whether a number in a text has more digits than rounding leaves alone.
fn has_many_digits(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.');
    numbers
        .map(|number| number.trim_start_matches(['0', '.']).len())
        .any(|digits| digits > 12)
}

/// A sum with the rounding errors of the additions made good.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        if next.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - next) + value;
        } else {
            self.lost += (value - next) + self.sum;
        }
        self.sum = next;
    }

    pub(super) fn total(self) -> f64 {
        self.sum + self.lost
    }
}

pub(super) fn sum(values: &[f64]) -> f64 {
    let mut sum = Sum::default();
    for value in values {
        sum.add(*value);
    }
    sum.total()
}

/// The mean; numbers whose sum is too large are divided first.
pub(super) fn average(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mut total = Sum::default();
    for value in values {
        total.add(*value);
    }
    if total.sum.is_infinite() && values.iter().all(|value| value.is_finite()) {
        return sum(&values.iter().map(|value| value / count).collect::<Vec<_>>());
    }
    total.sum / count + total.lost / count
}

/// The population variance after Welford, so that comparisons see the same last digits.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares, mut count) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

/// The φ-quantile, linear between neighbours.
pub(super) fn quantile(phi: f64, values: &[f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = values.to_vec();
    // NaN is below any number.
    sorted.sort_by(|a, b| {
        let equal = std::cmp::Ordering::Equal;
        b.is_nan()
            .cmp(&a.is_nan())
            .then(a.partial_cmp(b).unwrap_or(equal))
    });
    let rank = phi * (sorted.len() - 1) as f64;
    let lower = count_of(rank.floor());
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

fn extreme(values: &[f64], is_better: fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| {
        if best.is_nan() || is_better(value, best) {
            value
        } else {
            best
        }
    })
}
