//! `and`, `or`, `unless`: which points stay depends on whether there is a match, never on values.
//! So of the other side only the steps with a point are held, not the values.

use promql_syntax::ast::{BinaryOp, VectorMatching};

use super::matching::MatchGroups;
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared};
use crate::slice::{Bitmap, SeriesSlice};

/// A set operator.
pub(crate) struct SetOperator {
    op: BinaryOp,
    matching: VectorMatching,
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    steps: usize,
    shared: Shared,
    left_groups: Vec<usize>,
    right_groups: Vec<usize>,
    /// For each group that both sides have: the steps with a point on the side that decides.
    present: Vec<Option<Bitmap>>,
    next_series: usize,
    memory: Reservation,
}

impl SetOperator {
    pub(crate) fn new(
        (left, right): (Box<dyn Operator>, Box<dyn Operator>),
        op: BinaryOp,
        matching: VectorMatching,
        steps: usize,
        shared: Shared,
    ) -> Self {
        let memory = Reservation::empty(&shared.limits);
        Self {
            op,
            matching,
            left,
            right,
            steps,
            shared,
            left_groups: Vec::new(),
            right_groups: Vec::new(),
            present: Vec::new(),
            next_series: 0,
            memory,
        }
    }

    /// Reads the right side for the steps at which each group has a point.
    fn read_right(&mut self) -> Result<(), EngineError> {
        let mut slice = SeriesSlice::default();
        for (index, group) in self.right_groups.iter().enumerate() {
            if index.is_multiple_of(SERIES_PER_CHECK) {
                self.shared.limits.check()?;
            }
            self.right.next(&mut slice)?;
            if let Some(present) = &mut self.present[*group] {
                present.union(&slice.present);
            }
        }
        Ok(())
    }
}

impl Operator for SetOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let mut outputs = self.left.series()?;
        let right = self.right.series()?;
        let mut groups = MatchGroups::new(&self.matching);
        let numbers = |groups: &mut MatchGroups<'_>, metas: &[SeriesMeta]| {
            metas
                .iter()
                .map(|meta| groups.number(&meta.labels))
                .collect::<Vec<_>>()
        };
        self.left_groups = numbers(&mut groups, &outputs);
        let on_left = groups.len();
        self.right_groups = numbers(&mut groups, &right);
        self.present = vec![None; groups.len()];
        let group_bytes = size_of::<Bitmap>() + self.steps / 8;
        for group in self.right_groups.iter().filter(|group| **group < on_left) {
            if self.present[*group].is_none() {
                self.memory.add_bytes(group_bytes)?;
                self.present[*group] = Some(Bitmap::none(self.steps));
            }
        }
        if self.op == BinaryOp::Or {
            outputs.extend(right);
        } else {
            self.read_right()?;
        }
        Ok(outputs)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let index = self.next_series;
        self.next_series += 1;
        if let Some(group) = self.left_groups.get(index) {
            self.left.next(out)?;
            let present = &mut self.present[*group];
            match (self.op, present) {
                (BinaryOp::Or, Some(present)) => present.union(&out.present),
                (BinaryOp::Unless, Some(present)) => out.present.subtract(present),
                (BinaryOp::And, Some(present)) => out.present.intersect(present),
                (BinaryOp::And, None) => out.reset(self.steps),
                _ => {}
            }
            return Ok(());
        }
        self.right.next(out)?;
        if let Some(group) = self.right_groups.get(index - self.left_groups.len())
            && let Some(present) = &self.present[*group]
        {
            out.present.subtract(present);
        }
        Ok(())
    }
}
