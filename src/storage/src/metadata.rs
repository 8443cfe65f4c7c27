//! Metadata of metric families: what they measure, their help texts, their units.

mod table;

use std::sync::Arc;

pub use exposition::MetricKind;
pub use table::{FamilyChanges, FamilyTable};

use crate::error::StorageError;

/// Most families of which metadata is kept.
pub const MAX_FAMILIES: usize = 100_000;

/// Most memory that all of it may take, by arithmetic.
pub const MAX_METADATA_BYTES: usize = 32 << 20;

/// Longest name of a family, and longest unit.
pub const MAX_NAME_BYTES: usize = 1024;

/// Longest help text; longer ones are cut.
pub const MAX_HELP_BYTES: usize = 4096;

/// What somebody says of a metric family. Texts are shared, so clones are cheap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FamilyMetadata {
    /// Name of the family, without the suffixes that its series may have.
    pub family: Arc<str>,
    /// What it measures.
    pub kind: MetricKind,
    /// What it means, in words; may be empty.
    pub help: Arc<str>,
    /// Unit of its values; may be empty.
    pub unit: Arc<str>,
}

/// The same, borrowed from a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataEntry<'a> {
    /// Name of the family, without the suffixes that its series may have.
    pub family: &'a str,
    /// What it measures.
    pub kind: MetricKind,
    /// What it means, in words; may be empty.
    pub help: &'a str,
    /// Unit of its values; may be empty.
    pub unit: &'a str,
}

impl<'a> MetadataEntry<'a> {
    /// The entry as it is kept; `None` if it has no name, or a name or unit that is too long.
    #[must_use]
    pub fn bounded(self) -> Option<Self> {
        let Self {
            family, help, unit, ..
        } = self;
        if family.is_empty() || family.len() > MAX_NAME_BYTES || unit.len() > MAX_NAME_BYTES {
            return None;
        }
        let help = &help[..help.floor_char_boundary(MAX_HELP_BYTES)];
        Some(Self { help, ..self })
    }

    /// A copy of its own.
    #[must_use]
    pub fn to_metadata(self) -> FamilyMetadata {
        FamilyMetadata {
            family: Arc::from(self.family),
            kind: self.kind,
            help: Arc::from(self.help),
            unit: Arc::from(self.unit),
        }
    }
}

impl PartialEq<FamilyMetadata> for MetadataEntry<'_> {
    fn eq(&self, other: &FamilyMetadata) -> bool {
        let Self {
            family,
            kind,
            help,
            unit,
        } = *self;
        (family, kind, help, unit) == (&*other.family, other.kind, &*other.help, &*other.unit)
    }
}

/// Keeps what senders say of metric families, within the bounds of this module. Of each family that
/// is one entry: the last one, but what is known stays where the same call repeats it. Engines may
/// forget families that have no series. Blocking: call it off the async runtime.
pub trait MetadataStore: Send + Sync {
    /// Takes entries, each in place of what was known of its family. When it returns, what engines
    /// keep on disk survives a crash of the process. Entries that say nothing new cost no write.
    /// Returns how many were left out: [`MetadataEntry::bounded`] refused them, or there was no
    /// room for more.
    ///
    /// # Errors
    /// The engine failed; nothing was changed.
    fn put_metadata<'a>(
        &self,
        entries: &mut dyn Iterator<Item = MetadataEntry<'a>>,
    ) -> Result<u64, StorageError>;

    /// What is known of one family, or of all, sorted by name.
    fn metadata(&self, family: Option<&str>) -> Vec<FamilyMetadata>;
}
