//! From the plan to operators.

mod calls;

use std::sync::Arc;

use base::CpuPool;
use hashbrown::HashMap;
use model::TimeRange;
use parking_lot::Mutex;
use promql_syntax::ast::{AggregateOp, BinaryOp, FillValues, PosRange, ValueType, WindowEdges};
use storage::{Querier, Queryable};

use super::aggregate::{
    CountValuesOperator, FoldOperator, LimitOperator, LimitRule, Param, TopOperator, TopOrder,
    fold_kind,
};
use super::binary::{
    Elementwise, FillOperator, JoinOperator, ScalarSide, SetOperator, WithScalarOperator,
    scalar_operator,
};
use super::call::NegateOperator;
use super::common::{CommonBuffer, CommonOperator};
use super::constant::NumberOperator;
use super::exchange::ExchangeOperator;
use super::info::InfoOperator;
use super::invariant::InvariantOperator;
use super::matrix::MatrixOperator;
use super::measured::Meter;
use super::merge::{MergeOperator, Names};
use super::range_call::WindowShape;
use super::selector::{Condensation, SelectorOperator};
use super::smoothed::SmoothedOperator;
use super::subquery::{EmptyRange, SubqueryOperator};
use super::{METADATA_LABELS, NameRemoval, Operator, RangeOperator, Shared};
use crate::annotations::Notes;
use crate::error::EngineError;
use crate::grid::Grid;
use crate::plan::{
    Aggregate, Binary, Common, CommonUse, Grouping, Info, Node, NodeKind, QueryTimes, Selector,
    SelectorOutput,
};

/// What building operators depends on.
pub(crate) struct BuildContext<'a> {
    storage: &'a dyn Queryable,
    shared: Shared,
    times: QueryTimes,
    /// Views of storage that are open already. Selectors of the same times share one, and all are
    /// opened before anything is read.
    queriers: HashMap<(i64, i64), Arc<dyn Querier>>,
    /// Measures every operator; only where an analysis was asked for.
    meter: Option<Meter>,
    /// Threads that help.
    workers: Option<CpuPool>,
    /// Whether the node that is built is part of a larger pipeline.
    in_pipeline: bool,
    /// Whether nobody looks at the metadata labels of the node that is built.
    metadata_unseen: bool,
    /// Parts with several readers, by their number.
    commons: HashMap<usize, CommonPart>,
}

/// A part that is computed once.
struct CommonPart {
    expr: Node,
    /// Made for its first reader.
    buffer: Option<Arc<Mutex<CommonBuffer>>>,
}

impl<'a> BuildContext<'a> {
    pub(crate) fn new(storage: &'a dyn Queryable, shared: Shared, times: QueryTimes) -> Self {
        Self {
            storage,
            shared,
            times,
            queriers: HashMap::new(),
            meter: None,
            workers: None,
            in_pipeline: false,
            metadata_unseen: false,
            commons: HashMap::new(),
        }
    }

    /// Measures the operators that are built from now on.
    pub(crate) fn measure(&mut self, meter: Meter) {
        self.meter = Some(meter);
    }

    /// Lets these threads help with large parts.
    pub(crate) fn help(&mut self, workers: CpuPool) {
        self.workers = Some(workers);
    }

    /// Finds the parts that are computed once for several readers. To be called before building.
    pub(crate) fn find_commons(&mut self, node: &Node) {
        if let NodeKind::Common(common) = &node.kind
            && matches!(common.purpose, CommonUse::First)
        {
            let part = CommonPart {
                expr: (*common.expr).clone(),
                buffer: None,
            };
            self.commons.insert(common.number, part);
        }
        for child in node.children() {
            self.find_commons(child);
        }
    }

    fn querier(&mut self, range: TimeRange) -> Result<Arc<dyn Querier>, EngineError> {
        let key = (range.start.as_millis(), range.end.as_millis());
        if let Some(querier) = self.queriers.get(&key) {
            return Ok(Arc::clone(querier));
        }
        let querier: Arc<dyn Querier> = self.storage.querier(range)?.into();
        self.queriers.insert(key, Arc::clone(&querier));
        Ok(querier)
    }
}

