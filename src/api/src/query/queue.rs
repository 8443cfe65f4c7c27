//! The line in which queries wait: for one of a fixed number of slots, then for a first share of the
//! memory of all queries.

use std::sync::Arc;
use std::time::Duration;

use base::{MemoryBudget, MemoryShare};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a query must get of the memory of all queries before it begins.
const FIRST_SHARE_BYTES: u64 = 4 << 20;

/// The line.
pub(crate) struct QueryQueue {
    slots: Arc<Semaphore>,
    size: usize,
    memory: MemoryBudget,
}

/// What a query needs to run. The slot is free again when it is dropped.
pub(crate) struct Turn {
    pub(crate) memory: Arc<MemoryShare>,
    _slot: OwnedSemaphorePermit,
}

impl QueryQueue {
    /// A line for at most `size` queries at one time.
    pub(crate) fn new(size: usize, memory: MemoryBudget) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            slots: Arc::new(Semaphore::new(size)),
            size,
            memory,
        }
    }

    /// How many queries may run at one time.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Waits for a turn; `None` when it does not come in time. No time at all is never enough.
    pub(crate) async fn turn(&self, most: Duration) -> Option<Turn> {
        if most.is_zero() {
            return None;
        }
        tokio::time::timeout(most, self.wait()).await.ok()?
    }

    async fn wait(&self) -> Option<Turn> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let memory = self.memory.share(FIRST_SHARE_BYTES).await;
        Some(Turn {
            memory: Arc::new(memory),
            _slot: slot,
        })
    }
}
