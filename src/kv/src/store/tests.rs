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
    assert!(matches!(second, Err(KvError::Locked { .. })));
}

fn cold_keys(kv: &Kv) -> Vec<Vec<u8>> {
    let mut scan = kv.scan(Family::Cold, None);
    let mut keys = Vec::new();
    scan.seek(b"");
    while let Some((key, _)) = scan.current().unwrap() {
        keys.push(key.to_vec());
        scan.advance();
    }
    keys
}

/// A finished file.
fn table(kv: &Kv, path: &Path, keys: &[&[u8]]) -> PathBuf {
    let mut writer = kv.table_writer(path).unwrap();
    for key in keys {
        writer.put(key, b"value").unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn finished_files_are_taken_whole_and_dropped_whole() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(&directory.path().join("store"));
    let table = |name: &str, keys: &[&[u8]]| table(&kv, &directory.path().join(name), keys);
    let tables = [table("1", &[b"a1", b"a2"]), table("2", &[b"b1"])];
    kv.ingest(&tables).unwrap();
    assert!(tables.iter().all(|table| !table.exists()));
    let missing = directory.path().join("missing");
    let damaged = kv.ingest(&[table("3", &[b"c1"]), missing]);
    assert!(damaged.is_err());
    drop(kv);
    let kv = open(&directory.path().join("store"));
    assert_eq!(cold_keys(&kv), [&b"a1"[..], b"a2", b"b1"]);
    assert!(kv.range_bytes(Family::Cold, b"a", b"b") > 0);
    kv.drop_files(Family::Cold, b"a", b"b").unwrap();
    assert_eq!(cold_keys(&kv), [b"b1"]);
}

#[test]
fn compaction_empties_the_log_and_notes_can_be_removed() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let mut batch = kv.batch();
    batch.put(Family::Chunks, b"a", &[7; 100_000]);
    kv.write(batch).unwrap();
    assert!(kv.write_ahead_log_bytes() > 100_000);
    kv.compact().unwrap();
    assert!(kv.write_ahead_log_bytes() < 1000);
    assert!(kv.table_bytes(Family::Chunks) > 0);
    drop(kv);
    crate::remove_notes(directory.path()).unwrap();
    let names = std::fs::read_dir(directory.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let is_note = |name: &std::ffi::OsString| {
        name.to_string_lossy().starts_with("LOG") || name.to_string_lossy().contains("OPTIONS")
    };
    assert!(!names.iter().any(is_note), "{names:?}");
    let kv = open(directory.path());
    assert_eq!(
        kv.get(Family::Chunks, b"a").unwrap().map(|v| v.len()),
        Some(100_000)
    );
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

type Damage = fn(&Path);

/// Everything is found again: what is in files, and what is only in the log.
#[test]
fn a_damaged_list_of_files_is_built_anew() {
    let damage: [(&str, Damage); 4] = [
        ("its pointer is gone", |current| {
            std::fs::remove_file(current).unwrap();
        }),
        ("its pointer is garbage", |current| {
            std::fs::write(current, "MANIFEST-").unwrap();
        }),
        ("it is cut", |current| {
            let manifest = manifest(current);
            let bytes = std::fs::read(&manifest).unwrap();
            std::fs::write(manifest, &bytes[..bytes.len() - 9]).unwrap();
        }),
        ("both are gone", |current| {
            std::fs::remove_file(manifest(current)).unwrap();
            std::fs::remove_file(current).unwrap();
        }),
    ];
    for (what, damage) in damage {
        let directory = tempfile::tempdir().unwrap();
        {
            let kv = open(directory.path());
            for family in Family::ALL {
                let mut batch = kv.batch();
                batch.put(family, b"in a file", b"1");
                kv.write(batch).unwrap();
                kv.flush(family).unwrap();
                let mut batch = kv.batch();
                batch.put(family, b"in the log", b"2");
                kv.write(batch).unwrap();
            }
            let table = table(&kv, &directory.path().join("apart"), &[b"taken"]);
            kv.ingest(&[table]).unwrap();
        }
        damage(&directory.path().join("CURRENT"));
        for _ in 0..2 {
            let kv = open(directory.path());
            for family in Family::ALL {
                let get = |key: &[u8]| kv.get(family, key).unwrap();
                assert_eq!(get(b"in a file").as_deref(), Some(&b"1"[..]), "{what}");
                assert_eq!(get(b"in the log").as_deref(), Some(&b"2"[..]), "{what}");
            }
            let taken = kv.get(Family::Cold, b"taken").unwrap();
            assert_eq!(taken.as_deref(), Some(&b"value"[..]), "{what}");
        }
    }
}

/// A process may be killed between the repair and the look at what it has put aside.
#[test]
fn what_a_repair_put_aside_is_used_again_if_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let lost = directory.path().join("lost");
    std::fs::create_dir_all(&lost).unwrap();
    let whole = {
        let kv = open(directory.path());
        table(&kv, &lost.join("000009.sst"), &[b"k"])
    };
    let cut = std::fs::read(&whole).unwrap();
    std::fs::write(lost.join("000010.sst"), &cut[..cut.len() / 2]).unwrap();
    for _ in 0..2 {
        let kv = open(directory.path());
        assert_eq!(cold_keys(&kv), [b"k"]);
        let left = std::fs::read_dir(&lost).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["000010.sst.unreadable"]);
    }
}

