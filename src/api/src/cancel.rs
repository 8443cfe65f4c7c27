//! Tells running queries to stop: when their time is up, and when nobody waits for them any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::SharedStopwatch;
use promql::{StopCheck, StopReason};

/// Dropped with the request's future when the client goes away; then the query stops.
pub(crate) struct CancelOnDrop(Arc<AtomicBool>);

impl CancelOnDrop {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// What the engine asks while it works. `deadline` is a time on the stopwatch.
    pub(crate) fn stop_check(&self, stopwatch: SharedStopwatch, deadline: Duration) -> StopCheck {
        let canceled = Arc::clone(&self.0);
        Arc::new(move || {
            if canceled.load(Ordering::Relaxed) {
                Some(StopReason::Canceled)
            } else if stopwatch.elapsed() >= deadline {
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
    use base::ManualStopwatch;

    use super::*;

    #[test]
    fn stops_when_dropped_or_late() {
        let guard = CancelOnDrop::new();
        let stopwatch = Arc::new(ManualStopwatch::ticking(0));
        let stop = guard.stop_check(
            Arc::<ManualStopwatch>::clone(&stopwatch),
            Duration::from_secs(3600),
        );
        assert_eq!(stop(), None);
        stopwatch.advance(Duration::from_secs(3600));
        assert_eq!(stop(), Some(StopReason::Timeout));
        drop(guard);
        assert_eq!(stop(), Some(StopReason::Canceled));
    }
}
