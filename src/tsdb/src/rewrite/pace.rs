//! How fast a rewrite may be.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::TsdbError;

/// Asked between chunks: may wait, and may end the rewrite.
pub(crate) trait Pace {
    /// Waits as long as is due after `samples` more.
    ///
    /// # Errors
    /// [`TsdbError::Stopped`]: the engine closes.
    fn pause_after(&mut self, samples: usize) -> Result<(), TsdbError>;
}

/// As fast as it goes.
pub(crate) struct Unpaced;

impl Pace for Unpaced {
    fn pause_after(&mut self, _samples: usize) -> Result<(), TsdbError> {
        Ok(())
    }
}

/// Samples between two pauses: some milliseconds of work.
const SAMPLES_PER_SLICE: usize = 1 << 18;
/// No pause is longer, however long a slice took.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Rests as long as it has worked, so that it never takes more than half of a core.
pub(crate) struct HalfSpeed<'a> {
    stopped: &'a Receiver<()>,
    samples: usize,
    resumed: Instant,
}

impl<'a> HalfSpeed<'a> {
    /// `stopped` is closed when the engine closes.
    pub(crate) fn new(stopped: &'a Receiver<()>) -> Self {
        Self {
            stopped,
            samples: 0,
            resumed: Instant::now(),
        }
    }
}

impl Pace for HalfSpeed<'_> {
    fn pause_after(&mut self, samples: usize) -> Result<(), TsdbError> {
        self.samples += samples;
        if self.samples < SAMPLES_PER_SLICE {
            return Ok(());
        }
        self.samples = 0;
        let pause = self.resumed.elapsed().min(MAX_PAUSE);
        let stopped = self.stopped.recv_timeout(pause);
        self.resumed = Instant::now();
        match stopped {
            Err(RecvTimeoutError::Disconnected) => Err(TsdbError::Stopped),
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closing_engine_ends_the_rewrite() {
        let (stop, stopped) = std::sync::mpsc::channel();
        let mut pace = HalfSpeed::new(&stopped);
        pace.pause_after(SAMPLES_PER_SLICE).unwrap();
        drop(stop);
        pace.pause_after(1).unwrap();
        let ended = pace.pause_after(SAMPLES_PER_SLICE);
        assert!(matches!(ended, Err(TsdbError::Stopped)), "{ended:?}");
    }
}
