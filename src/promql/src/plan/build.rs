//! From the syntax tree to the plan: parentheses go, times are resolved, matchers are put in order.

use model::Matcher;
use promql_syntax::ast::{
    AggregateExpr, AtModifier, BinaryExpr, Call as CallExpr, Expr, MatrixSelector, SubqueryExpr,
    TimeModifiers, UnaryOp, ValueType, VectorSelector, WindowEdges,
};

use super::duration::{offset_of, range_of, step_of};
use super::info::info_of;
use super::statistics::mark_statistics;
use super::{
    Aggregate, Binary, Call, Grouping, Info, Matrix, Node, NodeKind, Plan, PlanOptions, Selector,
    SelectorOutput, Subquery,
};
use crate::error::{EngineError, FunctionError};
use crate::grid::Grid;

/// Builds the plan of a query; `None` when it has no step, because it ends before it starts.
pub(crate) fn build(expr: &Expr, options: &PlanOptions) -> Result<Option<Plan>, EngineError> {
    let times = options.times;
    let value_type = expr.value_type();
    let grid = if times.is_instant() {
        Some(Grid::instant(times.start_ms))
    } else {
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(EngineError::BadQuery(format!(
                "invalid expression type \"{value_type}\" for range query, must be Scalar or \
                 instant Vector"
            )));
        }
        Grid::range(times.start_ms, times.end_ms, times.step_ms)
    };
    let mut root = Builder { options, depth: 0 }.node(expr)?;
    mark_statistics(&mut root);
    Ok(grid.map(|grid| Plan { root, grid }))
}

/// The refusal of a query that is nested deeper than `most` levels.
pub(crate) fn too_deep(most: usize) -> EngineError {
    EngineError::BadQuery(format!("expression is nested more than {most} levels deep"))
}

struct Builder<'a> {
    options: &'a PlanOptions,
    depth: usize,
}

