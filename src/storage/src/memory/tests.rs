//! The in-memory engine under the contract's checks, and what is its own.

use model::{Matcher, PromDuration, Timestamp};

use super::*;
use crate::append::Sample;
use crate::contract::{
    CHECKS, Fixture, HISTOGRAM_CHECKS, METADATA_CHECKS, OUT_OF_ORDER_CHECKS, STATE_CHECKS,
};
use crate::read::{Columns, SelectHints};

#[test]
fn keeps_the_contract() {
    for (samples, (name, check)) in [128, 11].into_iter().flat_map(|samples| {
        CHECKS
            .iter()
            .chain(HISTOGRAM_CHECKS)
            .map(move |it| (samples, it))
    }) {
        let storage = MemoryStorage::with_chunks(MemoryChunks {
            samples,
            summaries: true,
        });
        // An odd moment, so that partitions and chunks do not start at round numbers.
        let start = Timestamp::from_millis(1_700_000_000_123);
        let fixture = Fixture {
            appender: &storage,
            queryable: &storage,
            start,
        };
        check(&fixture).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

#[test]
fn keeps_the_contract_of_metadata() {
    for (name, check) in METADATA_CHECKS {
        check(&MemoryStorage::new()).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

#[test]
fn keeps_the_contract_out_of_order() {
    for (name, check) in OUT_OF_ORDER_CHECKS {
        let storage = MemoryStorage::new();
        storage.set_out_of_order_window(PromDuration::from_secs(3600));
        let fixture = Fixture {
            appender: &storage,
            queryable: &storage,
            start: Timestamp::from_millis(1_700_000_000_123),
        };
        check(&fixture).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

#[test]
fn keeps_the_state_contract() {
    for (name, check) in STATE_CHECKS {
        check(&MemoryStorage::new()).unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

fn append(storage: &MemoryStorage, at: i64) {
    let labels = Labels::from_pairs([(model::METRIC_NAME, "m")]).unwrap();
    let mut request = AppendRequest::default();
    let sample = Sample {
        timestamp: Timestamp::from_millis(at),
        value: 1.0,
    };
    request.push(SeriesKey::Labels(&labels), [sample]);
    storage
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .unwrap();
}

#[test]
fn readers_keep_the_moment_they_were_opened_at() {
    let storage = MemoryStorage::new();
    append(&storage, 0);
    let querier = storage.querier(TimeRange::ALL).unwrap();
    append(&storage, 1_000);
    storage.clear();
    let set = querier
        .select(
            &[Matcher::equal(model::METRIC_NAME, "m")],
            SelectHints::default(),
        )
        .unwrap();
    let mut columns = Columns::default();
    set.read(0, &mut columns).unwrap();
    assert_eq!(columns.timestamps, [0]);
}

#[test]
fn changes_belong_to_times_and_clearing_is_one() {
    let storage = MemoryStorage::new();
    let near = TimeRange::new(Timestamp::EPOCH, Timestamp::from_millis(1_000));
    append(&storage, 0);
    let before = storage.write_generation();
    append(&storage, 10 * PARTITION_MS);
    assert_eq!(storage.first_change(before, near), None);
    let written = Timestamp::from_millis(10 * PARTITION_MS);
    assert_eq!(storage.first_change(before, TimeRange::ALL), Some(written));
    storage.clear();
    assert_eq!(storage.first_change(before, near), Some(near.start));
    assert_eq!(
        storage
            .querier(TimeRange::ALL)
            .unwrap()
            .label_names(&[])
            .unwrap()
            .len(),
        0
    );
}
