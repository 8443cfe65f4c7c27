//! The open database: families, reads, writes and the thread that syncs its log.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, Options, ReadOptions, WriteOptions,
};

use crate::batch::Batch;
use crate::error::KvError;
use crate::options::{KvOptions, WalSync, database_options, family_options};
use crate::scan::Scan;

/// What is read ahead of a cursor that reads everything.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Format version and watermarks.
    Meta,
    /// Series: id to labels.
    Series,
    /// Numbered commits not yet in chunks.
    Log,
    /// Sealed chunks.
    Chunks,
    /// Rewritten partitions. Takes finished files only, see [`Kv::ingest`].
    Cold,
    /// Sealed indexes.
    Index,
    /// Small durable state of other parts.
    State,
}

impl Family {
    /// All families, in the order in which they are opened.
    pub const ALL: [Self; 7] = [
        Self::Meta,
        Self::Series,
        Self::Log,
        Self::Chunks,
        Self::Cold,
        Self::Index,
        Self::State,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Series => "series",
            Self::Log => "log",
            Self::Chunks => "chunks",
            Self::Cold => "cold",
            Self::Index => "idx",
            Self::State => "state",
        }
    }
}

/// An open store. Blocking throughout: use it off the async runtime.
pub struct Kv {
    database: Arc<DB>,
    cache: Cache,
    write_options: WriteOptions,
    /// Of family `Cold`, for files that are written apart.
    table_options: Options,
    path: PathBuf,
    syncer: Mutex<Option<Syncer>>,
}

impl Kv {
    /// Opens the store in `path`, which is created if missing. One process at a time.
    ///
    /// # Errors
    /// The directory is locked, unreadable or damaged.
    pub fn open(path: &Path, options: &KvOptions) -> Result<Self, KvError> {
        std::fs::create_dir_all(path).map_err(|source| KvError::CreateDirectory {
            path: path.to_owned(),
            source,
        })?;
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let families = Family::ALL.map(|family| {
            ColumnFamilyDescriptor::new(family.name(), family_options(family, options, &cache))
        });
        let database = DB::open_cf_descriptors(&database_options(options), path, families)
            .map_err(|source| KvError::open(path, source))?;
        for family in Family::ALL {
            if database.cf_handle(family.name()).is_none() {
                return Err(KvError::MissingFamily(family.name()));
            }
        }
        let database = Arc::new(database);
        let mut write_options = WriteOptions::default();
        write_options.set_sync(options.wal_sync == WalSync::Always);
        let syncer = match options.wal_sync {
            WalSync::Interval(interval) => Some(Syncer::start(&database, interval)?),
            WalSync::Always | WalSync::Os => None,
        };
        Ok(Self {
            database,
            write_options,
            table_options: family_options(Family::Cold, options, &cache),
            cache,
            path: path.to_owned(),
            syncer: Mutex::new(syncer),
        })
    }

    pub(crate) fn database(&self) -> &DB {
        &self.database
    }

    pub(crate) const fn table_options(&self) -> &Options {
        &self.table_options
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn handle(&self, family: Family) -> &ColumnFamily {
        self.database
            .cf_handle(family.name())
            .expect("open() has seen every family")
    }

    /// A batch for this store.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(self)
    }

    /// Writes a batch. When it returns, the operating system has the writes; whether the device
    /// does is decided by [`WalSync`].
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub fn write(&self, batch: Batch<'_>) -> Result<(), KvError> {
        self.database
            .write_opt(batch.inner, &self.write_options)
            .map_err(KvError::operation("write"))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// The read failed.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.database
            .get_cf(self.handle(family), key)
            .map_err(KvError::operation("get"))
    }

    /// A cursor over a family; with `below`, it ends before that key.
    #[must_use]
    pub fn scan(&self, family: Family, below: Option<&[u8]>) -> Scan<'_> {
        Scan::new(self, family, below, ReadOptions::default())
    }

    /// As [`Kv::scan`], for keys that are read once and in order: what is read does not drive out
    /// what the cache has.
    #[must_use]
    pub fn scan_once(&self, family: Family, below: Option<&[u8]>) -> Scan<'_> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_readahead_size(READ_AHEAD_BYTES);
        Scan::new(self, family, below, options)
    }

    /// Frees the files that lie wholly between two keys, at once. Follow it with a
    /// [`Batch::delete_range`] for what straddles.
    ///
    /// # Errors
    /// The files could not be removed.
    pub fn drop_files(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), KvError> {
        self.database
            .delete_file_in_range_cf(self.handle(family), from, to)
            .map_err(KvError::operation("delete files"))
    }

    /// Writes what is buffered of a family to its files.
    ///
    /// # Errors
    /// The flush failed.
    pub fn flush(&self, family: Family) -> Result<(), KvError> {
        self.database
            .flush_cf(self.handle(family))
            .map_err(KvError::operation("flush"))
    }

    /// Bytes of uncompressed blocks in memory.
    #[must_use]
    pub fn block_cache_bytes(&self) -> u64 {
        self.cache.get_usage() as u64
    }

    /// Syncs the log to the device.
    ///
    /// # Errors
    /// The device refused.
    pub fn sync(&self) -> Result<(), KvError> {
        self.database
            .flush_wal(true)
            .map_err(KvError::operation("sync"))
    }
}

impl Drop for Kv {
    fn drop(&mut self) {
        if let Some(syncer) = self.syncer.lock().take() {
            syncer.stop();
        }
        if let Err(error) = self.sync() {
            tracing::warn!(error = %base::report(&error), "last sync of the log failed");
        }
    }
}

/// The thread behind [`WalSync::Interval`].
struct Syncer {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Syncer {
    fn start(database: &Arc<DB>, interval: Duration) -> Result<Self, KvError> {
        let database: Weak<DB> = Arc::downgrade(database);
        let (stop, stopped) = channel();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let Some(database) = database.upgrade() else {
                    return;
                };
                if let Err(error) = database.flush_wal(true) {
                    tracing::error!(%error, "syncing the log failed");
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("kv-sync".to_owned())
            .spawn(run)
            .map_err(KvError::Thread)?;
        Ok(Self { stop, thread })
    }

    fn stop(self) {
        drop(self.stop);
        // The thread's body cannot panic; it ends when the channel closes.
        let _ended = self.thread.join();
    }
}

#[cfg(test)]
mod tests;
