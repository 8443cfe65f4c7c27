//! What the caller decides about the engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kv::KvOptions;
use model::PromDuration;

/// Whether the engine does its upkeep by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// A thread seals, truncates and retires at this interval, and whenever many chunks are full.
    Every(Duration),
    /// Only [`crate::Tsdb::maintain`] does: for tests and tools.
    Manual,
}

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct TsdbOptions {
    /// Directory of the engine; created if missing.
    pub path: PathBuf,
    /// How long samples are kept; `None` keeps them forever.
    pub retention: Option<PromDuration>,
    /// Most bytes on disk, see [`crate::RetentionLimits`]; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// Most of the disk, see [`crate::RetentionLimits`]; `None` for no limit.
    pub disk_basis_points: Option<u16>,
    /// Tells the size of the disk that a path is on, in bytes; `None` where it is not known.
    pub disk_bytes: fn(&Path) -> Option<u64>,
    /// How far behind the newest sample a sample may be; zero refuses all that is out of order.
    pub out_of_order_window: PromDuration,
    /// How many exemplars are kept.
    pub max_exemplars: usize,
    /// How long a sample may stay in the log alone before its chunk is sealed, full or not.
    pub max_chunk_age: PromDuration,
    /// Who does the upkeep.
    pub background: Background,
    /// Settings of the key-value store.
    pub kv: KvOptions,
    /// Whether the replay waits for [`crate::replay::ReplayGate::release`].
    #[cfg(test)]
    pub(crate) hold_replay: bool,
}

impl TsdbOptions {
    /// The defaults for a directory: 15 days, upkeep every five seconds.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            retention: Some(PromDuration::from_secs(15 * 24 * 3600)),
            max_bytes: None,
            disk_basis_points: None,
            disk_bytes: |_| None,
            out_of_order_window: PromDuration::ZERO,
            max_exemplars: 0,
            max_chunk_age: PromDuration::from_secs(30 * 60),
            background: Background::Every(Duration::from_secs(5)),
            kv: KvOptions::default(),
            #[cfg(test)]
            hold_replay: false,
        }
    }
}
