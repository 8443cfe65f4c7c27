//! Binary operators.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Labels, LabelsBuilder};
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{
    BinaryExpr, BinaryOp, MatchCardinality, UnaryOp, ValueType, VectorMatching,
};

use super::evaluate::{Reference, unique};
use super::{Context, Item, Outcome, ReferenceError, Steps, Vector};

impl Reference<'_> {
    pub(super) fn binary(&self, node: &BinaryExpr, context: Context) -> Outcome<Steps> {
        let left = self.steps(&node.lhs, context)?;
        let right = self.steps(&node.rhs, context)?;
        let scalar = |side: &Expr| side.value_type() == ValueType::Scalar;
        if node.op == BinaryOp::Or && self.settings.delayed_name_removal {
            check_flags(&left, &right)?;
            check_names(node)?;
        }
        let mut steps = Steps::new();
        for (left, right) in left.into_iter().zip(right) {
            let vector = match (scalar(&node.lhs), scalar(&node.rhs)) {
                (true, true) => scalars(node, &left, &right),
                (false, true) => self.with_scalar(node, left, &right),
                (true, false) => self.with_scalar(node, right, &left),
                (false, false) => match (&node.matching, node.op.is_set()) {
                    (Some(matching), true) => set(node.op, matching, left, right),
                    (Some(matching), false) => self.join(node, matching, left, right)?,
                    (None, _) => return Err(ReferenceError::Undetermined("no matching")),
                },
            };
            unique(&vector)?;
            steps.push(vector);
        }
        Ok(steps)
    }

    /// An operation between a vector and a scalar, whichever stands left.
    fn with_scalar(&self, node: &BinaryExpr, vector: Vector, scalar: &Vector) -> Vector {
        let swapped = node.lhs.value_type() == ValueType::Scalar;
        let Some(scalar) = scalar.first().map(|item| item.value.clone()) else {
            return Vector::new();
        };
        let mut out = Vector::new();
        for mut item in vector {
            let (left, right) = if swapped {
                (&scalar, &item.value)
            } else {
                (&item.value, &scalar)
            };
            let Some((value, keep)) = apply(node.op, left, right) else {
                continue;
            };
            // A comparison keeps the vector's value, on whichever side it stands.
            let value = if node.op.is_comparison() {
                item.value.clone()
            } else {
                value
            };
            if node.return_bool {
                item.value = SampleValue::Float(f64::from(u8::from(keep)));
            } else if keep {
                item.value = value;
            } else {
                continue;
            }
            if changes_metric(node) {
                self.drop_name(&mut item);
            }
            out.push(item);
        }
        out
    }

    fn join(
        &self,
        node: &BinaryExpr,
        matching: &VectorMatching,
        left: Vector,
        right: Vector,
    ) -> Outcome<Vector> {
        let fill = &matching.fill;
        let has_fill = fill.lhs.is_some() || fill.rhs.is_some();
        let is_either_empty = left.is_empty() || right.is_empty();
        if (left.is_empty() && right.is_empty()) || (is_either_empty && !has_fill) {
            return Ok(Vector::new());
        }
        let swapped = matching.card == MatchCardinality::OneToMany;
        // Upstream swaps the sides of a match, not those of the values to fill in.
        let (many, one) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let mut partners: BTreeMap<Labels, Item> = BTreeMap::new();
        for item in one {
            if partners
                .insert(group(&item.labels, matching), item)
                .is_some()
            {
                return Err(ReferenceError::Labels);
            }
        }
        let mut join = Join {
            reference: self,
            node,
            matching,
            swapped,
            matched: BTreeMap::new(),
            out: Vector::new(),
        };
        let (fill_many, fill_one) = (fill.lhs, fill.rhs);
        for item in &many {
            let key = group(&item.labels, matching);
            match (partners.get(&key), fill_one) {
                (Some(partner), _) => join.pair(&key, item, partner)?,
                (None, Some(value)) => join.pair(&key, item, &stand_in(&key, value))?,
                (None, None) => {}
            }
        }
        if let Some(value) = fill_many {
            for (key, partner) in &partners {
                if !join.matched.contains_key(key) {
                    join.pair(key, &stand_in(key, value), partner)?;
                }
            }
        }
        Ok(join.out)
    }
}

struct Join<'a> {
    reference: &'a Reference<'a>,
    node: &'a BinaryExpr,
    matching: &'a VectorMatching,
    swapped: bool,
    /// Results so far, by match group.
    matched: BTreeMap<Labels, BTreeSet<Labels>>,
    out: Vector,
}

