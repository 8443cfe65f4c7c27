//! What the API serves: engines and facts, handed in by whoever wires the server.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use arc_swap::ArcSwapOption;
use base::metrics::Registry;
use base::{CpuPool, MemoryBudget, SharedClock, SharedStopwatch};
use model::{Labels, Matcher, PromDuration, Timestamp};
use storage::{
    Appender, ExemplarStore, FamilyMetadata, Maintenance, MetadataStore, Queryable, StatusSource,
};

pub use crate::query::active::ActiveQueries;
pub use crate::query::log::QueryLog;

/// Everything the API needs.
#[derive(Clone)]
pub struct Parts {
    /// Evaluates queries.
    pub engine: Arc<promql::Engine>,
    /// Where samples are read and written, once it is open.
    pub storage: StorageSlot,
    /// Whether requests are answered yet, or still.
    pub readiness: Readiness,
    /// What is scraped.
    pub targets: Arc<dyn TargetSource>,
    /// Reload, quit, and facts about the process.
    pub control: Arc<dyn Control>,
    /// Runs queries.
    pub query_pool: CpuPool,
    /// Decodes and validates writes.
    pub ingest_pool: CpuPool,
    /// What all running queries together may hold.
    pub query_memory: MemoryBudget,
    /// The queries that run right now, on disk.
    pub active_queries: ActiveQueries,
    /// The queries that have ended, on disk.
    pub query_log: QueryLog,
    /// Tells the time.
    pub clock: SharedClock,
    /// Measures how long queries take, and when their time is up.
    pub stopwatch: SharedStopwatch,
    /// What `/metrics` shows, and where the API registers its own metrics.
    pub registry: Registry,
    /// Settings that hold until the process ends.
    pub settings: Settings,
}

/// Settings that hold until the process ends.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Longest time a query may take, waiting included.
    pub query_timeout: PromDuration,
    /// Most queries that run at once; others wait.
    pub query_max_concurrency: usize,
    /// Whether remote write is received.
    pub write_receiver: WriteReceiver,
    /// Whether `/-/reload` and `/-/quit` work.
    pub lifecycle: Lifecycle,
    /// Whether `/api/v1/admin` works.
    pub admin_api: AdminApi,
    /// Origins that browsers may call from, as a pattern that has to match in full.
    pub cors_origin: String,
    /// What was built.
    pub build: BuildInfo,
    /// All flags and their values, sorted by name.
    pub flags: Vec<Flag>,
}

/// Whether remote write is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteReceiver {
    /// Requests are taken.
    Enabled,
    /// Requests are answered 404.
    Disabled,
}

/// Whether `/-/reload` and `/-/quit` work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// They do.
    Enabled,
    /// They are answered 403.
    Disabled,
}

/// Whether `/api/v1/admin` works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminApi {
    /// It does.
    Enabled,
    /// Requests are answered that it is unavailable.
    Disabled,
}

/// A flag and its value in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Name without dashes.
    pub name: String,
    /// Value as text.
    pub value: String,
}

/// What was built. Keys of `/api/v1/status/buildinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// Version of Prometheus whose behaviour is offered, with our own as build metadata: clients
    /// such as Grafana read it to choose features.
    pub version: String,
    /// Our own version.
    pub own_version: String,
    /// Commit.
    pub revision: String,
    /// Branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When.
    pub build_date: String,
    /// Compiler, under the key `goVersion`.
    pub compiler: String,
}

/// A reader and a writer of samples.
#[derive(Clone)]
pub struct Storage {
    /// The reader.
    pub queryable: Arc<dyn Queryable>,
    /// The writer.
    pub appender: Arc<dyn Appender>,
    /// What tells about the head.
    pub status: Arc<dyn StatusSource>,
    /// Where exemplars are.
    pub exemplars: Arc<dyn ExemplarStore>,
    /// Where metadata that senders told is.
    pub metadata: Arc<dyn MetadataStore>,
    /// What administrators ask for.
    pub maintenance: Arc<dyn Maintenance>,
}

/// A place for storage that is opened after HTTP has started. Clones share it.
#[derive(Clone, Default)]
pub struct StorageSlot(Arc<ArcSwapOption<Storage>>);

impl StorageSlot {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts storage in place.
    pub fn set(&self, storage: Storage) {
        self.0.store(Some(Arc::new(storage)));
    }

