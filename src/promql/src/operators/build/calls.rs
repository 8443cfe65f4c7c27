//! Function calls as operators.

use model::PromDuration;
use promql_syntax::ast::{PosRange, ValueType};

use super::super::call::{
    AbsentOperator, DateOperator, HistogramFunction, HistogramMapOperator, HistogramOperator,
    LabelOperator, MapOperator, MapWithOperator, NoPointsOperator, Positions, ScalarOperator,
    ScalarsOperator, TimestampOperator,
};
use super::super::constant::{NumberOperator, TimeOperator};
use super::super::merge::Names;
use super::super::range_call::{AbsentOverTimeOperator, RangeCallOperator, WindowShape};
use super::super::selector::Condensation;
use super::super::sort::{SortKey, SortOperator};
use super::super::{Operator, RangeOperator, seconds};
use super::{BuildContext, build, build_range, merged};
use crate::annotations::{Annotation, NoteSteps};
use crate::error::EngineError;
use crate::functions::absent::absent_labels;
use crate::functions::labels::LabelChange;
use crate::functions::{Implementation, RangeTrait, Special, lookup};
use crate::grid::Grid;
use crate::plan::{Call, Node, NodeKind, SelectorOutput};

type Built = Result<Box<dyn Operator>, EngineError>;

/// Builds the operator of a function call.
pub(super) fn build_call(
    call: &Call,
    pos: PosRange,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Built {
    let Some(implementation) = lookup(call.func.name) else {
        return Err(EngineError::Unsupported(format!(
            "function {}()",
            call.func.name
        )));
    };
    Caller {
        call,
        pos,
        grid,
        context,
    }
    .build(implementation)
}

struct Caller<'a, 'b> {
    call: &'a Call,
    pos: PosRange,
    grid: Grid,
    context: &'a mut BuildContext<'b>,
}

impl Caller<'_, '_> {
    fn build(&mut self, implementation: Implementation) -> Built {
        match implementation {
            Implementation::Map(function) => {
                let operator = MapOperator::new(self.vector(0)?, function);
                Ok(self.without_names(Box::new(operator)))
            }
            Implementation::MapHistogram(function) => {
                let operator = HistogramMapOperator::new(self.vector(0)?, function);
                Ok(self.without_names(Box::new(operator)))
            }
            Implementation::MapWith(function) => {
                let input = self.vector(0)?;
                let operator = MapWithOperator::new(input, self.scalars()?, function);
                Ok(self.without_names(Box::new(operator)))
            }
            Implementation::Date(part) => {
                if self.call.args.is_empty() {
                    let now = Box::new(TimeOperator::new(self.grid, whole_seconds));
                    return Ok(Box::new(DateOperator::new(now, part)));
                }
                let operator = DateOperator::new(self.vector(0)?, part);
                Ok(self.without_names(Box::new(operator)))
            }
            Implementation::Range(function_trait, function) => {
                let (input, shape) = self.range()?;
                let scalars = self.scalars()?;
                let operator = Box::new(RangeCallOperator::new(
                    input,
                    shape,
                    scalars,
                    (function_trait, function),
                    self.context.shared.clone(),
                ));
                if function_trait == RangeTrait::KeepsName {
                    return Ok(operator);
                }
                Ok(self.without_names(operator))
            }
            Implementation::Scalars(function) => {
                let (left, right) = (self.vector(0)?, self.vector(1)?);
                Ok(Box::new(ScalarsOperator::new(left, right, function)))
            }
            Implementation::Special(special) => self.special(special),
        }
    }

    fn special(&mut self, special: Special) -> Built {
        let times = self.context.times;
        let duration = |millis| PromDuration::from_millis(millis).as_seconds();
        match special {
            Special::Absent => {
                let labels = absent_labels(self.argument(0)?)?;
                let input = self.vector(0)?;
                Ok(Box::new(AbsentOperator::new(
                    input,
                    labels,
                    self.grid.count(),
                )))
            }
            Special::AbsentOverTime => {
                let labels = absent_labels(self.argument(0)?)?;
                let (input, shape) = self.range()?;
                let shared = self.context.shared.clone();
                Ok(Box::new(AbsentOverTimeOperator::new(
                    input, shape, labels, shared,
                )))
            }
            Special::HistogramFraction => self.histogram(HistogramFunction::Fraction),
            Special::HistogramQuantile => self.histogram(HistogramFunction::Quantile),
            Special::HistogramQuantiles => {
                let label = self.texts()?.into_iter().next().unwrap_or_default();
                self.histogram(HistogramFunction::Quantiles(label))
            }
            Special::LabelJoin => {
                let change = LabelChange::join(&self.texts()?)?;
                self.relabelled(change)
            }
            Special::LabelReplace => {
                let change = LabelChange::replace(&self.texts()?)?;
                self.relabelled(change)
            }
            Special::Pi => self.number(std::f64::consts::PI),
            Special::Start => self.number(seconds(times.start_ms)),
            Special::End => self.number(seconds(times.end_ms)),
            Special::Step => self.number(duration(times.step_ms)),
            Special::Range => self.number(duration(times.end_ms.saturating_sub(times.start_ms))),
            Special::Scalar => Ok(Box::new(ScalarOperator::new(
                self.vector(0)?,
                self.grid.count(),
            ))),
            Special::Sort => self.sorted(SortKey::Ascending),
            Special::SortDesc => self.sorted(SortKey::Descending),
            Special::SortByLabel => {
                let labels = self.texts()?;
                self.sorted(SortKey::Labels(labels))
            }
            Special::SortByLabelDesc => {
                let labels = self.texts()?;
                self.sorted(SortKey::LabelsDescending(labels))
            }
            Special::Time => Ok(Box::new(TimeOperator::new(self.grid, seconds))),
            Special::StartTimestamp => self.start_timestamp(),
            Special::Timestamp => self.timestamp(),
            // A scalar is a vector of one series without labels already.
            Special::Vector => self.vector(0),
        }
    }

    fn argument(&self, index: usize) -> Result<&Node, EngineError> {
        self.call.args.get(index).ok_or_else(|| {
            EngineError::Unsupported(format!("{}() with these arguments", self.call.func.name))
        })
    }

    /// The operator of an argument that is an instant vector or a scalar.
    fn vector(&mut self, index: usize) -> Built {
        let call = self.call;
        let node = call.args.get(index).ok_or_else(|| {
            EngineError::Unsupported(format!("{}() with these arguments", call.func.name))
        })?;
        build(node, self.grid, self.context)
    }

    /// The operators of all scalar arguments.
    fn scalars(&mut self) -> Result<Vec<Box<dyn Operator>>, EngineError> {
        let call = self.call;
        call.args
            .iter()
            .filter(|node| node.value_type() == ValueType::Scalar)
            .map(|node| build(node, self.grid, self.context))
            .collect()
    }

    /// All arguments that are texts.
    fn texts(&self) -> Result<Vec<String>, EngineError> {
        let mut texts = Vec::new();
        for node in &self.call.args {
            if let NodeKind::Text(text) = &node.kind {
                texts.push(text.clone());
            }
        }
        Ok(texts)
    }

    /// The operator of the range vector among the arguments, and its windows.
    fn range(&mut self) -> Result<(Box<dyn RangeOperator>, WindowShape), EngineError> {
        let call = self.call;
        let node = call
            .args
            .iter()
            .find(|node| node.value_type() == ValueType::Matrix)
            .ok_or_else(|| {
                EngineError::Unsupported(format!("{}() without a range vector", call.func.name))
            })?;
        let use_start_timestamps = self.context.shared.use_start_timestamps;
        let asked = Condensation::of(call.func.name, use_start_timestamps);
        let (operator, shape) = build_range((node, asked), self.grid, self.context)?;
        let pos = call.args.first().map_or(self.pos, |first| first.pos);
        Ok((operator, WindowShape { pos, ..shape }))
    }

    fn number(&self, value: f64) -> Built {
        Ok(Box::new(NumberOperator::new(self.grid.count(), value)))
    }

    fn without_names(&self, operator: Box<dyn Operator>) -> Box<dyn Operator> {
        merged(operator, Names::Drop, self.context)
    }

    fn relabelled(&mut self, change: LabelChange) -> Built {
        let shared = self.context.shared.clone();
        let operator = LabelOperator::new(self.vector(0)?, change, shared);
        Ok(merged(Box::new(operator), Names::Keep, self.context))
    }

    fn sorted(&mut self, key: SortKey) -> Built {
        if !self.context.times.is_instant() {
            self.context.shared.notes.add_at(
                &Annotation::SortInRangeQuery,
                self.pos,
                NoteSteps::All,
            );
        }
        let input = self.vector(0)?;
        if !self.grid.is_instant() {
            return Ok(match key {
                // As sorting one step by value leaves histograms out.
                SortKey::Ascending | SortKey::Descending => {
                    Box::new(MapOperator::new(input, |value| value))
                }
                SortKey::Labels(_) | SortKey::LabelsDescending(_) => input,
            });
        }
        Ok(Box::new(SortOperator::new(
            input,
            key,
            self.context.shared.clone(),
        )))
    }

    /// Whether the argument is a selector that gives this instead of values.
    fn selects(&self, output: SelectorOutput) -> Result<bool, EngineError> {
        let argument = &self.argument(0)?.computation().kind;
        Ok(matches!(argument, NodeKind::Selector(selector) if selector.output == output))
    }

    /// Source: upstream `funcStartTimestamp`: only samples themselves know when they started.
    fn start_timestamp(&mut self) -> Built {
        let knows_starts = self.selects(SelectorOutput::StartTimestamp)?;
        let input = self.vector(0)?;
        if knows_starts {
            return Ok(self.without_names(input));
        }
        let operator = NoPointsOperator::new(input);
        Ok(self.without_names(Box::new(operator)))
    }

    fn timestamp(&mut self) -> Built {
        let knows_times = self.selects(SelectorOutput::Timestamp)?;
        let input = self.vector(0)?;
        if knows_times {
            return Ok(self.without_names(input));
        }
        let operator = TimestampOperator::new(input, self.grid);
        Ok(self.without_names(Box::new(operator)))
    }

    fn histogram(&mut self, function: HistogramFunction) -> Built {
        let call = self.call;
        let scalars = self.scalars()?;
        let positions_of = |wanted| {
            let of_type = move |node: &&Node| node.value_type() == wanted;
            call.args.iter().filter(of_type).map(|node| node.pos)
        };
        let positions = Positions {
            scalars: positions_of(ValueType::Scalar).collect(),
            vector: positions_of(ValueType::Vector).next().unwrap_or(self.pos),
        };
        let vector = call
            .args
            .iter()
            .position(|node| node.value_type() == ValueType::Vector)
            .unwrap_or(0);
        let input = self.vector(vector)?;
        let shared = self.context.shared.clone();
        let operator =
            HistogramOperator::new(input, function, (scalars, positions), self.grid, shared);
        Ok(self.without_names(Box::new(operator)))
    }
}

/// Seconds since the epoch without their fraction, as the date functions read the step's time.
fn whole_seconds(at_ms: i64) -> f64 {
    (at_ms / 1000) as f64
}