impl Join<'_> {
    fn pair(&mut self, key: &Labels, many: &Item, one: &Item) -> Outcome<()> {
        let (left, right) = if self.swapped {
            (one, many)
        } else {
            (many, one)
        };
        let Some((value, keep)) = apply(self.node.op, &left.value, &right.value) else {
            if self.matching.fill.lhs.is_some() {
                return Err(ReferenceError::Undetermined(
                    "whether a pair that does not go together is filled in",
                ));
            }
            return Ok(());
        };
        let mut item = Item {
            labels: many.labels.clone(),
            value,
            drop_name: many.drop_name,
        };
        if is_arithmetic(self.node.op) {
            // Between vectors arithmetic never waits with that, as upstream.
            item.labels = item.labels.without_metric_name();
            item.drop_name = false;
        } else if changes_metric(self.node) {
            self.reference.drop_name(&mut item);
        }
        item.labels = self.result_labels(&item.labels, one)?;
        let is_one_to_one = self.matching.card == MatchCardinality::OneToOne;
        if is_one_to_one && self.matched.contains_key(key) {
            return Err(ReferenceError::Labels);
        }
        let results = self.matched.entry(key.clone()).or_default();
        if !results.insert(item.labels.clone()) {
            return Err(ReferenceError::Labels);
        }
        if self.node.return_bool {
            item.value = SampleValue::Float(f64::from(u8::from(keep)));
        }
        if keep || self.node.return_bool {
            self.out.push(item);
        }
        Ok(())
    }

    fn result_labels(&self, many: &Labels, one: &Item) -> Outcome<Labels> {
        let names = &self.matching.labels;
        let mut labels = many.clone();
        if self.matching.card == MatchCardinality::OneToOne {
            labels = if self.matching.on {
                labels.keep(names)
            } else {
                labels.filter(|name| !names.iter().any(|other| other == name))
            };
        }
        let mut builder = LabelsBuilder::new(labels);
        for name in &self.matching.include {
            builder.set(name, one.labels.value_or_empty(name));
        }
        builder.build().map_err(|_| ReferenceError::Argument)
    }
}

/// Refuses to say what becomes of a series of which one side of `or` still has the name that the
/// other one is going to drop: upstream goes by the first step at which either is there.
fn check_flags(left: &Steps, right: &Steps) -> Outcome<()> {
    let flags: BTreeSet<(&Labels, bool)> = left
        .iter()
        .flatten()
        .map(|item| (&item.labels, item.drop_name))
        .collect();
    if right
        .iter()
        .flatten()
        .any(|item| flags.contains(&(&item.labels, !item.drop_name)))
    {
        return Err(ReferenceError::Undetermined(
            "a series with and without its name",
        ));
    }
    Ok(())
}

/// As [`check_flags`], where one side has no sample but would drop the names that the other keeps.
fn check_names(node: &BinaryExpr) -> Outcome<()> {
    let names = |side: &Expr| -> BTreeSet<String> {
        let selectors = side.selectors().into_iter();
        selectors.map(|selector| selector.name.clone()).collect()
    };
    let is_shared = !names(&node.lhs).is_disjoint(&names(&node.rhs));
    if is_shared && drops_name(&node.lhs) != drops_name(&node.rhs) {
        return Err(ReferenceError::Undetermined(
            "a series with and without its name",
        ));
    }
    Ok(())
}

/// Whether a vector's names are going to be dropped, by the node that makes it.
fn drops_name(expr: &Expr) -> bool {
    match expr.unwrap_parens() {
        Expr::Unary(unary) => unary.op == UnaryOp::Minus,
        Expr::Binary(binary) if binary.op.is_set() => {
            drops_name(&binary.lhs) || drops_name(&binary.rhs)
        }
        Expr::Binary(binary) => changes_metric(binary) || drops_name(&binary.lhs),
        Expr::Aggregate(aggregate) => drops_name(&aggregate.expr),
        Expr::Call(call) => match call.func.name {
            "last_over_time" | "first_over_time" => false,
            "info" | "label_replace" | "label_join" | "sort" | "sort_desc" | "sort_by_label"
            | "sort_by_label_desc" => call.args.first().is_some_and(drops_name),
            _ => true,
        },
        _ => false,
    }
}

/// The labels in which matching series agree.
fn group(labels: &Labels, matching: &VectorMatching) -> Labels {
    if matching.on {
        labels.keep(&matching.labels)
    } else {
        labels.without(&matching.labels)
    }
}

fn stand_in(key: &Labels, value: f64) -> Item {
    Item {
        labels: key.clone(),
        value: SampleValue::Float(value),
        drop_name: false,
    }
}

