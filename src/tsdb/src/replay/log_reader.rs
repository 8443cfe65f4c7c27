//! Walks the commits of the log in the order of their numbers, around damage.

use kv::Scan;

use crate::error::TsdbError;
use crate::keys;
use crate::record;

/// Records are handed over in batches of about so many bytes, uncompressed.
const BATCH_BYTES: usize = 6 << 20;
/// Commits looked for behind an unreadable one when the end of the log is unreadable as well.
const MAX_UNREADABLE: u64 = 1 << 12;

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
    kv: &'a kv::Kv,
    scan: Scan<'a>,
    /// Number of the next commit, if none is missing.
    next: u64,
    /// Number of the last commit, as far as that can be read.
    last: u64,
    /// Everything from `next` to below it was found to be unreadable.
    sought: u64,
    /// The cursor stands at the commit that was read last.
    is_scanning: bool,
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
            kv,
            scan,
            next: from,
            last,
            sought: from,
            is_scanning: true,
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
                if self.sought > self.next {
                    // How many there were is not known; the number may be given again, since what
                    // is written later is found first.
                    lost.push(Lost {
                        first: self.next,
                        last: self.next,
                    });
                }
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
            if self.is_scanning {
                self.scan.advance();
            } else {
                self.scan.seek(&keys::commit(self.next));
            }
        }
        (batch, lost)
    }

    fn current(&mut self) -> Option<StoredCommit> {
        self.sought = self.next;
        match self.scan.current() {
            Ok(Some((key, record))) => {
                let number = keys::commit_number(key)?;
                let record = record.to_vec();
                self.is_scanning = true;
                return Some(StoredCommit { number, record });
            }
            Ok(None) => return None,
            Err(error) => {
                let error = base::report(&TsdbError::from(error));
                tracing::error!(%error, commit = self.next, "a part of the log is unreadable");
            }
        }
        // A damaged block hides from a cursor also what newer files have among its keys.
        while self.sought <= self.last {
            let number = self.sought;
            if let Ok(Some(record)) = self.kv.get(kv::Family::Log, &keys::commit(number)) {
                self.is_scanning = false;
                return Some(StoredCommit { number, record });
            }
            self.sought += 1;
        }
        None
    }
}
