//! The thread that rewrites past partitions, and when one is due.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use model::{PromDuration, Timestamp};

use super::pace::HalfSpeed;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::partition::Partition;

/// Time between two looks for partitions that are due.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// A partition is left alone so long after its day: its last chunks are sealed by then.
const SETTLING_TIME: PromDuration = PromDuration::from_secs(3600);
/// Rewrites are spread over this time, differently for each partition and each process: servers
/// that began together do not rewrite together.
const JITTER_MS: u64 = 6 * 3_600_000;
/// A partition into which samples come late is rewritten again after this time.
const REPEAT_TIME: PromDuration = PromDuration::from_secs(6 * 3600);

impl Engine {
    /// Body of the rewriting thread; ends when `stopped` is closed.
    pub(crate) fn run_rewriter(&self, stopped: &Receiver<()>) {
        let age = self.options.max_chunk_age.to_std();
        loop {
            match stopped.recv_timeout(CHECK_INTERVAL.min(age)) {
                Err(RecvTimeoutError::Disconnected) => return,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
            match self.rewrite_due(self.clock.now(), &mut HalfSpeed::new(stopped)) {
                Ok(()) | Err(TsdbError::Stopped) => {}
                Err(error) => {
                    tracing::error!(error = %base::report(&error), "rewriting a partition failed");
                }
            }
        }
    }

    /// Whether a partition has ended for long enough, and nothing happens in it.
    pub(crate) fn is_due(&self, partition: Partition, now: Timestamp) -> bool {
        let jitter = self.jitter(partition);
        let ended = partition.range().end;
        let due = ended
            .checked_add(SETTLING_TIME)
            .and_then(|at| at.checked_add(jitter));
        // Whatever waits in the head for this long has been sealed by then.
        let quiet = self.options.max_chunk_age;
        due.is_some_and(|due| due <= now)
            && self.cold.is_quiet(partition, now, (quiet, REPEAT_TIME))
    }

    /// The same for a partition as long as the process lives.
    fn jitter(&self, partition: Partition) -> PromDuration {
        let number = u64::from(u32::from_be_bytes(partition.to_bytes()));
        let mixed = (number ^ self.jitter_seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let jitter_ms = (mixed >> 16) % JITTER_MS;
        PromDuration::from_millis(jitter_ms.cast_signed())
    }
}
