//! Parts of a query that several readers share: computed once, held only until the last reader has
//! passed, and never more than a bound.
//!
//! Every reader can also compute its part by itself. It does so from the point on where what it
//! would have to hold back for others exceeds the bound, and where the shared computation warns of
//! something, as warnings point to the reader's own place in the query.

mod buffer;

use std::sync::Arc;

use parking_lot::Mutex;

pub(super) use self::buffer::CommonBuffer;
use self::buffer::Outcome;
use super::{Operator, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::plan::CommonUse;
use crate::slice::SeriesSlice;

/// A reader of a common part.
pub(super) struct CommonOperator {
    buffer: Arc<Mutex<CommonBuffer>>,
    reader: usize,
    purpose: CommonUse,
    /// What the reader computes by itself, if it has to.
    own: Box<dyn Operator>,
    is_alone: bool,
    /// For a reader of some series their places among all.
    wanted: Option<Vec<usize>>,
    /// How many series it has given.
    given: usize,
    shared: Shared,
    scratch: SeriesSlice,
}

impl CommonOperator {
    /// A reader of `buffer`; `own` computes the same.
    pub(super) fn new(
        buffer: Arc<Mutex<CommonBuffer>>,
        purpose: CommonUse,
        own: Box<dyn Operator>,
        shared: Shared,
    ) -> Self {
        let reader = buffer.lock().add_reader();
        Self {
            buffer,
            reader,
            purpose,
            own,
            is_alone: false,
            wanted: None,
            given: 0,
            shared,
            scratch: SeriesSlice::default(),
        }
    }

    /// Whether the shared computation has warned of something at another place than the reader's.
    fn is_misplaced(&self, buffer: &CommonBuffer) -> bool {
        !matches!(self.purpose, CommonUse::First) && buffer.has_notes()
    }

    /// Goes on alone, behind the series that were given already.
    fn leave(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        self.is_alone = true;
        self.buffer.lock().remove_reader(self.reader);
        let metas = self.own.series()?;
        for _ in 0..self.given {
            self.own.next(&mut self.scratch)?;
        }
        Ok(metas)
    }
}

impl Operator for CommonOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let buffer = Arc::clone(&self.buffer);
        let mut buffer = buffer.lock();
        let mut metas = buffer.series()?;
        if self.is_misplaced(&buffer) {
            drop(buffer);
            return self.leave();
        }
        if let CommonUse::Part(matchers) = &self.purpose {
            let passes = |meta: &SeriesMeta| {
                matchers
                    .iter()
                    .all(|matcher| matcher.matches(meta.labels.value_or_empty(matcher.name())))
            };
            let wanted: Vec<usize> = (0..metas.len())
                .filter(|index| passes(&metas[*index]))
                .collect();
            metas = wanted.iter().map(|index| metas[*index].clone()).collect();
            buffer.set_wanted(self.reader, &wanted);
            self.wanted = Some(wanted);
        }
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        self.shared.limits.check_every(self.given)?;
        if !self.is_alone {
            let buffer = Arc::clone(&self.buffer);
            let mut buffer = buffer.lock();
            if !self.is_misplaced(&buffer) {
                let index = match &self.wanted {
                    Some(wanted) => wanted.get(self.given).copied().unwrap_or(usize::MAX),
                    None => self.given,
                };
                if buffer.read(self.reader, index, out)? == Outcome::Read {
                    self.given += 1;
                    if self.is_misplaced(&buffer) {
                        drop(buffer);
                        self.leave()?;
                    }
                    return Ok(());
                }
            }
            drop(buffer);
            self.leave()?;
        }
        self.given += 1;
        self.own.next(out)
    }
}

impl Drop for CommonOperator {
    fn drop(&mut self) {
        self.buffer.lock().remove_reader(self.reader);
    }
}
