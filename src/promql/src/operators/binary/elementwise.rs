//! An operator between points, either of which may be a histogram. Source: upstream
//! `vectorElemBinop`.

use std::sync::Arc;

use model::FloatHistogram;
use promql_syntax::ast::{BinaryOp, PosRange};

use super::{ComparisonResult, Operation, operation};
use crate::annotations::{Annotation, HistogramOperation, Notes};
use crate::operators::NameRemoval;
use crate::plan::Binary;
use crate::result::SampleValue;
use crate::slice::{Bitmap, Point, SeriesSlice};

/// An operator, what becomes of a comparison, and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Elementwise {
    op: BinaryOp,
    /// What it does with two numbers; `None` where it needs a histogram.
    numbers: Option<Operation>,
    result: ComparisonResult,
    pos: PosRange,
}

/// Why there is no result, or what to know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The operator does not take such operands.
    IncompatibleTypes { left: Kind, right: Kind },
    /// Exponential and custom buckets.
    IncompatibleBuckets,
    /// A histogram after a reset and one that says there was none.
    CounterResets,
    /// Custom bounds that differ.
    MismatchedBounds,
}

/// What an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Histogram,
}

/// The last problem of each step. Source: upstream `VectorBinop`, which reports no other.
#[derive(Default)]
pub(super) struct Problems {
    last: Vec<Option<Problem>>,
}

/// What an operator does with two points.
enum Outcome {
    /// A result.
    Is(SampleValue),
    /// A result with something to know about it.
    Doubtful(SampleValue, Problem),
    /// A comparison that is not true.
    Filtered,
    /// No result. It is as if the points had not met.
    Refused(Problem),
}

impl Elementwise {
    /// The operator of a plan at `pos`; `None` for those between sets.
    pub(crate) fn new(binary: &Binary, pos: PosRange) -> Option<Self> {
        let result = if binary.return_bool {
            ComparisonResult::Bool
        } else {
            ComparisonResult::Filter
        };
        (!binary.op.is_set()).then(|| Self {
            op: binary.op,
            numbers: operation(binary.op),
            result,
            pos,
        })
    }

    /// What it does with two numbers; `None` where it needs a histogram.
    pub(crate) fn numbers(&self) -> Option<Operation> {
        self.numbers
    }

    /// What becomes of a comparison.
    pub(super) fn result(&self) -> ComparisonResult {
        self.result
    }

    /// Whether the result's metadata goes at once. Arithmetic never waits, as upstream.
    pub(super) fn drops_metadata(&self, removal: NameRemoval) -> bool {
        matches!(self.numbers, Some(Operation::Arithmetic(_)))
            || (self.changes_metric() && removal == NameRemoval::Immediate)
    }

    /// Whether the result is something else than the left operand's metric.
    pub(crate) fn changes_metric(&self) -> bool {
        match self.numbers {
            Some(Operation::Arithmetic(_)) => true,
            Some(Operation::Comparison(_)) => self.result == ComparisonResult::Bool,
            None => false,
        }
    }

    /// Computes `left op right` at the steps where both have a point, into `left`. A true
    /// comparison that filters leaves the left point. Returns the steps whose points did not go
    /// together.
    pub(super) fn apply(
        &self,
        left: &mut SeriesSlice,
        right: &SeriesSlice,
        problems: &mut Problems,
    ) -> Option<Bitmap> {
        left.present.intersect(&right.present);
        match self.numbers {
            Some(operation) if left.histograms.is_empty() && right.histograms.is_empty() => {
                operation.apply(self.result, left, right);
                None
            }
            _ => self.apply_to_points(left, right, problems),
        }
    }

    #[inline(never)]
    fn apply_to_points(
        &self,
        left: &mut SeriesSlice,
        right: &SeriesSlice,
        problems: &mut Problems,
    ) -> Option<Bitmap> {
        let steps = left.values.len();
        let mut refused = None;
        left.change_points(|step, point| match self.points(point, right.point(step)) {
            Outcome::Is(value) => Some(value),
            Outcome::Doubtful(value, problem) => {
                problems.note(step, steps, problem);
                Some(value)
            }
            Outcome::Filtered => None,
            Outcome::Refused(problem) => {
                problems.note(step, steps, problem);
                refused.get_or_insert_with(|| Bitmap::none(steps)).set(step);
                None
            }
        });
        refused
    }

