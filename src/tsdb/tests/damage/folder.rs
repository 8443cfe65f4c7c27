//! A folder with everything that the engine stores, and what must be in it.

use std::path::Path;
use std::sync::Arc;

use base::ManualClock;
use base::metrics::Registry;
use model::{Matcher, PromDuration, TimeRange, Timestamp};
use storage::{ExemplarStore as _, Maintenance as _, StateChange, StateStore as _};
use tsdb::{Background, KvOptions, Tsdb, TsdbError, TsdbOptions, WalSync};

use crate::samples::{Sent, exemplar, labels};
use crate::truth::Truth;

/// Noon of some day.
pub(crate) const NOW_MS: i64 = 1_700_000_000_000 / 86_400_000 * 86_400_000 + 43_200_000;
const DAY_MS: i64 = 86_400_000;
const PART_MS: i64 = 7_200_000;
const REQUEST_MS: i64 = 600_000;
/// Series that are sent every day.
const SERIES: i32 = 120;
/// Series of the first day only: they stop and stay away.
pub(crate) const STOPPED: std::ops::Range<i32> = 200..230;
/// Where the owner of small state keeps it.
pub(crate) const NAMESPACE: &str = "damage";
pub(crate) const STATE_KEYS: u32 = 40;

fn options(folder: &Path) -> TsdbOptions {
    TsdbOptions {
        background: Background::Manual,
        out_of_order_window: PromDuration::from_millis(DAY_MS),
        max_exemplars: 500,
        kv: KvOptions {
            wal_sync: WalSync::Os,
            ..KvOptions::default()
        },
        ..TsdbOptions::new(folder.to_owned())
    }
}

fn open_at(folder: &Path, clock: &Arc<ManualClock>) -> Result<Tsdb, TsdbError> {
    let clock: Arc<ManualClock> = Arc::clone(clock);
    Tsdb::open(options(folder), clock, &Registry::new())
}

fn noon() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)))
}

pub(crate) fn open(folder: &Path) -> Result<Tsdb, TsdbError> {
    open_at(folder, &noon())
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// What happens to a folder between two days.
#[derive(Clone, Copy)]
enum Event {
    /// All chunks become large ones.
    Rewrite,
    /// Hours without samples: series stop, and get into a segment.
    Silence,
    /// Samples are deleted and removed.
    DeleteAndClean,
    /// Samples are deleted, in files.
    Delete,
}

/// Four days, clean stops and kills between them, so that chunks, seals and commits lie in files of
/// several ages and in the log.
pub(crate) fn write(folder: &Path) -> Truth {
    let mut truth = Truth::default();
    let days: [&[Event]; 4] = [
        &[Event::Rewrite],
        &[Event::Silence, Event::DeleteAndClean],
        &[Event::Delete, Event::Silence],
        &[],
    ];
    for (day, events) in (0..).zip(days) {
        for part in 0..3 {
            let tsdb = open(folder).unwrap();
            let from_ms = NOW_MS - (4 - day) * DAY_MS + part * PART_MS;
            fill(&mut truth, &tsdb, from_ms, day);
            match part {
                0 => tsdb.close().unwrap(),
                1 => tsdb.maintain().unwrap(),
                _ => {}
            }
        }
        for event in events {
            happen(&mut truth, folder, *event);
        }
    }
    // In the log alone.
    let tsdb = open(folder).unwrap();
    delete(&mut truth, &tsdb, (3, 20));
    truth
}

fn fill(truth: &mut Truth, tsdb: &Tsdb, from_ms: i64, day: i64) {
    for request in 0..6 {
        let first = if request % 2 == 0 { 0 } else { SERIES / 2 };
        // Some series are new each day.
        let numbers = first..SERIES + i32::try_from(day).unwrap() * 8;
        let numbers = numbers.chain(if day == 0 { STOPPED } else { 0..0 });
        let sent = Sent::new(numbers, from_ms + request * REQUEST_MS);
        for part in sent.in_order_of_arrival() {
            part.append(tsdb).unwrap();
        }
        truth.add(&sent);
    }
    let exemplars: Vec<_> = (0..10).map(|series| exemplar(series, from_ms)).collect();
    tsdb.add(&exemplars).unwrap();
    truth.exemplars.extend(exemplars);
    let changes: Vec<StateChange> = (0..STATE_KEYS)
        .map(|key| StateChange::Put {
            key: key.to_be_bytes().to_vec(),
            value: format!("value of {key}").into_bytes(),
        })
        .collect();
    tsdb.apply(NAMESPACE, &changes).unwrap();
}

fn happen(truth: &mut Truth, folder: &Path, event: Event) {
    let clock = noon();
    let tsdb = open_at(folder, &clock).unwrap();
    match event {
        Event::Rewrite => tsdb.compact().unwrap(),
        Event::Silence => {
            for _ in 0..3 {
                tsdb.maintain().unwrap();
                clock.advance(PromDuration::from_secs(2 * 3600));
            }
            assert_eq!(tsdb.head_stats().series, 0, "all series stop");
        }
        Event::DeleteAndClean => {
            delete(truth, &tsdb, (0, 10));
            tsdb.clean_tombstones().unwrap();
        }
        Event::Delete => {
            delete(truth, &tsdb, (1, 15));
            tsdb.close().unwrap();
        }
    }
}

/// Deletes a part of a day of some series.
fn delete(truth: &mut Truth, tsdb: &Tsdb, (day, tens): (i64, i32)) {
    let from_ms = NOW_MS - (4 - day) * DAY_MS + 300_000;
    let range = TimeRange::new(
        Timestamp::from_millis(from_ms),
        Timestamp::from_millis(from_ms + PART_MS),
    );
    let numbers = format!("{}|{tens}.?", tens / 2);
    let matchers = [
        Matcher::new(model::MatchOp::Regex, model::METRIC_NAME, "m.*").unwrap(),
        Matcher::new(model::MatchOp::Regex, "series", &numbers).unwrap(),
    ];
    tsdb.delete(range, &matchers).unwrap();
    let is_deleted = |number: i32| matchers[1].matches(&number.to_string());
    for number in (0..STOPPED.end).filter(|number| is_deleted(*number)) {
        truth.delete(&labels(number), range);
    }
}
