//! `topk` and `bottomk`: the series with the most extreme values of each step.

use std::cmp::Ordering;

use promql_syntax::ast::PosRange;

use super::{Extremes, Groups, Param};
use crate::annotations::Annotation;
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::numeric::to_index;
use crate::operators::range_call::read_scalar;
use crate::operators::sort::{ascending, descending};
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared};
use crate::plan::Grouping;
use crate::slice::SeriesSlice;

/// Which values are wanted; NaN comes last either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopOrder {
    /// `topk`
    Largest,
    /// `bottomk`
    Smallest,
}

impl TopOrder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Largest => "topk",
            Self::Smallest => "bottomk",
        }
    }

    fn compare(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::Largest => descending(a, b),
            Self::Smallest => ascending(a, b),
        }
    }
}

/// `topk` or `bottomk`. Everything is computed before the labels are known: only the series that
/// are among the chosen at some step are given out.
pub(crate) struct TopOperator {
    input: Box<dyn Operator>,
    order: TopOrder,
    param: Param,
    grouping: Grouping,
    /// Where the aggregation stands.
    pos: PosRange,
    steps: usize,
    shared: Shared,
    chosen: std::vec::IntoIter<Vec<(usize, f64)>>,
    memory: Reservation,
}

/// A value and its series, in a list with the best first.
type Candidate = (f64, usize);

impl TopOperator {
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (order, param): (TopOrder, Param),
        (grouping, pos): (&Grouping, PosRange),
        steps: usize,
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            order,
            param,
            grouping: grouping.clone(),
            pos,
            steps,
            shared,
            chosen: Vec::new().into_iter(),
            memory,
        }
    }

    /// The best candidates of each group and step: `group · steps + step`.
    fn choose(
        &mut self,
        groups: &Groups,
        counts: &[f64],
    ) -> Result<Vec<Vec<Candidate>>, EngineError> {
        let cells = groups.metas.len().saturating_mul(self.steps);
        self.memory
            .add_bytes(cells.saturating_mul(size_of::<Vec<Candidate>>()))?;
        let mut lists: Vec<Vec<Candidate>> = vec![Vec::new(); cells];
        let mut slice = SeriesSlice::default();
        let mut has_ignored = false;
        for (series, group) in groups.of_series.iter().enumerate() {
            if series.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            self.input.next(&mut slice)?;
            let size = groups.sizes[*group];
            let mut added = 0;
            let is_wanted = |(step, _)| to_index(counts[step]).min(size) > 0;
            if !has_ignored && slice.histogram_points().any(is_wanted) {
                has_ignored = true;
                let annotation = Annotation::IgnoredInAggregation(self.order.as_str());
                self.shared.notes.add(&annotation, self.pos);
            }
            for (step, value) in slice.floats() {
                let wanted = to_index(counts[step]).min(size);
                let list = &mut lists[group * self.steps + step];
                if insert(list, (value, series), wanted, self.order) {
                    added += 1;
                }
            }
            self.memory.add(added * size_of::<Candidate>(), added)?;
        }
        Ok(lists)
    }
}

/// Adds a candidate to a list of at most `wanted`; of equal values the earlier series is better.
/// Returns whether the list became longer.
fn insert(list: &mut Vec<Candidate>, new: Candidate, wanted: usize, order: TopOrder) -> bool {
    let is_full = list.len() >= wanted;
    if is_full
        && list
            .last()
            .is_none_or(|worst| order.compare(new.0, worst.0) != Ordering::Less)
    {
        return false;
    }
    let place = list.partition_point(|old| order.compare(old.0, new.0) != Ordering::Greater);
    if is_full {
        list.pop();
    }
    list.insert(place, new);
    !is_full
}

impl Operator for TopOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let counts = read_scalar(&mut *self.param.operator)?;
        let metas = self.input.series()?;
        Extremes::of(&counts).check_count()?;
        let groups = Groups::new(&metas, &self.grouping, &self.shared.limits)?;
        let lists = self.choose(&groups, &counts)?;
        // In order of groups and, for the one step of an instant query, of values.
        let mut place_of: Vec<Option<usize>> = vec![None; metas.len()];
        let mut chosen: Vec<Vec<(usize, f64)>> = Vec::new();
        let mut outputs = Vec::new();
        for (index, list) in lists.into_iter().enumerate() {
            for (value, series) in list {
                let place = *place_of[series].get_or_insert_with(|| {
                    outputs.push(metas[series].clone());
                    chosen.push(Vec::new());
                    chosen.len() - 1
                });
                chosen[place].push((index % self.steps, value));
            }
        }
        self.chosen = chosen.into_iter();
        Ok(outputs)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.reset(self.steps);
        for (step, value) in self.chosen.next().into_iter().flatten() {
            out.set(step, value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_best_and_of_equals_the_first() {
        for (order, wanted, want) in [
            (TopOrder::Largest, 3, vec![(9.0, 1), (7.0, 2), (7.0, 4)]),
            (TopOrder::Smallest, 2, vec![(1.0, 3), (5.0, 0)]),
            (TopOrder::Largest, 0, vec![]),
        ] {
            let mut list = Vec::new();
            for (series, value) in [5.0, 9.0, 7.0, 1.0, 7.0, f64::NAN].into_iter().enumerate() {
                insert(&mut list, (value, series), wanted, order);
            }
            assert_eq!(list, want);
        }
    }
}
