//! Opening after stops of every kind, and with a log that lacks something.

use std::path::Path;

use model::PromDuration;

use super::{Bench, DAY, START_MS, bits, every_15s, metric};

/// Nobody waits for the replay: the next one begins where this one did.
#[test]
fn an_engine_that_stops_during_its_replay_loses_nothing() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 1000);
    for slice in points.chunks(50) {
        bench.append(&metric("a"), slice).unwrap();
    }
    for clean in [false, false, true, false] {
        bench = bench.reopen(clean);
    }
    assert_eq!(bench.points("a"), bits(&points));
}

#[test]
fn what_is_missing_from_the_log_is_counted_and_the_rest_is_served() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 100);
    for slice in points.chunks(10) {
        bench.append(&metric("a"), slice).unwrap();
    }
    let kv = &bench.tsdb.engine().kv;
    let mut batch = kv.batch();
    batch.delete(kv::Family::Log, &crate::keys::commit(3));
    batch.delete(kv::Family::Log, &crate::keys::commit(4));
    batch.put(kv::Family::Log, &crate::keys::commit(8), b"damaged");
    kv.write(batch).unwrap();
    let bench = bench.reopen(false);
    let kept = [&points[..20], &points[40..70], &points[80..]].concat();
    assert_eq!(bench.points("a"), bits(&kept));
    let lost = &bench.tsdb.engine().metrics.replay.lost_commits;
    assert_eq!(lost.get(), 3);
    // The numbers go on behind what is lost.
    bench.clock.advance(DAY);
    let more = every_15s(START_MS + 86_400_000, 10);
    bench.append(&metric("a"), &more).unwrap();
    let bench = bench.reopen(false);
    assert_eq!(bench.points("a"), bits(&[kept, more].concat()));
}

/// A commit that names a series whose row is lost must not lend its id to another series.
#[test]
fn ids_of_lost_series_are_not_given_to_others() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 200);
    bench.append(&metric("kept"), &points).unwrap();
    bench.append(&metric("lost"), &points).unwrap();
    let kv = &bench.tsdb.engine().kv;
    let mut batch = kv.batch();
    batch.delete(kv::Family::Series, &crate::keys::series(1));
    kv.write(batch).unwrap();
    let bench = bench.reopen(false);
    let later = every_15s(START_MS + 7_200_000, 3);
    bench.append(&metric("new"), &later).unwrap();
    let bench = bench.reopen(false).reopen(true);
    assert_eq!(bench.points("kept"), bits(&points));
    assert_eq!(bench.points("new"), bits(&later));
    assert_eq!(bench.points("lost"), []);
}

/// The same, where chunks of the lost series are left.
#[test]
fn chunks_of_lost_series_are_not_given_to_others() {
    let bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 200);
    bench.append(&metric("kept"), &points).unwrap();
    bench.append(&metric("lost"), &points).unwrap();
    let bench = bench.reopen(true);
    let kv = &bench.tsdb.engine().kv;
    let mut batch = kv.batch();
    batch.delete(kv::Family::Series, &crate::keys::series(1));
    kv.write(batch).unwrap();
    let bench = bench.reopen(false);
    let later = every_15s(START_MS + 7_200_000, 3);
    // It gets the number of the lost series' metric.
    bench.append(&metric("new"), &later).unwrap();
    let bench = bench.reopen(false).reopen(true);
    assert_eq!(bench.points("kept"), bits(&points));
    assert_eq!(bench.points("new"), bits(&later));
}

/// What is younger than the data says stays, whatever the clock says for a while.
#[test]
fn a_clock_that_jumps_ahead_loses_nothing() {
    let mut bench = Bench::new();
    bench.clock.advance(DAY);
    let points = every_15s(START_MS, 500);
    bench.append(&metric("a"), &points).unwrap();
    bench.tsdb.maintain().unwrap();
    bench
        .clock
        .advance(PromDuration::from_secs(1000 * 24 * 3600));
    // Its age makes the open chunk due.
    bench.tsdb.maintain().unwrap();
    bench.tsdb.maintain().unwrap();
    assert_eq!(bench.points("a"), bits(&points));
    for clean in [false, true] {
        bench = bench.reopen(clean);
        bench.tsdb.maintain().unwrap();
        assert_eq!(bench.points("a"), bits(&points));
    }
}

/// What leads to the id of a stopped series is gone with a file that a repair has put aside, or is
/// damaged: the series gets its id all the same.
#[test]
fn series_return_with_their_ids_whatever_became_of_their_hashes() {
    for is_repaired in [true, false] {
        let mut bench = Bench::new();
        bench.clock.advance(DAY);
        let points = every_15s(START_MS, 20);
        bench.append(&metric("a"), &points[..10]).unwrap();
        bench.append(&metric("b"), &points[..10]).unwrap();
        for _ in 0..3 {
            bench.tsdb.maintain().unwrap();
            bench.clock.advance(PromDuration::from_secs(7200));
        }
        assert_eq!(bench.tsdb.head_stats().series, 0);
        let kv = &bench.tsdb.engine().kv;
        let mut batch = kv.batch();
        {
            let mut hashes = kv.scan(kv::Family::Stopped, None);
            hashes.seek(&[]);
            let (hash, _) = hashes.current().unwrap().unwrap();
            match is_repaired {
                true => batch.delete(kv::Family::Stopped, hash),
                false => batch.put(kv::Family::Stopped, hash, b"cut"),
            }
        }
        kv.write(batch).unwrap();
        if is_repaired {
            bench = bench.reopen_prepared(false, remove_list_of_files);
        }
        bench.append(&metric("a"), &points[10..]).unwrap();
        bench.append(&metric("b"), &points[10..]).unwrap();
        for clean in [false, true] {
            for name in ["a", "b"] {
                assert_eq!(bench.read(name).len(), 1, "{is_repaired}, {name}, {clean}");
                assert_eq!(bench.points(name), bits(&points));
            }
            bench = bench.reopen(clean);
        }
    }
}

/// Without the list of files, opening needs a repair.
fn remove_list_of_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("MANIFEST") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
}
