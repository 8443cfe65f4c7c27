//! Tells running queries to stop: when their time is up, and when nobody waits for them any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use promql::{StopCheck, StopReason};

/// Dropped with the request's future when the client goes away; then the query stops.
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// What the engine asks while it works.
    pub(crate) fn stop_check(&self, deadline: Instant) -> StopCheck {
        let canceled = Arc::clone(&self.0);
        Arc::new(move || {
            if canceled.load(Ordering::Relaxed) {
                Some(StopReason::Canceled)
            } else if Instant::now() >= deadline {
                Some(StopReason::Timeout)
            } else {
                None
            }
        })
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn stops_when_dropped_or_late() {
        let guard = CancelOnDrop::new();
        let now = Instant::now();
        let in_time = guard.stop_check(now + Duration::from_secs(3600));
        assert_eq!(guard.stop_check(now)(), Some(StopReason::Timeout));
        assert_eq!(in_time(), None);
        drop(guard);
        assert_eq!(in_time(), Some(StopReason::Canceled));
    }
}