fn changes_metric(node: &BinaryExpr) -> bool {
    node.return_bool || is_arithmetic(node.op)
}

/// Trimming a histogram and comparisons leave the metric what it is.
fn is_arithmetic(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

fn set(op: BinaryOp, matching: &VectorMatching, left: Vector, right: Vector) -> Vector {
    let groups = |vector: &Vector| -> BTreeSet<Labels> {
        vector
            .iter()
            .map(|item| group(&item.labels, matching))
            .collect()
    };
    let (in_left, in_right) = (groups(&left), groups(&right));
    let is_in =
        |groups: &BTreeSet<Labels>, item: &Item| groups.contains(&group(&item.labels, matching));
    match op {
        BinaryOp::And => left
            .into_iter()
            .filter(|item| is_in(&in_right, item))
            .collect(),
        BinaryOp::Unless => left
            .into_iter()
            .filter(|item| !is_in(&in_right, item))
            .collect(),
        _ => {
            let more = right.into_iter().filter(|item| !is_in(&in_left, item));
            let more: Vector = more.collect();
            left.into_iter().chain(more).collect()
        }
    }
}

fn scalars(node: &BinaryExpr, left: &Vector, right: &Vector) -> Vector {
    let number = |vector: &Vector| vector.first().and_then(Item::float).unwrap_or(f64::NAN);
    let (left, right) = (number(left), number(right));
    let (value, keep) = floats(node.op, left, right);
    let value = if node.op.is_comparison() {
        f64::from(u8::from(keep))
    } else {
        value
    };
    super::evaluate::scalar(value)
}

/// The result, and whether a comparison holds; `None` where the operator does not take the values.
fn apply(op: BinaryOp, left: &SampleValue, right: &SampleValue) -> Option<(SampleValue, bool)> {
    use SampleValue::{Float, Histogram};
    let histogram = |histogram: FloatHistogram| Some((Histogram(Arc::new(histogram)), true));
    match (left, right) {
        (Float(_), Float(_)) if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) => None,
        (Float(a), Float(b)) => {
            let (value, keep) = floats(op, *a, *b);
            Some((Float(value), keep))
        }
        (Float(factor), Histogram(h)) | (Histogram(h), Float(factor)) if op == BinaryOp::Mul => {
            let mut result = (**h).clone();
            result.scale(*factor);
            result.compact(0);
            histogram(result)
        }
        (Histogram(h), Float(divisor)) if op == BinaryOp::Div => {
            let mut result = (**h).clone();
            result.divide(*divisor);
            result.compact(0);
            histogram(result)
        }
        (Histogram(h), Float(bound)) if op == BinaryOp::TrimUpper => {
            histogram(h.trim_upper(*bound))
        }
        (Histogram(h), Float(bound)) if op == BinaryOp::TrimLower => {
            histogram(h.trim_lower(*bound))
        }
        (Histogram(a), Histogram(b)) => match op {
            BinaryOp::Add => {
                let mut result = (**a).clone();
                // As upstream: contradicting counter resets have no sum, but a warning.
                if result.add(b).ok()?.counter_reset_collision {
                    return None;
                }
                result.compact(0);
                histogram(result)
            }
            BinaryOp::Sub => {
                let mut result = (**a).clone();
                if result.sub(b).ok()?.counter_reset_collision {
                    return None;
                }
                result.counter_reset_hint = CounterResetHint::Gauge;
                result.compact(0);
                histogram(result)
            }
            BinaryOp::Eq => Some((left.clone(), a.means_same(b))),
            BinaryOp::Ne => Some((left.clone(), !a.means_same(b))),
            _ => None,
        },
        _ => None,
    }
}

fn floats(op: BinaryOp, a: f64, b: f64) -> (f64, bool) {
    match op {
        BinaryOp::Add => (a + b, true),
        BinaryOp::Sub => (a - b, true),
        BinaryOp::Mul => (a * b, true),
        BinaryOp::Div => (a / b, true),
        BinaryOp::Mod => (a % b, true),
        BinaryOp::Pow => (a.powf(b), true),
        BinaryOp::Atan2 => (a.atan2(b), true),
        BinaryOp::Eq => (a, a == b),
        BinaryOp::Ne => (a, a != b),
        BinaryOp::Lt => (a, a < b),
        BinaryOp::Le => (a, a <= b),
        BinaryOp::Gt => (a, a > b),
        BinaryOp::Ge => (a, a >= b),
        _ => (f64::NAN, false),
    }
}
