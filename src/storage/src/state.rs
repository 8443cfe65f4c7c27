//! Small durable state: alerts, silences, models, ledgers.

/// A change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateChange {
    /// Sets the key's value.
    Put {
        /// Key inside the namespace.
        key: Vec<u8>,
        /// New value, in a versioned format of the namespace's owner.
        value: Vec<u8>,
    },
    /// Removes the key, if it is there.
    Delete {
        /// Key inside the namespace.
        key: Vec<u8>,
    },
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The key-value store failed.
    #[error("state store failed")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The namespace is empty or holds a zero byte, which separates it from keys.
    #[error("invalid state namespace {0:?}")]
    InvalidNamespace(String),
}

/// Refuses namespaces that an engine could not tell from keys.
///
/// # Errors
/// The namespace is empty or holds a zero byte.
pub fn check_namespace(namespace: &str) -> Result<(), StateError> {
    if namespace.is_empty() || namespace.contains('\0') {
        return Err(StateError::InvalidNamespace(namespace.to_owned()));
    }
    Ok(())
}

/// A pair of key and value.
pub type StateEntry = (Vec<u8>, Vec<u8>);

/// Durable keys and values in named namespaces. Blocking: call it off the async runtime.
pub trait StateStore: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// The store failed.
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// All entries whose key starts with `prefix`, in byte order of keys.
    ///
    /// # Errors
    /// The store failed.
    fn scan(&self, namespace: &str, prefix: &[u8]) -> Result<Vec<StateEntry>, StateError>;

    /// Applies all changes or none, and returns when they survive a crash of the process.
    ///
    /// # Errors
    /// The store failed; nothing was changed.
    fn apply(&self, namespace: &str, changes: &[StateChange]) -> Result<(), StateError>;
}
