//! The tiles of one pipeline: who computes which, and which are ready.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use base::CpuPool;
use parking_lot::{Condvar, Mutex};

use crate::error::EngineError;
use crate::limits::{Reservation, float_bytes, slice_bytes};
use crate::operators::{Operator, Shared};
use crate::slice::SeriesSlice;

/// Series of a tile. As many as storage fetches together.
pub(super) const SERIES_PER_TILE: u64 = 64;
/// Points of a tile; with very many steps it has fewer series.
const POINTS_PER_TILE: usize = 1 << 16;
/// Tiles that may be ready or under work for each thread, so that nobody waits and memory is
/// bounded.
const TILES_AHEAD: usize = 3;

/// Computed series of a tile, in order.
#[derive(Default)]
pub(super) struct Tile {
    pub(super) slices: Vec<SeriesSlice>,
    memory: Option<Reservation>,
}

/// A pipeline that several threads work on.
pub(super) struct Work {
    /// Gives out readers of its series; never read itself.
    input: Mutex<Box<dyn Operator>>,
    series: usize,
    steps: usize,
    series_per_tile: usize,
    helpers_wanted: usize,
    shared: Shared,
    progress: Mutex<Progress>,
    ready: Condvar,
}

struct Progress {
    /// The tile that nobody works on yet.
    unclaimed: usize,
    /// Tiles that were claimed and are not read yet; the first is number `read`.
    claimed: VecDeque<Slot>,
    read: usize,
    helpers: usize,
    is_closed: bool,
    /// Tiles that were read, to be filled again.
    used: Vec<Tile>,
}

enum Slot {
    /// Somebody works on it.
    Running,
    Done(Result<Tile, EngineError>),
    /// Whoever worked on it is gone without a result.
    Abandoned,
}

impl Work {
    /// The work on an operator whose series are known.
    pub(super) fn new(
        input: Box<dyn Operator>,
        (series, steps): (usize, usize),
        threads: usize,
        shared: Shared,
    ) -> Self {
        let most = usize::try_from(SERIES_PER_TILE).unwrap_or(usize::MAX);
        Self {
            input: Mutex::new(input),
            series,
            steps,
            series_per_tile: (POINTS_PER_TILE / steps.max(1)).clamp(1, most),
            helpers_wanted: threads,
            shared,
            progress: Mutex::new(Progress {
                unclaimed: 0,
                claimed: VecDeque::new(),
                read: 0,
                helpers: 0,
                is_closed: false,
                used: Vec::new(),
            }),
            ready: Condvar::new(),
        }
    }

    fn tiles(&self) -> usize {
        self.series.div_ceil(self.series_per_tile)
    }

    fn series_of(&self, tile: usize) -> Range<usize> {
        let first = tile.saturating_mul(self.series_per_tile).min(self.series);
        first..(first + self.series_per_tile).min(self.series)
    }

    /// Whether a helper may begin a tile.
    fn has_room(&self, progress: &Progress) -> bool {
        let ahead = progress.unclaimed - progress.read;
        !progress.is_closed
            && progress.unclaimed < self.tiles()
            && ahead < TILES_AHEAD * (self.helpers_wanted + 1)
    }

    /// Asks the pool for as many threads as there is work for. A full pool is no harm.
    pub(super) fn call_helpers(self: &Arc<Self>, pool: &CpuPool) {
        loop {
            {
                let mut progress = self.progress.lock();
                if progress.helpers >= self.helpers_wanted || !self.has_room(&progress) {
                    return;
                }
                progress.helpers += 1;
            }
            let helper = Helper(Arc::clone(self));
            if pool.spawn(move || helper.work()).is_err() {
                // The helper was dropped, and counts no more.
                return;
            }
        }
    }

    /// The tile of this number; called for one after the other. `used` is one that was read.
    pub(super) fn take(&self, tile: usize, used: Tile) -> Result<Tile, EngineError> {
        let mut progress = self.progress.lock();
        if !used.slices.is_empty() {
            progress.used.push(used);
        }
        debug_assert_eq!(progress.read, tile, "tiles are read in order");
        if progress.unclaimed == tile {
            progress.unclaimed += 1;
            progress.read += 1;
            let used = progress.used.pop().unwrap_or_default();
            drop(progress);
            return self.compute(tile, used);
        }
        while let Some(Slot::Running) = progress.claimed.front() {
            self.ready.wait(&mut progress);
        }
        progress.read += 1;
        match progress.claimed.pop_front() {
            Some(Slot::Done(result)) => result,
            Some(Slot::Running | Slot::Abandoned) | None => {
                drop(progress);
                self.compute(tile, Tile::default())
            }
        }
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        self.progress.lock().is_closed = true;
    }

