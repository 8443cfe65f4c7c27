//! How much space the store takes, and how it takes less.

use std::ffi::CStr;
use std::path::Path;

use rocksdb::{BottommostLevelCompaction, CompactOptions, FlushOptions, Range};

use crate::error::KvError;
use crate::store::{Family, Kv};

/// RocksDB's own log of what it did: read by people only.
const INFO_LOG_PREFIX: &str = "LOG";
/// Files with the options of a past opening: read by people only.
const OPTIONS_PREFIX: &str = "OPTIONS-";
const WRITE_AHEAD_LOG_SUFFIX: &str = "log";

impl Kv {
    /// Bytes in files of a family between two keys, estimated from whole blocks.
    #[must_use]
    pub fn range_bytes(&self, family: Family, from: &[u8], to: &[u8]) -> u64 {
        let range = Range::new(from, to);
        let sizes = self
            .database()
            .get_approximate_sizes_cf(self.handle(family), &[range]);
        sizes.into_iter().sum()
    }

    /// Bytes of a family's files.
    #[must_use]
    pub fn table_bytes(&self, family: Family) -> u64 {
        self.property(family, c"rocksdb.total-sst-files-size")
    }

    /// Bytes that a family takes in files and in memory, as RocksDB estimates them.
    #[must_use]
    pub fn family_bytes(&self, family: Family) -> u64 {
        self.table_bytes(family) + self.property(family, c"rocksdb.cur-size-all-mem-tables")
    }

    /// Bytes of writes that are in memory until they are flushed.
    #[must_use]
    pub fn memtable_bytes(&self) -> u64 {
        Family::ALL
            .into_iter()
            .map(|family| self.property(family, c"rocksdb.cur-size-all-mem-tables"))
            .sum()
    }

    fn property(&self, family: Family, name: &CStr) -> u64 {
        let value = self
            .database()
            .property_int_value_cf(self.handle(family), name);
        value.ok().flatten().unwrap_or(0)
    }

    /// Bytes of the write-ahead log's files.
    #[must_use]
    pub fn write_ahead_log_bytes(&self) -> u64 {
        folder_bytes(self.path(), &|path| {
            path.extension()
                .is_some_and(|extension| extension == WRITE_AHEAD_LOG_SUFFIX)
        })
    }

    /// Writes what is buffered of all families to their files; nothing of RocksDB's log is needed
    /// any more then.
    ///
    /// # Errors
    /// The flush failed.
    pub fn flush_all(&self) -> Result<(), KvError> {
        let families = Family::ALL.map(|family| self.handle(family));
        self.database()
            .flush_cfs_opt(&families, &FlushOptions::default())
            .map_err(KvError::operation("flush"))
    }

    /// Rewrites all files but those of [`Family::Cold`], so that nothing deleted takes space, and
    /// empties the write-ahead log.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn compact(&self) -> Result<(), KvError> {
        self.flush_all()?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        for family in Family::ALL
            .into_iter()
            .filter(|family| *family != Family::Cold)
        {
            let everything: (Option<&[u8]>, Option<&[u8]>) = (None, None);
            self.database().compact_range_cf_opt(
                self.handle(family),
                everything.0,
                everything.1,
                &options,
            );
        }
        Ok(())
    }

    /// Frees what was deleted between two keys by [`crate::Batch::delete_range`], beside other
    /// compactions. [`Kv::drop_files`] is faster, and wrong where newer keys lie in the range, or
    /// where it takes the note of a deletion away before what was deleted.
    pub fn compact_range(&self, family: Family, from: &[u8], to: &[u8]) {
        let mut options = CompactOptions::default();
        options.set_exclusive_manual_compaction(false);
        self.database()
            .compact_range_cf_opt(self.handle(family), Some(from), Some(to), &options);
    }
}

/// Removes from the folder of a store that is not open what only people read: logs of what RocksDB
/// did, and the options of past openings. What cannot be removed stays.
///
/// # Errors
/// The folder cannot be read.
pub fn remove_notes(path: &Path) -> Result<(), std::io::Error> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(INFO_LOG_PREFIX) || name.starts_with(OPTIONS_PREFIX) {
            // Only space is lost with a file that stays.
            let _stays = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Bytes of the files in a folder that are wanted; a folder that cannot be read has none.
fn folder_bytes(path: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let sizes = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        (metadata.is_file() && is_wanted(&entry.path())).then_some(metadata.len())
    });
    sizes.sum()
}