/// Builds the operator of a scalar or instant vector, for the steps of `grid`.
///
/// Calls itself for each level of the plan, so that what needs much stack is done in functions that
/// have returned by then.
pub(crate) fn build(
    node: &Node,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let is_inner = std::mem::replace(&mut context.in_pipeline, node.pipeline.is_some());
    let outer_unseen = std::mem::replace(&mut context.metadata_unseen, node.metadata_unseen);
    let operator = match &node.kind {
        NodeKind::Number(value) => Box::new(NumberOperator::new(grid.count(), *value)),
        NodeKind::Selector(selector) => build_selector((selector, node.pos), grid, context)?,
        NodeKind::StepInvariant(inner) if grid.is_instant() => build(inner, grid, context)?,
        NodeKind::StepInvariant(inner) => {
            let input = build_at_other_steps(inner, Grid::instant(grid.first_ms()), context)?;
            Box::new(InvariantOperator::new(input, grid.count()))
        }
        NodeKind::Negate(inner) => {
            let input = build(inner, grid, context)?;
            negated(input, inner.value_type(), context)
        }
        NodeKind::Aggregate(aggregate) => build_aggregate(aggregate, node.pos, grid, context)?,
        NodeKind::Binary(binary) => {
            let left = build(&binary.lhs, grid, context)?;
            let right = build(&binary.rhs, grid, context)?;
            build_binary((binary, node.pos), (left, right), grid, context)?
        }
        NodeKind::Common(common) => build_common(common, grid, context)?,
        NodeKind::Call(call) => calls::build_call(call, node.pos, grid, context)?,
        NodeKind::Info(info) => {
            let input = build(&info.expr, grid, context)?;
            build_info(info, input, grid, context)?
        }
        NodeKind::Text(_) | NodeKind::Matrix(_) | NodeKind::Subquery(_) => {
            return Err(unsupported("here", node));
        }
    };
    context.in_pipeline = is_inner;
    context.metadata_unseen = outer_unseen;
    Ok(finished(operator, node, grid, context))
}

/// Builds a part that is evaluated at steps of its own.
fn build_at_other_steps(
    node: &Node,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let notes = Arc::new(Notes::of_other_steps(&context.shared.notes));
    let outer = std::mem::replace(&mut context.shared.notes, notes);
    let input = build(node, grid, context);
    context.shared.notes = outer;
    input
}

/// The operator measured, and on several threads, where that is wanted.
#[inline(never)]
fn finished(
    mut operator: Box<dyn Operator>,
    node: &Node,
    grid: Grid,
    context: &BuildContext<'_>,
) -> Box<dyn Operator> {
    if let Some(meter) = &context.meter {
        operator = meter.operator(node, operator);
    }
    match (node.pipeline, &context.workers) {
        (Some(pipeline), Some(workers)) if !context.in_pipeline => {
            let (workers, shared) = (workers.clone(), context.shared.clone());
            Box::new(ExchangeOperator::new(
                operator,
                (pipeline, grid.count()),
                workers,
                shared,
            ))
        }
        _ => operator,
    }
}

/// A reader of a part that is computed once.
#[inline(never)]
fn build_common(
    common: &Common,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let own = build(&common.expr, grid, context)?;
    let Some(part) = context.commons.get(&common.number) else {
        return Ok(own);
    };
    let buffer = match &part.buffer {
        Some(buffer) => Arc::clone(buffer),
        None => {
            let expr = part.expr.clone();
            let notes = Arc::new(Notes::of_part(&context.shared.notes));
            let whole = std::mem::replace(&mut context.shared.notes, Arc::clone(&notes));
            let input = build(&expr, grid, context);
            context.shared.notes = whole;
            let buffer = CommonBuffer::new(input?, notes, grid.count(), &context.shared);
            let buffer = Arc::new(Mutex::new(buffer));
            if let Some(part) = context.commons.get_mut(&common.number) {
                part.buffer = Some(Arc::clone(&buffer));
            }
            buffer
        }
    };
    let (purpose, shared) = (common.purpose.clone(), context.shared.clone());
    Ok(Box::new(CommonOperator::new(buffer, purpose, own, shared)))
}

fn unsupported(place: &str, node: &Node) -> EngineError {
    EngineError::Unsupported(format!("a {} {place}", node.value_type()))
}

