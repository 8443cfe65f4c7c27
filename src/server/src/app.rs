//! The server as one object: put together, started, reloaded, stopped.
//!
//! HTTP answers first, with 503 until storage is open. Stopping goes the other way round: no new
//! requests, requests and scrapes in flight end, then storage is closed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::{
    ActiveQueries, Parts, Phase, QueryLog, Readiness, ReloadError, Settings, Storage, StorageSlot,
};
use base::metrics::Registry;
use base::{CpuPool, MemoryBudget, PoolError, SharedClock, Shutdown, SystemStopwatch, TaskGroup};
use config::{Config, ConfigError};
use model::{Matcher, TimeRange};
use promql::{Engine, EngineOptions, ResultCache};
use storage::{Maintenance, SnapshotHead, StorageError};
use tsdb::{Background, KvOptions, Tsdb, TsdbError, TsdbOptions};

use crate::control::ServerControl;
use crate::flags::Options;
use crate::memory::{self, MemoryPlan};
use crate::reload::{ApplyError, ConfigSource, ReloadParts, Reloader};
use crate::retention::{RetentionFlags, describe};
use crate::scraping::Scraping;
use crate::web::{self, Bound};
use crate::{build, host, process};

/// Folder of the engine inside the directory of all data.
pub(crate) const ENGINE_FOLDER: &str = "firewatch";

/// Longest time between two rounds of sealing.
const UPKEEP_INTERVAL: std::time::Duration = std::time::Duration::from_secs(5);

