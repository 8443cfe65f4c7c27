//! The engine on disk under test scripts, in a temporary folder that is gone with it.

use std::sync::Arc;

use anyhow::Context as _;
use base::ManualClock;
use base::metrics::Registry;
use model::Timestamp;
use storage::{Appender, MemoryStorage, Queryable};
use tempfile::TempDir;
use testkit::promqltest::{ScriptStorage, ScriptStorageError};
use tsdb::{Background, KvOptions, Tsdb, TsdbOptions, WalSync};

/// The engine's clock stands at the start of the year 2100: scripts write from 1970 on, and samples
/// from the future are refused.
const CLOCK_MS: i64 = 4_102_444_800_000;

/// An engine and its folder.
pub(super) struct TsdbScriptStorage {
    /// Declared first, so that it is closed before its folder goes.
    engine: Engine,
    folder: TempDir,
}

enum Engine {
    Open(Tsdb),
    /// Between closing and opening, and when that failed: an empty stand-in. The runner counts no
    /// case after a failure.
    Closed(Box<MemoryStorage>),
}

impl TsdbScriptStorage {
    /// Opens an empty engine.
    ///
    /// # Errors
    /// There is no temporary folder, or the engine does not open.
    pub(super) fn open() -> anyhow::Result<Self> {
        let folder = TempDir::new().context("cannot create a temporary folder")?;
        Ok(Self {
            engine: Engine::open(&folder)?,
            folder,
        })
    }

    fn reopen(&mut self) -> anyhow::Result<()> {
        let closed = Engine::Closed(Box::default());
        if let Engine::Open(tsdb) = std::mem::replace(&mut self.engine, closed) {
            tsdb.close()?;
        }
        self.engine = Engine::open(&self.folder)?;
        Ok(())
    }
}

impl Engine {
    fn open(folder: &TempDir) -> anyhow::Result<Self> {
        let options = TsdbOptions {
            retention: None,
            background: Background::Manual,
            kv: KvOptions {
                wal_sync: WalSync::Os,
                ..KvOptions::default()
            },
            ..TsdbOptions::new(folder.path().to_owned())
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(CLOCK_MS)));
        let tsdb = Tsdb::open(options, clock, &Registry::new())
            .context("cannot open the storage engine")?;
        Ok(Self::Open(tsdb))
    }
}

impl ScriptStorage for TsdbScriptStorage {
    fn clear(&mut self) -> Result<(), ScriptStorageError> {
        *self = Self::open().map_err(|error| ScriptStorageError(format!("{error:#}")))?;
        Ok(())
    }

    fn restart(&mut self) -> Result<(), ScriptStorageError> {
        self.reopen()
            .map_err(|error| ScriptStorageError(format!("{error:#}")))
    }

    fn appender(&self) -> &dyn Appender {
        match &self.engine {
            Engine::Open(tsdb) => tsdb,
            Engine::Closed(stand_in) => stand_in.as_ref(),
        }
    }

    fn queryable(&self) -> &dyn Queryable {
        match &self.engine {
            Engine::Open(tsdb) => tsdb,
            Engine::Closed(stand_in) => stand_in.as_ref(),
        }
    }
}
