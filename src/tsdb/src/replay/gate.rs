//! What has to wait until the log is replayed.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::error::TsdbError;

/// How far the replay of the log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Progress {
    #[default]
    Running,
    Done,
    /// The engine stops, or the replaying thread broke down: the head stays incomplete.
    GivenUp,
}

/// Closed while the head lacks what is only in the log. What needs the head waits in front of it:
/// nothing is answered, and no order is judged, without what was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct ReplayGate {
    open: AtomicBool,
    progress: Mutex<Progress>,
    changed: Condvar,
    #[cfg(test)]
    held: AtomicBool,
}

impl ReplayGate {
    /// Returns when the head is complete.
    ///
    /// # Errors
    /// It will not be: the engine stops.
    pub(crate) fn wait(&self) -> Result<(), TsdbError> {
        if self.open.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut progress = self.progress.lock();
        while *progress == Progress::Running {
            self.changed.wait(&mut progress);
        }
        match *progress {
            Progress::Done => Ok(()),
            Progress::Running | Progress::GivenUp => Err(TsdbError::NotReplayed),
        }
    }

    /// Whether the head is complete.
    pub(crate) fn is_done(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// The head is complete.
    pub(crate) fn finish(&self) {
        self.leave(Progress::Done);
    }

    /// The head will not become complete. Nothing happens if it is.
    pub(crate) fn give_up(&self) {
        self.leave(Progress::GivenUp);
    }

    /// Whether the replay should end early.
    pub(crate) fn is_given_up(&self) -> bool {
        #[cfg(test)]
        self.wait_while_held();
        *self.progress.lock() == Progress::GivenUp
    }

    fn leave(&self, to: Progress) {
        let mut progress = self.progress.lock();
        if *progress == Progress::Running {
            *progress = to;
            self.open.store(to == Progress::Done, Ordering::Release);
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
impl ReplayGate {
    /// Lets the replay wait, if so told, until it is released or given up.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Release);
    }

    pub(crate) fn release(&self) {
        let progress = self.progress.lock();
        self.hold(false);
        drop(progress);
        self.changed.notify_all();
    }

    fn wait_while_held(&self) {
        let mut progress = self.progress.lock();
        while *progress == Progress::Running && self.held.load(Ordering::Acquire) {
            self.changed.wait(&mut progress);
        }
    }
}
