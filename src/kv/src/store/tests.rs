//! Tests of the open store.

use storage::{StateChange, StateStore};

use super::*;

fn open(path: &Path) -> Kv {
    Kv::open(path, &KvOptions::default()).unwrap()
}

#[test]
fn batches_are_atomic_and_survive_reopening() {
    let directory = tempfile::tempdir().unwrap();
    {
        let kv = open(directory.path());
        let mut batch = kv.batch();
        batch.put(Family::Series, b"a", b"1");
        batch.put(Family::Log, b"a", b"2");
        batch.put(Family::Log, b"b", b"3");
        batch.delete(Family::Log, b"b");
        kv.write(batch).unwrap();
    }
    let kv = open(directory.path());
    assert_eq!(
        kv.get(Family::Series, b"a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(
        kv.get(Family::Log, b"a").unwrap().as_deref(),
        Some(&b"2"[..])
    );
    assert_eq!(kv.get(Family::Log, b"b").unwrap(), None);
}

#[test]
fn scans_stop_at_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let mut batch = kv.batch();
    for key in [b"a", b"b", b"c"] {
        batch.put(Family::Chunks, key, key);
    }
    kv.write(batch).unwrap();
    let mut scan = kv.scan(Family::Chunks, Some(b"c"));
    scan.seek(b"aa");
    assert_eq!(scan.current().unwrap().map(|(key, _)| key), Some(&b"b"[..]));
    scan.advance();
    assert_eq!(scan.current().unwrap(), None);
    scan.seek_for_prev(b"b");
    assert_eq!(scan.current().unwrap().map(|(key, _)| key), Some(&b"b"[..]));
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path());
    let second = Kv::open(directory.path(), &KvOptions::default());
    assert!(matches!(second, Err(KvError::Open { .. })));
}

#[test]
fn state_lives_in_namespaces() {
    let directory = tempfile::tempdir().unwrap();
    let put = |key: &[u8]| StateChange::Put {
        key: key.to_vec(),
        value: b"v".to_vec(),
    };
    {
        let kv = open(directory.path());
        kv.apply("alerts", &[put(b"x1"), put(b"x2"), put(b"y")])
            .unwrap();
        kv.apply("alerts2", &[put(b"x3")]).unwrap();
        kv.apply(
            "alerts",
            &[StateChange::Delete {
                key: b"x1".to_vec(),
            }],
        )
        .unwrap();
        assert!(kv.apply("", &[put(b"x")]).is_err());
    }
    let kv = open(directory.path());
    assert_eq!(StateStore::get(&kv, "alerts", b"x1").unwrap(), None);
    assert_eq!(
        StateStore::scan(&kv, "alerts", b"x").unwrap(),
        [(b"x2".to_vec(), b"v".to_vec())]
    );
    assert_eq!(StateStore::scan(&kv, "alerts", b"").unwrap().len(), 2);
    assert_eq!(StateStore::scan(&kv, "alert", b"").unwrap().len(), 0);
}
