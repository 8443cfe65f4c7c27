//! Files that RocksDB's repair has put aside. It also puts those aside that were written apart and
//! taken as they are, since they do not name their family: these are whole, and are taken again.

use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{DB, ErrorKind, IngestExternalFileOptions};

use crate::error::KvError;
use crate::store::Family;

/// Where RocksDB's repair puts what it cannot use.
const LOST: &str = "lost";
const TABLE: &str = "sst";
/// Ends the names of files that cannot be used either.
const UNREADABLE: &str = "sst.unreadable";

/// Takes what has been put aside, now or before a process was killed, into [`Family::Cold`], the
/// only family whose files are written apart. What cannot be taken is logged.
///
/// # Errors
/// The operating system refuses to list the files.
pub(crate) fn reclaim(path: &Path, database: &DB) -> Result<(), KvError> {
    for table in put_aside(path).map_err(|source| KvError::CreateDirectory {
        path: path.join(LOST),
        source,
    })? {
        let file = table.display();
        match take(database, &table) {
            Ok(()) => tracing::warn!(%file, "a file that the repair had put aside is used again"),
            Err(error) if is_final(&error) => {
                let kept = table.with_extension(UNREADABLE);
                let renamed = std::fs::rename(&table, &kept);
                let file = if renamed.is_ok() { kept } else { table.clone() };
                let file = file.display();
                tracing::error!(%file, %error, "a file of storage is unreadable and lost");
            }
            Err(error) => {
                tracing::error!(%file, %error, "a file that was put aside is tried again later");
            }
        }
    }
    Ok(())
}

/// Oldest first.
fn put_aside(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(path.join(LOST)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut tables = Vec::new();
    for entry in entries {
        let table = entry?.path();
        if table
            .extension()
            .is_some_and(|extension| extension == TABLE)
        {
            tables.push(table);
        }
    }
    tables.sort();
    Ok(tables)
}

fn take(database: &DB, table: &Path) -> Result<(), rocksdb::Error> {
    let mut options = IngestExternalFileOptions::default();
    options.set_move_files(true);
    match database.cf_handle(Family::Cold.name()) {
        Some(cold) => database.ingest_external_file_cf_opts(cold, &options, vec![table]),
        None => Ok(()),
    }
}

/// Whether the file is to blame, not the device.
fn is_final(error: &rocksdb::Error) -> bool {
    let kind = error.kind();
    kind == ErrorKind::Corruption || kind == ErrorKind::InvalidArgument
}
