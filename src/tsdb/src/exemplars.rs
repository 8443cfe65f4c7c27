//! Exemplars: a circular buffer in memory, of which every entry is stored under its number.

use model::{Exemplar, Labels, Matcher, TimeRange, Timestamp};
use parking_lot::Mutex;
use storage::exemplars::Added;
use storage::{
    CircularExemplars, ExemplarError, ExemplarStore, SeriesExemplars, StateChange, StateError,
    StateStore, StorageError,
};

use crate::db::{Engine, Tsdb};
use crate::error::TsdbError;
use crate::replay::log_damage;
use crate::{keys, varint};

/// Namespace of the stored entries; a key is a number, u64 big-endian.
const NAMESPACE: &str = "exemplars";
/// Format of an entry.
const VERSION: u8 = 1;

/// A stored entry: its number, series and exemplar.
type Stored = (u64, (Labels, Exemplar));

/// The exemplars of the engine.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    buffer: Mutex<CircularExemplars>,
}

impl ExemplarStore for Tsdb {
    fn is_enabled(&self) -> bool {
        self.engine().exemplars.buffer.lock().capacity() > 0
    }

    fn add(&self, exemplars: &[SeriesExemplars]) -> Result<u64, StorageError> {
        Ok(self.engine().add_exemplars(exemplars)?)
    }

    fn select(&self, range: TimeRange, matchers: &[Vec<Matcher>]) -> Vec<SeriesExemplars> {
        let buffer = self.engine().exemplars.buffer.lock();
        buffer.select(range, matchers)
    }
}

impl Tsdb {
    /// How many exemplars are kept; 0 keeps none. Where there are more, the oldest ones go.
    ///
    /// # Errors
    /// Those that went cannot be removed from the store; that is done by the next ones that go.
    pub fn set_max_exemplars(&self, max: usize) -> Result<(), TsdbError> {
        self.engine().resize_exemplars(max)
    }
}

impl Engine {
    fn add_exemplars(&self, exemplars: &[SeriesExemplars]) -> Result<u64, TsdbError> {
        let mut out_of_order = 0;
        let window = self.order.window();
        let metrics = &self.metrics.exemplars;
        let mut buffer = self.exemplars.buffer.lock();
        let first = buffer.first_number();
        let mut changes = Vec::new();
        for SeriesExemplars { series, exemplars } in exemplars {
            for exemplar in exemplars {
                match buffer.add(series, exemplar, window) {
                    Ok(Added::Kept { number }) => {
                        metrics.appended.inc();
                        changes.push(put(number, series, exemplar));
                    }
                    Ok(Added::Repeated) => {}
                    Err(error) => {
                        if error == ExemplarError::OutOfOrder {
                            metrics.out_of_order.inc();
                            out_of_order += 1;
                        }
                        tracing::debug!(%series, %error, "an exemplar is not kept");
                    }
                }
            }
        }
        self.store_exemplars(&buffer, first, changes)?;
        Ok(out_of_order)
    }

    fn resize_exemplars(&self, max: usize) -> Result<(), TsdbError> {
        let mut buffer = self.exemplars.buffer.lock();
        let first = buffer.first_number();
        buffer.resize(max);
        self.store_exemplars(&buffer, first, Vec::new())
    }

    /// Writes changes, and removes entries that went since the first one had number `first`.
    fn store_exemplars(
        &self,
        buffer: &CircularExemplars,
        first: u64,
        mut changes: Vec<StateChange>,
    ) -> Result<(), TsdbError> {
        // What came and went with one request is put and removed again.
        let gone = first..buffer.first_number();
        changes.extend(gone.map(|number| StateChange::Delete {
            key: number.to_be_bytes().to_vec(),
        }));
        self.metrics.exemplars.note(buffer);
        if changes.is_empty() {
            return Ok(());
        }
        self.kv.apply(NAMESPACE, &changes).map_err(state_error)
    }

