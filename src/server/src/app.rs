//! The server as one object: put together, started, reloaded, stopped.
//!
//! HTTP answers first, with 503 until storage is open. Stopping goes the other way round: no new
//! requests, requests and scrapes in flight end, then storage is closed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::{Parts, Phase, Readiness, ReloadError, Settings, Storage, StorageSlot};
use base::metrics::Registry;
use base::{CpuPool, SharedClock, Shutdown, TaskGroup};
use config::ConfigError;
use model::PromDuration;
use promql::{Engine, EngineOptions};
use tsdb::{KvOptions, Tsdb, TsdbError, TsdbOptions};

use crate::control::ServerControl;
use crate::flags::Options;
use crate::reload::{ConfigSource, Reloader};
use crate::scraping::Scraping;
use crate::web::{self, Bound};
use crate::{build, host, process};

/// What is kept when nobody says otherwise. Source: upstream's default.
const DEFAULT_RETENTION: PromDuration = PromDuration::from_secs(15 * 24 * 3600);

/// Folder of the engine inside the directory of all data.
const ENGINE_FOLDER: &str = "firewatch";

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
    StorageThread(#[source] base::PoolError),
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
    retention: PromDuration,
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
        let (source, config) = match (&options.config_file, loaded, bound.first()) {
            (Some(path), Some(config), _) => (ConfigSource::File(path.clone()), config),
            (_, _, Some(first)) => {
                let source = ConfigSource::Embedded(first.address);
                let config = load(&source)?;
                (source, config)
            }
            (_, _, None) => {
                let source = std::io::Error::other("no address to listen on");
                return Err(StartError::Listen {
                    address: String::new(),
                    source,
                });
            }
        };
        let retention = Some(config.storage.retention_time.unwrap_or(options.retention))
            .filter(|retention| *retention > PromDuration::ZERO)
            .unwrap_or(DEFAULT_RETENTION);
        let registry = Registry::new();
        let scraping = Scraping::new();
        let own = (scraping.clone(), Arc::clone(&clock));
        let reloader = Arc::new(Reloader::new(source, config, own, &registry));
        let quit = Shutdown::new();
        let control = ServerControl {
            reloader: Arc::clone(&reloader),
            quit: quit.clone(),
            started_at: clock.now(),
            retention,
            storage_path: options.storage_path.display().to_string(),
        };
        let parts = parts(&options, (control, scraping.clone()), &clock, &registry)?;
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
        let (queryable, appender) = (Arc::clone(&storage), Arc::clone(&storage));
        self.parts.storage.set(Storage {
            queryable,
            appender,
        });
        self.start_scraping(storage)?;
        self.reloader.apply_first().await;
        self.parts.readiness.set(Phase::Ready);
        tracing::info!("Server is ready to receive web requests.");
        Ok(())
    }

    async fn open_storage(&self) -> Result<Arc<Tsdb>, StartError> {
        let path = self.options.storage_path.join(ENGINE_FOLDER);
        let options = TsdbOptions {
            retention: Some(self.retention),
            kv: KvOptions {
                wal_sync: self.options.wal_sync,
                ..KvOptions::default()
            },
            ..TsdbOptions::new(path.clone())
        };
        let (clock, registry) = (Arc::clone(&self.clock), self.registry.clone());
        let started_at = self.clock.now();
        let storage = self
            .parts
            .query_pool
            .run(move || create_folder(&path).map(|()| Tsdb::open(options, clock, &registry)))
            .await
            .map_err(StartError::StorageThread)?
            .map_err(StartError::Resources)?
            .map_err(StartError::Storage)?;
        let took = self.clock.now().since(started_at);
        let path = self.options.storage_path.display();
        tracing::info!(%path, %took, retention = %self.retention, "Storage is open");
        Ok(Arc::new(storage))
    }

    /// Scrapes are parsed by threads of their own, so that senders cannot delay them.
    fn start_scraping(&self, storage: Arc<Tsdb>) -> Result<(), StartError> {
        let cpu = CpuPool::start("scrape", host::processors(), POOL_QUEUE)
            .map_err(StartError::Resources)?;
        let parts = scrape::Parts {
            appender: storage,
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
    /// Storage did not close cleanly. Nothing that was acknowledged is lost; the next start has
    /// more to do.
    pub async fn stop(mut self) -> Result<(), TsdbError> {
        self.parts.readiness.set(Phase::Stopping);
        self.http_stop.trigger();
        tokio::join!(self.http.join(), self.scraping.stop());
        self.parts.storage.clear();
        let Some(storage) = self.storage.take() else {
            return Ok(());
        };
        // Without a thread to close on, dropping the engine still keeps what was acknowledged.
        let closed = self
            .parts
            .query_pool
            .run(move || storage.close())
            .await
            .unwrap_or(Ok(()));
        if closed.is_ok() {
            tracing::info!("See you next time!");
        }
        closed
    }
}

fn load(source: &ConfigSource) -> Result<config::Config, StartError> {
    source.load().map_err(StartError::Config)
}

fn create_folder(path: &PathBuf) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

fn parts(
    options: &Options,
    (control, scraping): (ServerControl, Scraping),
    clock: &SharedClock,
    registry: &Registry,
) -> Result<Parts, StartError> {
    let threads = host::processors();
    let start = |name: &str, threads| {
        CpuPool::start(name, threads, POOL_QUEUE).map_err(StartError::Resources)
    };
    let pool = |name: &str| start(name, threads);
    // Whoever runs a query works too.
    let workers = match threads {
        0 | 1 => None,
        threads => Some(start("query-help", threads - 1)?),
    };
    let engine = EngineOptions {
        lookback_delta: options.lookback_delta,
        max_samples: options.query_max_samples,
        workers,
        ..EngineOptions::default()
    };
    Ok(Parts {
        engine: Arc::new(Engine::new(engine)),
        storage: StorageSlot::new(),
        readiness: Readiness::new(),
        targets: Arc::new(scraping),
        control: Arc::new(control),
        query_pool: pool("query")?,
        ingest_pool: pool("ingest")?,
        clock: Arc::clone(clock),
        registry: registry.clone(),
        settings: Settings {
            query_timeout: options.query_timeout,
            query_max_concurrency: options.query_max_concurrency,
            write_receiver: options.write_receiver,
            lifecycle: options.lifecycle,
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
