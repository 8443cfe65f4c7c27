//! What an operator can decide about the store, and how it becomes RocksDB options.

use std::time::Duration;

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options};

use crate::store::Family;

/// When the write-ahead log is synced to the device. Every write reaches the operating system
/// before it returns, whatever is chosen here: a killed process loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalSync {
    /// In the background, at this interval.
    Interval(Duration),
    /// Before every write returns.
    Always,
    /// When the operating system likes.
    Os,
}

/// Settings of the store.
#[derive(Clone, Debug)]
pub struct KvOptions {
    /// When the write-ahead log is synced.
    pub wal_sync: WalSync,
    /// Size of the cache of uncompressed blocks, in bytes.
    pub block_cache_bytes: usize,
    /// Most memory that unflushed writes of all families may take, in bytes.
    pub memtable_bytes: usize,
}

impl Default for KvOptions {
    fn default() -> Self {
        Self {
            wal_sync: WalSync::Interval(Duration::from_secs(1)),
            block_cache_bytes: 64 << 20,
            memtable_bytes: 64 << 20,
        }
    }
}

/// The write-ahead log is kept until every family it holds writes of is flushed; this bounds it.
const MAX_TOTAL_WAL_BYTES: u64 = 256 << 20;
const BLOCK_BYTES: usize = 16 << 10;
/// Values of cold data are large and packed already: what repeats is their framing and heads.
const COLD_BLOCK_BYTES: usize = 32 << 10;
/// Of a thousand absent keys, about eight cost a read.
const FILTER_BITS_PER_KEY: f64 = 10.0;
const MAX_OPEN_FILES: i32 = 512;
/// A directory keeps at most this many of RocksDB's own log files.
const KEEP_LOG_FILES: usize = 3;
/// Memory waiting for a full disk must not hold up writes for ever: it is the log that refuses them.
const MAX_WRITE_BUFFERS: i32 = 32;
/// A damaged file cannot be compacted, and files pile up in front of it: that stops no writes either.
const MANY_FILES: i32 = 1 << 20;

pub(crate) fn database_options(options: &KvOptions) -> Options {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_max_total_wal_size(MAX_TOTAL_WAL_BYTES);
    database.set_db_write_buffer_size(options.memtable_bytes);
    database.set_max_open_files(MAX_OPEN_FILES);
    database.set_keep_log_file_num(KEEP_LOG_FILES);
    database.set_bytes_per_sync(1 << 20);
    database.set_max_background_jobs(2);
    database.set_skip_stats_update_on_db_open(true);
    // See docs/adr/0005-recovery.md.
    database.set_wal_recovery_mode(DBRecoveryMode::SkipAnyCorruptedRecord);
    database.set_paranoid_checks(false);
    database
}

pub(crate) fn family_options(family: Family, options: &KvOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(match family {
        Family::Cold => COLD_BLOCK_BYTES,
        _ => BLOCK_BYTES,
    });
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(6);
    if family == Family::Stopped {
        // Nearly every look-up is for what is not there.
        table.set_ribbon_filter(FILTER_BITS_PER_KEY);
    }
    let mut settings = Options::default();
    settings.set_block_based_table_factory(&table);
    settings.set_write_buffer_size((options.memtable_bytes / 4).max(1 << 20));
    settings.set_compression_type(match family {
        // Commits are compressed before they come here, and live for minutes.
        Family::Log => DBCompressionType::None,
        Family::Meta
        | Family::Series
        | Family::Chunks
        | Family::Cold
        | Family::Index
        | Family::Stopped
        | Family::State => DBCompressionType::Zstd,
    });
    settings.set_level_compaction_dynamic_level_bytes(true);
    // Files of cold data arrive finished, never overlap, and go as a whole.
    settings.set_disable_auto_compactions(family == Family::Cold);
    settings.set_max_write_buffer_number(MAX_WRITE_BUFFERS);
    settings.set_level_zero_slowdown_writes_trigger(MANY_FILES);
    settings.set_level_zero_stop_writes_trigger(MANY_FILES);
    settings.set_soft_pending_compaction_bytes_limit(0);
    settings.set_hard_pending_compaction_bytes_limit(0);
    settings
}
