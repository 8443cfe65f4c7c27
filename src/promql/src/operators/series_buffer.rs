//! Random access to the series of an operator, which itself gives them in order.

use hashbrown::HashMap;

use super::{Operator, Shared};
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::slice::{Bitmap, SeriesSlice};

/// Reads an operator's series in order and holds those that are wanted later.
pub(crate) struct SeriesBuffer {
    input: Box<dyn Operator>,
    shared: Shared,
    /// How often each series will still be asked for.
    uses: Vec<u32>,
    next_input: usize,
    held: HashMap<usize, (SeriesSlice, Reservation)>,
    scratch: SeriesSlice,
    presence: Presence,
}

/// Steps at which groups of series have points, noted as the series pass.
#[derive(Default)]
pub(crate) struct Presence {
    /// For each series its group; series without one, and behind the end, are not watched.
    group_of: Vec<Option<usize>>,
    groups: Vec<GroupPresence>,
}

/// What is known of a group.
#[derive(Clone)]
struct GroupPresence {
    /// Steps at which a series has a point, and the last such series.
    seen: Bitmap,
    last: usize,
    /// Steps at which several series have one, and two such series.
    doubled: Bitmap,
    pair: (usize, usize),
}

impl Presence {
    /// Watches the series that have a group; groups count from 0.
    pub(crate) fn new(group_of: Vec<Option<usize>>, steps: usize) -> Self {
        let groups = group_of.iter().flatten().max().map_or(0, |last| last + 1);
        let none = Bitmap::none(steps);
        let group = GroupPresence {
            seen: none.clone(),
            last: 0,
            doubled: none,
            pair: (0, 0),
        };
        Self {
            group_of,
            groups: vec![group; groups],
        }
    }

    fn note(&mut self, series: usize, present: &Bitmap) {
        let Some(Some(group)) = self.group_of.get(series) else {
            return;
        };
        let group = &mut self.groups[*group];
        if group.seen.intersects(present) {
            let mut both = group.seen.clone();
            both.intersect(present);
            group.doubled.union(&both);
            group.pair = (series, group.last);
        }
        if !present.is_empty() {
            group.last = series;
        }
        group.seen.union(present);
    }

    /// Two series of one group that have a point at the same step, of those steps at which a group
    /// of `other` has one.
    pub(crate) fn doubled_within(&self, other: &Self) -> Option<(usize, usize)> {
        let is_met = |group: &&GroupPresence| {
            other
                .groups
                .iter()
                .any(|within| within.seen.intersects(&group.doubled))
        };
        self.groups.iter().find(is_met).map(|group| group.pair)
    }
}

impl SeriesBuffer {
    /// `uses` says for every series of `input` how often it will be asked for. The input's
    /// [`Operator::series`] must have been called.
    pub(crate) fn new(
        input: Box<dyn Operator>,
        uses: Vec<u32>,
        presence: Presence,
        shared: Shared,
    ) -> Self {
        Self {
            input,
            shared,
            uses,
            next_input: 0,
            held: HashMap::new(),
            scratch: SeriesSlice::default(),
            presence,
        }
    }

    /// Reads over all series that are left, and gives what was noted of all of them.
    pub(crate) fn finish(&mut self) -> Result<&Presence, EngineError> {
        while self.next_input < self.uses.len() {
            self.advance()?;
        }
        Ok(&self.presence)
    }

    /// Copies series `index` into `out`.
    pub(crate) fn read(&mut self, index: usize, out: &mut SeriesSlice) -> Result<(), EngineError> {
        while self.next_input < index {
            self.advance()?;
        }
        let last_use = self.uses[index] == 1;
        self.uses[index] = self.uses[index].saturating_sub(1);
        if self.next_input == index {
            self.next_input += 1;
            self.input.next(out)?;
            self.presence.note(index, &out.present);
            if !last_use {
                let held = self.reserve(out)?;
                self.held.insert(index, (out.clone(), held));
            }
        } else if last_use {
            if let Some((slice, _)) = self.held.remove(&index) {
                *out = slice;
            }
        } else if let Some((slice, _)) = self.held.get(&index) {
            out.copy_from(slice);
        }
        Ok(())
    }

    /// Reads over one series, and holds it if it is wanted later.
    fn advance(&mut self) -> Result<(), EngineError> {
        let index = self.next_input;
        self.next_input += 1;
        self.input.next(&mut self.scratch)?;
        self.presence.note(index, &self.scratch.present);
        if self.uses[index] > 0 {
            let held = self.reserve(&self.scratch)?;
            self.held
                .insert(index, (std::mem::take(&mut self.scratch), held));
        }
        Ok(())
    }

    fn reserve(&self, slice: &SeriesSlice) -> Result<Reservation, EngineError> {
        Reservation::of_slice(&self.shared.limits, slice)
    }
}