impl Builder<'_> {
    fn node(&mut self, expr: &Expr) -> Result<Node, EngineError> {
        self.depth += 1;
        if self.depth > self.options.max_depth {
            return Err(too_deep(self.options.max_depth));
        }
        let node = self.node_unguarded(expr);
        self.depth -= 1;
        node
    }

    fn boxed(&mut self, expr: &Expr) -> Result<Box<Node>, EngineError> {
        self.node(expr).map(Box::new)
    }

    fn node_unguarded(&mut self, expr: &Expr) -> Result<Node, EngineError> {
        let kind = match expr {
            Expr::Number(number) => NodeKind::Number(number.value),
            Expr::String(text) => NodeKind::Text(text.value.clone()),
            Expr::Paren(paren) => return self.node(&paren.expr),
            Expr::Unary(unary) => match unary.op {
                UnaryOp::Plus => return self.node(&unary.expr),
                UnaryOp::Minus => NodeKind::Negate(self.boxed(&unary.expr)?),
            },
            Expr::VectorSelector(selector) => {
                let lookback_ms = self.options.lookback.as_millis();
                let mut selector = self.selector(selector, lookback_ms)?;
                // Its window is the lookback already.
                selector.before_ms = 0;
                NodeKind::Selector(selector)
            }
            Expr::MatrixSelector(matrix) => NodeKind::Matrix(self.matrix(matrix)?),
            Expr::Subquery(subquery) => NodeKind::Subquery(self.subquery(subquery)?),
            Expr::Aggregate(aggregate) => NodeKind::Aggregate(self.aggregate(aggregate)?),
            Expr::Binary(binary) => NodeKind::Binary(self.binary(binary)?),
            Expr::Call(call) if call.func.name == "info" => NodeKind::Info(self.info(call)?),
            Expr::Call(call) => NodeKind::Call(self.call(call)?),
        };
        Ok(Node::new(kind, expr.pos()))
    }

    fn selector(&self, selector: &VectorSelector, window_ms: i64) -> Result<Selector, EngineError> {
        let lookback_ms = self.options.lookback.as_millis();
        let (before_ms, behind_ms) = match selector.edges {
            WindowEdges::Plain => (0, 0),
            WindowEdges::Anchored => (lookback_ms, 0),
            WindowEdges::Smoothed => (lookback_ms, lookback_ms),
        };
        Ok(Selector {
            written: selector.matchers.clone(),
            matchers: normalised(&selector.matchers),
            at_ms: self.pinned_to(&selector.time),
            offset_ms: offset_of(&selector.time, self.options)?,
            window_ms,
            edges: selector.edges,
            before_ms,
            behind_ms,
            output: SelectorOutput::Value,
            statistics_only: false,
            read: model::TimeRange::ALL,
        })
    }

    fn matrix(&self, matrix: &MatrixSelector) -> Result<Matrix, EngineError> {
        let window_ms = range_of(matrix.range, matrix.range_expr.as_deref(), self.options)?;
        Ok(Matrix {
            selector: self.selector(&matrix.selector, window_ms)?,
        })
    }

    fn subquery(&mut self, subquery: &SubqueryExpr) -> Result<Subquery, EngineError> {
        let options = self.options;
        Ok(Subquery {
            expr: self.boxed(&subquery.expr)?,
            window_ms: range_of(subquery.range, subquery.range_expr.as_deref(), options)?,
            step_ms: step_of(subquery, options)?,
            at_ms: self.pinned_to(&subquery.time),
            offset_ms: offset_of(&subquery.time, options)?,
            grid: None,
        })
    }

    fn pinned_to(&self, time: &TimeModifiers) -> Option<i64> {
        time.at.map(|at| match at {
            AtModifier::Timestamp(at) => at.as_millis(),
            AtModifier::Start => self.options.times.start_ms,
            AtModifier::End => self.options.times.end_ms,
        })
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Aggregate, EngineError> {
        let mut labels = aggregate.grouping.clone();
        labels.sort_unstable();
        labels.dedup();
        Ok(Aggregate {
            op: aggregate.op,
            expr: self.boxed(&aggregate.expr)?,
            param: aggregate
                .param
                .as_deref()
                .map(|param| self.boxed(param))
                .transpose()?,
            grouping: if aggregate.without {
                Grouping::Without(labels)
            } else {
                Grouping::By(labels)
            },
        })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Binary, EngineError> {
        Ok(Binary {
            op: binary.op,
            lhs: self.boxed(&binary.lhs)?,
            rhs: self.boxed(&binary.rhs)?,
            return_bool: binary.return_bool,
            matching: binary.matching.clone(),
        })
    }

    fn info(&mut self, call: &CallExpr) -> Result<Box<Info>, EngineError> {
        let Some(expr) = call.args.first() else {
            return Err(EngineError::Unsupported(
                "info() without an argument".to_owned(),
            ));
        };
        let expr = self.node(expr)?;
        let written = match call.args.get(1) {
            Some(Expr::VectorSelector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        info_of(expr, written, self.options.lookback.as_millis()).map(Box::new)
    }

    fn call(&mut self, call: &CallExpr) -> Result<Call, EngineError> {
        let mut args = call
            .args
            .iter()
            .map(|arg| self.node(arg))
            .collect::<Result<Vec<_>, _>>()?;
        check_edges(call, &args)?;
        // As upstream: only a selector itself knows the times of its samples; anything else is as
        // old as the step.
        if let Some(Node {
            kind: NodeKind::Selector(selector),
            ..
        }) = args.first_mut()
        {
            match call.func.name {
                "timestamp" => selector.output = SelectorOutput::Timestamp,
                "start_timestamp" => selector.output = SelectorOutput::StartTimestamp,
                _ => {}
            }
        }
        Ok(Call {
            func: call.func,
            args,
        })
    }
}

/// Refuses functions that do not know what to do with samples outside of the window.
fn check_edges(call: &CallExpr, args: &[Node]) -> Result<(), EngineError> {
    let function = call.func.name;
    for arg in args {
        let NodeKind::Matrix(matrix) = &arg.kind else {
            continue;
        };
        let edges = matrix.selector.edges;
        let allowed: &[&str] = match edges {
            WindowEdges::Plain => continue,
            WindowEdges::Anchored => &["changes", "delta", "increase", "rate", "resets"],
            WindowEdges::Smoothed => &["delta", "increase", "rate"],
        };
        if !allowed.contains(&function) {
            return Err(FunctionError::WindowEdges {
                modifier: edges.keyword().unwrap_or_default(),
                allowed: allowed.join(", "),
                function,
            }
            .into());
        }
    }
    Ok(())
}

/// Matchers in order of label, operator and value, each once.
pub(super) fn normalised(matchers: &[Matcher]) -> Vec<Matcher> {
    let mut matchers = matchers.to_vec();
    matchers.sort_by(|a, b| {
        let key = |matcher: &Matcher| (matcher.op() as u8, matcher.value().to_owned());
        a.name().cmp(b.name()).then_with(|| key(a).cmp(&key(b)))
    });
    matchers.dedup_by(|a, b| a.name() == b.name() && a.op() == b.op() && a.value() == b.value());
    matchers
}