#[inline(never)]
fn build_selector(
    (selector, pos): (&Selector, PosRange),
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let querier = context.querier(selector.read)?;
    let shared = context.shared.clone();
    // As upstream: `timestamp` and `start_timestamp` are of samples, which smoothing does not touch.
    if selector.edges == WindowEdges::Smoothed && selector.output == SelectorOutput::Value {
        return Ok(Box::new(SmoothedOperator::new(
            (selector, pos),
            grid,
            querier,
            shared,
        )));
    }
    Ok(Box::new(SelectorOperator::new(
        selector, grid, querier, shared,
    )))
}

#[inline(never)]
fn negated(
    input: Box<dyn Operator>,
    value_type: ValueType,
    context: &BuildContext<'_>,
) -> Box<dyn Operator> {
    let negated = Box::new(NegateOperator::new(input, context.shared.clone()));
    if value_type == ValueType::Scalar {
        return negated;
    }
    merged(negated, Names::Drop, context)
}

#[inline(never)]
fn build_info(
    info: &Info,
    input: Box<dyn Operator>,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let querier = context.querier(info.series.read)?;
    let operator = InfoOperator::new(input, info, (grid, querier), context.shared.clone());
    Ok(merged(Box::new(operator), Names::Keep, context))
}

/// Builds the operator of a range vector, and the windows of its steps. Beside the node stands what
/// is asked of its samples, if that is less than all of them.
pub(crate) fn build_range(
    (node, asked): (&Node, Option<Condensation>),
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<(Box<dyn RangeOperator>, WindowShape), EngineError> {
    let shape = |reference, range_ms| WindowShape {
        grid,
        reference,
        range_ms,
        edges: WindowEdges::Plain,
        before_ms: 0,
        behind_ms: 0,
        pos: node.pos,
    };
    let (operator, shape): (Box<dyn RangeOperator>, _) = match &node.kind {
        NodeKind::Matrix(matrix) => {
            let selector = &matrix.selector;
            let querier = context.querier(selector.read)?;
            let reference = grid.reference(selector.at_ms, selector.offset_ms);
            let shared = context.shared.clone();
            let operator = MatrixOperator::new((matrix, asked), grid, querier, shared);
            let shape = WindowShape {
                edges: selector.edges,
                before_ms: selector.before_ms,
                behind_ms: selector.behind_ms,
                ..shape(reference, selector.window_ms)
            };
            (Box::new(operator), shape)
        }
        NodeKind::Subquery(subquery) => {
            let reference = grid.reference(subquery.at_ms, subquery.offset_ms);
            let shape = shape(reference, subquery.window_ms);
            let Some(inner_grid) = subquery.grid else {
                return Ok((Box::new(EmptyRange), shape));
            };
            let input = build_at_other_steps(&subquery.expr, inner_grid, context)?;
            let operator = SubqueryOperator::new(input, inner_grid, context.shared.clone());
            (Box::new(operator), shape)
        }
        _ => return Err(unsupported("as range vector", node)),
    };
    let operator = match &context.meter {
        Some(meter) => meter.range_operator(node, operator),
        None => operator,
    };
    Ok((operator, shape))
}

fn merged(input: Box<dyn Operator>, names: Names, context: &BuildContext<'_>) -> Box<dyn Operator> {
    let names = match names {
        Names::Drop if context.metadata_unseen => Names::DropUnseen,
        names => names,
    };
    Box::new(MergeOperator::new(input, names, context.shared.clone()))
}

fn build_aggregate(
    aggregate: &Aggregate,
    pos: PosRange,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    if aggregate.op == AggregateOp::CountValues {
        return build_count_values(aggregate, grid, context);
    }
    let (grouping, steps) = (&seen_grouping(aggregate, context), grid.count());
    let param = match aggregate.param.as_deref() {
        Some(param) => Some(Param {
            operator: build(param, grid, context)?,
            pos: param.pos,
        }),
        None => None,
    };
    let input = build(&aggregate.expr, grid, context)?;
    let shared = context.shared.clone();
    if let Some(kind) = fold_kind(aggregate.op) {
        let pos = aggregate.expr.pos;
        let mut fold = FoldOperator::new(input, (kind, param), (grouping, pos), steps, shared);
        if has_lost_metadata(aggregate, context) {
            fold.forget_names();
        }
        return Ok(Box::new(fold));
    }
    let Some(param) = param else {
        return Err(EngineError::Unsupported(format!(
            "{} without a parameter",
            aggregate.op
        )));
    };
    Ok(match aggregate.op {
        AggregateOp::Topk | AggregateOp::Bottomk => {
            let order = if aggregate.op == AggregateOp::Topk {
                TopOrder::Largest
            } else {
                TopOrder::Smallest
            };
            Box::new(TopOperator::new(
                input,
                (order, param),
                (grouping, pos),
                steps,
                shared,
            ))
        }
        op => {
            let rule = if op == AggregateOp::Limitk {
                LimitRule::Count
            } else {
                LimitRule::Ratio
            };
            Box::new(LimitOperator::new(
                input,
                (rule, param),
                grouping,
                steps,
                shared,
            ))
        }
    })
}

/// Whether the input is without metadata, although its labels may still have some.
fn has_lost_metadata(aggregate: &Aggregate, context: &BuildContext<'_>) -> bool {
    aggregate.expr.computation().metadata_unseen
        && context.shared.name_removal == NameRemoval::Immediate
}

/// The grouping over what its input leaves of the labels.
fn seen_grouping(aggregate: &Aggregate, context: &BuildContext<'_>) -> Grouping {
    let mut grouping = aggregate.grouping.clone();
    if let Grouping::Without(labels) = &mut grouping
        && has_lost_metadata(aggregate, context)
    {
        labels.extend(METADATA_LABELS.map(str::to_owned));
        labels.sort_unstable();
        labels.dedup();
    }
    grouping
}

fn build_count_values(
    aggregate: &Aggregate,
    grid: Grid,
    context: &mut BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let Some(Node {
        kind: NodeKind::Text(label),
        pos,
        ..
    }) = aggregate.param.as_deref()
    else {
        return Err(EngineError::Unsupported(
            "count_values without a label".to_owned(),
        ));
    };
    let input = build(&aggregate.expr, grid, context)?;
    let shared = context.shared.clone();
    Ok(Box::new(CountValuesOperator::new(
        input,
        (label, *pos),
        &aggregate.grouping,
        grid.count(),
        shared,
    )))
}

#[inline(never)]
fn build_binary(
    (binary, pos): (&Binary, PosRange),
    (left, right): (Box<dyn Operator>, Box<dyn Operator>),
    grid: Grid,
    context: &BuildContext<'_>,
) -> Result<Box<dyn Operator>, EngineError> {
    let shared = context.shared.clone();
    let steps = grid.count();
    let matching = binary.matching.as_deref().cloned().unwrap_or_default();
    if binary.op.is_set() {
        let sets = SetOperator::new((left, right), binary.op, matching, steps, shared);
        // Only `or` brings together series that may have the same labels.
        if binary.op == BinaryOp::Or {
            return Ok(merged(Box::new(sets), Names::Keep, context));
        }
        return Ok(Box::new(sets));
    }
    let Some(element) = Elementwise::new(binary, pos) else {
        return Err(EngineError::Unsupported(format!("operator {}", binary.op)));
    };
    let is_scalar = |node: &Node| node.value_type() == ValueType::Scalar;
    let (input, scalar) = match (is_scalar(&binary.lhs), is_scalar(&binary.rhs)) {
        (true, true) => {
            let operation = element.numbers();
            let operation = operation.ok_or(EngineError::ScalarOperator(binary.op.as_str()))?;
            return Ok(scalar_operator(left, right, operation));
        }
        (false, false) if matching.fill != FillValues::default() => {
            let fill = FillOperator::new((left, right), element, matching, steps, shared);
            return Ok(merged(Box::new(fill), Names::Keep, context));
        }
        (false, false) => {
            let join = JoinOperator::new((left, right), element, matching, steps, shared);
            return Ok(merged(Box::new(join), Names::Keep, context));
        }
        (true, false) => (right, (left, ScalarSide::Left)),
        (false, true) => (left, (right, ScalarSide::Right)),
    };
    let operator = Box::new(WithScalarOperator::new(input, scalar, element, shared));
    if element.changes_metric() {
        return Ok(merged(operator, Names::Drop, context));
    }
    Ok(operator)
}
