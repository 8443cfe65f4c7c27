//! Checks of state stores.

use super::fixture::{Violation, expect_equal};
use crate::state::{StateChange, StateEntry, StateError, StateStore};

fn put(key: &[u8], value: &[u8]) -> StateChange {
    StateChange::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn delete(key: &[u8]) -> StateChange {
    StateChange::Delete { key: key.to_vec() }
}

fn entry(key: &[u8], value: &[u8]) -> StateEntry {
    (key.to_vec(), value.to_vec())
}

pub(super) fn entries_are_stored_and_removed(store: &dyn StateStore) -> Result<(), Violation> {
    expect_equal("an absent key", store.get("alerts", b"a")?, None)?;
    store.apply(
        "alerts",
        &[put(b"a", b"1"), put(b"b", b""), put(b"\0\xff", b"\0")],
    )?;
    expect_equal(
        "a stored key",
        store.get("alerts", b"a")?,
        Some(b"1".to_vec()),
    )?;
    expect_equal(
        "an empty value",
        store.get("alerts", b"b")?,
        Some(Vec::new()),
    )?;
    expect_equal(
        "a binary key",
        store.get("alerts", b"\0\xff")?,
        Some(b"\0".to_vec()),
    )?;
    // Changes apply in order, and removing what is absent is no error.
    store.apply(
        "alerts",
        &[
            put(b"a", b"2"),
            delete(b"b"),
            delete(b"none"),
            put(b"a", b"3"),
        ],
    )?;
    expect_equal(
        "the last value",
        store.get("alerts", b"a")?,
        Some(b"3".to_vec()),
    )?;
    expect_equal("a removed key", store.get("alerts", b"b")?, None)?;
    store.apply("alerts", &[put(b"c", b"1"), delete(b"c")])?;
    expect_equal("put, then removed", store.get("alerts", b"c")?, None)
}

pub(super) fn scans_are_sorted_and_bounded(store: &dyn StateStore) -> Result<(), Violation> {
    let keys: [&[u8]; 6] = [b"b\xff\xff", b"a", b"b", b"ab", b"c", b"b\xff"];
    store.apply("s", &keys.map(|key| put(key, key)))?;
    let all: [&[u8]; 6] = [b"a", b"ab", b"b", b"b\xff", b"b\xff\xff", b"c"];
    expect_equal(
        "whole namespace",
        store.scan("s", b"")?,
        all.map(|key| entry(key, key)).to_vec(),
    )?;
    let with_b = all[2..5].iter().map(|key| entry(key, key)).collect();
    expect_equal("prefix", store.scan("s", b"b")?, with_b)?;
    let with_ff = all[3..5].iter().map(|key| entry(key, key)).collect();
    expect_equal(
        "prefix that ends in ff",
        store.scan("s", b"b\xff")?,
        with_ff,
    )?;
    expect_equal("prefix of nothing", store.scan("s", b"bb")?, Vec::new())
}

pub(super) fn namespaces_are_separate(store: &dyn StateStore) -> Result<(), Violation> {
    store.apply("a", &[put(b"key", b"of a"), put(b"bkey", b"of a too")])?;
    store.apply("ab", &[put(b"key", b"of ab")])?;
    expect_equal("get", store.get("ab", b"key")?, Some(b"of ab".to_vec()))?;
    expect_equal(
        "scan",
        store.scan("ab", b"")?,
        vec![entry(b"key", b"of ab")],
    )?;
    expect_equal("scan of the shorter name", store.scan("a", b"")?.len(), 2)?;
    store.apply("ab", &[delete(b"key")])?;
    expect_equal(
        "other namespace",
        store.get("a", b"key")?,
        Some(b"of a".to_vec()),
    )
}

pub(super) fn invalid_namespaces_are_refused(store: &dyn StateStore) -> Result<(), Violation> {
    for namespace in ["", "a\0b"] {
        let answers = [
            store.get(namespace, b"k").map(|_| ()),
            store.scan(namespace, b"").map(|_| ()),
            store.apply(namespace, &[put(b"k", b"v")]),
        ];
        for answer in answers {
            if !matches!(answer, Err(StateError::InvalidNamespace(_))) {
                let text = format!("namespace {namespace:?}: want a refusal, got {answer:?}");
                return Err(Violation::new(text));
            }
        }
    }
    Ok(())
}