    fn compute(&self, tile: usize, mut into: Tile) -> Result<Tile, EngineError> {
        self.shared.limits.check()?;
        let series = self.series_of(tile);
        let count = series.len();
        let Some(mut reader) = self.input.lock().fork(series) else {
            return Err(EngineError::Unsupported("this part of a query".to_owned()));
        };
        let empty = || Reservation::empty(&self.shared.limits);
        let memory = into.memory.get_or_insert_with(empty);
        let least = float_bytes(self.steps);
        memory.set(least.saturating_mul(count), 0)?;
        into.slices.resize_with(count, SeriesSlice::default);
        for slice in &mut into.slices {
            reader.next(slice)?;
            if !slice.histograms.is_empty() {
                memory.add_bytes(slice_bytes(slice).saturating_sub(least))?;
            }
        }
        Ok(into)
    }
}

/// A thread of the pool that helps.
struct Helper(Arc<Work>);

impl Helper {
    fn work(&self) {
        let work = &self.0;
        loop {
            let (tile, used) = {
                let mut progress = work.progress.lock();
                if !work.has_room(&progress) {
                    return;
                }
                let tile = progress.unclaimed;
                progress.unclaimed += 1;
                progress.claimed.push_back(Slot::Running);
                (tile, progress.used.pop().unwrap_or_default())
            };
            let claim = Claim { work, tile };
            let result = work.compute(tile, used);
            claim.settle(Slot::Done(result));
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.0.progress.lock().helpers -= 1;
    }
}

/// A tile under work, given up when dropped.
struct Claim<'a> {
    work: &'a Work,
    tile: usize,
}

impl Claim<'_> {
    fn settle(&self, slot: Slot) {
        let mut progress = self.work.progress.lock();
        // Once settled it may have been read.
        let place = self.tile.checked_sub(progress.read);
        if let Some(running) = place.and_then(|place| progress.claimed.get_mut(place))
            && matches!(running, Slot::Running)
        {
            *running = slot;
        }
        drop(progress);
        self.work.ready.notify_all();
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.settle(Slot::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use model::FloatHistogram;

    use super::*;
    use crate::annotations::Notes;
    use crate::limits::{Limits, SAMPLE_BYTES};
    use crate::operators::{NameRemoval, SeriesMeta, TypeLabels};

    /// Series of one histogram each.
    struct Histograms(Arc<FloatHistogram>);

    impl Operator for Histograms {
        fn series(&mut self) -> Result<Vec<SeriesMeta>, EngineError> {
            Ok(Vec::new())
        }

        fn next(&mut self, out: &mut SeriesSlice) -> Result<(), EngineError> {
            out.reset(1);
            out.set_histogram(0, Arc::clone(&self.0));
            Ok(())
        }

        fn fork(&self, _series: Range<usize>) -> Option<Box<dyn Operator>> {
            Some(Box::new(Self(Arc::clone(&self.0))))
        }
    }

    #[test]
    fn histograms_of_a_tile_count_as_memory() {
        let histogram = Arc::new(FloatHistogram {
            positive_buckets: vec![1.0; 1000],
            ..FloatHistogram::default()
        });
        let tile_bytes = 64 * histogram.size_in_samples() * SAMPLE_BYTES;
        let max_bytes = u64::try_from(tile_bytes * 3 / 2).unwrap();
        let limits = Arc::new(Limits::new(max_bytes, u64::MAX, None));
        let shared = Shared {
            limits,
            notes: Arc::new(Notes::new("")),
            name_removal: NameRemoval::Immediate,
            type_and_unit_labels: TypeLabels::Ignored,
            use_start_timestamps: false,
        };
        let work = Work::new(Box::new(Histograms(histogram)), (1000, 1), 1, shared);
        let first = work.take(0, Tile::default()).unwrap();
        assert!(matches!(
            work.take(1, Tile::default()),
            Err(EngineError::TooManySamples)
        ));
        // A tile that was read makes room.
        assert_eq!(work.take(2, first).unwrap().slices.len(), 64);
    }
}