/// Jobs that may wait for a thread of a pool.
const POOL_QUEUE: usize = 4096;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration does not load.
    #[error("error loading config")]
    Config(#[source] ConfigError),
    /// An address cannot be taken.
    #[error("unable to listen on {address}")]
    Listen {
        /// The address, as the flag has it.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The pattern for cross-origin calls is wrong.
    #[error("invalid --web.cors.origin")]
    CorsOrigin(#[source] re2::Error),
    /// Threads or signal handlers cannot be had.
    #[error("the operating system refuses resources")]
    Resources(#[source] std::io::Error),
    /// Storage cannot be opened.
    #[error("opening storage failed")]
    Storage(#[source] TsdbError),
    /// The thread that opens storage went away.
    #[error("opening storage failed")]
    StorageThread(#[source] PoolError),
    /// The configuration names what cannot be had.
    #[error("error applying config")]
    Apply(#[source] ApplyError),
    /// The list of running queries cannot be written.
    #[error("unable to create the active query log in {folder:?}")]
    ActiveQueries {
        /// Where it should be.
        folder: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What did not stop cleanly. Nothing that was acknowledged is lost; the next start has more to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StopError {
    /// Storage did not close.
    #[error("closing storage failed")]
    Storage(#[source] TsdbError),
    /// There was no thread to close storage on.
    #[error("closing storage failed")]
    StorageThread(#[source] PoolError),
}

/// The server.
pub struct App {
    options: Options,
    clock: SharedClock,
    registry: Registry,
    parts: Parts,
    bound: Vec<Bound>,
    addresses: Vec<SocketAddr>,
    reloader: Arc<Reloader>,
    scraping: Scraping,
    storage: Option<Arc<Tsdb>>,
    http: TaskGroup,
    http_stop: Shutdown,
    quit: Shutdown,
    retention: RetentionFlags,
    memory: MemoryPlan,
    upkeep: TaskGroup,
}

impl App {
    /// Loads the configuration, takes the addresses, and puts the parts together. Nothing runs yet.
    ///
    /// # Errors
    /// The configuration does not load, an address is taken, or threads cannot be had.
    pub async fn new(options: Options, clock: SharedClock) -> Result<Self, StartError> {
        let loaded = match &options.config_file {
            Some(path) => Some(load(&ConfigSource::File(path.clone()))?),
            None => None,
        };
        let bound = web::bind(&options.listen_addresses).await?;
        let (source, config) = configuration(&options, loaded, &bound)?;
        let retention = RetentionFlags::of(&options);
        let registry = Registry::new();
        let scraping = Scraping::new();
        let (ingest_pool, query_log) = (
            start_pool("ingest", host::processors())?,
            QueryLog::new(&registry),
        );
        let own = ReloadParts {
            scraping: scraping.clone(),
            query_log: query_log.clone(),
            pool: ingest_pool.clone(),
            clock: Arc::clone(&clock),
            retention: retention.clone(),
            features: options.features.clone(),
        };
        let reloader = Arc::new(Reloader::new(source, config, own, &registry));
        let (quit, memory) = (Shutdown::new(), MemoryPlan::new(&options));
        let control = ServerControl {
            reloader: Arc::clone(&reloader),
            quit: quit.clone(),
            started_at: clock.now(),
            retention: retention.clone(),
            storage_path: options.storage_path.display().to_string(),
        };
        let own = OwnParts {
            control,
            scraping: scraping.clone(),
            ingest_pool,
            query_log,
            memory,
        };
        let parts = parts(&options, own, &clock, &registry)?;
        register_own_metrics(&registry, &parts);
        let addresses = bound.iter().map(|bound| bound.address).collect();
        let (http, http_stop) = (TaskGroup::new(), Shutdown::new());
        Ok(Self {
            options,
            clock,
            registry,
            parts,
            bound,
            addresses,
            reloader,
            scraping,
            storage: None,
            http,
            http_stop,
            quit,
            retention,
            memory,
            upkeep: TaskGroup::new(),
        })
    }

    /// Where the server listens, ports filled in.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Starts to serve, opens storage, starts to scrape. Returns when requests are answered.
    ///
    /// # Errors
    /// Storage cannot be opened. Call [`App::stop`] then, too.
    pub async fn start(&mut self) -> Result<(), StartError> {
        let bound = std::mem::take(&mut self.bound);
        self.http = web::serve(bound, self.parts.clone(), &self.http_stop, &self.options)?;
        let storage = self.open_storage().await?;
        self.storage = Some(Arc::clone(&storage));
        self.reloader.storage_is_open(&storage);
        let (queryable, appender) = (Arc::clone(&storage), Arc::clone(&storage));
        self.parts.storage.set(Storage {
            queryable,
            appender,
            status: Arc::<Tsdb>::clone(&storage),
            exemplars: Arc::<Tsdb>::clone(&storage),
            metadata: Arc::<Tsdb>::clone(&storage),
            maintenance: Arc::new(EngineMaintenance(Arc::clone(&storage))),
        });
        self.start_memory_review(&storage);
        self.start_scraping(storage)?;
        self.reloader
            .apply_first()
            .await
            .map_err(StartError::Apply)?;
        self.parts.readiness.set(Phase::Ready);
        tracing::info!("Server is ready to receive web requests.");
        Ok(())
    }

    async fn open_storage(&self) -> Result<Arc<Tsdb>, StartError> {
        let path = self.options.storage_path.join(ENGINE_FOLDER);
        let config = Arc::clone(&self.reloader.loaded().config);
        let limits = self.retention.limits(&config.storage);
        let max_chunk_age = self.options.max_chunk_age;
        let options = TsdbOptions {
            max_chunk_age,
            background: Background::Every(UPKEEP_INTERVAL.min(max_chunk_age.to_std() / 4)),
            retention: limits.time,
            max_bytes: limits.max_bytes,
            disk_basis_points: limits.disk_basis_points,
            disk_bytes: host::file_system_bytes,
            out_of_order_window: self
                .reloader
                .loaded()
                .config
                .storage
                .out_of_order_time_window,
            max_exemplars: self
                .options
                .features
                .max_exemplars(self.reloader.loaded().config.storage.max_exemplars),
            kv: KvOptions {
                wal_sync: self.options.wal_sync,
                block_cache_bytes: saturated(self.memory.block_cache),
                memtable_bytes: saturated(self.memory.memtables),
            },
            ..TsdbOptions::new(path.clone())
        };
        let (clock, registry) = (Arc::clone(&self.clock), self.registry.clone());
        let started_at = self.clock.now();
        let active = self.parts.active_queries.clone();
        let (folder, most) = (
            self.options.storage_path.clone(),
            self.options.query_max_concurrency,
        );
        let storage = self
            .parts
            .query_pool
            .run(move || {
                create_folder(&path).map_err(StartError::Resources)?;
                let storage = Tsdb::open(options, clock, &registry).map_err(StartError::Storage)?;
                // Not before storage is ours: a server that runs has its queries there.
                active
                    .open(&folder, most)
                    .map_err(|source| StartError::ActiveQueries { folder, source })?;
                Ok(storage)
            })
            .await
            .map_err(StartError::StorageThread)??;
        let took = self.clock.now().since(started_at);
        let path = self.options.storage_path.display();
        tracing::info!(%path, %took, retention = %describe(&limits), "Storage is open");
        Ok(Arc::new(storage))
    }

    fn start_memory_review(&mut self, storage: &Arc<Tsdb>) {
        let queries = &self.parts.query_memory;
        memory::register(&self.registry, self.memory, storage, queries);
        let (storage, queries) = (Arc::downgrade(storage), queries.clone());
        let review = memory::review(self.memory, storage, queries, self.http_stop.clone());
        self.upkeep.spawn("memory", review);
    }

    /// Scrapes are parsed by threads of their own, so that senders cannot delay them.
    fn start_scraping(&self, storage: Arc<Tsdb>) -> Result<(), StartError> {
        let cpu = CpuPool::start("scrape", host::processors(), POOL_QUEUE)
            .map_err(StartError::Resources)?;
        let parts = scrape::Parts {
            appender: Arc::<Tsdb>::clone(&storage),
            exemplars: storage,
            cpu,
            clock: Arc::clone(&self.clock),
        };
        self.scraping
            .start(parts, self.addresses.first().copied(), &self.registry);
        Ok(())
    }

    /// Loads the configuration again and applies it. If it does not load, nothing changes.
    ///
    /// # Errors
    /// It does not load; that is logged already.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        self.reloader.reload().await
    }

    /// Waits until somebody asks the server to stop over HTTP.
    pub async fn quit_requested(&self) {
        self.quit.wait().await;
    }

    /// Stops everything in order and returns when all is written down.
    ///
    /// # Errors
    /// Storage did not close cleanly.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.parts.readiness.set(Phase::Stopping);
        self.http_stop.trigger();
        tokio::join!(self.http.join(), self.upkeep.join(), self.scraping.stop());
        self.parts.storage.clear();
        let Some(storage) = self.storage.take() else {
            return Ok(());
        };
        let closed = self.parts.query_pool.run(move || storage.close()).await;
        closed
            .map_err(StopError::StorageThread)?
            .map_err(StopError::Storage)?;
        tracing::info!("See you next time!");
        Ok(())
    }
}

fn saturated(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn load(source: &ConfigSource) -> Result<Config, StartError> {
    source.load().map_err(StartError::Config)
}

fn create_folder(path: &PathBuf) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

/// The configuration that was loaded, or the built-in one when no file was named.
fn configuration(
    options: &Options,
    loaded: Option<Config>,
    bound: &[Bound],
) -> Result<(ConfigSource, Config), StartError> {
    match (&options.config_file, loaded, bound.first()) {
        (Some(path), Some(config), _) => Ok((ConfigSource::File(path.clone()), config)),
        (_, _, Some(first)) => {
            let source = ConfigSource::Embedded(first.address);
            let config = load(&source)?;
            Ok((source, config))
        }
        (_, _, None) => {
            let source = std::io::Error::other("no address to listen on");
            Err(StartError::Listen {
                address: String::new(),
                source,
            })
        }
    }
}

fn start_pool(name: &str, threads: usize) -> Result<CpuPool, StartError> {
    CpuPool::start(name, threads, POOL_QUEUE).map_err(StartError::Resources)
}

/// Snapshots are laid out as the directory of all data is.
struct EngineMaintenance(Arc<Tsdb>);

impl Maintenance for EngineMaintenance {
    fn delete(&self, range: TimeRange, matchers: &[Matcher]) -> Result<(), StorageError> {
        self.0.delete(range, matchers)
    }

    fn clean_tombstones(&self) -> Result<(), StorageError> {
        self.0.clean_tombstones()
    }

    fn snapshot(&self, folder: &Path, head: SnapshotHead) -> Result<(), StorageError> {
        self.0.snapshot(&folder.join(ENGINE_FOLDER), head)
    }
}

/// What the API gets from this crate.
struct OwnParts {
    control: ServerControl,
    scraping: Scraping,
    ingest_pool: CpuPool,
    query_log: QueryLog,
    memory: MemoryPlan,
}

fn parts(
    options: &Options,
    own: OwnParts,
    clock: &SharedClock,
    registry: &Registry,
) -> Result<Parts, StartError> {
    // Whoever runs a query works too.
    let workers = match host::processors() {
        0 | 1 => None,
        threads => Some(start_pool("query-help", threads - 1)?),
    };
    let query_memory = MemoryBudget::new(own.memory.queries);
    let result_cache = (own.memory.result_cache > 0).then(|| {
        let cache = ResultCache::new(own.memory.result_cache);
        Arc::new(cache.within(&query_memory).measured(registry))
    });
    let mut engine = EngineOptions {
        result_cache,
        lookback_delta: options.lookback_delta,
        max_samples: options.query_max_samples,
        max_query_bytes: own.memory.query,
        workers,
        ..EngineOptions::default()
    };
    options.features.apply(&mut engine);
    Ok(Parts {
        engine: Arc::new(Engine::new(engine)),
        storage: StorageSlot::new(),
        readiness: Readiness::new(),
        targets: Arc::new(own.scraping),
        control: Arc::new(own.control),
        query_pool: start_pool("query", host::processors())?,
        ingest_pool: own.ingest_pool,
        query_memory,
        active_queries: ActiveQueries::new(),
        query_log: own.query_log,
        clock: Arc::clone(clock),
        stopwatch: Arc::new(SystemStopwatch::start()),
        registry: registry.clone(),
        settings: Settings {
            query_timeout: options.query_timeout,
            query_max_concurrency: options.query_max_concurrency,
            write_receiver: options.write_receiver,
            lifecycle: options.lifecycle,
            admin_api: options.admin_api,
            cors_origin: options.cors_origin.clone(),
            build: build::build_info(),
            flags: options.flags.clone(),
        },
    })
}

fn register_own_metrics(registry: &Registry, parts: &Parts) {
    process::register(registry);
    build::register(registry, &parts.settings.build);
    let readiness = parts.readiness.clone();
    registry.collector(move || {
        let ready = readiness.phase() == Phase::Ready;
        vec![process::gauge(
            "prometheus_ready",
            "Whether Prometheus startup was fully completed and the server is ready for normal \
             operation.",
            f64::from(u8::from(ready)),
        )]
    });
}
