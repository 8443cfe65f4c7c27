//! Checks of metadata stores.

use super::fixture::{Violation, expect_equal};
use crate::metadata::{MAX_HELP_BYTES, MAX_NAME_BYTES, MetadataEntry, MetadataStore, MetricKind};

const fn entry<'a>(family: &'a str, kind: MetricKind, help: &'a str) -> MetadataEntry<'a> {
    let unit = "";
    MetadataEntry {
        family,
        kind,
        help,
        unit,
    }
}

fn put(store: &dyn MetadataStore, entries: &[MetadataEntry<'_>]) -> Result<u64, Violation> {
    Ok(store.put_metadata(&mut entries.iter().copied())?)
}

fn expect(
    store: &dyn MetadataStore,
    family: Option<&str>,
    want: &[MetadataEntry<'_>],
) -> Result<(), Violation> {
    let want: Vec<_> = want.iter().map(|entry| entry.to_metadata()).collect();
    expect_equal("metadata", store.metadata(family), want)
}

pub(super) fn the_last_entry_counts(store: &dyn MetadataStore) -> Result<(), Violation> {
    let old = entry("b", MetricKind::Counter, "old");
    let new = MetadataEntry {
        unit: "seconds",
        ..entry("b", MetricKind::Gauge, "new\n\"ä\"")
    };
    let other = entry("a", MetricKind::Histogram, "");
    expect(store, None, &[])?;
    expect_equal("left out", put(store, &[old, other])?, 0)?;
    expect(store, None, &[other, old])?;
    expect(store, Some("b"), &[old])?;
    for conflicting in [&[old, new, other], &[new, other, old], &[new, old, new]] {
        expect_equal("left out", put(store, conflicting)?, 0)?;
        expect(store, None, &[other, old])?;
    }
    let newer = entry("b", MetricKind::Gauge, "newer");
    expect_equal("left out", put(store, &[newer, other, new])?, 0)?;
    expect(store, None, &[other, new])?;
    expect(store, Some("b"), &[new])?;
    expect(store, Some("c"), &[])?;
    expect(store, Some(""), &[])
}

pub(super) fn entries_are_bounded(store: &dyn MetadataStore) -> Result<(), Violation> {
    let longest = "n".repeat(MAX_NAME_BYTES);
    let too_long = "n".repeat(MAX_NAME_BYTES + 1);
    // The character that does not fit is left out as a whole.
    let help = "h".repeat(MAX_HELP_BYTES - 1);
    let long_help = format!("{help}ä and more");
    let entries = [
        entry("", MetricKind::Gauge, "nameless"),
        entry(&too_long, MetricKind::Gauge, ""),
        MetadataEntry {
            unit: &too_long,
            ..entry("unit", MetricKind::Gauge, "")
        },
        entry(&longest, MetricKind::Gauge, &long_help),
    ];
    expect_equal("left out", put(store, &entries)?, 3)?;
    expect(store, None, &[entry(&longest, MetricKind::Gauge, &help)])
}
