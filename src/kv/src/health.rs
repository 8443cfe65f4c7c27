//! What happens when a write fails: nothing more is written until a new log has been begun.
//!
//! A refused write may have left a part of itself in RocksDB's log, and what follows it there would
//! not be found again. So writes stop, until everything in memory is in files and a new log has begun:
//! the old one is then never read again. Reads go on meanwhile.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rocksdb::{DB, FlushOptions, WriteOptions};

use crate::error::KvError;
use crate::store::{Family, MARKER};

/// Time between two attempts to begin a new log.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Longest wait of a write for the files that a new log needs.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// Whether there is room is found out by writing a file.
const ROOM_FILE: &str = "room.tmp";
const ROOM_BYTES: usize = 4 << 20;
const FLUSH_GLANCE: Duration = Duration::from_millis(5);

/// Whether writes are possible. Held while a write runs, so that none follows a refused one.
#[derive(Debug, Default)]
pub(crate) struct Health {
    state: Mutex<State>,
    /// Nobody signals: it only paces looks at a running flush.
    pace: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    /// A new log has begun; what is in memory is on its way into files.
    has_new_log: bool,
    last_try: Option<Instant>,
}

impl Health {
    /// Why writes are refused; `None` if they are not.
    pub(crate) fn failure(&self) -> Option<String> {
        let state = self.state.lock();
        state.failure.as_ref().map(|failure| failure.reason.clone())
    }

    /// Runs a write, if need be after a new log has been begun.
    pub(crate) fn guard(
        &self,
        database: &DB,
        write: impl FnOnce() -> Result<(), rocksdb::Error>,
    ) -> Result<(), KvError> {
        let mut state = self.state.lock();
        if state.failure.is_some() {
            self.resume(&mut state, database)?;
        }
        write().map_err(|source| {
            state.fail(source.to_string());
            KvError::Operation {
                operation: "write",
                source,
            }
        })
    }

    /// What was written may not be on the device, and cannot be synced by trying again.
    pub(crate) fn sync_failed(&self, error: &rocksdb::Error) {
        self.state.lock().fail(error.to_string());
    }

    fn resume(&self, state: &mut MutexGuard<'_, State>, database: &DB) -> Result<(), KvError> {
        let refused = |reason: &str| KvError::Refused {
            reason: reason.to_owned(),
        };
        let timer = Instant::now();
        if let Some(failure) = &mut state.failure {
            let is_early = failure
                .last_try
                .is_some_and(|last| timer.duration_since(last) < RETRY_INTERVAL);
            if is_early {
                return Err(refused(&failure.reason));
            }
            failure.last_try = Some(timer);
            if let Err(error) = check_room(database.path()) {
                return Err(refused(&format!("{}: {error}", failure.reason)));
            }
            if let Err(error) = begin_new_log(database, failure.has_new_log) {
                failure.reason = error.to_string();
                return Err(refused(&failure.reason));
            }
            failure.has_new_log = true;
        }
        while has_unwritten(database) {
            if timer.elapsed() > FLUSH_PATIENCE {
                let reason = state
                    .failure
                    .as_ref()
                    .map(|failure| failure.reason.as_str());
                return Err(refused(reason.unwrap_or_default()));
            }
            self.pace.wait_for(state, FLUSH_GLANCE);
        }
        if state.failure.take().is_some() {
            tracing::info!("storage takes writes again");
        }
        Ok(())
    }
}

impl State {
    fn fail(&mut self, reason: String) {
        tracing::error!(
            reason,
            "storage refuses writes until it can begin a new log"
        );
        self.failure = Some(Failure {
            reason,
            has_new_log: false,
            last_try: None,
        });
    }
}

/// RocksDB gives up for good when a new log cannot be made: it is only asked to when there is room.
fn check_room(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(ROOM_FILE);
    let written = File::create(&path).and_then(|mut file| {
        let block = vec![0x5a; 1 << 16];
        for _ in 0..ROOM_BYTES / block.len() {
            file.write_all(&block)?;
        }
        file.sync_all()
    });
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// Moves what is in memory of every family towards files, which begins a new log.
fn begin_new_log(database: &DB, has_new_log: bool) -> Result<(), rocksdb::Error> {
    let mut unlogged = WriteOptions::default();
    unlogged.disable_wal(true);
    let mut flush = FlushOptions::default();
    flush.set_wait(false);
    let mut handles = Vec::with_capacity(Family::ALL.len());
    for family in Family::ALL {
        if let Some(handle) = database.cf_handle(family.name()) {
            // A family without writes would not take part, and if none had any, the log would stay.
            // Into `Cold` nothing is written but the marker.
            if !has_new_log && family != Family::Cold {
                database.put_cf_opt(handle, MARKER, [], &unlogged)?;
            }
            handles.push(handle);
        }
    }
    database.flush_cfs_opt(&handles, &flush)
}

fn has_unwritten(database: &DB) -> bool {
    Family::ALL.iter().any(|family| {
        let handle = database.cf_handle(family.name());
        let waiting = handle.and_then(|handle| {
            let property = "rocksdb.num-immutable-mem-table";
            database
                .property_int_value_cf(handle, property)
                .ok()
                .flatten()
        });
        waiting.unwrap_or(0) > 0
    })
}
