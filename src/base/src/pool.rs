//! A fixed pool of threads for work that would block the async runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Why work was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The queue is full.
    #[error("too much work is waiting")]
    Full,
    /// The pool has been stopped.
    #[error("worker pool is stopped")]
    Stopped,
    /// The work panicked; the thread lives on.
    #[error("work panicked")]
    Panicked,
}

/// Threads with one bounded queue. Clones share them; they end when the last clone is dropped.
#[derive(Clone)]
pub struct CpuPool {
    shared: Arc<Shared>,
}

struct Shared {
    sender: Mutex<Option<Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    size: usize,
}

impl CpuPool {
    /// Starts `threads` threads named after `name`, with room for `queue` waiting jobs.
    ///
    /// # Errors
    /// The operating system gives no more threads.
    pub fn start(name: &str, threads: usize, queue: usize) -> std::io::Result<Self> {
        let (sender, receiver) = bounded::<Job>(queue);
        let handles = (0..threads)
            .map(|index| {
                let receiver = receiver.clone();
                std::thread::Builder::new()
                    .name(format!("{name}-{index}"))
                    .spawn(move || {
                        for job in receiver {
                            job();
                        }
                    })
            })
            .collect::<std::io::Result<Vec<_>>>()?;
        let shared = Shared {
            sender: Mutex::new(Some(sender)),
            threads: Mutex::new(handles),
            size: threads,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.shared.size
    }

    /// Runs `work` on the pool and waits for its result without blocking the caller's thread. Work
    /// whose caller has gone before it starts is dropped.
    ///
    /// # Errors
    /// The queue is full, the pool is stopped, or the work panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        self.submit(Box::new(move || {
            if !answer.is_closed() {
                // The receiver may leave at any time; then nobody wants the answer.
                let _unwanted = answer.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }))?;
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_panic)) => Err(PoolError::Panicked),
            Err(_dropped) => Err(PoolError::Stopped),
        }
    }

    /// Runs `work` on the pool and does not wait.
    ///
    /// # Errors
    /// The queue is full or the pool is stopped.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Result<(), PoolError> {
        self.submit(Box::new(move || {
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!("background work panicked");
            }
        }))
    }

    /// Lets queued work finish, then ends the threads. Blocking.
    pub fn stop(&self) {
        drop(self.shared.sender.lock().take());
        for thread in self.shared.threads.lock().drain(..) {
            // A worker catches panics of its work, so it only ends with the channel.
            let _ended = thread.join();
        }
    }

    fn submit(&self, job: Job) -> Result<(), PoolError> {
        match self.shared.sender.lock().as_ref() {
            None => Err(PoolError::Stopped),
            Some(sender) => sender.try_send(job).map_err(|error| match error {
                TrySendError::Full(_) => PoolError::Full,
                TrySendError::Disconnected(_) => PoolError::Stopped,
            }),
        }
    }
}

impl std::fmt::Debug for CpuPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuPool")
            .field("threads", &self.shared.size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn runs_work_and_survives_panics() {
        let pool = CpuPool::start("test", 1, 4).unwrap();
        assert_eq!(pool.run(|| 6 * 7).await, Ok(42));
        assert_eq!(
            pool.run(|| panic!("expected")).await,
            Err::<(), _>(PoolError::Panicked)
        );
        assert_eq!(pool.run(|| 1).await, Ok(1));
        pool.stop();
        assert_eq!(pool.run(|| 1).await, Err(PoolError::Stopped));
    }

    #[tokio::test]
    async fn refuses_when_full() {
        let pool = CpuPool::start("test", 1, 1).unwrap();
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        pool.spawn(move || {
            started.send(()).unwrap();
            wait.recv().unwrap();
        })
        .unwrap();
        has_started.await.unwrap();
        pool.spawn(|| ()).unwrap();
        assert_eq!(pool.spawn(|| ()), Err(PoolError::Full));
        release.send(()).unwrap();
        pool.stop();
    }
}
