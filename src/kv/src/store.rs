//! The open database: families, reads, writes and the thread that syncs its log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    Cache, ColumnFamily, ColumnFamilyDescriptor, DB, LiveFile, Options, ReadOptions, WriteOptions,
};

use crate::batch::Batch;
use crate::error::KvError;
use crate::folder::Folder;
use crate::health::Health;
use crate::lost;
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
    /// Presence of series, and indexes of stopped ones.
    Index,
    /// Stopped series: hash of labels to ids.
    Stopped,
    /// Small durable state of other parts.
    State,
}

impl Family {
    /// All families, in the order in which they are opened.
    pub const ALL: [Self; 8] = [
        Self::Meta,
        Self::Series,
        Self::Log,
        Self::Chunks,
        Self::Cold,
        Self::Index,
        Self::Stopped,
        Self::State,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Series => "series",
            Self::Log => "log",
            Self::Chunks => "chunks",
            Self::Cold => "cold",
            Self::Index => "idx",
            Self::Stopped => "stopped",
            Self::State => "state",
        }
    }
}

/// A key before all others, in every family and invisible to callers: a family that is in some file
/// can be found again when the list of files is lost.
pub(crate) const MARKER: &[u8] = &[];

/// An open store. Blocking throughout: use it off the async runtime.
pub struct Kv {
    database: Arc<DB>,
    cache: Cache,
    write_options: WriteOptions,
    /// Of family `Cold`, for files that are written apart.
    table_options: Options,
    path: PathBuf,
    health: Arc<Health>,
    lacks_files: bool,
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
        let (database, lacks_files) = open_or_repair(path, options, &cache)?;
        let database = Arc::new(database);
        let health = Arc::new(Health::default());
        let mut write_options = WriteOptions::default();
        write_options.set_sync(options.wal_sync == WalSync::Always);
        let syncer = match options.wal_sync {
            WalSync::Interval(interval) => Some(Syncer::start(&database, &health, interval)?),
            WalSync::Always | WalSync::Os => None,
        };
        Ok(Self {
            database,
            write_options,
            table_options: family_options(Family::Cold, options, &cache),
            cache,
            path: path.to_owned(),
            health,
            lacks_files,
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
    /// Nothing of the batch was written. The writes that follow try to begin a new log first, and are
    /// refused until that succeeds.
    pub fn write(&self, batch: Batch<'_>) -> Result<(), KvError> {
        let database = &self.database;
        let write = || database.write_opt(batch.inner, &self.write_options);
        self.health.guard(database, write)
    }

    /// Why writes are refused; `None` while they are not.
    #[must_use]
    pub fn write_failure(&self) -> Option<String> {
        self.health.failure()
    }

    /// Whether files were put aside or dropped when the store was opened, so that keys may be missing
    /// without any error.
    #[must_use]
    pub const fn lacks_files(&self) -> bool {
        self.lacks_files
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

    /// Writes a copy of the store as it is now into a new folder. Files that do not change any more
    /// are linked, not copied.
    ///
    /// # Errors
    /// The folder exists, lies on another file system without room, or cannot be written.
    pub fn checkpoint(&self, folder: &Path) -> Result<(), KvError> {
        Checkpoint::new(self.database())
            .and_then(|checkpoint| checkpoint.create_checkpoint(folder))
            .map_err(KvError::operation("checkpoint"))
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

/// Also tells whether files were put aside or dropped.
fn open_or_repair(path: &Path, options: &KvOptions, cache: &Cache) -> Result<(DB, bool), KvError> {
    let unreadable = |source| KvError::CreateDirectory {
        path: path.to_owned(),
        source,
    };
    let mut folder = Folder::inspect(path).map_err(unreadable)?;
    let mut lacks_files = folder.needs_repair.is_some();
    if let Some(reason) = folder.needs_repair.take() {
        folder.check_logs();
        folder.repair(&reason, options)?;
    }
    let opened = std::thread::scope(|scope| {
        let checked = scope.spawn(|| folder.check_logs());
        let opened = open_database(path, options, cache);
        // It reads files and logs what it finds; a panic is shown when the scope ends.
        let _shown = checked.join();
        opened
    });
    let probed = opened.and_then(|database| {
        probe(&database)?;
        let files = database
            .live_files()
            .map_err(KvError::operation("list files"))?;
        check_sizes(&files, path)?;
        probe_files(&database, &files)?;
        Ok(database)
    });
    let database = match probed {
        Ok(database) => database,
        Err(error) if error.is_damage() => {
            lacks_files = true;
            folder.repair(&base::report(&error), options)?;
            open_database(path, options, cache)?
        }
        Err(error) => return Err(error),
    };
    lost::reclaim(path, &database)?;
    let files = database
        .live_files()
        .map_err(KvError::operation("list files"))?;
    lacks_files |= report_files(&folder, &files);
    if let Err(error) = write_markers(&database, &files) {
        tracing::warn!(error = %base::report(&error), "families could not be marked");
    }
    Ok((database, lacks_files))
}

fn open_database(path: &Path, options: &KvOptions, cache: &Cache) -> Result<DB, KvError> {
    let families = Family::ALL.map(|family| {
        ColumnFamilyDescriptor::new(family.name(), family_options(family, options, cache))
    });
    let database = DB::open_cf_descriptors(&database_options(options), path, families)
        .map_err(|source| KvError::open(path, source))?;
    for family in Family::ALL {
        if database.cf_handle(family.name()).is_none() {
            return Err(KvError::MissingFamily(family.name()));
        }
    }
    Ok(database)
}

/// What names of files in RocksDB's complaints end in.
const TABLE_SUFFIX: &str = ".sst";

/// A file of the newest level that cannot be opened hides its whole family.
fn probe(database: &DB) -> Result<(), KvError> {
    for family in Family::ALL {
        if let Some(handle) = database.cf_handle(family.name()) {
            let mut all = database.raw_iterator_cf(handle);
            all.seek([u8::MAX; 64]);
            all.status().map_err(KvError::operation("open family"))?;
        }
    }
    Ok(())
}

/// So does a file of another level, for those who look between its keys or behind the file before
/// it. RocksDB names the file in whose blocks it finds damage; of one that it cannot open it names
/// none.
fn probe_files(database: &DB, files: &[LiveFile]) -> Result<(), KvError> {
    for family in Family::ALL {
        let Some(handle) = database.cf_handle(family.name()) else {
            continue;
        };
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        let mut all = database.raw_iterator_cf_opt(handle, options);
        let in_family = |file: &&LiveFile| file.column_family_name == family.name();
        for file in files.iter().filter(in_family).filter(|file| file.level > 0) {
            all.seek(file.start_key.as_deref().unwrap_or_default());
            match all.status() {
                Err(error) if !error.as_ref().contains(TABLE_SUFFIX) => {
                    return Err(KvError::operation("open file")(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

/// A file that is cut or gone hides whatever lies between its keys, also what is newer.
fn check_sizes(files: &[LiveFile], path: &Path) -> Result<(), KvError> {
    for file in files {
        let path = path.join(file.name.trim_start_matches('/'));
        // One that went since then was replaced by others: it was whole.
        let found = path.metadata().map(|metadata| metadata.len());
        if found.is_ok_and(|found| found != file.size as u64) {
            return Err(KvError::WrongSize { path });
        }
    }
    Ok(())
}

/// Logs which files are not used, and tells whether there are any.
fn report_files(folder: &Folder, files: &[LiveFile]) -> bool {
    let mut used = BTreeSet::new();
    for file in files {
        let family = file.column_family_name.as_str();
        let name = file.name.trim_start_matches('/');
        if Family::ALL.iter().any(|known| known.name() == family) {
            used.insert(name.to_owned());
        } else {
            tracing::error!(
                file = name,
                family,
                "a file of storage is of no family and lost"
            );
        }
    }
    folder.report_unused(&used)
}

/// Puts the marker into families that are in no file yet.
fn write_markers(database: &DB, files: &[LiveFile]) -> Result<(), KvError> {
    for family in Family::ALL {
        let name = family.name();
        let Some(handle) = database.cf_handle(name) else {
            continue;
        };
        if files.iter().all(|file| file.column_family_name != name) {
            let written = database.put_cf(handle, MARKER, []);
            written.map_err(KvError::operation("write"))?;
            let flushed = database.flush_cf(handle);
            flushed.map_err(KvError::operation("flush"))?;
        }
    }
    Ok(())
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
    fn start(
        database: &Arc<DB>,
        health: &Arc<Health>,
        interval: Duration,
    ) -> Result<Self, KvError> {
        let database: Weak<DB> = Arc::downgrade(database);
        let health = Arc::clone(health);
        let (stop, stopped) = channel();
        let run = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                let Some(database) = database.upgrade() else {
                    return;
                };
                // What was refused is not synced either, and says so itself.
                if health.failure().is_none()
                    && let Err(error) = database.flush_wal(true)
                {
                    health.sync_failed(&error);
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
