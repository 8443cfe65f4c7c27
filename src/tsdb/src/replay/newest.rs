//! The newest time of each series, from the end of the log: what lets writes in before it is
//! replayed.

use super::Unreplayed;
use super::commits::Bits;
use super::early::{NewestTime, NewestTimes};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::head::Newest;
use crate::{keys, record};

/// The end of the log is read until every series has been seen, but not more rows than so many
/// times the number of series: the replay has to wait meanwhile.
const ROUNDS: u64 = 4;
/// Rows that are read however few series there are.
const FREE_ROWS: u64 = 1 << 16;

impl Engine {
    /// Lets writes in, where that can be done before the replay: nothing is damaged that tells the
    /// order of samples. Series that the end of the log does not name keep theirs waiting.
    pub(super) fn let_writes_in(&self, unreplayed: &Unreplayed) {
        if !unreplayed.seals_are_whole {
            return;
        }
        match self.newest_in_log(unreplayed.from) {
            Ok(Some((last, newest))) => {
                self.committer.resume_after(last);
                self.early.open(newest);
            }
            // The log is empty, or the replay will find what it lacks.
            Ok(None) => {}
            Err(error) => {
                let error = base::report(&error);
                tracing::warn!(%error, "writes have to wait until the log is replayed");
            }
        }
    }

    /// Number of the last commit, and the newest time of the series that the last commits name;
    /// `None` without commits, or if any of those is missing.
    fn newest_in_log(&self, from: u64) -> Result<Option<(u64, NewestTimes)>, TsdbError> {
        let index = self.index.read();
        let active = Bits::new(index.all());
        let mut unseen = index.all().len();
        drop(index);
        let mut rows_left = unseen * ROUNDS + FREE_ROWS;
        let mut newest = NewestTimes::default();
        let mut scan = self.kv.scan(kv::Family::Log, None);
        let mut locked = self.head.lock_all();
        let (mut last, mut expected) = (None, u64::MAX);
        while unseen > 0 && rows_left > 0 && expected >= from {
            scan.seek_for_prev(&keys::commit(expected));
            let number = match scan.current()? {
                Some((key, _)) => keys::commit_number(key).filter(|number| *number >= from),
                None => None,
            };
            let (Some(number), Some((_, record))) = (number, scan.current()?) else {
                break;
            };
            if last.is_some() && number != expected {
                return Ok(None);
            }
            last.get_or_insert(number);
            let rows = record::decode_order(record)?;
            rows_left = rows_left.saturating_sub(rows.len() as u64);
            for row in rows.iter().rev().filter(|row| active.contains(row.series)) {
                let known = newest.entry(row.series as usize);
                if !known.is_known() {
                    let head = locked.series(row.series);
                    let is_sealed = head.newest() != Newest::Unknown;
                    let sealed_ms = if is_sealed {
                        head.reserved_ms
                    } else {
                        i64::MIN
                    };
                    *known = NewestTime::new(row.timestamp_ms.max(sealed_ms));
                    unseen -= 1;
                }
            }
            let Some(before) = number.checked_sub(1) else {
                break;
            };
            expected = before;
        }
        Ok(last.map(|last| (last, newest)))
    }
}