/// RocksDB opens files when they are needed, and one that it cannot open hides the others.
#[test]
fn files_that_cannot_be_opened_hide_no_others() {
    let keys: [&[u8]; 3] = [b"a", b"b", b"c"];
    for damaged in keys {
        let directory = tempfile::tempdir().unwrap();
        let kv = open(directory.path());
        for key in keys {
            let name = String::from_utf8(key.to_vec()).unwrap();
            let table = table(&kv, &directory.path().join(name), &[key]);
            kv.ingest(&[table]).unwrap();
        }
        drop(kv);
        let holds = |path: &PathBuf| {
            let options = Options::default();
            let names = DB::list_cf(&options, directory.path()).unwrap();
            let database = DB::open_cf(&options, directory.path(), names).unwrap();
            let files = database.live_files().unwrap();
            files.iter().any(|file| {
                path.ends_with(file.name.trim_start_matches('/'))
                    && file.start_key.as_deref() == Some(damaged)
            })
        };
        let entries = std::fs::read_dir(directory.path()).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        let path = paths.find(holds).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let properties = b"entries";
        let at = bytes.windows(7).position(|window| window == properties);
        // The names of its properties are in no order any more.
        bytes[at.unwrap()] = b'z';
        std::fs::write(&path, bytes).unwrap();
        for _ in 0..2 {
            let kv = open(directory.path());
            let left: Vec<&[u8]> = keys.into_iter().filter(|key| *key != damaged).collect();
            assert_eq!(cold_keys(&kv), left);
        }
    }
}

fn manifest(current: &Path) -> PathBuf {
    let name = std::fs::read_to_string(current).unwrap();
    current.with_file_name(name.trim_end())
}

#[test]
fn the_marker_is_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let mut scan = kv.scan(Family::Series, None);
    scan.seek(&[]);
    assert_eq!(scan.current().unwrap(), None);
    let mut batch = kv.batch();
    batch.put(Family::Series, &[1], b"1");
    kv.write(batch).unwrap();
    let mut scan = kv.scan(Family::Series, None);
    scan.seek(&[]);
    assert_eq!(scan.current().unwrap(), Some((&[1][..], &b"1"[..])));
    scan.advance();
    assert_eq!(scan.current().unwrap(), None);
    scan.seek_for_prev(&[0, 9]);
    assert_eq!(scan.current().unwrap(), None);
}
