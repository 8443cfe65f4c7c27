//! Walks the commits of the log in the order of their numbers, around damage.

use kv::Scan;

use crate::error::TsdbError;
use crate::keys;
use crate::record;

/// Records are handed over in batches of about so many bytes, uncompressed.
const BATCH_BYTES: usize = 6 << 20;
/// Commits looked for behind an unreadable one when the end of the log is unreadable as well.
const MAX_UNREADABLE: u64 = 1 << 16;

/// A commit as it is stored.
pub(super) struct StoredCommit {
    pub(super) number: u64,
    pub(super) record: Vec<u8>,
}

/// What a walk found to be lost, by commit numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// A walk over the commits.
pub(super) struct LogReader<'a> {
    scan: Scan<'a>,
    /// Number of the next commit, if none is missing.
    next: u64,
    /// Number of the last commit, as far as that can be read.
    last: u64,
    is_at_end: bool,
}

impl<'a> LogReader<'a> {
    pub(super) fn new(kv: &'a kv::Kv, from: u64) -> Self {
        let mut scan = kv.scan(kv::Family::Log, None);
        scan.seek_for_prev(&keys::commit(u64::MAX));
        let last = match scan.current() {
            Ok(Some((key, _))) => keys::commit_number(key).unwrap_or(0),
            Ok(None) => 0,
            Err(_) => from.saturating_add(MAX_UNREADABLE),
        };
        scan.seek(&keys::commit(from));
        Self {
            scan,
            next: from,
            last,
            is_at_end: false,
        }
    }

    /// Number of the commit behind the last one that was read.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// The next commits, empty at the end, and those that are missing before or between them.
    pub(super) fn next_batch(&mut self) -> (Vec<StoredCommit>, Vec<Lost>) {
        let (mut batch, mut lost) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while bytes < BATCH_BYTES && !self.is_at_end {
            let Some(commit) = self.current() else {
                self.is_at_end = true;
                break;
            };
            if commit.number > self.next {
                lost.push(Lost {
                    first: self.next,
                    last: commit.number - 1,
                });
            }
            self.next = commit.number + 1;
            bytes += record::payload_bytes(&commit.record).max(commit.record.len());
            batch.push(commit);
            self.scan.advance();
        }
        (batch, lost)
    }

    fn current(&mut self) -> Option<StoredCommit> {
        let mut sought = self.next;
        loop {
            match self.scan.current() {
                Ok(Some((key, record))) => {
                    let number = keys::commit_number(key)?;
                    let record = record.to_vec();
                    return Some(StoredCommit { number, record });
                }
                Ok(None) => return None,
                Err(error) => {
                    if sought == self.next {
                        let error = base::report(&TsdbError::from(error));
                        tracing::error!(%error, commit = sought, "a part of the log is unreadable");
                    }
                }
            }
            if sought >= self.last {
                return None;
            }
            sought += 1;
            self.scan.seek(&keys::commit(sought));
        }
    }
}
