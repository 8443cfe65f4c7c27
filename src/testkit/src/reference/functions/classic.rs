//! `histogram_quantile`, `histogram_quantiles`, `histogram_fraction`, of native and of classic
//! histograms. Source: upstream `promql/quantile.go`.

use std::collections::BTreeMap;

use model::{FloatHistogram, Labels, LabelsBuilder};
use promql::SampleValue;
use promql_syntax::ast::{Call, ValueType};

use super::text;
use crate::reference::evaluate::{Reference, unique};
use crate::reference::{Context, Item, Outcome, ReferenceError, Steps, Vector};

/// Upper bound and cumulative count.
type Bucket = (f64, f64);

/// What is asked of a histogram.
#[derive(Clone, Copy)]
enum Question {
    Quantile(f64),
    Fraction(f64, f64),
}

impl Reference<'_> {
    pub(super) fn estimate(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let name = call.func.name;
        let mut params = Vec::new();
        let mut inputs = Steps::new();
        let mut label = None;
        for arg in &call.args {
            match arg.value_type() {
                ValueType::Vector => inputs = self.steps(arg, context)?,
                ValueType::String => label = Some(text(arg)?),
                _ => params.push(self.scalars(arg, context)?),
            }
        }
        let mut steps = Steps::new();
        for (step, input) in inputs.into_iter().enumerate() {
            let params: Vec<f64> = params.iter().map(|values| values[step]).collect();
            let questions = match (name, &params[..]) {
                ("histogram_fraction", [lower, upper]) => vec![Question::Fraction(*lower, *upper)],
                _ => params.iter().map(|phi| Question::Quantile(*phi)).collect(),
            };
            let (natives, classics) = split(input)?;
            let mut out = Vector::new();
            for question in questions {
                let native = natives.iter().map(|(item, histogram)| {
                    (item.labels.clone(), ask_native(histogram, question))
                });
                let classic = classics
                    .iter()
                    .map(|(labels, buckets)| (labels.clone(), ask_classic(buckets, question)));
                for (labels, value) in native.chain(classic) {
                    let mut item = Item {
                        labels: labelled(labels, label, question)?,
                        value: SampleValue::Float(value),
                        drop_name: false,
                    };
                    self.drop_name(&mut item);
                    out.push(item);
                }
            }
            unique(&out)?;
            steps.push(out);
        }
        Ok(steps)
    }
}

fn labelled(labels: Labels, label: Option<&str>, question: Question) -> Outcome<Labels> {
    let (Some(label), Question::Quantile(phi)) = (label, question) else {
        return Ok(labels);
    };
    let mut builder = LabelsBuilder::new(labels);
    builder.set(label, &open_metrics_number(phi));
    builder.build().map_err(|_| ReferenceError::Argument)
}

/// A number as OpenMetrics writes it: whole numbers with a fraction.
fn open_metrics_number(value: f64) -> String {
    let text = model::number::format_general(value);
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return format!("{text}.0");
    }
    text
}

type Native = (Item, std::sync::Arc<FloatHistogram>);
type Classics = BTreeMap<Labels, Vec<Bucket>>;

/// Native histograms, and classic ones with their buckets. Where there are both, neither counts.
fn split(input: Vector) -> Outcome<(Vec<Native>, Classics)> {
    let mut natives = Vec::new();
    let mut classics = Classics::new();
    for item in input {
        match &item.value {
            SampleValue::Histogram(histogram) => {
                let histogram = std::sync::Arc::clone(histogram);
                natives.push((item, histogram));
            }
            SampleValue::Float(count) => {
                let bound = model::number::parse_float(item.labels.value_or_empty("le"));
                if let Some(bound) = bound {
                    let labels = item.labels.filter(|name| name != "le");
                    classics.entry(labels).or_default().push((bound, *count));
                }
            }
        }
    }
    natives.retain(|(item, _)| classics.remove(&item.labels).is_none());
    Ok((natives, classics))
}

fn ask_native(histogram: &FloatHistogram, question: Question) -> f64 {
    match question {
        Question::Quantile(phi) => histogram.quantile(phi),
        Question::Fraction(lower, upper) => histogram.fraction(lower, upper),
    }
}

fn ask_classic(buckets: &[Bucket], question: Question) -> f64 {
    let mut sorted: Vec<Bucket> = buckets.to_vec();
    sorted.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    match question {
        Question::Quantile(phi) => quantile(phi, &sorted),
        Question::Fraction(lower, upper) => fraction(lower, upper, &sorted),
    }
}

/// Counts that differ by less, relative to their sum, are equal. Source: upstream
/// `promql/quantile.go`, smallDeltaTolerance.
const ROUNDING: f64 = 1e-12;

/// Adds up buckets of one bound; counts must not fall.
fn cumulative(buckets: &[Bucket], is_monotonic: bool) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::new();
    for (bound, count) in buckets {
        match merged.last_mut() {
            Some(last) if last.0 == *bound => last.1 += count,
            _ => merged.push((*bound, *count)),
        }
    }
    if is_monotonic {
        let mut highest = f64::NEG_INFINITY;
        for bucket in &mut merged {
            // Differences that rounding explains are smoothed too, in either direction.
            let difference = (bucket.1 - highest).abs();
            let is_rounding = difference / (bucket.1.abs() + highest.abs()) < ROUNDING;
            if bucket.1 < highest || is_rounding {
                bucket.1 = highest;
            }
            highest = bucket.1;
        }
    }
    merged
}

fn quantile(phi: f64, buckets: &[Bucket]) -> f64 {
    if phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    if buckets
        .last()
        .is_none_or(|(bound, _)| *bound != f64::INFINITY)
    {
        return f64::NAN;
    }
    let buckets = cumulative(buckets, true);
    let observations = buckets[buckets.len() - 1].1;
    if buckets.len() < 2 || observations == 0.0 {
        return f64::NAN;
    }
    let rank = phi * observations;
    let last = buckets.len() - 1;
    let hit = buckets[..last]
        .iter()
        .position(|(_, count)| *count >= rank)
        .unwrap_or(last);
    if hit == last {
        return buckets[last - 1].0;
    }
    let (upper, count) = buckets[hit];
    if hit == 0 && upper <= 0.0 {
        return upper;
    }
    let (lower, below) = if hit == 0 {
        (0.0, 0.0)
    } else {
        buckets[hit - 1]
    };
    lower + (upper - lower) * ((rank - below) / (count - below))
}

fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    if buckets
        .last()
        .is_none_or(|(bound, _)| *bound != f64::INFINITY)
    {
        return f64::NAN;
    }
    let buckets = cumulative(buckets, false);
    let count = buckets[buckets.len() - 1].1;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value| {
        let rank = below(value, &buckets);
        if rank > count { count } else { rank }
    };
    (rank(upper) - rank(lower)) / count
}

/// How many observations are below a value. Below the first bound, observations are taken to start
/// at zero.
fn below(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let starts_at_zero = buckets.first().is_some_and(|(bound, _)| *bound > 0.0);
    let mut lower = if starts_at_zero {
        0.0
    } else {
        f64::NEG_INFINITY
    };
    for (upper, count) in buckets {
        if lower >= value {
            return rank;
        }
        if *upper > value {
            if lower.is_infinite() {
                return *count;
            }
            return rank + (count - rank) * (value - lower) / (upper - lower);
        }
        rank = *count;
        lower = *upper;
    }
    f64::INFINITY
}
