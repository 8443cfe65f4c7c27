//! Quantiles and fractions of histograms: native ones, and classic ones, whose buckets are series
//! that differ in `le`.

use std::sync::Arc;

use hashbrown::HashMap;
use model::histogram::NanObservations;
use model::number::parse_float;
use model::{FloatHistogram, Labels};
use promql_syntax::ast::PosRange;

use crate::annotations::{Annotation, NanEffect};
use crate::error::EngineError;
use crate::functions::histogram::{Bucket, bucket_fraction, bucket_quantile};
use crate::functions::labels::with_label;
use crate::grid::Grid;
use crate::limits::Reservation;
use crate::operators::range_call::read_scalar;
use crate::operators::{NameRemoval, Operator, SeriesMeta, Shared};
use crate::slice::SeriesSlice;

/// The label with a bucket's upper bound.
const BUCKET_LABEL: &str = "le";

/// What is computed of each histogram.
pub(crate) enum HistogramFunction {
    /// `histogram_quantile`
    Quantile,
    /// `histogram_quantiles`: one series per φ, told apart by this label.
    Quantiles(String),
    /// `histogram_fraction`
    Fraction,
}

/// A function over histograms. Names stay: dropping them is the merge operator's part.
pub(crate) struct HistogramOperator {
    input: Box<dyn Operator>,
    function: HistogramFunction,
    scalars: Vec<Box<dyn Operator>>,
    scalar_values: Vec<Vec<f64>>,
    positions: Positions,
    grid: Grid,
    shared: Shared,
    inputs: Vec<InputSeries>,
    histograms: Vec<Histogram>,
    /// The results in the order in which they become complete: histogram and scalar.
    order: Vec<(usize, usize)>,
    next_input: usize,
    next_output: usize,
}

/// Where the arguments stand.
pub(crate) struct Positions {
    pub(crate) scalars: Vec<PosRange>,
    pub(crate) vector: PosRange,
}

/// What a series has.
enum InputSeries {
    /// Floats that are a bucket of this classic histogram. Native histograms in it are left out.
    Bucket { histogram: usize, upper: f64 },
    /// Native histograms. Its floats are no buckets: `le` is missing or no number.
    Native { histogram: usize, labels: Labels },
}

impl InputSeries {
    fn histogram(&self) -> usize {
        match self {
            Self::Bucket { histogram, .. } | Self::Native { histogram, .. } => *histogram,
        }
    }
}

/// A histogram, which may be classic at some steps and native at others.
struct Histogram {
    /// Its series that are yet to be read.
    missing: usize,
    buckets: Vec<(f64, SeriesSlice, Reservation)>,
    native: Option<(SeriesSlice, Reservation)>,
    name: Arc<str>,
}

