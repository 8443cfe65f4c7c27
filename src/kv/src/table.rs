//! Finished files: written apart in key order, then taken into a family as they are.

use std::path::{Path, PathBuf};

use rocksdb::{IngestExternalFileOptions, SstFileWriter};

use crate::error::KvError;
use crate::store::{Family, Kv};

/// Writes one file of keys in ascending order, outside of the store.
pub struct TableWriter<'a> {
    inner: SstFileWriter<'a>,
    path: PathBuf,
}

impl TableWriter<'_> {
    /// Adds a key behind all that were added.
    ///
    /// # Errors
    /// The file cannot be written, or the key is not behind the last one.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.inner
            .put(key, value)
            .map_err(KvError::operation("writing a table"))
    }

    /// Bytes that have been written so far; the newest ones are still collected.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.inner.file_size()
    }

    /// Ends the file, syncs it to the device, and returns its path. There must be a key in it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<PathBuf, KvError> {
        self.inner
            .finish()
            .map_err(KvError::operation("finishing a table"))?;
        Ok(self.path)
    }
}

impl Kv {
    /// Begins a file for family [`Family::Cold`] at `path`, which is on the store's file system.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn table_writer(&self, path: &Path) -> Result<TableWriter<'_>, KvError> {
        let inner = SstFileWriter::create(self.table_options());
        inner
            .open(path)
            .map_err(KvError::operation("creating a table"))?;
        Ok(TableWriter {
            inner,
            path: path.to_owned(),
        })
    }

    /// Takes finished files, whose keys do not overlap, into family [`Family::Cold`]: all of them
    /// or none. The files are gone from where they were. When it returns, the device has it.
    ///
    /// # Errors
    /// Nothing was taken.
    pub fn ingest(&self, tables: &[PathBuf]) -> Result<(), KvError> {
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.database()
            .ingest_external_file_cf_opts(self.handle(Family::Cold), &options, tables.to_vec())
            .map_err(KvError::operation("ingesting tables"))
    }
}
