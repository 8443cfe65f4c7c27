//! All series of an operator, to be read several times.

use std::sync::Arc;

use promql_syntax::ast::VectorMatching;

use super::super::matching::MatchGroups;
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::operators::{Operator, SERIES_PER_CHECK, SeriesMeta, Shared, metas_bytes};
use crate::slice::{Point, SeriesSlice};

/// What an operator gave.
#[derive(Clone)]
pub(super) struct Recording(Arc<Recorded>);

struct Recorded {
    metas: Vec<SeriesMeta>,
    slices: Vec<SeriesSlice>,
    _memory: Reservation,
}

impl Recording {
    pub(super) fn of(input: &mut dyn Operator, shared: &Shared) -> Result<Self, EngineError> {
        let metas = input.series()?;
        let mut memory = Reservation::bytes(&shared.limits, metas_bytes(&metas))?;
        let mut slices = Vec::with_capacity(metas.len());
        for index in 0..metas.len() {
            if index.is_multiple_of(SERIES_PER_CHECK) {
                shared.limits.check()?;
            }
            let mut slice = SeriesSlice::default();
            input.next(&mut slice)?;
            memory.add_slice(&slice)?;
            slices.push(slice);
        }
        Ok(Self(Arc::new(Recorded {
            metas,
            slices,
            _memory: memory,
        })))
    }

    /// Whether any point is a histogram.
    pub(super) fn has_histograms(&self) -> bool {
        let mut slices = self.0.slices.iter();
        slices.any(|slice| !slice.histograms.is_empty())
    }

    /// The points, as floats, that have a partner among those of `one` which they go together with.
    pub(super) fn meeting(
        &self,
        one: &Self,
        matching: &VectorMatching,
        goes_together: impl Fn(Point<'_>, Point<'_>) -> bool,
        shared: &Shared,
    ) -> Result<Self, EngineError> {
        let mut groups = MatchGroups::new(matching);
        let mut members: Vec<Vec<&SeriesSlice>> = Vec::new();
        for (meta, slice) in one.0.metas.iter().zip(&one.0.slices) {
            let group = groups.number(&meta.labels);
            members.resize_with(members.len().max(group + 1), Vec::new);
            members[group].push(slice);
        }
        let mut memory = Reservation::empty(&shared.limits);
        let mut slices = Vec::with_capacity(self.0.slices.len());
        for (index, (meta, slice)) in self.0.metas.iter().zip(&self.0.slices).enumerate() {
            if index.is_multiple_of(SERIES_PER_CHECK) {
                shared.limits.check()?;
            }
            let mut meeting = SeriesSlice::new(slice.values.len());
            meeting.present.clone_from(&slice.present);
            let group = groups.number(&meta.labels);
            let partners = members.get(group).map_or(&[][..], Vec::as_slice);
            meeting.present.retain(|step| {
                partners.iter().any(|partner| {
                    partner.present.get(step)
                        && goes_together(slice.point(step), partner.point(step))
                })
            });
            memory.add_slice(&meeting)?;
            slices.push(meeting);
        }
        Ok(Self(Arc::new(Recorded {
            metas: self.0.metas.clone(),
            slices,
            _memory: memory,
        })))
    }

    pub(super) fn replay(&self) -> Box<dyn Operator> {
        Box::new(Replay {
            recorded: Arc::clone(&self.0),
            next_series: 0,
        })
    }
}

struct Replay {
    recorded: Arc<Recorded>,
    next_series: usize,
}

impl Operator for Replay {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        Ok(self.recorded.metas.clone())
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        out.copy_from(&self.recorded.slices[self.next_series]);
        self.next_series += 1;
        Ok(())
    }
}
