//! State in memory: lost with the process, otherwise as durable state behaves.

use super::MemoryStorage;
use crate::state::{StateChange, StateEntry, StateError, StateStore, check_namespace};

impl StateStore for MemoryStorage {
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_namespace(namespace)?;
        Ok(self
            .state
            .lock()
            .get(namespace)
            .and_then(|entries| entries.get(key))
            .cloned())
    }

    fn scan(&self, namespace: &str, prefix: &[u8]) -> Result<Vec<StateEntry>, StateError> {
        check_namespace(namespace)?;
        Ok(self.entries(namespace, prefix))
    }

    fn apply(&self, namespace: &str, changes: &[StateChange]) -> Result<(), StateError> {
        check_namespace(namespace)?;
        let mut state = self.state.lock();
        let entries = state.entry(namespace.to_owned()).or_default();
        for change in changes {
            match change {
                StateChange::Put { key, value } => {
                    entries.insert(key.clone(), value.clone());
                }
                StateChange::Delete { key } => {
                    entries.remove(key);
                }
            }
        }
        Ok(())
    }
}
