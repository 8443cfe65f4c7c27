//! Random access to the series of an operator, which itself gives them in order.

use hashbrown::HashMap;

use super::{Operator, Shared};
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::slice::SeriesSlice;

/// Reads an operator's series in order and holds those that are wanted later.
pub(crate) struct SeriesBuffer {
    input: Box<dyn Operator>,
    shared: Shared,
    /// How often each series will still be asked for.
    uses: Vec<u32>,
    next_input: usize,
    held: HashMap<usize, (SeriesSlice, Reservation)>,
    scratch: SeriesSlice,
}

impl SeriesBuffer {
    /// `uses` says for every series of `input` how often it will be asked for. The input's
    /// [`Operator::series`] must have been called.
    pub(crate) fn new(input: Box<dyn Operator>, uses: Vec<u32>, shared: Shared) -> Self {
        Self {
            input,
            shared,
            uses,
            next_input: 0,
            held: HashMap::new(),
            scratch: SeriesSlice::default(),
        }
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
        if self.uses[index] > 0 {
            let held = self.reserve(&self.scratch)?;
            self.held
                .insert(index, (std::mem::take(&mut self.scratch), held));
        }
        Ok(())
    }

    fn reserve(&self, slice: &SeriesSlice) -> Result<Reservation, EngineError> {
        Reservation::slice(
            &self.shared.limits,
            slice.values.len(),
            slice.present.count(),
        )
    }
}