impl HistogramOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        function: HistogramFunction,
        (scalars, positions): (Vec<Box<dyn Operator>>, Positions),
        grid: Grid,
        shared: Shared,
    ) -> Self {
        Self {
            input,
            function,
            scalars,
            scalar_values: Vec::new(),
            positions,
            grid,
            shared,
            inputs: Vec::new(),
            histograms: Vec::new(),
            order: Vec::new(),
            next_input: 0,
            next_output: 0,
        }
    }

    /// Sorts the input series into histograms; gives each histogram's labels and last series.
    fn group(&mut self, metas: Vec<SeriesMeta>) -> Vec<(SeriesMeta, usize)> {
        let mut by_labels: HashMap<Labels, usize> = HashMap::new();
        let mut found: Vec<(SeriesMeta, usize)> = Vec::new();
        for (index, meta) in metas.into_iter().enumerate() {
            let upper = meta.labels.get(BUCKET_LABEL).and_then(parse_float);
            let labels = match upper {
                Some(_) => meta.labels.filter(|name| name != BUCKET_LABEL),
                None => meta.labels,
            };
            let histogram = *by_labels.entry(labels.clone()).or_insert(found.len());
            match found.get_mut(histogram) {
                Some((first, last)) => {
                    first.drop_name |= meta.drop_name;
                    *last = index;
                }
                None => {
                    self.histograms.push(Histogram {
                        missing: 0,
                        buckets: Vec::new(),
                        native: None,
                        name: self.noted_name(&labels).into(),
                    });
                    let meta = SeriesMeta {
                        labels: labels.clone(),
                        drop_name: meta.drop_name,
                    };
                    found.push((meta, index));
                }
            }
            self.histograms[histogram].missing += 1;
            self.inputs.push(match upper {
                Some(upper) => InputSeries::Bucket { histogram, upper },
                None => InputSeries::Native { histogram, labels },
            });
        }
        found
    }

    /// The name that annotations mention: as upstream, only while it is still there.
    fn noted_name<'a>(&self, labels: &'a Labels) -> &'a str {
        match self.shared.name_removal {
            NameRemoval::Delayed => labels.metric_name().unwrap_or_default(),
            NameRemoval::Immediate => "",
        }
    }

    /// Reads series until all buckets of `histogram` are there.
    fn complete(&mut self, histogram: usize) -> Result<(), EngineError> {
        while self.histograms[histogram].missing > 0 {
            self.read_one()?;
        }
        Ok(())
    }

    fn read_one(&mut self) -> Result<(), EngineError> {
        let mut slice = SeriesSlice::default();
        self.input.next(&mut slice)?;
        let input = &self.inputs[self.next_input];
        self.next_input += 1;
        let histogram = &mut self.histograms[input.histogram()];
        histogram.missing -= 1;
        let memory = Reservation::of_slice(&self.shared.limits, &slice)?;
        match input {
            InputSeries::Bucket { upper, .. } => {
                slice.keep_floats();
                if !slice.present.is_empty() {
                    histogram.buckets.push((*upper, slice, memory));
                }
            }
            InputSeries::Native { labels, .. } => {
                if slice.floats().next().is_some() {
                    let metric = self.noted_name(labels);
                    let value = labels.value_or_empty(BUCKET_LABEL);
                    let annotation = Annotation::BadBucketLabel { metric, value };
                    self.shared.notes.add(&annotation, self.positions.vector);
                }
                if slice.histogram_points().next().is_some() {
                    self.histograms[input.histogram()].native = Some((slice, memory));
                }
            }
        }
        let histogram = &mut self.histograms[input.histogram()];
        if histogram.missing == 0 {
            histogram.buckets.sort_by(|(a, ..), (b, ..)| a.total_cmp(b));
        }
        Ok(())
    }

    /// Warns of φ outside of 0 to 1, as soon as there is anything to compute.
    fn check_quantiles(&self) {
        for (values, pos) in self.scalar_values.iter().zip(&self.positions.scalars) {
            let mut previous = None;
            for phi in values {
                if !(0.0..=1.0).contains(phi) && previous != Some(phi.to_bits()) {
                    self.shared
                        .notes
                        .add(&Annotation::InvalidQuantile(*phi), *pos);
                }
                previous = Some(phi.to_bits());
            }
        }
    }

    /// The value at a step, if there is a histogram.
    fn value(
        &self,
        (histogram, scalar): (usize, usize),
        step: usize,
        buckets: &mut Vec<Bucket>,
    ) -> Option<f64> {
        let found = &self.histograms[histogram];
        buckets.clear();
        for (upper, slice, _) in &found.buckets {
            if slice.present.get(step) {
                buckets.push(Bucket {
                    upper: *upper,
                    count: slice.values[step],
                });
            }
        }
        let native = found.native.as_ref();
        match native
            .and_then(|(slice, _)| slice.histogram(step).filter(|_| slice.present.get(step)))
        {
            Some(_) if !buckets.is_empty() => {
                let annotation = Annotation::MixedClassicNative(&found.name);
                self.shared.notes.add(&annotation, self.positions.vector);
                None
            }
            Some(native) => Some(self.of_native(native, (histogram, scalar), step)),
            None if buckets.is_empty() => None,
            None => Some(self.of_classic((histogram, scalar), step, buckets)),
        }
    }

    fn of_native(
        &self,
        native: &FloatHistogram,
        (histogram, scalar): (usize, usize),
        step: usize,
    ) -> f64 {
        let scalars = &self.scalar_values;
        let (estimate, skewed) = match self.function {
            HistogramFunction::Fraction => {
                let estimate = native.estimate_fraction(scalars[0][step], scalars[1][step]);
                (estimate, NanEffect::FractionLacksThem)
            }
            HistogramFunction::Quantile | HistogramFunction::Quantiles(_) => {
                let estimate = native.estimate_quantile(scalars[scalar][step]);
                (estimate, NanEffect::QuantileIsSkewed)
            }
        };
        let effect = match estimate.nan {
            NanObservations::None => return estimate.value,
            NanObservations::Skewed => skewed,
            NanObservations::Hit => NanEffect::QuantileIsNan,
        };
        let metric = &*self.histograms[histogram].name;
        let annotation = Annotation::NanObservations { metric, effect };
        self.shared.notes.add(&annotation, self.positions.vector);
        estimate.value
    }

    fn of_classic(
        &self,
        (histogram, scalar): (usize, usize),
        step: usize,
        buckets: &mut Vec<Bucket>,
    ) -> f64 {
        match self.function {
            HistogramFunction::Fraction => bucket_fraction(
                self.scalar_values[0][step],
                self.scalar_values[1][step],
                buckets,
            ),
            HistogramFunction::Quantile | HistogramFunction::Quantiles(_) => {
                let (value, fix) = bucket_quantile(self.scalar_values[scalar][step], buckets);
                if let Some(fix) = fix {
                    let metric = &*self.histograms[histogram].name;
                    let detail = fix.at(self.grid.at(step));
                    let annotation = Annotation::ForcedMonotonicity { metric, detail };
                    self.shared.notes.add(&annotation, self.positions.vector);
                }
                value
            }
        }
    }
}

