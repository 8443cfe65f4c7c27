//! Arithmetic and comparison between two vectors. Matches are worked out from the labels alone; then
//! the many side streams, and the one side is held only as long as it is needed.

mod plan;

use promql_syntax::ast::{MatchCardinality, VectorMatching};

use self::plan::{JoinPlan, OneSide};
use super::elementwise::{Elementwise, Problems};
use super::matching::match_labels;
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::operators::series_buffer::{Presence, SeriesBuffer};
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared, metas_bytes};
use crate::slice::{Bitmap, SeriesSlice};

/// An operator between two vectors. Equal labels are the merge operator's part.
pub(crate) struct JoinOperator {
    /// The side with several series in a group: the left one, unless `group_right` says otherwise.
    /// Gone once the labels are known, as is the other.
    many: Option<Box<dyn Operator>>,
    one: Option<Box<dyn Operator>>,
    element: Elementwise,
    matching: VectorMatching,
    steps: usize,
    shared: Shared,
    problems: Problems,
    running: Option<Running>,
}

/// What exists once the labels are known.
struct Running {
    plan: JoinPlan,
    many: SeriesBuffer,
    one: SeriesBuffer,
    /// Whether a match group has several series on the one side.
    has_crowds: bool,
    one_metas: Vec<SeriesMeta>,
    contested: Vec<Option<Contested>>,
    /// For results that exclude each other: the steps that have had a match.
    matched: Vec<Bitmap>,
    next_output: usize,
    /// The one side of the current output.
    one_slice: SeriesSlice,
    _memory: Reservation,
}

/// A match group with several series on the one side, read.
struct Contested {
    /// For each variant its series in one.
    variants: Vec<SeriesSlice>,
    /// The steps at which several series have a point, and two such series.
    duplicates: Bitmap,
    pair: (usize, usize),
    /// How many outputs still need it.
    uses: usize,
    _memory: Reservation,
}

impl JoinOperator {
    pub(crate) fn new(
        (left, right): (Box<dyn Operator>, Box<dyn Operator>),
        element: Elementwise,
        matching: VectorMatching,
        steps: usize,
        shared: Shared,
    ) -> Self {
        let (many, one) = match matching.card {
            MatchCardinality::OneToMany => (right, left),
            _ => (left, right),
        };
        Self {
            many: Some(many),
            one: Some(one),
            element,
            matching,
            steps,
            shared,
            problems: Problems::default(),
            running: None,
        }
    }

    /// Works out the matches of both sides and their series. Apart from [`Operator::series`], which
    /// calls itself for each operator below, as this takes much stack.
    #[inline(never)]
    fn start(
        &mut self,
        many: (Box<dyn Operator>, Vec<SeriesMeta>),
        one: (Box<dyn Operator>, Vec<SeriesMeta>),
    ) -> Result<Vec<SeriesMeta>, EngineError> {
        let bytes = metas_bytes(&many.1).saturating_add(metas_bytes(&one.1));
        let mut memory = Reservation::bytes(&self.shared.limits, bytes)?;
        let (mut plan, outputs) = JoinPlan::new(
            (&many.1, &one.1),
            &self.element,
            &self.matching,
            self.shared.name_removal,
        )?;
        memory.add_bytes(plan.exclusive_results.saturating_mul(self.steps / 8))?;
        let (many_uses, one_uses) = plan.take_uses();
        let crowds = std::mem::take(&mut plan.crowds);
        let has_crowds = crowds.iter().any(Option::is_some);
        // Any point of the many side makes several ones of a group an error.
        let watched = if has_crowds {
            vec![Some(0); many_uses.len()]
        } else {
            Vec::new()
        };
        let (watched, crowds) = (
            Presence::new(watched, self.steps),
            Presence::new(crowds, self.steps),
        );
        let has_outputs = !plan.outputs.is_empty();
        let running = self.running.insert(Running {
            many: SeriesBuffer::new(many.0, many_uses, watched, self.shared.clone()),
            one: SeriesBuffer::new(one.0, one_uses, crowds, self.shared.clone()),
            has_crowds,
            one_metas: one.1,
            contested: plan.contested.iter().map(|_| None).collect(),
            matched: vec![Bitmap::none(self.steps); plan.exclusive_results],
            plan,
            next_output: 0,
            one_slice: SeriesSlice::default(),
            _memory: memory,
        });
        if !has_outputs {
            running.check_crowds(&self.matching)?;
        }
        Ok(outputs)
    }
}

