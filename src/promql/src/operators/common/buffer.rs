//! What was computed of a common part and not read by all yet.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::annotations::Notes;
use crate::error::EngineError;
use crate::limits::{Reservation, float_bytes, slice_bytes};
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
    /// Slices from `first_held` on, each with what it counts as; `None` where nobody wants it.
    held: VecDeque<Option<(SeriesSlice, usize)>>,
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
        let each = self.least_bytes();
        if metas.len().saturating_mul(each) > MAX_HELD_BYTES {
            self.max_held_bytes = each.saturating_mul(MAX_HELD_SERIES).min(MAX_HELD_BYTES);
        }
        self.metas = Some(metas.clone());
        Ok(metas)
    }

    /// What a slice takes; one with histograms takes more.
    fn least_bytes(&self) -> usize {
        size_of::<SeriesSlice>() + float_bytes(self.steps)
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
            let slice = is_wanted.then(|| out.clone());
            self.hold(slice);
        } else if let Some(slot) = self.held.get_mut(index - self.first_held)
            && let Some((slice, _)) = slot
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
        self.hold(is_wanted.then_some(slice));
        Ok(true)
    }

    fn is_wanted_by_others(&self, reader: usize, series: usize) -> bool {
        let mut others = self.readers.iter().enumerate();
        others.any(|(number, other)| number != reader && other.wants(series))
    }

    /// Reserves room for one more slice, if there is.
    fn hold_bytes(&mut self) -> bool {
        let bytes = self.held_bytes + self.least_bytes();
        let fits = bytes <= self.max_held_bytes && self.memory.set(bytes, 0).is_ok();
        if fits {
            self.held_bytes = bytes;
        } else {
            // What was held before fitted before.
            let _fits = self.memory.set(self.held_bytes, 0);
        }
        fits
    }

    /// Keeps a slice that room was reserved for. How large its histograms are is known only now:
    /// they leave less room for the next one.
    fn hold(&mut self, slice: Option<SeriesSlice>) {
        let held = slice.map(|slice| {
            let bytes = size_of::<SeriesSlice>() + slice_bytes(&slice);
            (slice, bytes)
        });
        if let Some((_, bytes)) = &held {
            self.held_bytes += bytes.saturating_sub(self.least_bytes());
        }
        self.held.push_back(held);
    }

    /// Lets go of what all readers have passed.
    fn release(&mut self) {
        let passed = self.readers.iter().map(|reader| reader.position).min();
        let passed = passed.unwrap_or(usize::MAX);
        while self.first_held < passed
            && let Some(slot) = self.held.pop_front()
        {
            self.first_held += 1;
            if let Some((_, bytes)) = slot {
                self.held_bytes = self.held_bytes.saturating_sub(bytes);
            }
        }
        // Should histograms exceed what the query may hold, whoever reserves next is told.
        let _counted = self.memory.set(self.held_bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use model::FloatHistogram;

    use super::*;
    use crate::limits::Limits;
    use crate::operators::{NameRemoval, TypeLabels};

    const SERIES: usize = 100;

    /// Series of one large histogram each.
    struct Large(Arc<FloatHistogram>);

    impl Operator for Large {
        fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
            Ok(vec![SeriesMeta::new(model::Labels::empty()); SERIES])
        }

        fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
            out.reset(1);
            out.set_histogram(0, Arc::clone(&self.0));
            Ok(())
        }
    }

    #[test]
    fn histograms_are_part_of_what_is_held() {
        let limits = Arc::new(Limits::new(u64::MAX, u64::MAX, None));
        let shared = Shared {
            limits: Arc::clone(&limits),
            notes: Arc::new(Notes::new("")),
            name_removal: NameRemoval::Immediate,
            type_and_unit_labels: TypeLabels::Ignored,
            use_start_timestamps: false,
        };
        let large = FloatHistogram {
            positive_buckets: vec![1.0; 1 << 17],
            ..FloatHistogram::default()
        };
        let histogram_bytes = large.size_in_samples() * crate::limits::SAMPLE_BYTES;
        let input = Box::new(Large(Arc::new(large)));
        let notes = Arc::clone(&shared.notes);
        let mut buffer = CommonBuffer::new(input, notes, 1, &shared);
        let (ahead, behind) = (buffer.add_reader(), buffer.add_reader());
        buffer.series().unwrap();
        let mut out = SeriesSlice::default();
        let mut read = 0;
        while buffer.read(ahead, read, &mut out).unwrap() == Outcome::Read {
            read += 1;
        }
        assert_eq!(read, MAX_HELD_BYTES / histogram_bytes + 1);
        assert!(usize::try_from(limits.stats().peak_bytes).unwrap() > read * histogram_bytes);
        // What the other one reads makes room again.
        for index in 0..read {
            assert_eq!(buffer.read(behind, index, &mut out).unwrap(), Outcome::Read);
        }
        assert_eq!(buffer.held_bytes, 0);
        assert_eq!(buffer.read(ahead, read, &mut out).unwrap(), Outcome::Read);
    }
}
