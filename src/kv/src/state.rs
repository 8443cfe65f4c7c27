//! The state store: namespaces inside one column family.

use storage::state::StateEntry;
use storage::{StateChange, StateError, StateStore};

use crate::error::KvError;
use crate::store::{Family, Kv};

/// Ends the namespace in a stored key.
const SEPARATOR: u8 = 0;

fn prefixed(namespace: &str, key: &[u8]) -> Result<Vec<u8>, StateError> {
    if namespace.is_empty() || namespace.as_bytes().contains(&SEPARATOR) {
        return Err(StateError::InvalidNamespace(namespace.to_owned()));
    }
    Ok([namespace.as_bytes(), &[SEPARATOR], key].concat())
}

fn engine(error: KvError) -> StateError {
    StateError::Engine(Box::new(error))
}

impl StateStore for Kv {
    fn get(&self, namespace: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Self::get(self, Family::State, &prefixed(namespace, key)?).map_err(engine)
    }

    fn scan(&self, namespace: &str, prefix: &[u8]) -> Result<Vec<StateEntry>, StateError> {
        let start = prefixed(namespace, prefix)?;
        let key_from = namespace.len() + 1;
        let mut scan = Self::scan(self, Family::State, None);
        scan.seek(&start);
        let mut entries = Vec::new();
        while let Some((key, value)) = scan.current().map_err(engine)? {
            if !key.starts_with(&start) {
                break;
            }
            entries.push((key[key_from..].to_vec(), value.to_vec()));
            scan.advance();
        }
        Ok(entries)
    }

    fn apply(&self, namespace: &str, changes: &[StateChange]) -> Result<(), StateError> {
        let mut batch = self.batch();
        for change in changes {
            match change {
                StateChange::Put { key, value } => {
                    batch.put(Family::State, &prefixed(namespace, key)?, value);
                }
                StateChange::Delete { key } => {
                    batch.delete(Family::State, &prefixed(namespace, key)?);
                }
            }
        }
        self.write(batch).map_err(engine)
    }
}
