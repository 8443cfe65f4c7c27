//! Matching with `fill`: points without a partner meet a constant. Made of the plain operators: the
//! join, and for each filled side what `unless` leaves of the other one.

mod recording;

use promql_syntax::ast::{BinaryOp, MatchCardinality, VectorMatching};

use self::recording::Recording;
use super::elementwise::{Elementwise, Problems};
use super::matching::{match_labels, result_labels};
use super::{JoinOperator, SetOperator};
use crate::error::EngineError;
use crate::operators::{Operator, SeriesMeta, Shared};
use crate::slice::{Point, SeriesSlice};

/// An operator between two vectors, one or both of which are filled. Both sides are held, as each
/// is read up to three times. Equal labels are the merge operator's part.
pub(crate) struct FillOperator {
    left: Box<dyn Operator>,
    right: Box<dyn Operator>,
    element: Elementwise,
    matching: VectorMatching,
    steps: usize,
    shared: Shared,
    /// The parts with the number of series that they still have.
    parts: std::collections::VecDeque<(Box<dyn Operator>, usize)>,
}

impl FillOperator {
    pub(crate) fn new(
        (left, right): (Box<dyn Operator>, Box<dyn Operator>),
        element: Elementwise,
        matching: VectorMatching,
        steps: usize,
        shared: Shared,
    ) -> Self {
        let parts = std::collections::VecDeque::new();
        Self {
            left,
            right,
            element,
            matching,
            steps,
            shared,
            parts,
        }
    }

    fn parts(&mut self) -> Result<Vec<Box<dyn Operator>>, EngineError> {
        let left = Recording::of(&mut *self.left, &self.shared)?;
        let right = Recording::of(&mut *self.right, &self.shared)?;
        let is_swapped = self.matching.card == MatchCardinality::OneToMany;
        let (many, one) = if is_swapped {
            (&right, &left)
        } else {
            (&left, &right)
        };
        let plain = VectorMatching {
            fill: Default::default(),
            ..self.matching.clone()
        };
        let join = JoinOperator::new(
            (left.replay(), right.replay()),
            self.element,
            plain.clone(),
            self.steps,
            self.shared.clone(),
        );
        let mut parts: Vec<Box<dyn Operator>> = vec![Box::new(join)];
        let fill = self.matching.fill;
        // Points of the one side that no partner goes together with are as good as alone.
        let partners = match fill.lhs {
            Some(_)
                if self.element.numbers().is_none()
                    || left.has_histograms()
                    || right.has_histograms() =>
            {
                let goes_together = |many: Point<'_>, one: Point<'_>| match is_swapped {
                    true => self.element.goes_together(one, many),
                    false => self.element.goes_together(many, one),
                };
                many.meeting(one, &plain, goes_together, &self.shared)?
            }
            _ => many.clone(),
        };
        // As upstream: with `group_right` too, `fill_left` is for the many side.
        for (role, missing, kept, other) in [
            (Role::Many, fill.rhs, many, one),
            (Role::One, fill.lhs, one, &partners),
        ] {
            let Some(missing) = missing else { continue };
            parts.push(Box::new(UnmatchedOperator {
                input: SetOperator::new(
                    (kept.replay(), other.replay()),
                    BinaryOp::Unless,
                    plain.clone(),
                    self.steps,
                    self.shared.clone(),
                ),
                role,
                missing,
                is_left: (role == Role::Many) != is_swapped,
                element: self.element,
                matching: plain.clone(),
                shared: self.shared.clone(),
                constant: SeriesSlice::default(),
                missing_series: 0,
                problems: Problems::default(),
            }));
        }
        Ok(parts)
    }
}

impl Operator for FillOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let mut metas = Vec::new();
        for mut part in self.parts()? {
            let series = part.series()?;
            self.parts.push_back((part, series.len()));
            metas.extend(series);
        }
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        while let Some((part, series)) = self.parts.front_mut() {
            if *series > 0 {
                *series -= 1;
                return part.next(out);
            }
            self.parts.pop_front();
        }
        out.reset(self.steps);
        Ok(())
    }
}

/// Which side of the match points are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Many,
    One,
}

/// The points of one side that have no partner, with a constant in its place.
struct UnmatchedOperator {
    input: SetOperator,
    role: Role,
    /// The value of the partner that is missing.
    missing: f64,
    /// Whether the points are the left operand.
    is_left: bool,
    element: Elementwise,
    matching: VectorMatching,
    shared: Shared,
    constant: SeriesSlice,
    /// How many series are yet to be computed.
    missing_series: usize,
    problems: Problems,
}

impl Operator for UnmatchedOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let changes_metric = self.element.changes_metric();
        let drops_now = self.element.drops_metadata(self.shared.name_removal);
        let relabel = |meta: SeriesMeta| {
            let partner = match_labels(&meta.labels, &self.matching);
            let (many, one) = match self.role {
                Role::Many => (meta.clone(), partner),
                Role::One => (SeriesMeta::new(partner), meta.labels.clone()),
            };
            Ok(SeriesMeta {
                labels: result_labels(&many, &one, &self.matching, drops_now)?,
                drop_name: !drops_now && (many.drop_name || changes_metric),
            })
        };
        let metas = self.input.series()?;
        self.missing_series = metas.len();
        metas.into_iter().map(relabel).collect()
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.input.next(out)?;
        self.constant.reset(out.values.len());
        self.constant.values.fill(self.missing);
        self.constant.present.clone_from(&out.present);
        let problems = &mut self.problems;
        if self.is_left {
            self.element.apply(out, &self.constant, problems);
        } else {
            self.element.apply(&mut self.constant, out, problems);
            std::mem::swap(out, &mut self.constant);
        }
        self.missing_series = self.missing_series.saturating_sub(1);
        if self.missing_series == 0 {
            self.problems.report(&self.element, &self.shared.notes);
        }
        Ok(())
    }
}
