//! The bounded table of families that engines keep in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Timestamp;

use super::{FamilyMetadata, MAX_FAMILIES, MAX_METADATA_BYTES, MetadataEntry};

/// What a family takes beside its texts, roughly.
const FAMILY_BYTES: usize = 160;

/// Families and what is known of each. Changes are planned first, so that they can be stored before
/// anybody sees them.
#[derive(Debug, Default)]
pub struct FamilyTable {
    families: BTreeMap<Arc<str>, Known>,
    /// Memory by arithmetic.
    bytes: usize,
    /// How often changes were planned.
    plans: u64,
}

#[derive(Debug)]
struct Known {
    metadata: FamilyMetadata,
    sent_at: Timestamp,
    /// The last plan whose entries said the same.
    repeated_in: u64,
}

/// What entries change in a table.
#[derive(Debug, Default)]
pub struct FamilyChanges {
    changed: BTreeMap<Arc<str>, FamilyMetadata>,
    left_out: u64,
    /// Of the table, once it has the changes.
    families: usize,
    bytes: usize,
}

impl FamilyChanges {
    /// New and changed families, sorted by name.
    pub fn changed(&self) -> impl Iterator<Item = &FamilyMetadata> {
        self.changed.values()
    }

    /// Whether the entries said nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// How many entries were left out.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Plans to take an entry in place of what the table knows.
    fn add(&mut self, entry: MetadataEntry<'_>, known: Option<&FamilyMetadata>) {
        let known = self.changed.get(entry.family).or(known);
        if known.is_some_and(|known| entry == *known) {
            return;
        }
        let families = self.families + usize::from(known.is_none());
        let entry = entry.to_metadata();
        let bytes = self.bytes - known.map_or(0, memory_bytes) + memory_bytes(&entry);
        if families > MAX_FAMILIES || bytes > MAX_METADATA_BYTES {
            self.left_out += 1;
            return;
        }
        (self.families, self.bytes) = (families, bytes);
        self.changed.insert(Arc::clone(&entry.family), entry);
    }

    /// Plans to leave what the table knows.
    fn take_back(&mut self, known: &FamilyMetadata) {
        if let Some(changed) = self.changed.remove(&known.family) {
            self.bytes = self.bytes - memory_bytes(&changed) + memory_bytes(known);
        }
    }
}

impl FamilyTable {
    /// What entries would change; notes that their families were sent `now`. Where targets of a
    /// sender say different things of a family, all of them come: if one is what is known, that
    /// stays, else the last one counts.
    pub fn plan<'a>(
        &mut self,
        entries: &mut dyn Iterator<Item = MetadataEntry<'a>>,
        now: Timestamp,
    ) -> FamilyChanges {
        let mut changes = FamilyChanges {
            families: self.families.len(),
            bytes: self.bytes,
            ..FamilyChanges::default()
        };
        self.plans += 1;
        for entry in entries {
            let Some(entry) = entry.bounded() else {
                changes.left_out += 1;
                continue;
            };
            let Some(known) = self.families.get_mut(entry.family) else {
                changes.add(entry, None);
                continue;
            };
            known.sent_at = now;
            if entry == known.metadata {
                known.repeated_in = self.plans;
                changes.take_back(&known.metadata);
            } else if known.repeated_in != self.plans {
                changes.add(entry, Some(&known.metadata));
            }
        }
        changes
    }

    /// Makes changes that were planned on the table as it is.
    pub fn apply(&mut self, changes: FamilyChanges, now: Timestamp) {
        for (family, metadata) in changes.changed {
            let known = Known {
                metadata,
                sent_at: now,
                repeated_in: 0,
            };
            self.families.insert(family, known);
        }
        self.bytes = changes.bytes;
    }

    /// Families that were last sent before `time`.
    #[must_use]
    pub fn silent_since(&self, time: Timestamp) -> Vec<Arc<str>> {
        let families = self.families.iter();
        families
            .filter(|(_, known)| known.sent_at < time)
            .map(|(family, _)| Arc::clone(family))
            .collect()
    }

    /// Forgets a family.
    pub fn remove(&mut self, family: &str) {
        if let Some(known) = self.families.remove(family) {
            self.bytes -= memory_bytes(&known.metadata);
        }
    }

    /// How many families are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.families.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// What is known of one family, or of all, sorted by name.
    #[must_use]
    pub fn metadata(&self, family: Option<&str>) -> Vec<FamilyMetadata> {
        match family {
            None => {
                let all = self.families.values();
                all.map(|known| known.metadata.clone()).collect()
            }
            Some(family) => {
                let one = self.families.get(family);
                one.map(|known| known.metadata.clone())
                    .into_iter()
                    .collect()
            }
        }
    }
}

fn memory_bytes(metadata: &FamilyMetadata) -> usize {
    FAMILY_BYTES + metadata.family.len() + metadata.help.len() + metadata.unit.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{MAX_HELP_BYTES, MetricKind};

    fn put(table: &mut FamilyTable, names: &[String], help: &str, at: i64) -> (usize, u64) {
        let now = Timestamp::from_millis(at);
        let mut entries = names.iter().map(|family| MetadataEntry {
            family,
            kind: MetricKind::Gauge,
            help,
            unit: "",
        });
        let changes = table.plan(&mut entries, now);
        let counts = (changes.changed().count(), changes.left_out());
        table.apply(changes, now);
        counts
    }

    fn names(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|number| format!("m{number:06}")).collect()
    }

    #[test]
    fn the_number_of_families_is_bounded() {
        let mut table = FamilyTable::default();
        let all = names(0..MAX_FAMILIES + 5);
        assert_eq!(put(&mut table, &all, "", 0), (MAX_FAMILIES, 5));
        assert_eq!(table.len(), MAX_FAMILIES);
        assert_eq!(put(&mut table, &all, "", 1), (0, 5), "nothing new");
        // Families that are known change in a full table, and what is gone makes room.
        assert_eq!(put(&mut table, &all[..1], "h", 2), (1, 0));
        table.remove(&all[0]);
        let last = &all[MAX_FAMILIES..];
        assert_eq!(put(&mut table, last, "", 3), (1, 4));
    }

    #[test]
    fn memory_is_bounded_whatever_comes_at_once() {
        let mut table = FamilyTable::default();
        let help = "x".repeat(MAX_HELP_BYTES);
        let each = FAMILY_BYTES + 7 + MAX_HELP_BYTES;
        let room = MAX_METADATA_BYTES / each;
        let mut all = names(0..room + 3);
        // The same families once more change nothing.
        all.extend(names(0..room));
        assert_eq!(put(&mut table, &all, &help, 0), (room, 3));
        assert_eq!(table.bytes, room * each);
        // Shorter texts give room back.
        assert_eq!(put(&mut table, &names(0..4), "", 1), (4, 0));
        assert_eq!(put(&mut table, &names(room..room + 3), &help, 2), (3, 0));
        for name in names(0..room + 3) {
            table.remove(&name);
        }
        assert_eq!((table.bytes, table.len()), (0, 0));
    }

    #[test]
    fn repetition_keeps_families_from_being_silent() {
        let mut table = FamilyTable::default();
        put(&mut table, &names(0..3), "h", 10);
        put(&mut table, &names(1..2), "h", 20);
        put(&mut table, &names(2..3), "other", 20);
        let silent = table.silent_since(Timestamp::from_millis(20));
        assert_eq!(silent, [Arc::from("m000000")]);
        assert_eq!(table.silent_since(Timestamp::from_millis(21)).len(), 3);
    }
}