    /// Computes the operator between the points of a vector and scalars. A true comparison that
    /// filters leaves the vector's point, whichever side it stands on.
    #[inline(never)]
    pub(super) fn apply_scalars(
        &self,
        slice: &mut SeriesSlice,
        scalars: &[f64],
        is_scalar_left: bool,
        mut report: impl FnMut(Problem),
    ) {
        let keeps_point = self.op.is_comparison() && self.result == ComparisonResult::Filter;
        slice.change_points(|step, point| {
            let scalar = Point::Float(scalars[step]);
            let outcome = if is_scalar_left {
                self.points(scalar, point)
            } else {
                self.points(point, scalar)
            };
            match (outcome, point) {
                (Outcome::Is(_), Point::Float(value)) if keeps_point => {
                    Some(SampleValue::Float(value))
                }
                (Outcome::Is(value), _) => Some(value),
                (Outcome::Doubtful(value, problem), _) => {
                    report(problem);
                    Some(value)
                }
                (Outcome::Filtered, _) => None,
                (Outcome::Refused(problem), _) => {
                    report(problem);
                    None
                }
            }
        });
    }

    /// Whether two points have a result, or are compared.
    pub(super) fn goes_together(&self, left: Point<'_>, right: Point<'_>) -> bool {
        !matches!(self.points(left, right), Outcome::Refused(_))
    }

    fn points(&self, left: Point<'_>, right: Point<'_>) -> Outcome {
        let refused = |left, right| Outcome::Refused(Problem::IncompatibleTypes { left, right });
        match (left, right) {
            (Point::Float(left), Point::Float(right)) => match self.numbers {
                Some(Operation::Arithmetic(function)) => {
                    Outcome::Is(SampleValue::Float(function(left, right)))
                }
                Some(Operation::Comparison(function)) => {
                    self.compared(function(&left, &right), || SampleValue::Float(left))
                }
                None => refused(Kind::Float, Kind::Float),
            },
            (Point::Float(factor), Point::Histogram(histogram)) => match self.op {
                BinaryOp::Mul => changed(histogram, |product| product.scale(factor)),
                _ => refused(Kind::Float, Kind::Histogram),
            },
            (Point::Histogram(histogram), Point::Float(number)) => match self.op {
                BinaryOp::Mul => changed(histogram, |product| product.scale(number)),
                BinaryOp::Div => changed(histogram, |quotient| quotient.divide(number)),
                BinaryOp::TrimUpper => is_histogram(histogram.trim_upper(number)),
                BinaryOp::TrimLower => is_histogram(histogram.trim_lower(number)),
                _ => refused(Kind::Histogram, Kind::Float),
            },
            (Point::Histogram(left), Point::Histogram(right)) => match self.op {
                BinaryOp::Add | BinaryOp::Sub => combined(self.op, left, right),
                BinaryOp::Eq | BinaryOp::Ne => {
                    let is_true = left.means_same(right) == (self.op == BinaryOp::Eq);
                    self.compared(is_true, || SampleValue::Histogram(Arc::clone(left)))
                }
                _ => refused(Kind::Histogram, Kind::Histogram),
            },
        }
    }

    fn compared(&self, is_true: bool, left: impl FnOnce() -> SampleValue) -> Outcome {
        match (self.result, is_true) {
            (ComparisonResult::Bool, _) => {
                Outcome::Is(SampleValue::Float(f64::from(u8::from(is_true))))
            }
            (ComparisonResult::Filter, true) => Outcome::Is(left()),
            (ComparisonResult::Filter, false) => Outcome::Filtered,
        }
    }

    /// Adds the annotation of a problem.
    pub(super) fn report(&self, problem: Problem, notes: &Notes) {
        let during = match self.op {
            BinaryOp::Sub => HistogramOperation::Subtraction,
            _ => HistogramOperation::Addition,
        };
        let annotation = match problem {
            Problem::IncompatibleTypes { left, right } => Annotation::IncompatibleTypes {
                operator: self.op.as_str(),
                left: left.as_str(),
                right: right.as_str(),
            },
            Problem::IncompatibleBuckets => Annotation::IncompatibleBuckets(self.op.as_str()),
            Problem::CounterResets => Annotation::CounterResetCollision(during),
            Problem::MismatchedBounds => Annotation::MismatchedBounds(during),
        };
        notes.add(&annotation, self.pos);
    }
}

fn is_histogram(histogram: FloatHistogram) -> Outcome {
    Outcome::Is(SampleValue::Histogram(Arc::new(histogram)))
}

