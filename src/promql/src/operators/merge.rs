//! Makes one series of those that have the same labels, as happens when names are dropped.

use std::ops::Range;

use hashbrown::HashMap;

use super::{
    METADATA_LABELS, NameRemoval, Operator, SeriesMeta, Shared, metas_bytes, without_metadata,
};
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::slice::SeriesSlice;

/// What happens to the names before series are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// They stay.
    Keep,
    /// They go, now or when the query is done.
    Drop,
    /// They go, but nobody looks: they may stay where that brings no series together.
    DropUnseen,
    /// The query is done: those go that were to go.
    Finish,
}

/// Merges series with the same labels. Two of them having a point at the same step is an error.
/// Costs nothing per point while there is no such pair.
pub(crate) struct MergeOperator {
    input: Box<dyn Operator>,
    names: Names,
    shared: Shared,
    merged: Option<Merged>,
    /// What labels without names count as.
    labels: Reservation,
}

/// Only set up when there is something to merge.
struct Merged {
    /// For each input series its output series.
    targets: Vec<usize>,
    /// For each output series the number of input series yet to come, and what came so far.
    outputs: Vec<Output>,
    next_input: usize,
    next_output: usize,
    scratch: SeriesSlice,
}

#[derive(Default)]
struct Output {
    missing: usize,
    held: Option<(SeriesSlice, Reservation)>,
}

impl MergeOperator {
    pub(crate) fn new(input: Box<dyn Operator>, names: Names, shared: Shared) -> Self {
        let labels = Reservation::empty(&shared.limits);
        Self {
            input,
            names,
            shared,
            merged: None,
            labels,
        }
    }

    /// The input's series with their names dropped if they are to be, and whether two of them can
    /// have the same labels.
    fn input_series(&mut self) -> Result<(Vec<SeriesMeta>, bool), EngineError> {
        let metas = self.input.series()?;
        match self.names {
            Names::Keep => {
                let may_collide = metas.len() > 1;
                Ok((metas, may_collide))
            }
            Names::Drop | Names::DropUnseen => {
                let drops_now = self.shared.name_removal == NameRemoval::Immediate;
                let may_collide = drops_now && metadata_differs(&metas);
                if drops_now && !may_collide && self.names == Names::DropUnseen {
                    return Ok((metas, false));
                }
                let metas = metas
                    .into_iter()
                    .map(|meta| self.shared.drop_name(meta))
                    .collect();
                Ok((metas, may_collide))
            }
            Names::Finish => {
                let may_collide = metas.len() > 1 && metas.iter().any(|meta| meta.drop_name);
                let finish = |meta: SeriesMeta| match meta.drop_name {
                    true => SeriesMeta::new(without_metadata(&meta.labels)),
                    false => meta,
                };
                Ok((metas.into_iter().map(finish).collect(), may_collide))
            }
        }
    }
}

impl Operator for MergeOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let (metas, may_collide) = self.input_series()?;
        self.labels.add_bytes(metas_bytes(&metas))?;
        if !may_collide {
            return Ok(metas);
        }
        let (unique, targets) = merge_equal(metas);
        if unique.len() < targets.len() {
            let mut outputs: Vec<Output> = Vec::new();
            outputs.resize_with(unique.len(), Output::default);
            for target in &targets {
                outputs[*target].missing += 1;
            }
            self.merged = Some(Merged {
                targets,
                outputs,
                next_input: 0,
                next_output: 0,
                scratch: SeriesSlice::default(),
            });
        }
        Ok(unique)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        match &mut self.merged {
            None => self.input.next(out),
            Some(merged) => merged.next(&mut *self.input, &self.shared, out),
        }
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        match &self.merged {
            None => self.input.fork(series),
            Some(_) => None,
        }
    }
}

impl Merged {
    fn next(
        &mut self,
        input: &mut dyn Operator,
        shared: &Shared,
        out: &mut SeriesSlice,
    ) -> Result<(), EngineError> {
        let wanted = self.next_output;
        self.next_output += 1;
        while self.outputs[wanted].missing > 0 {
            let target = self.targets[self.next_input];
            self.next_input += 1;
            input.next(&mut self.scratch)?;
            let output = &mut self.outputs[target];
            output.missing -= 1;
            match &mut output.held {
                Some((held, reservation)) => {
                    if held.present.intersects(&self.scratch.present) {
                        return Err(EngineError::DuplicateLabelset);
                    }
                    held.merge(&self.scratch);
                    *reservation = Reservation::of_slice(&shared.limits, held)?;
                }
                None => {
                    let reservation = Reservation::of_slice(&shared.limits, &self.scratch)?;
                    output.held = Some((self.scratch.clone(), reservation));
                }
            }
        }
        if let Some((held, _)) = self.outputs[wanted].held.take() {
            *out = held;
        }
        Ok(())
    }
}

/// The series without repetitions, in order of their first occurrence, and for each input series
/// its place there. The name goes if any of them drops it.
pub(crate) fn merge_equal(metas: Vec<SeriesMeta>) -> (Vec<SeriesMeta>, Vec<usize>) {
    let mut places: HashMap<model::Labels, usize> = HashMap::with_capacity(metas.len());
    let mut unique: Vec<SeriesMeta> = Vec::with_capacity(metas.len());
    let mut targets = Vec::with_capacity(metas.len());
    for meta in metas {
        let place = *places.entry(meta.labels.clone()).or_insert(unique.len());
        match unique.get_mut(place) {
            Some(first) => first.drop_name |= meta.drop_name,
            None => unique.push(meta),
        }
        targets.push(place);
    }
    (unique, targets)
}

/// Whether series differ in their metadata; if they do not, dropping it keeps them apart.
fn metadata_differs(metas: &[SeriesMeta]) -> bool {
    let metadata =
        |meta: &SeriesMeta| METADATA_LABELS.map(|name| meta.labels.value_or_empty(name).to_owned());
    let [first, rest @ ..] = metas else {
        return false;
    };
    let expected = metadata(first);
    rest.iter().any(|meta| {
        METADATA_LABELS
            .iter()
            .zip(&expected)
            .any(|(name, value)| meta.labels.value_or_empty(name) != value)
    })
}
