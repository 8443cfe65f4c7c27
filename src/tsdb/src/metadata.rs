//! Metadata of metric families that senders told: a table in memory, every entry of which is a
//! record of the state store. `docs/formats/metadata.md` has the bytes.

mod record;

use std::sync::Arc;

use model::{PromDuration, TimeRange, Timestamp};
use parking_lot::Mutex;
use storage::metadata::FamilyTable;
use storage::{
    FamilyMetadata, MetadataEntry, MetadataStore, StateChange, StateStore, StorageError,
};

use crate::db::{Engine, Tsdb, UpkeepState};
use crate::error::TsdbError;
use crate::replay::log_damage;

/// Namespace of the records; a key is the name of a family.
const NAMESPACE: &str = "metadata";

/// Families without series go when nobody has sent them for so long: series may come later than
/// what is said of them.
const SILENCE: PromDuration = PromDuration::from_secs(3600);

/// What series of a family may have behind its name. Source: OpenMetrics 1.0, suffixes.
const SUFFIXES: [&str; 9] = [
    "", "_total", "_created", "_bucket", "_sum", "_count", "_gcount", "_gsum", "_info",
];

/// The metadata of the engine.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Held while records are written, so that both change in the same order.
    table: Mutex<FamilyTable>,
}

impl MetadataStore for Tsdb {
    fn put_metadata<'a>(
        &self,
        entries: &mut dyn Iterator<Item = MetadataEntry<'a>>,
    ) -> Result<u64, StorageError> {
        Ok(self.engine().put_metadata(entries)?)
    }

    fn metadata(&self, family: Option<&str>) -> Vec<FamilyMetadata> {
        self.engine().metadata.table.lock().metadata(family)
    }
}

impl Engine {
    fn put_metadata<'a>(
        &self,
        entries: &mut dyn Iterator<Item = MetadataEntry<'a>>,
    ) -> Result<u64, TsdbError> {
        let now = self.clock.now();
        let mut table = self.metadata.table.lock();
        let changes = table.plan(entries, now);
        let left_out = changes.left_out();
        self.metrics.metadata.left_out.add(left_out);
        if !changes.is_empty() {
            let puts: Vec<StateChange> = changes.changed().map(put).collect();
            self.kv.apply(NAMESPACE, &puts).map_err(TsdbError::State)?;
            self.metrics.metadata.written.add(puts.len() as u64);
            table.apply(changes, now);
            self.metrics.metadata.note(&table);
        }
        Ok(left_out)
    }

    /// Reads what was stored. What is damaged is left out: senders tell it again.
    pub(crate) fn restore_metadata(&self) -> Result<(), TsdbError> {
        let stored = match StateStore::scan(&self.kv, NAMESPACE, &[]).map_err(TsdbError::State) {
            Err(error) if error.is_damage() => {
                log_damage(&error, "metadata of metric families is unreadable");
                Vec::new()
            }
            stored => stored?,
        };
        let now = self.clock.now();
        let mut table = self.metadata.table.lock();
        let mut entries = stored.iter().filter_map(|(key, value)| {
            record::decode(key, value)
                .inspect_err(|error| log_damage(error, "metadata of a metric family is lost"))
                .ok()
        });
        let changes = table.plan(&mut entries, now);
        table.apply(changes, now);
        self.metrics.metadata.note(&table);
        Ok(())
    }

    /// Forgets families that have no series and that nobody has sent for an hour, once an hour.
    pub(crate) fn forget_metadata(
        &self,
        upkeep: &mut UpkeepState,
        now: Timestamp,
    ) -> Result<(), TsdbError> {
        let last = upkeep.last_metadata_round;
        if last.is_some_and(|last| last.saturating_add(SILENCE) > now) {
            return Ok(());
        }
        upkeep.last_metadata_round = Some(now);
        let before = now.saturating_sub(SILENCE);
        let silent = self.metadata.table.lock().silent_since(before);
        if silent.is_empty() {
            return Ok(());
        }
        let metrics = self.label_values(model::METRIC_NAME, &[], TimeRange::ALL)?;
        let mut table = self.metadata.table.lock();
        // What came meanwhile is silent no longer.
        let gone: Vec<Arc<str>> = table
            .silent_since(before)
            .into_iter()
            .filter(|family| silent.binary_search(family).is_ok() && !has_series(family, &metrics))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let deletes: Vec<StateChange> = gone.iter().map(|family| delete(family)).collect();
        self.kv
            .apply(NAMESPACE, &deletes)
            .map_err(TsdbError::State)?;
        for family in &gone {
            table.remove(family);
        }
        self.metrics.metadata.note(&table);
        Ok(())
    }
}

/// Whether one of the metrics, which are sorted, is of a family.
fn has_series(family: &str, metrics: &[String]) -> bool {
    let mut name = family.to_owned();
    SUFFIXES.iter().any(|suffix| {
        name.truncate(family.len());
        name.push_str(suffix);
        metrics.binary_search(&name).is_ok()
    })
}

fn put(metadata: &FamilyMetadata) -> StateChange {
    StateChange::Put {
        key: metadata.family.as_bytes().to_vec(),
        value: record::encode(metadata),
    }
}

fn delete(family: &str) -> StateChange {
    StateChange::Delete {
        key: family.as_bytes().to_vec(),
    }
}

#[cfg(test)]
mod tests;