impl Operator for HistogramOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        for scalar in &mut self.scalars {
            self.scalar_values.push(read_scalar(&mut **scalar)?);
        }
        if !matches!(self.function, HistogramFunction::Fraction) {
            self.check_quantiles();
        }
        let metas = self.input.series()?;
        let found = self.group(metas);
        let mut complete: Vec<usize> = (0..found.len()).collect();
        complete.sort_by_key(|histogram| found[*histogram].1);
        let mut outputs = Vec::new();
        for histogram in complete {
            let meta = &found[histogram].0;
            if let HistogramFunction::Quantiles(label) = &self.function {
                for (scalar, values) in self.scalar_values.iter().enumerate() {
                    let phi = values.first().copied().unwrap_or(f64::NAN);
                    let text = open_metrics_float(phi);
                    let labels = with_label(meta.labels.clone(), label, &text)?;
                    outputs.push(SeriesMeta {
                        labels,
                        drop_name: meta.drop_name,
                    });
                    self.order.push((histogram, scalar));
                }
            } else {
                outputs.push(meta.clone());
                self.order.push((histogram, 0));
            }
        }
        Ok(outputs)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let (histogram, scalar) = self.order[self.next_output];
        self.next_output += 1;
        self.complete(histogram)?;
        out.reset(self.grid.count());
        let mut buckets = Vec::new();
        for step in 0..self.grid.count() {
            if let Some(value) = self.value((histogram, scalar), step, &mut buckets) {
                out.set(step, value);
            }
        }
        if self
            .order
            .get(self.next_output)
            .is_none_or(|(next, _)| *next != histogram)
        {
            self.histograms[histogram].buckets = Vec::new();
            self.histograms[histogram].native = None;
        }
        Ok(())
    }
}

/// A number as OpenMetrics writes `le` and `quantile`: whole numbers with `.0`.
fn open_metrics_float(value: f64) -> String {
    let text = model::number::format_general(value);
    let is_whole = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_whole { format!("{text}.0") } else { text }
}
