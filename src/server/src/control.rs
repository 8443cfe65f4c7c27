//! What HTTP may do with the running server, and what it may know of it.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::pin::Pin;
use std::sync::Arc;

use api::{Control, ReloadError, RuntimeInfo};
use base::Shutdown;
use model::Timestamp;

use crate::host;
use crate::reload::Reloader;
use crate::retention::{self, RetentionFlags};

/// The handle that the API gets.
pub(crate) struct ServerControl {
    pub(crate) reloader: Arc<Reloader>,
    /// Given when somebody asks the server to stop.
    pub(crate) quit: Shutdown,
    pub(crate) started_at: Timestamp,
    pub(crate) retention: RetentionFlags,
    pub(crate) storage_path: String,
}

impl Control for ServerControl {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<(), ReloadError>> + Send + '_>> {
        Box::pin(self.reloader.reload())
    }

    fn quit(&self) {
        tracing::warn!("Received termination request via web service, exiting gracefully...");
        self.quit.trigger();
    }

    fn nonce(&self) -> u64 {
        // The standard library seeds each of these from the operating system.
        RandomState::new().build_hasher().finish()
    }

    fn config_yaml(&self) -> String {
        self.reloader.loaded().config.source.to_string()
    }

    fn runtime(&self) -> RuntimeInfo {
        let loaded = self.reloader.loaded();
        RuntimeInfo {
            start_time: self.started_at,
            working_directory: host::working_directory(),
            hostname: host::hostname(),
            reload_succeeded: loaded.last_succeeded,
            config_loaded_at: loaded.at,
            corruptions: 0,
            threads: host::threads(),
            processors: u64::try_from(host::processors()).unwrap_or(u64::MAX),
            retention: retention::describe(&self.retention.limits(&loaded.config.storage)),
            storage_path: self.storage_path.clone(),
        }
    }
}