    /// Reads what was stored, as much as there is room for.
    pub(crate) fn restore_exemplars(&self) -> Result<(), TsdbError> {
        let mut changes = Vec::new();
        let entries = match self.read_exemplars(&mut changes) {
            Err(error) if error.is_damage() => {
                log_damage(&error, "exemplars are unreadable and lost");
                self.forget_exemplars()?;
                changes.clear();
                Vec::new()
            }
            read => read?,
        };
        let first = entries.first().map_or(0, |(number, _)| *number);
        let mut buffer = CircularExemplars::new(usize::MAX, first);
        for (number, (series, exemplar)) in entries {
            let restored = buffer.restore(&series, &exemplar);
            if restored != number {
                // A write has failed in between: the rest moves up.
                changes.push(put(restored, &series, &exemplar));
                let key = number.to_be_bytes().to_vec();
                changes.push(StateChange::Delete { key });
            }
        }
        buffer.resize(self.options.max_exemplars);
        self.store_exemplars(&buffer, first, changes)?;
        *self.exemplars.buffer.lock() = buffer;
        Ok(())
    }

    /// What is stored, by number. An entry that does not decode is logged, left out, and to be
    /// deleted.
    fn read_exemplars(&self, changes: &mut Vec<StateChange>) -> Result<Vec<Stored>, TsdbError> {
        let mut scan = self.kv.scan(kv::Family::State, None);
        let prefix = keys::state_namespace(NAMESPACE);
        scan.seek(&prefix);
        let mut entries = Vec::new();
        while let Some((key, value)) = scan.current()? {
            let Some(key) = key.strip_prefix(&*prefix) else {
                break;
            };
            let number = key.try_into().map(u64::from_be_bytes);
            match number.ok().zip(decode(value)) {
                Some(entry) => entries.push(entry),
                None => {
                    let error = TsdbError::corrupt("exemplar", "it does not decode");
                    log_damage(&error, "an exemplar is lost");
                    changes.push(StateChange::Delete { key: key.to_vec() });
                }
            }
            scan.advance();
        }
        Ok(entries)
    }

    fn forget_exemplars(&self) -> Result<(), TsdbError> {
        let from = keys::state_namespace(NAMESPACE);
        let below = [&*from, &[u8::MAX; 9]].concat();
        let mut batch = self.kv.batch();
        batch.delete_range(kv::Family::State, &from, &below);
        Ok(self.kv.write(batch)?)
    }
}

fn state_error(error: StateError) -> TsdbError {
    TsdbError::State(error)
}

fn put(number: u64, series: &Labels, exemplar: &Exemplar) -> StateChange {
    let mut value = vec![VERSION];
    for labels in [series, &exemplar.labels] {
        let packed = labels.as_packed().as_bytes();
        varint::put(&mut value, packed.len() as u64);
        value.extend_from_slice(packed);
    }
    varint::put_signed(&mut value, exemplar.timestamp.as_millis());
    value.extend_from_slice(&exemplar.value.to_bits().to_le_bytes());
    StateChange::Put {
        key: number.to_be_bytes().to_vec(),
        value,
    }
}

/// Reads the value of [`put`].
fn decode(value: &[u8]) -> Option<(Labels, Exemplar)> {
    let (&VERSION, mut rest) = value.split_first()? else {
        return None;
    };
    let series = take_labels(&mut rest)?;
    let labels = take_labels(&mut rest)?;
    let timestamp = Timestamp::from_millis(varint::take_signed(&mut rest)?);
    let value = f64::from_bits(u64::from_le_bytes(rest.try_into().ok()?));
    let exemplar = Exemplar {
        labels,
        value,
        timestamp,
    };
    Some((series, exemplar))
}

fn take_labels(bytes: &mut &[u8]) -> Option<Labels> {
    let length = usize::try_from(varint::take(bytes)?).ok()?;
    let (packed, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Labels::from_packed(std::str::from_utf8(packed).ok()?)
}

#[cfg(test)]
mod tests;
