//! Upkeep gives back memory that growth, or writes that have ended, have left behind.

use kv::KvError;
use model::{PromDuration, Timestamp};

use crate::db::Engine;
use crate::error::TsdbError;

/// So many changes of the index, and one for so many series, are worth another look at all of it.
const CHANGES: u64 = 4096;
const CHANGES_ONE_OF: u64 = 32;
/// Without a commit for so long, writes rest.
const REST: PromDuration = PromDuration::from_secs(60);
/// What memtables hold beyond this goes into files while writes rest.
const MEMTABLES_AT_REST_BYTES: u64 = 4 << 20;

/// What was given back last.
#[derive(Debug, Default)]
pub(crate) struct GivenBack {
    /// Changes of the index until it was compressed.
    index_changes: u64,
    /// The newest commit, and when it was seen first.
    newest_commit: Option<(u64, Timestamp)>,
}

impl Engine {
    /// Gives back what has come together since the last call.
    pub(crate) fn give_memory_back(
        &self,
        last: &mut GivenBack,
        now: Timestamp,
    ) -> Result<(), TsdbError> {
        self.compress_index(last);
        Ok(self.flush_at_rest(last, now)?)
    }

    /// Series that come one by one leave sets of ids in forms that are made to grow.
    fn compress_index(&self, last: &mut GivenBack) {
        let (changes, series, labels) = {
            let index = self.index.read();
            (index.changes(), index.all().len(), index.label_numbers())
        };
        let new = changes.saturating_sub(last.index_changes);
        if new < CHANGES.max(series / CHANGES_ONE_OF) {
            return;
        }
        last.index_changes = changes;
        for number in 0..labels {
            // Queries look at the index in between.
            self.index.write().compress_label(number);
        }
    }

    /// Files take over from memtables that would wait for writes to fill them. Without memtables
    /// there is no log to read when the store is opened again.
    fn flush_at_rest(&self, last: &mut GivenBack, now: Timestamp) -> Result<(), KvError> {
        let newest = self.committer.last_committed();
        let since = match last.newest_commit {
            Some((commit, since)) if commit == newest => since,
            _ => {
                last.newest_commit = Some((newest, now));
                return Ok(());
            }
        };
        let rests = since.saturating_add(REST) <= now;
        // A flush on a full disk would be refused, and keep what is behind it from being written.
        if rests
            && self.kv.memtable_bytes() > MEMTABLES_AT_REST_BYTES
            && self.kv.write_failure().is_none()
        {
            self.kv.flush_all()?;
        }
        Ok(())
    }
}
