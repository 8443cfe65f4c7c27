//! The configuration in force: loaded at start, and again on demand. A file that does not load
//! changes nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::ReloadError;
use arc_swap::ArcSwap;
use base::SharedClock;
use base::metrics::{Gauge, Registry};
use config::{Config, ConfigError};
use model::Timestamp;

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

/// What is in force.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Arc<Config>,
    pub(crate) at: Timestamp,
    /// Whether the last attempt to load succeeded; if not, an older configuration is in force.
    pub(crate) last_succeeded: bool,
}

/// Loads and applies the configuration.
pub(crate) struct Reloader {
    source: ConfigSource,
    clock: SharedClock,
    loaded: ArcSwap<Loaded>,
    scraping: Scraping,
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
        (scraping, clock): (Scraping, SharedClock),
        registry: &Registry,
    ) -> Self {
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
            turn,
            succeeded,
            succeeded_at,
        }
    }

    /// What is in force.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        self.loaded.load_full()
    }

    /// Applies what was loaded at start.
    pub(crate) async fn apply_first(&self) {
        let _turn = self.turn.lock().await;
        self.apply(Arc::clone(&self.loaded().config));
    }

    /// Loads again and applies.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        let _turn = self.turn.lock().await;
        match self.source.load() {
            Ok(config) => {
                self.apply(Arc::new(config));
                tracing::info!("Completed loading of configuration file");
                Ok(())
            }
            Err(error) => {
                let text = self.source.describe(&error);
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

    fn apply(&self, config: Arc<Config>) {
        self.scraping.apply(&config);
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
