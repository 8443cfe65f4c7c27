//! The time series engine on `kv`: log, head, chunks, index, retention.
//!
//! A request is validated against the head, joins the open commit, is published to the head when
//! the commit has been written, and is then acknowledged. Full chunks move from the head into
//! RocksDB, partition by partition; the log behind them is dropped. See `docs/architecture.md`.
//!
//! Blocking throughout: callers keep it off the async runtime. RocksDB never sees a single sample.

mod append;
mod catalog;
mod cold;
mod commit;
mod compact;
mod db;
mod disorder;
mod error;
mod exemplars;
mod head;
mod index;
mod keys;
mod maintenance;
mod metadata;
mod metrics;
mod open;
mod options;
mod order;
mod overlap;
mod paged;
mod partition;
mod read;
mod record;
mod replay;
mod retention;
mod rewrite;
mod rows;
mod seal;
mod seal_late;
mod series_set;
mod shrink;
mod stopped;
mod tombstones;
mod varint;
mod work;

pub use compact::StoredSizes;
pub use db::{HeadStats, MemoryUse, Tsdb};
pub use error::TsdbError;
pub use kv::{KvOptions, WalSync, remove_notes};
pub use options::{Background, TsdbOptions};
pub use retention::RetentionLimits;

#[cfg(test)]
mod tests;
