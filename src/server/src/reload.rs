//! The configuration in force: loaded at start, and again on demand. A file that does not load
//! changes nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};

use api::{QueryLog, ReloadError};
use arc_swap::ArcSwap;
use base::metrics::{Gauge, Registry};
use base::{CpuPool, PoolError, SharedClock};
use config::{Config, ConfigError};
use model::Timestamp;
use tsdb::Tsdb;

use crate::features::Features;
use crate::retention::RetentionFlags;
use crate::scraping::Scraping;

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub(crate) enum ConfigSource {
    /// A file.
    File(PathBuf),
    /// The built-in one: the server scrapes itself at this address.
    Embedded(SocketAddr),
}

impl ConfigSource {
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        match self {
            Self::File(path) => Config::load(path),
            Self::Embedded(own_address) => Config::embedded_default(*own_address),
        }
    }

    /// What goes in front of an error, in upstream's words.
    fn describe(&self, error: &ConfigError) -> String {
        let error = base::report(error);
        match self {
            Self::File(path) => format!(
                "couldn't load configuration (--config.file={}): {error}",
                model::quote::quoted(&path.display().to_string())
            ),
            Self::Embedded(_) => format!("couldn't load the built-in configuration: {error}"),
        }
    }
}

/// Why a valid configuration cannot be applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The query log cannot be opened.
    #[error("opening query log {path:?}")]
    QueryLog {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The thread that opens files went away.
    #[error("applying the configuration failed")]
    Thread(#[source] PoolError),
}

fn open_query_log(query_log: &QueryLog, config: &Config) -> Result<(), ApplyError> {
    let path = config.global.query_log_file.as_deref();
    query_log
        .reopen(path)
        .map_err(|source| ApplyError::QueryLog {
            path: path.unwrap_or_else(|| Path::new("")).to_owned(),
            source,
        })
}

/// What is in force.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Arc<Config>,
    pub(crate) at: Timestamp,
    /// Whether the last attempt to load succeeded; if not, an older configuration is in force.
    pub(crate) last_succeeded: bool,
}

/// What the configuration is applied to, and what applying it needs.
pub(crate) struct ReloadParts {
    pub(crate) scraping: Scraping,
    pub(crate) query_log: QueryLog,
    /// Files are read and opened there.
    pub(crate) pool: CpuPool,
    pub(crate) clock: SharedClock,
    pub(crate) retention: RetentionFlags,
    pub(crate) features: Features,
}

/// Loads and applies the configuration.
pub(crate) struct Reloader {
    source: ConfigSource,
    clock: SharedClock,
    loaded: ArcSwap<Loaded>,
    scraping: Scraping,
    query_log: QueryLog,
    features: Features,
    /// Set when storage is open.
    storage: OnceLock<Weak<Tsdb>>,
    retention: RetentionFlags,
    /// Files are read and opened there.
    pool: CpuPool,
    /// One reload at a time.
    turn: tokio::sync::Mutex<()>,
    succeeded: Gauge,
    succeeded_at: Gauge,
}

impl Reloader {
    /// Takes the configuration that was loaded at start; it is not applied yet.
    pub(crate) fn new(
        source: ConfigSource,
        config: Config,
        parts: ReloadParts,
        registry: &Registry,
    ) -> Self {
        let ReloadParts {
            scraping,
            query_log,
            pool,
            clock,
            retention,
            features,
        } = parts;
        let succeeded = registry.gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
            &[],
        );
        let succeeded_at = registry.gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
            &[],
        );
        let at = clock.now();
        let loaded = Loaded {
            config: Arc::new(config),
            at,
            last_succeeded: true,
        };
        let loaded = ArcSwap::from_pointee(loaded);
        let turn = tokio::sync::Mutex::default();
        Self {
            source,
            clock,
            loaded,
            scraping,
            query_log,
            features,
            storage: OnceLock::new(),
            retention,
            pool,
            turn,
            succeeded,
            succeeded_at,
        }
    }

    /// What is in force.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    /// From here on settings of storage are applied, too.
    pub(crate) fn storage_is_open(&self, storage: &Arc<Tsdb>) {
        // It is opened once.
        let _first = self.storage.set(Arc::downgrade(storage));
    }

    /// Applies what was loaded at start.
    ///
    /// # Errors
    /// A file that it names cannot be opened.
    pub(crate) async fn apply_first(&self) -> Result<(), ApplyError> {
        let _turn = self.turn.lock().await;
        let config = Arc::clone(&self.loaded().config);
        let (first, query_log) = (Arc::clone(&config), self.query_log.clone());
        let opened = self.pool.run(move || open_query_log(&query_log, &first));
        opened.await.map_err(ApplyError::Thread)??;
        self.apply(config);
        Ok(())
    }

    /// Loads again and applies.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        let _turn = self.turn.lock().await;
        let (source, query_log) = (self.source.clone(), self.query_log.clone());
        // The last thing that can fail is to open files, so that a failure changes nothing.
        let prepared = self.pool.run(move || {
            let config = source.load().map_err(|error| source.describe(&error))?;
            open_query_log(&query_log, &config).map_err(|error| base::report(&error))?;
            Ok(config)
        });
        match prepared.await.map_err(|error| error.to_string()).flatten() {
            Ok(config) => {
                self.apply(Arc::new(config));
                tracing::info!("Completed loading of configuration file");
                Ok(())
            }
            Err(text) => {
                tracing::error!(err = text, "Error reloading config");
                self.succeeded.set(0.0);
                let before = self.loaded();
                let after = Loaded {
                    last_succeeded: false,
                    ..Loaded::clone(&before)
                };
                self.loaded.store(Arc::new(after));
                Err(ReloadError(text))
            }
        }
    }

    /// Nothing of this can fail.
    fn apply(&self, config: Arc<Config>) {
        self.scraping.apply(&config);
        if let Some(storage) = self.storage.get().and_then(Weak::upgrade) {
            storage.set_out_of_order_window(config.storage.out_of_order_time_window);
            storage.set_retention(self.retention.limits(&config.storage));
            let max_exemplars = self.features.max_exemplars(config.storage.max_exemplars);
            if let Err(error) = storage.set_max_exemplars(max_exemplars) {
                tracing::warn!(error = %base::report(&error), "exemplars beyond the new bound are still on disk");
            }
        }
        let at = self.clock.now();
        self.loaded.store(Arc::new(Loaded {
            config,
            at,
            last_succeeded: true,
        }));
        self.succeeded.set(1.0);
        self.succeeded_at.set(at.as_seconds());
    }
}
