//! Series that stopped. An hour after its newest sample, once that is in a sealed chunk, a series
//! leaves memory: labels, postings and its place in the head. What finds it again is on disk: a
//! segment of the index for queries, and the hash of its labels for samples that come later. A
//! series that takes samples again has its old id.
//!
//! A series is found in memory, in a segment, or in both; never in neither. See
//! `docs/adr/0007-stopped-series.md`.

mod cache;
mod hashes;
mod retire;
mod revive;
mod segment;
mod select;
mod stop;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use model::Timestamp;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

pub(crate) use segment::Segment;
pub(crate) use stop::{PastRound, StopRound};

use cache::SegmentCache;

/// What is known of stopped series beside their rows.
pub(crate) struct Stopped {
    cache: SegmentCache,
    /// Shared while somebody looks for a stopped series and makes it known; exclusive while
    /// series become unknown, or disappear.
    arrivals: RwLock<()>,
    /// Series that stopped at some time, or are about to: their newest samples have to be looked up.
    ids: RwLock<RoaringBitmap>,
    /// Held while hashes of labels are changed.
    hashes: Mutex<()>,
    /// Merged segments, whose rows stay until no query can ask for them.
    merged: Mutex<Vec<Arc<Segment>>>,
    next_segment: AtomicU32,
    /// When the engine was opened: no series stopped before.
    opened_at: Timestamp,
    /// Starts the hash of labels, so that nobody outside can make labels collide.
    seed: RwLock<u64>,
}

impl Stopped {
    pub(crate) fn new(opened_at: Timestamp) -> Self {
        Self {
            cache: SegmentCache::default(),
            arrivals: RwLock::default(),
            ids: RwLock::default(),
            hashes: Mutex::default(),
            merged: Mutex::default(),
            next_segment: AtomicU32::new(0),
            opened_at,
            seed: RwLock::default(),
        }
    }

    /// All series that stopped at some time.
    pub(crate) fn ids(&self) -> RoaringBitmap {
        self.ids.read().clone()
    }

    /// Whether any series stopped at some time.
    fn contains_any(&self) -> bool {
        !self.ids.read().is_empty()
    }

    /// Whether a series stopped at some time.
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.ids.read().contains(id)
    }
}
