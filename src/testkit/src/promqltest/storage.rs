//! What scripts load into and query.

use storage::{Appender, MemoryStorage, Queryable};

/// An engine could not be emptied or reopened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ScriptStorageError(pub String);

/// A storage engine under a script.
pub trait ScriptStorage {
    /// Removes everything.
    ///
    /// # Errors
    /// The engine failed; the script cannot go on.
    fn clear(&mut self) -> Result<(), ScriptStorageError>;

    /// Closes the engine and opens it again on the same data.
    ///
    /// # Errors
    /// The engine failed; the script cannot go on.
    fn restart(&mut self) -> Result<(), ScriptStorageError>;

    /// The engine's writing side.
    fn appender(&self) -> &dyn Appender;

    /// The engine's reading side.
    fn queryable(&self) -> &dyn Queryable;
}

/// The in-memory engine under a script. A restart changes nothing.
#[derive(Debug, Default)]
pub struct MemoryScriptStorage(MemoryStorage);

impl MemoryScriptStorage {
    /// An empty engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl ScriptStorage for MemoryScriptStorage {
    fn clear(&mut self) -> Result<(), ScriptStorageError> {
        self.0.clear();
        Ok(())
    }

    fn restart(&mut self) -> Result<(), ScriptStorageError> {
        Ok(())
    }

    fn appender(&self) -> &dyn Appender {
        &self.0
    }

    fn queryable(&self) -> &dyn Queryable {
        &self.0
    }
}
