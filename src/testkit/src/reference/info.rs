//! `info()`: labels of info metrics on other series. Source: upstream `promql/info.go`.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, LabelsBuilder, METRIC_NAME, Matcher};
use promql::SampleValue;
use promql_syntax::Expr;
use promql_syntax::ast::{Call, ValueType};

use super::evaluate::{Reference, unique};
use super::select::{Place, matches};
use super::{Context, DataPoint, DataSeries, Item, Outcome, ReferenceError, Steps, Vector, bare};

/// The labels that say which info series belongs to which other one.
const IDENTITY: [&str; 2] = ["instance", "job"];

/// What the second argument says.
struct Selection {
    is_given: bool,
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

impl Selection {
    fn of(call: &Call) -> Outcome<Self> {
        let matchers = match call.args.get(1).map(bare) {
            None => Vec::new(),
            Some(Expr::VectorSelector(selector)) => selector.matchers.clone(),
            Some(_) => return Err(ReferenceError::Argument),
        };
        let (names, data): (Vec<_>, Vec<_>) = matchers
            .into_iter()
            .partition(|matcher| matcher.name() == METRIC_NAME);
        Ok(Self {
            is_given: call.args.len() > 1,
            names,
            data,
        })
    }

    /// Whether a metric is one of the info metrics that are asked for.
    fn takes(&self, labels: &Labels) -> bool {
        let name = labels.metric_name().unwrap_or_default();
        if self.names.is_empty() {
            return name == "target_info";
        }
        let is_positive = self.names.iter().any(|matcher| !matcher.matches_empty());
        (is_positive || (name.len() > "_info".len() && name.ends_with("_info")))
            && self.names.iter().all(|matcher| matcher.matches(name))
    }

    /// Whether the label of that name is wanted.
    fn wants(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name() == label)
    }
}

impl Reference<'_> {
    pub(super) fn info(&self, call: &Call, context: Context) -> Outcome<Steps> {
        let selection = Selection::of(call)?;
        let base = self.steps(&call.args[0], context)?;
        let place = self.info_place(&call.args[0])?;
        let mut steps = Steps::new();
        for (at_ms, vector) in context.times().zip(base) {
            let info =
                self.info_series(&selection, place.map_or(at_ms, |place| place.at(at_ms)))?;
            let mut out = Vector::new();
            for item in vector {
                if is_ignored(&selection, &item.labels) {
                    out.push(item);
                } else {
                    out.extend(enriched(&selection, &info, item)?);
                }
            }
            unique(&out)?;
            steps.push(out);
        }
        Ok(steps)
    }

    /// When info series are looked up: as all selectors of the first argument are, if they agree.
    fn info_place(&self, expr: &Expr) -> Outcome<Option<Place>> {
        let mut places = Vec::new();
        if !self.collect_places(expr, &[], &mut places)? {
            return Ok(None);
        }
        let first = places.first().copied();
        let agree = first.is_some_and(|first| places.iter().all(|place| place.is_same(first)));
        Ok(first.filter(|_| agree))
    }

    /// Whether each vector below is made of selectors.
    fn collect_places(
        &self,
        expr: &Expr,
        outer: &[Place],
        places: &mut Vec<Place>,
    ) -> Outcome<bool> {
        let selector = match expr {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(matrix) => Some(&matrix.selector),
            _ => None,
        };
        if let Some(selector) = selector {
            let own = self.place(&selector.time)?;
            places.push(
                outer
                    .iter()
                    .rev()
                    .fold(own, |place, outer| place.inside(*outer)),
            );
            return Ok(true);
        }
        let mut outer = outer.to_vec();
        if let Expr::Subquery(subquery) = expr {
            outer.push(self.place(&subquery.time)?);
        }
        let mut children = expr.children();
        if matches!(expr, Expr::Call(call) if call.func.name == "info") {
            children.truncate(1);
        }
        let is_vector =
            |child: &&Expr| matches!(child.value_type(), ValueType::Vector | ValueType::Matrix);
        let (mut has_any, mut all) = (false, true);
        for child in children.into_iter().filter(is_vector) {
            has_any = true;
            all &= self.collect_places(child, &outer, places)?;
        }
        Ok(has_any && all)
    }

    /// The info series at a time, by their name and identity; of several the newest one.
    fn info_series<'s>(
        &'s self,
        selection: &Selection,
        at_ms: i64,
    ) -> Outcome<BTreeMap<(String, Labels), &'s DataSeries>> {
        let mut found: BTreeMap<(String, Labels), (&DataSeries, &DataPoint)> = BTreeMap::new();
        for series in &self.data.series {
            if !selection.takes(&series.labels) || !matches(&series.labels, &selection.data) {
                continue;
            }
            let Some(point) = self.newest(series, at_ms) else {
                continue;
            };
            if matches!(point.value, SampleValue::Histogram(_)) {
                return Err(ReferenceError::Info);
            }
            let name = series.labels.metric_name().unwrap_or_default().to_owned();
            let key = (name, identity(&series.labels));
            match found.get(&key) {
                Some((_, other)) if other.at_ms == point.at_ms => return Err(ReferenceError::Info),
                Some((_, other)) if other.at_ms > point.at_ms => {}
                _ => {
                    found.insert(key, (series, point));
                }
            }
        }
        Ok(found
            .into_iter()
            .map(|(key, (series, _))| (key, series))
            .collect())
    }
}

fn identity(labels: &Labels) -> Labels {
    labels.keep(&IDENTITY.map(str::to_owned))
}

/// Info series themselves stay as they are.
fn is_ignored(selection: &Selection, labels: &Labels) -> bool {
    let is_named = !selection.names.is_empty() || !selection.is_given;
    is_named && selection.takes(labels)
}

fn enriched(
    selection: &Selection,
    info: &BTreeMap<(String, Labels), &DataSeries>,
    mut item: Item,
) -> Outcome<Option<Item>> {
    let own = identity(&item.labels);
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    let mut is_found = false;
    let base: BTreeSet<&str> = item.labels.iter().map(|(name, _)| name).collect();
    for ((_, other), series) in info {
        if own.is_empty() || *other != own {
            continue;
        }
        is_found = true;
        for (name, value) in &series.labels {
            if name == METRIC_NAME || !selection.wants(name) {
                continue;
            }
            if added.get(name).is_some_and(|known| *known != value) {
                return Err(ReferenceError::Info);
            }
            if !base.contains(name) {
                added.insert(name, value);
            }
        }
    }
    if !is_found
        && selection
            .data
            .iter()
            .any(|matcher| !matcher.matches_empty())
    {
        return Ok(None);
    }
    let mut labels = LabelsBuilder::new(item.labels.clone());
    for (name, value) in added {
        labels.set(name, value);
    }
    item.labels = labels.build().map_err(|_| ReferenceError::Argument)?;
    Ok(Some(item))
}