fn changed(histogram: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut changed = histogram.clone();
    change(&mut changed);
    changed.compact(0);
    is_histogram(changed)
}

/// The sum or difference of histograms. As upstream, contradicting counter resets give none.
fn combined(op: BinaryOp, left: &FloatHistogram, right: &FloatHistogram) -> Outcome {
    let mut result = left.clone();
    let combination = match op {
        BinaryOp::Sub => result.sub(right),
        _ => result.add(right),
    };
    let Ok(combination) = combination else {
        return Outcome::Refused(Problem::IncompatibleBuckets);
    };
    if combination.counter_reset_collision {
        return Outcome::Refused(Problem::CounterResets);
    }
    if op == BinaryOp::Sub {
        // It may be negative.
        result.counter_reset_hint = model::CounterResetHint::Gauge;
    }
    result.compact(0);
    let value = SampleValue::Histogram(Arc::new(result));
    if combination.bounds_reconciled {
        Outcome::Doubtful(value, Problem::MismatchedBounds)
    } else {
        Outcome::Is(value)
    }
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Histogram => "histogram",
        }
    }
}

impl Problems {
    fn note(&mut self, step: usize, steps: usize, problem: Problem) {
        self.last.resize(steps, None);
        self.last[step] = Some(problem);
    }

    /// Adds the annotations, once all series have been computed.
    pub(super) fn report(&mut self, element: &Elementwise, notes: &Notes) {
        let mut last = None;
        for problem in std::mem::take(&mut self.last).into_iter().flatten() {
            // Most often it is the same at all steps.
            if last.replace(problem) != Some(problem) {
                element.report(problem, notes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::CounterResetHint;

    use super::*;
    use crate::annotations::Annotations;

    fn operator(op: BinaryOp) -> Elementwise {
        Elementwise {
            op,
            numbers: operation(op),
            result: ComparisonResult::Filter,
            pos: PosRange::new(0, 1),
        }
    }

    fn counter(hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            counter_reset_hint: hint,
            count: 1.0,
            zero_count: 1.0,
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn contradicting_counter_resets_have_no_sum_and_gauges_no_resets() {
        use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
        for (op, left, right, want) in [
            (BinaryOp::Add, CounterReset, NotCounterReset, None),
            (BinaryOp::Sub, NotCounterReset, CounterReset, None),
            (
                BinaryOp::Add,
                CounterReset,
                CounterReset,
                Some(CounterReset),
            ),
            (BinaryOp::Add, CounterReset, Gauge, Some(Gauge)),
            (BinaryOp::Add, NotCounterReset, Unknown, Some(Unknown)),
            (BinaryOp::Sub, NotCounterReset, NotCounterReset, Some(Gauge)),
        ] {
            let (left, right) = (counter(left), counter(right));
            let outcome = operator(op).points(Point::Histogram(&left), Point::Histogram(&right));
            let got = match outcome {
                Outcome::Is(SampleValue::Histogram(sum)) => Some(sum.counter_reset_hint),
                Outcome::Refused(Problem::CounterResets) => None,
                _ => panic!("neither a histogram nor a collision"),
            };
            assert_eq!(got, want, "{op} of {left:?} and {right:?}");
        }
    }

    #[test]
    fn the_last_problem_of_a_step_is_reported_and_steps_that_failed_are_told() {
        let add = operator(BinaryOp::Add);
        let notes = Notes::new("");
        let mut problems = Problems::default();
        let mut floats = SeriesSlice::new(3);
        floats.fill(1.0);
        let mut custom = SeriesSlice::new(3);
        let mut exponential = SeriesSlice::new(3);
        let mut bounded = FloatHistogram::clone(&counter(CounterResetHint::Unknown));
        bounded.schema = model::histogram::CUSTOM_BUCKETS_SCHEMA;
        for step in [0, 2] {
            custom.set_histogram(step, Arc::new(bounded.clone()));
            exponential.set_histogram(step, counter(CounterResetHint::Unknown));
        }
        custom.set(1, 1.0);
        for (mut left, right) in [(floats, &custom), (exponential, &custom)] {
            let refused = add.apply(&mut left, right, &mut problems);
            let refused: Vec<usize> = refused.iter().flat_map(Bitmap::iter).collect();
            assert_eq!(refused, [0, 2]);
        }
        problems.report(&add, &notes);
        let annotations = Annotations::of(notes.take());
        assert_eq!(annotations.warnings.len(), 1);
        assert!(annotations.infos.is_empty(), "{:?}", annotations.infos);
    }
}