    /// Takes storage away, for instance before it is closed.
    pub fn clear(&self) {
        self.0.store(None);
    }

    /// The storage.
    ///
    /// # Errors
    /// It is not open.
    pub fn get(&self) -> Result<Arc<Storage>, storage::StorageError> {
        self.0.load_full().ok_or(storage::StorageError::NotReady)
    }
}

/// Where a server is between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Storage is being opened.
    Starting,
    /// Requests are answered.
    Ready,
    /// No new requests are answered.
    Stopping,
}

/// Tells whether requests are answered. Clones share one state; it starts with
/// [`Phase::Starting`].
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// A server that has just started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a phase.
    pub fn set(&self, phase: Phase) {
        let number = match phase {
            Phase::Starting => 0,
            Phase::Ready => 1,
            Phase::Stopping => 2,
        };
        self.0.store(number, Ordering::Release);
    }

    /// The current phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Stopping,
        }
    }
}

/// Tells what is scraped.
pub trait TargetSource: Send + Sync {
    /// A snapshot of all targets, active ones in order of pool and URL.
    fn targets(&self) -> TargetsView;

    /// Metadata of the families of active targets, target by target in the order of
    /// [`TargetSource::targets`]. Of each target whose labels pass `matchers` come all families,
    /// sorted by name, or the one that is named, if the target has it. Ends early when `visit`
    /// breaks.
    fn visit_metadata(
        &self,
        matchers: &[Matcher],
        family: Option<&str>,
        visit: &mut dyn FnMut(&Labels, Vec<FamilyMetadata>) -> ControlFlow<()>,
    );
}

/// All targets at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetsView {
    /// Targets that are scraped.
    pub active: Vec<ActiveTarget>,
    /// Targets that relabelling dropped.
    pub dropped: Vec<DroppedTarget>,
    /// How many targets each pool dropped; `dropped` may hold fewer.
    pub dropped_counts: Vec<(String, u64)>,
}

/// A target that is scraped.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Labels after it.
    pub labels: Labels,
    /// Name of the pool: the job.
    pub scrape_pool: String,
    /// What is scraped.
    pub scrape_url: String,
    /// The same as seen from outside this machine.
    pub global_url: String,
    /// Why the last scrape failed, else empty.
    pub last_error: String,
    /// When it was last scraped.
    pub last_scrape: Option<Timestamp>,
    /// How long that took, in seconds.
    pub last_scrape_seconds: f64,
    /// How it went.
    pub health: TargetHealth,
    /// How often it is scraped.
    pub scrape_interval: PromDuration,
    /// How long a scrape may take.
    pub scrape_timeout: PromDuration,
}

/// A target that relabelling dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedTarget {
    /// Labels before relabelling.
    pub discovered_labels: Labels,
    /// Name of the pool: the job.
    pub scrape_pool: String,
}

/// How the last scrape of a target went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetHealth {
    /// Well.
    Up,
    /// It failed.
    Down,
    /// There was none yet.
    Unknown,
}

impl TargetHealth {
    /// The text of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}

/// Facts about the process. Keys of `/api/v1/status/runtimeinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// When it started.
    pub start_time: Timestamp,
    /// Its working directory.
    pub working_directory: String,
    /// Name of the machine.
    pub hostname: String,
    /// Whether the last reload of the configuration succeeded.
    pub reload_succeeded: bool,
    /// When the configuration in force was loaded.
    pub config_loaded_at: Timestamp,
    /// Corrupt records met since the start.
    pub corruptions: u64,
    /// Threads, under the key `goroutineCount`.
    pub threads: u64,
    /// Processors in use, under the key `GOMAXPROCS`.
    pub processors: u64,
    /// What is kept, such as `15d`.
    pub retention: String,
    /// Where it is kept.
    pub storage_path: String,
}

/// Why a reload did not happen. The text goes to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReloadError(pub String);

/// The running server, as far as requests may touch it.
pub trait Control: Send + Sync {
    /// Loads the configuration again and applies it.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), ReloadError>> + Send + '_>>;

    /// Starts to stop the server and returns at once.
    fn quit(&self);

    /// The configuration in force, with defaults filled in and secrets hidden.
    fn config_yaml(&self) -> String;

    /// A number that nobody can tell in advance: part of the names of snapshots.
    fn nonce(&self) -> u64;

    /// Facts about the process.
    fn runtime(&self) -> RuntimeInfo;
}
