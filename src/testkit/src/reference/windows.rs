//! Functions of range vectors.

mod extended;
mod over_time;
mod rates;

use model::{FloatHistogram, Labels};
use promql::SampleValue;
use promql_syntax::ast::{Call, WindowEdges};

use super::evaluate::Reference;
pub(super) use over_time::total;

use super::functions::absent_labels;
use super::select::{Window, Windows, is_mixed};
use super::{Context, DataPoint, Item, Outcome, ReferenceError, Steps, bare};

/// What a function gets to see of one series at one step.
pub(super) struct Input<'a> {
    name: &'static str,
    points: &'a [DataPoint],
    left_ms: i64,
    right_ms: i64,
    edges: WindowEdges,
    at_ms: i64,
    /// The arguments that are scalars.
    scalars: Vec<f64>,
    /// Whether start timestamps count.
    use_starts: bool,
}

impl Input<'_> {
    /// The samples that are numbers.
    fn floats(&self) -> Vec<(i64, f64)> {
        let float = |point: &DataPoint| Some((point.at_ms, point.value.as_float()?));
        self.points.iter().filter_map(float).collect()
    }

    /// The samples that are histograms.
    fn histograms(&self) -> Vec<(i64, &FloatHistogram)> {
        let histogram = |point| match point {
            &DataPoint {
                at_ms,
                value: SampleValue::Histogram(ref histogram),
                ..
            } => Some((at_ms, &**histogram)),
            _ => None,
        };
        self.points.iter().filter_map(histogram).collect()
    }

    fn range_seconds(&self) -> f64 {
        (self.right_ms - self.left_ms) as f64 / 1000.0
    }

    /// The start timestamp of a sample, 0 where it is not known or does not count.
    fn start(&self, index: usize) -> i64 {
        if self.use_starts {
            self.points[index].start_ms
        } else {
            0
        }
    }

    /// Whether start timestamps say that the counter was reset before sample `index`.
    fn started_anew(&self, index: usize) -> bool {
        let (previous, current) = (&self.points[index - 1], &self.points[index]);
        let (previous_start, start) = (self.start(index - 1), self.start(index));
        if start == 0 || start >= current.at_ms || start < previous.at_ms {
            return false;
        }
        if start > previous.at_ms {
            return true;
        }
        previous_start != 0 && previous_start < previous.at_ms
    }

    fn is_mixed(&self) -> bool {
        is_mixed(self.points)
    }
}

impl Reference<'_> {
    /// A function with a range vector among its arguments.
    pub(super) fn window_call(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let name = call.func.name;
        let is_window =
            |arg: &&promql_syntax::Expr| arg.value_type() == promql_syntax::ast::ValueType::Matrix;
        let window = call.args.iter().find(is_window);
        let window = window.ok_or(ReferenceError::Argument)?;
        let mut scalars = Vec::new();
        for arg in call.args.iter().filter(|arg| !is_window(arg)) {
            scalars.push(self.scalars(arg, context)?);
        }
        let windows = self.windows(window, context)?;
        check_edges(
            name,
            windows
                .first()
                .map_or(WindowEdges::Plain, |first| first.edges),
        )?;
        if name == "absent_over_time" {
            let labels = absent_labels(window);
            return Ok(windows.iter().map(|at| absent(at, &labels)).collect());
        }
        let mut steps = Steps::new();
        let mut sources: Vec<(Labels, Labels)> = Vec::new();
        for (step, (at_ms, windows)) in context.times().zip(&windows).enumerate() {
            let mut vector = Vec::new();
            for window in &windows.series {
                let input = Input {
                    name,
                    points: &window.points,
                    left_ms: windows.left_ms,
                    right_ms: windows.right_ms,
                    edges: windows.edges,
                    at_ms,
                    scalars: scalars.iter().map(|values| values[step]).collect(),
                    use_starts: self.settings.use_start_timestamps && is_selector(call),
                };
                if let Some(value) = apply(&input)? {
                    let item = self.window_item(name, window, value);
                    sources.push((item.labels.clone(), window.labels.clone()));
                    vector.push(item);
                }
            }
            steps.push(vector);
        }
        self.check_sources(sources)?;
        Ok(steps)
    }

    fn window_item(&self, name: &str, window: &Window, value: SampleValue) -> Item {
        let mut item = Item {
            labels: window.labels.clone(),
            value,
            drop_name: window.drop_name,
        };
        if !matches!(name, "last_over_time" | "first_over_time") {
            self.drop_name(&mut item);
        }
        item
    }

    /// Without their names two series may be one. Upstream refuses that even where their samples
    /// are at different steps.
    fn check_sources(&self, mut sources: Vec<(Labels, Labels)>) -> Outcome<()> {
        sources.sort();
        sources.dedup();
        let collides = sources.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if collides && !self.settings.delayed_name_removal {
            return Err(ReferenceError::Labels);
        }
        Ok(())
    }
}

/// Start timestamps are known of samples, not of what a subquery gives.
fn is_selector(call: &Call) -> bool {
    call.args
        .iter()
        .any(|arg| matches!(bare(arg), promql_syntax::Expr::MatrixSelector(_)))
}

fn check_edges(name: &str, edges: WindowEdges) -> Outcome<()> {
    let is_known = match edges {
        WindowEdges::Plain => true,
        WindowEdges::Anchored => {
            matches!(name, "resets" | "changes" | "rate" | "increase" | "delta")
        }
        WindowEdges::Smoothed => matches!(name, "rate" | "increase" | "delta"),
    };
    if is_known {
        Ok(())
    } else {
        Err(ReferenceError::WindowEdges)
    }
}

fn absent(windows: &Windows, labels: &Labels) -> Vec<Item> {
    if !windows.series.is_empty() {
        return Vec::new();
    }
    vec![Item {
        labels: labels.clone(),
        value: SampleValue::Float(1.0),
        drop_name: true,
    }]
}

fn apply(input: &Input<'_>) -> Outcome<Option<SampleValue>> {
    match input.name {
        "rate" | "increase" | "delta" if input.edges == WindowEdges::Plain => {
            Ok(rates::extrapolated(input))
        }
        "rate" | "increase" | "delta" => Ok(extended::extended(input)),
        "irate" | "idelta" => Ok(rates::instant(input)),
        "resets" | "changes" => Ok(over_time::transitions(input)),
        _ => over_time::over_time(input),
    }
}

/// The value on the line through two points. A counter that was reset starts at zero.
pub(super) fn interpolate(a: (i64, f64), b: (i64, f64), at_ms: i64, is_counter: bool) -> f64 {
    let first = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    first + (b.1 - first) * (at_ms - a.0) as f64 / (b.0 - a.0) as f64
}

/// As [`interpolate`]; `None` where the layouts do not fit.
pub(super) fn interpolate_histograms(
    a: (i64, &FloatHistogram),
    b: (i64, &FloatHistogram),
    at_ms: i64,
    is_counter: bool,
) -> Option<FloatHistogram> {
    if at_ms == a.0 {
        return Some(a.1.clone());
    }
    if at_ms == b.0 {
        return Some(b.1.clone());
    }
    let share = (at_ms - a.0) as f64 / (b.0 - a.0) as f64;
    let mut result = b.1.clone();
    if is_counter && b.1.is_reset_of(a.1) {
        result.scale(share);
        return Some(result);
    }
    result.sub(a.1).ok()?;
    result.scale(share);
    result.add(a.1).ok()?;
    Some(result)
}
