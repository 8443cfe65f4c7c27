//! What was computed of a common part and not read by all yet.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::annotations::Notes;
use crate::error::EngineError;
use crate::limits::Reservation;
use crate::operators::{Operator, SeriesMeta, Shared, metas_bytes};
use crate::slice::SeriesSlice;

/// What may be held for readers that lag behind, in bytes.
const MAX_HELD_BYTES: usize = 32 << 20;
/// Where all series are more than that: series that may be held. Enough for readers that go side by
/// side; those that do not would exceed the bound anyway, so that little is held in vain.
const MAX_HELD_SERIES: usize = 128;

/// Whether a series was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Read,
    /// Too much would have to be held for others.
    Full,
}

/// The computation and its readers.
pub(in crate::operators) struct CommonBuffer {
    input: Box<dyn Operator>,
    /// Where the input's annotations pass.
    notes: Arc<Notes>,
    steps: usize,
    /// Known once anybody asked.
    metas: Option<Vec<SeriesMeta>>,
    readers: Vec<Reader>,
    /// Slices from `first_held` on; `None` where nobody wants it.
    held: VecDeque<Option<SeriesSlice>>,
    first_held: usize,
    next_input: usize,
    held_bytes: usize,
    max_held_bytes: usize,
    labels: Reservation,
    memory: Reservation,
}

struct Reader {
    /// The next series that it may ask for; behind all when it is gone.
    position: usize,
    /// Which series it asks for; all when it is not known.
    wanted: Option<Vec<bool>>,
}

impl Reader {
    fn wants(&self, series: usize) -> bool {
        let is_wanted = |wanted: &Vec<bool>| wanted.get(series).copied().unwrap_or(false);
        self.position <= series && self.wanted.as_ref().is_none_or(is_wanted)
    }
}

impl CommonBuffer {
    /// The buffer of an operator whose annotations pass through `notes`.
    pub(in crate::operators) fn new(
        input: Box<dyn Operator>,
        notes: Arc<Notes>,
        steps: usize,
        shared: &Shared,
    ) -> Self {
        let labels = Reservation::empty(&shared.limits);
        let memory = Reservation::empty(&shared.limits);
        Self {
            input,
            notes,
            steps,
            metas: None,
            readers: Vec::new(),
            held: VecDeque::new(),
            first_held: 0,
            next_input: 0,
            held_bytes: 0,
            max_held_bytes: MAX_HELD_BYTES,
            labels,
            memory,
        }
    }

    pub(super) fn add_reader(&mut self) -> usize {
        self.readers.push(Reader {
            position: 0,
            wanted: None,
        });
        self.readers.len() - 1
    }

    /// Says which series a reader is going to ask for; their places in order.
    pub(super) fn set_wanted(&mut self, reader: usize, wanted: &[usize]) {
        let count = self.metas.as_ref().map_or(0, Vec::len);
        let mut flags = vec![false; count];
        for index in wanted {
            if let Some(flag) = flags.get_mut(*index) {
                *flag = true;
            }
        }
        self.readers[reader].wanted = Some(flags);
    }

    pub(super) fn remove_reader(&mut self, reader: usize) {
        self.readers[reader].position = usize::MAX;
        self.release();
    }

    /// Whether the computation has annotated anything.
    pub(super) fn has_notes(&self) -> bool {
        self.notes.has_any()
    }

    pub(super) fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        if let Some(metas) = &self.metas {
            return Ok(metas.clone());
        }
        let metas = self.input.series()?;
        self.labels.set(metas_bytes(&metas), 0)?;
        let each = self.slice_bytes();
        if metas.len().saturating_mul(each) > MAX_HELD_BYTES {
            self.max_held_bytes = each.saturating_mul(MAX_HELD_SERIES).min(MAX_HELD_BYTES);
        }
        self.metas = Some(metas.clone());
        Ok(metas)
    }

    fn slice_bytes(&self) -> usize {
        size_of::<SeriesSlice>() + self.steps.saturating_mul(size_of::<f64>()) + self.steps / 8
    }

    /// Reads series `index` for a reader, who asks for one behind the other.
    pub(super) fn read(
        &mut self,
        reader: usize,
        index: usize,
        out: &mut SeriesSlice,
    ) -> Result<Outcome, EngineError> {
        let count = self.metas.as_ref().map_or(0, Vec::len);
        if index >= count {
            out.reset(self.steps);
            return Ok(Outcome::Read);
        }
        while self.next_input < index {
            // A reader of some series passes over one that others may want.
            if !self.advance(reader)? {
                return Ok(Outcome::Full);
            }
        }
        if self.next_input == index {
            let is_wanted = self.is_wanted_by_others(reader, index);
            if is_wanted && !self.hold_bytes() {
                return Ok(Outcome::Full);
            }
            self.next_input += 1;
            self.input.next(out)?;
            self.held.push_back(is_wanted.then(|| out.clone()));
        } else if let Some(slot) = self.held.get_mut(index - self.first_held)
            && let Some(slice) = slot
        {
            out.copy_from(slice);
        }
        self.readers[reader].position = index + 1;
        self.release();
        Ok(Outcome::Read)
    }

    /// Computes one series that the reader itself does not want; `false` when there is no room.
    fn advance(&mut self, reader: usize) -> Result<bool, EngineError> {
        let index = self.next_input;
        let is_wanted = self.is_wanted_by_others(reader, index);
        if is_wanted && !self.hold_bytes() {
            return Ok(false);
        }
        self.next_input += 1;
        let mut slice = SeriesSlice::default();
        self.input.next(&mut slice)?;
        self.held.push_back(is_wanted.then_some(slice));
        Ok(true)
    }

    fn is_wanted_by_others(&self, reader: usize, series: usize) -> bool {
        let mut others = self.readers.iter().enumerate();
        others.any(|(number, other)| number != reader && other.wants(series))
    }

    /// Reserves room for one more slice, if there is.
    fn hold_bytes(&mut self) -> bool {
        let bytes = self.held_bytes + self.slice_bytes();
        let fits = bytes <= self.max_held_bytes && self.memory.set(bytes, 0).is_ok();
        if fits {
            self.held_bytes = bytes;
        } else {
            // What was held before fitted before.
            let _fits = self.memory.set(self.held_bytes, 0);
        }
        fits
    }

    /// Lets go of what all readers have passed.
    fn release(&mut self) {
        let passed = self.readers.iter().map(|reader| reader.position).min();
        let passed = passed.unwrap_or(usize::MAX);
        while self.first_held < passed
            && let Some(slot) = self.held.pop_front()
        {
            self.first_held += 1;
            if slot.is_some() {
                self.held_bytes = self.held_bytes.saturating_sub(self.slice_bytes());
            }
        }
        // Giving back cannot fail.
        let _smaller = self.memory.set(self.held_bytes, 0);
    }
}
