//! Named tasks with a parent that awaits them.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// Tells tasks that it is time to end. Clones share one signal; a child also ends with its parent.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A signal not yet given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A signal that is also given when this one is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Gives the signal.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the signal.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}

/// Tasks that belong to one owner. The owner awaits them with [`TaskGroup::join`]; dropping the
/// group ends them.
#[derive(Debug, Default)]
pub struct TaskGroup {
    tasks: JoinSet<()>,
}

impl TaskGroup {
    /// A group without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task; `name` appears in its log lines. A panic inside is logged by
    /// [`TaskGroup::join`].
    pub fn spawn(&mut self, name: &str, task: impl Future<Output = ()> + Send + 'static) {
        let span = tracing::debug_span!("task", name);
        self.tasks.spawn(task.instrument(span));
    }

    /// Waits until all tasks have ended.
    pub async fn join(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            log_panic(ended);
        }
    }

    /// Forgets tasks that have ended, without waiting for the others. Owners whose tasks come and
    /// go call it now and then.
    pub fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            log_panic(ended);
        }
    }

    /// How many tasks were started and not yet joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "task panicked");
    }
}
