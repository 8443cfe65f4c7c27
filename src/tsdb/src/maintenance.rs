//! What an administrator asks for: deletes, cleaning up behind them, snapshots.

use std::path::Path;

use kv::{Kv, KvOptions, WalSync};
use model::{Matcher, TimeRange};
use storage::{Maintenance, SnapshotHead, StorageError};

use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::keys;
use crate::work::Work;

impl Maintenance for Tsdb {
    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), StorageError> {
        Ok(self.engine().delete(range, matchers)?)
    }

    fn clean_tombstones(&self) -> Result<(), StorageError> {
        Ok(self.engine().clean_tombstones()?)
    }

    fn snapshot(&self, folder: &Path, head: SnapshotHead) -> Result<(), StorageError> {
        Ok(self.engine().snapshot(folder, head)?)
    }
}

impl Engine {
    fn snapshot(&self, folder: &Path, head: SnapshotHead) -> Result<(), TsdbError> {
        self.replayed.wait()?;
        let _work = Work::begin("snapshot");
        // Samples that are visible and not written yet are part of it as well.
        let newest_commit = self.committer.newest_number();
        self.committer.wait_until_committed(newest_commit)?;
        self.kv.checkpoint(folder)?;
        match head {
            SnapshotHead::Include => Ok(()),
            SnapshotHead::Skip => drop_log(folder),
        }
    }
}

/// Leaves only what is in chunks in a folder that nobody has opened.
fn drop_log(folder: &Path) -> Result<(), TsdbError> {
    let options = KvOptions {
        wal_sync: WalSync::Os,
        ..KvOptions::default()
    };
    let kv = Kv::open(folder, &options)?;
    let last = {
        let mut scan = kv.scan(kv::Family::Log, None);
        scan.seek_for_prev(&keys::commit(u64::MAX));
        let current = scan.current()?;
        current.and_then(|(key, _)| keys::commit_number(key))
    };
    let Some(last) = last else {
        return Ok(());
    };
    let mut batch = kv.batch();
    let (from, to) = (keys::commit(0), keys::commit(last.saturating_add(1)));
    batch.delete_range(kv::Family::Log, &from, &to);
    let (from, to) = (keys::seal_bound(0), keys::seal_bound(u64::MAX));
    batch.delete_range(kv::Family::Log, &from, &to);
    let next = last.saturating_add(1).to_be_bytes();
    batch.put(kv::Family::Meta, keys::META_REPLAY_FROM, &next);
    Ok(kv.write(batch)?)
}