impl Operator for JoinOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let (Some(mut many), Some(mut one)) = (self.many.take(), self.one.take()) else {
            return Ok(Vec::new());
        };
        let many_metas = many.series()?;
        let one_metas = one.series()?;
        self.start((many, many_metas), (one, one_metas))
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        let Some(running) = &mut self.running else {
            out.reset(self.steps);
            return Ok(());
        };
        let index = running.next_output;
        running.next_output += 1;
        if index.is_multiple_of(SERIES_PER_CHECK) {
            self.shared.limits.check()?;
        }
        let output = running.plan.outputs[index];
        running.many.read(output.many, out)?;
        match output.one {
            OneSide::Single(series) => running.one.read(series, &mut running.one_slice)?,
            OneSide::Contested { group, variant } => {
                running.read_contested(group, self.steps, &self.shared)?;
                running.take_variant((group, variant), &out.present, &self.matching)?;
            }
        }
        let mut matched = output.exclusive.map(|_| {
            let mut matched = out.present.clone();
            matched.intersect(&running.one_slice.present);
            matched
        });
        let problems = &mut self.problems;
        let refused = if self.matching.card == MatchCardinality::OneToMany {
            let refused = self.element.apply(&mut running.one_slice, out, problems);
            std::mem::swap(out, &mut running.one_slice);
            refused
        } else {
            self.element.apply(out, &running.one_slice, problems)
        };
        if let (Some(exclusive), Some(matched)) = (output.exclusive, &mut matched) {
            if let Some(refused) = refused {
                matched.subtract(&refused);
            }
            running.claim(exclusive, matched, self.matching.card)?;
        }
        if running.next_output == running.plan.outputs.len() {
            running.check_crowds(&self.matching)?;
            self.problems.report(&self.element, &self.shared.notes);
        }
        Ok(())
    }
}

impl Running {
    /// Notes the steps at which an output has a match; no other of its set may have one there.
    fn claim(
        &mut self,
        exclusive: usize,
        matched: &Bitmap,
        card: MatchCardinality,
    ) -> Result<(), EngineError> {
        let seen = &mut self.matched[exclusive];
        if seen.intersects(matched) {
            return Err(match card {
                MatchCardinality::OneToOne => EngineError::ImplicitManyToOne,
                _ => EngineError::AmbiguousGrouping,
            });
        }
        seen.union(matched);
        Ok(())
    }

    /// Reads all series on the one side of a group that has several.
    fn read_contested(
        &mut self,
        group: usize,
        steps: usize,
        shared: &Shared,
    ) -> Result<(), EngineError> {
        if self.contested[group].is_some() {
            return Ok(());
        }
        let planned = &self.plan.contested[group];
        let variants = planned.variants;
        let memory = Reservation::slice(&shared.limits, steps.saturating_mul(variants), 0)?;
        let mut contested = Contested {
            variants: vec![SeriesSlice::new(steps); variants],
            duplicates: Bitmap::none(steps),
            pair: (0, 0),
            uses: planned.uses,
            _memory: memory,
        };
        let mut seen = Bitmap::none(steps);
        let mut last_at: Vec<usize> = vec![0; steps];
        for (series, variant) in &planned.members {
            self.one.read(*series, &mut self.one_slice)?;
            let present = &self.one_slice.present;
            if seen.intersects(present) {
                let mut both = seen.clone();
                both.intersect(present);
                if let Some(step) = both.iter().next() {
                    contested.pair = (*series, last_at[step]);
                }
                contested.duplicates.union(&both);
            }
            for step in present.iter() {
                last_at[step] = *series;
            }
            seen.union(present);
            contested.variants[*variant].merge(&self.one_slice);
        }
        self.contested[group] = Some(contested);
        Ok(())
    }

    /// Copies a variant of a contested group, unless the many side has a point where the one side
    /// has several.
    fn take_variant(
        &mut self,
        (group, variant): (usize, usize),
        many_present: &Bitmap,
        matching: &VectorMatching,
    ) -> Result<(), EngineError> {
        let Some(contested) = &mut self.contested[group] else {
            return Ok(());
        };
        if contested.duplicates.intersects(many_present) {
            let pair = contested.pair;
            return Err(self.duplicate(pair, matching));
        }
        self.one_slice.copy_from(&contested.variants[variant]);
        contested.uses = contested.uses.saturating_sub(1);
        if contested.uses == 0 {
            self.contested[group] = None;
        }
        Ok(())
    }

    /// Refuses several points of a match group on the one side at a step where the many side has
    /// any point, even if none of them is of that group. Called when all outputs were read. Source:
    /// upstream `VectorBinop`.
    fn check_crowds(&mut self, matching: &VectorMatching) -> Result<(), EngineError> {
        if !self.has_crowds {
            return Ok(());
        }
        let many = self.many.finish()?;
        match self.one.finish()?.doubled_within(many) {
            None => Ok(()),
            Some(pair) => Err(self.duplicate(pair, matching)),
        }
    }

    fn duplicate(&self, (first, second): (usize, usize), matching: &VectorMatching) -> EngineError {
        let labels = |series: usize| self.one_metas[series].labels.clone();
        EngineError::DuplicateOnOneSide {
            group: match_labels(&self.one_metas[first].labels, matching),
            side: match matching.card {
                MatchCardinality::OneToMany => "left",
                _ => "right",
            },
            first: labels(first),
            second: labels(second),
        }
    }
}
