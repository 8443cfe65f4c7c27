//! One target's loop: waits, scrapes, reports, and cleans up when the target goes away.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base::{CpuPool, PoolError, Shutdown};
use model::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use crate::error::ScrapeError;
use crate::families::FamilyCache;
use crate::fetch::Fetcher;
use crate::ingest::{Ingestion, TargetState};
use crate::schedule::{Schedule, first_delay};
use crate::target::{Target, TargetHealth, TargetStatus};

/// How long to wait for a place on the busy worker pool before asking again.
const POOL_RETRY: Duration = Duration::from_millis(20);

/// What the pool of targets holds of a running loop.
#[derive(Clone)]
pub(crate) struct LoopHandle {
    pub(crate) target: Arc<Target>,
    state: Arc<Mutex<TargetState>>,
    /// Of the state.
    pub(crate) families: Arc<Mutex<FamilyCache>>,
    stop: Shutdown,
    /// Given when the last scrape has ended.
    stopped: Shutdown,
    /// Whether series become stale after the loop was stopped.
    end_markers: Arc<AtomicBool>,
}

impl LoopHandle {
    pub(crate) fn new(target: Arc<Target>, state: TargetState) -> Self {
        Self {
            target,
            families: Arc::clone(state.families()),
            state: Arc::new(Mutex::new(state)),
            stop: Shutdown::new(),
            stopped: Shutdown::new(),
            end_markers: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Ends the loop after the scrape that may be under way. Two intervals later its series become
    /// stale, unless somebody else writes them by then.
    pub(crate) fn stop(&self) {
        self.stop.trigger();
    }
}

/// The loop that scraped the same target before.
pub(crate) struct Predecessor {
    pub(crate) handle: LoopHandle,
    pub(crate) legacy: Legacy,
}

/// What becomes of a predecessor's knowledge of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Legacy {
    /// The successor goes on with it.
    Inherited,
    /// It would be wrong under the new configuration.
    Discarded,
}

/// A loop that has not started.
pub(crate) struct ScrapeLoop {
    pub(crate) handle: LoopHandle,
    pub(crate) predecessor: Option<Predecessor>,
    pub(crate) ingestion: Arc<Ingestion>,
    pub(crate) fetcher: Fetcher,
    pub(crate) cpu: CpuPool,
    /// Number of targets and its limit, where it is exceeded: then nothing is fetched.
    pub(crate) over_target_limit: Option<(usize, u64)>,
    /// Where in the interval the target's scrapes lie.
    pub(crate) spread: u64,
    /// Ends everything at once.
    pub(crate) server: Shutdown,
}

/// Why a loop goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Time,
    Stop,
    ServerStop,
}

impl ScrapeLoop {
    /// Scrapes until stopped. At the server's end nothing becomes stale, as it may be back soon.
    pub(crate) async fn run(mut self) {
        let Some(mut has_samples) = self.take_over().await else {
            return;
        };
        let target = Arc::clone(&self.handle.target);
        let delay = first_delay(self.ingestion.clock.now(), target.interval, self.spread);
        let mut wake = self.wake(tokio::time::sleep(delay)).await;
        let mut ticker = tokio::time::interval(target.interval.to_std());
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut schedule = Schedule::starting(self.ingestion.clock.now(), target.interval);
        while wake == Wake::Time {
            wake = self.wake(ticker.tick()).await;
            if wake == Wake::Time {
                let scraped_at = schedule.stamp(self.ingestion.clock.now());
                let server = self.server.clone();
                tokio::select! {
                    () = self.scrape_once(scraped_at) => has_samples = true,
                    () = server.wait() => wake = Wake::ServerStop,
                }
            }
        }
        self.handle.stopped.trigger();
        if wake == Wake::Stop && has_samples {
            self.end_of_run(ticker).await;
        }
    }

    /// Waits until the predecessor has ended and takes what it knows. Tells whether there are
    /// samples already; `None` when the server ends.
    async fn take_over(&mut self) -> Option<bool> {
        let Some(predecessor) = self.predecessor.take() else {
            return Some(false);
        };
        let server = self.server.clone();
        tokio::select! {
            () = predecessor.handle.stopped.wait() => {}
            () = server.wait() => return None,
        }
        if predecessor.legacy == Legacy::Discarded {
            return Some(false);
        }
        predecessor
            .handle
            .end_markers
            .store(false, Ordering::SeqCst);
        self.handle
            .state
            .lock()
            .inherit(&mut predecessor.handle.state.lock());
        Some(true)
    }

    /// Fetches, stores and reports once.
    pub(crate) async fn scrape_once(&self, scraped_at: Timestamp) {
        let last_scrape = self.ingestion.clock.now();
        let started = Instant::now();
        let fetched = match self.over_target_limit {
            Some((targets, limit)) => Err(ScrapeError::TargetLimit { targets, limit }),
            None => self.fetcher.fetch().await,
        };
        let state = Arc::clone(&self.handle.state);
        let ingestion = Arc::clone(&self.ingestion);
        let stored = self
            .on_pool(move || {
                state
                    .lock()
                    .scrape(&ingestion, fetched, (started, scraped_at))
            })
            .await;
        let (duration, error) = match stored {
            Ok((report, error)) => (report.duration, error),
            Err(error) => (started.elapsed(), Some(ScrapeError::Pool(error))),
        };
        let target = &self.handle.target;
        if let Some(error) = &error {
            tracing::debug!(target_url = %target.url, %error, "scrape failed");
        }
        target.set_status(TargetStatus {
            health: if error.is_none() {
                TargetHealth::Up
            } else {
                TargetHealth::Down
            },
            last_error: error.map(|error| error.to_string()).unwrap_or_default(),
            last_scrape: Some(last_scrape),
            last_duration: duration,
        });
    }

    /// Marks everything stale, but only after the time in which a target that comes back would have
    /// been scraped twice: then the markers are too old and storage leaves them out. Source:
    /// upstream `scrape/scrape.go`, `endOfRunStaleness`.
    async fn end_of_run(&self, mut ticker: Interval) {
        let interval = self.handle.target.interval.to_std();
        let grace = async {
            ticker.tick().await;
            let stale_at = self.ingestion.clock.now();
            ticker.tick().await;
            tokio::time::sleep(interval / 10).await;
            stale_at
        };
        let stale_at = tokio::select! {
            stale_at = grace => stale_at,
            () = self.server.wait() => return,
        };
        if !self.handle.end_markers.load(Ordering::SeqCst) {
            return;
        }
        let state = Arc::clone(&self.handle.state);
        let ingestion = Arc::clone(&self.ingestion);
        if let Err(error) = self
            .on_pool(move || state.lock().end(&ingestion, stale_at))
            .await
        {
            let url = &self.handle.target.url;
            tracing::warn!(target_url = %url, %error, "series of a removed target stay without stale markers");
        }
    }

    /// Runs work on the pool; waits while that is full, so that load delays scrapes and loses none.
    async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let work = Arc::new(Mutex::new(Some(work)));
        loop {
            let attempt = Arc::clone(&work);
            let take = move || {
                let work = attempt.lock().take();
                work.map(|work| work())
            };
            match self.cpu.run(take).await {
                Ok(done) => return done.ok_or(PoolError::Stopped),
                Err(PoolError::Full) => tokio::time::sleep(POOL_RETRY).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn wake<T>(&self, time: impl Future<Output = T>) -> Wake {
        tokio::select! {
            biased;
            () = self.server.wait() => Wake::ServerStop,
            () = self.handle.stop.wait() => Wake::Stop,
            _ = time => Wake::Time,
        }
    }
}
