//! Runs a pipeline on several threads: workers compute fixed tiles of series ahead, and whoever
//! reads gets the series in their order. So the result is that of one thread, bit for bit, whatever
//! the number of threads and their timing.
//!
//! Nobody waits for work that has not been started: a reader whose tile was not begun computes it
//! itself, and helpers never wait for anything. So pools may be full, shared or nested.

mod tiles;

use std::ops::Range;
use std::sync::Arc;

use base::CpuPool;

use self::tiles::{Tile, Work};
use super::{Operator, SeriesMeta, Shared};
use crate::error::EngineError;
use crate::plan::Pipeline;
use crate::slice::SeriesSlice;

/// Work below this, counted in samples, is done by the reader alone: handing it over would take
/// about as long.
const MIN_PARALLEL_SAMPLES: u64 = 100_000;
/// What finding and opening a series costs, in samples.
const SAMPLES_PER_OPEN: u64 = 100;

/// See the file's header.
pub(crate) struct ExchangeOperator {
    state: State,
    pipeline: Pipeline,
    steps: usize,
    pool: CpuPool,
    shared: Shared,
}

enum State {
    /// The series are not known yet, or few: all is left to the input.
    Inline(Box<dyn Operator>),
    Parallel(Reader),
    /// Between two states.
    Gone,
}

/// Reads the tiles in order.
struct Reader {
    work: Arc<Work>,
    tile: Tile,
    /// The next series inside of the tile.
    next_series: usize,
    next_tile: usize,
}

impl ExchangeOperator {
    /// Runs `input` on `pool` if that pays off.
    pub(crate) fn new(
        input: Box<dyn Operator>,
        (pipeline, steps): (Pipeline, usize),
        pool: CpuPool,
        shared: Shared,
    ) -> Self {
        Self {
            state: State::Inline(input),
            pipeline,
            steps,
            pool,
            shared,
        }
    }
}

/// Whether so many series are worth the hand-over.
fn pays_off(pipeline: Pipeline, series: usize) -> bool {
    let each = pipeline.samples_per_series.saturating_add(SAMPLES_PER_OPEN);
    let series = u64::try_from(series).unwrap_or(u64::MAX);
    series > tiles::SERIES_PER_TILE && each.saturating_mul(series) >= MIN_PARALLEL_SAMPLES
}

impl Operator for ExchangeOperator {
    fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
        let State::Inline(input) = &mut self.state else {
            return Ok(Vec::new());
        };
        let metas = input.series()?;
        if !pays_off(self.pipeline, metas.len()) || input.fork(0..0).is_none() {
            return Ok(metas);
        }
        if let State::Inline(input) = std::mem::replace(&mut self.state, State::Gone) {
            let work = Work::new(
                input,
                (metas.len(), self.steps),
                self.pool.threads(),
                self.shared.clone(),
            );
            let work = Arc::new(work);
            work.call_helpers(&self.pool);
            self.state = State::Parallel(Reader {
                work,
                tile: Tile::default(),
                next_series: 0,
                next_tile: 0,
            });
        }
        Ok(metas)
    }

    fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
        match &mut self.state {
            State::Inline(input) => input.next(out),
            State::Parallel(reader) => reader.next(out, &self.pool),
            State::Gone => Ok(()),
        }
    }

    fn fork(&self, series: Range<usize>) -> Option<Box<dyn Operator>> {
        match &self.state {
            State::Inline(input) => input.fork(series),
            State::Parallel(_) | State::Gone => None,
        }
    }
}

impl Reader {
    fn next(&mut self, out: &mut SeriesSlice, pool: &CpuPool) -> Result<(), EngineError> {
        if self.next_series == self.tile.slices.len() {
            let used = std::mem::take(&mut self.tile);
            self.tile = self.work.take(self.next_tile, used)?;
            self.next_tile += 1;
            self.next_series = 0;
            self.work.call_helpers(pool);
        }
        if let Some(slice) = self.tile.slices.get_mut(self.next_series) {
            // The reader's old slice is filled again later.
            std::mem::swap(out, slice);
        }
        self.next_series += 1;
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.work.close();
    }
}
