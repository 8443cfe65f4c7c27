//! The contract of histograms, start timestamps and late samples on an engine that is disturbed before every
//! request and every read: nothing may depend on what is only in memory.

use model::{PromDuration, TimeRange, Timestamp};
use parking_lot::Mutex;
use storage::{
    AppendError, AppendPolicy, AppendRequest, Appender, Durability, PendingAppend, Querier,
    Queryable, StorageError, WriteGeneration, contract,
};

use super::{Bench, DAY, START_MS};

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// All chunks are sealed.
    Seal,
    /// The engine is stopped and opened again; what was not sealed comes from the log.
    Kill,
    /// The same, and only what needs the replay lets it begin.
    KillHeld,
    /// The engine is closed and opened again.
    Restart,
}

struct Restless {
    bench: Mutex<Option<Bench>>,
    disturbance: Disturbance,
}

impl Restless {
    fn disturbed<T>(&self, then: impl FnOnce(&Bench) -> T) -> T {
        let mut slot = self.bench.lock();
        let bench = slot.take().expect("the engine is put back");
        let bench = match self.disturbance {
            Disturbance::Seal => {
                bench.tsdb.engine().seal_everything().unwrap();
                bench
            }
            Disturbance::Kill => bench.reopen(false),
            Disturbance::KillHeld => bench.reopen_held(),
            Disturbance::Restart => bench.reopen(true),
        };
        then(slot.insert(bench))
    }
}

impl Appender for Restless {
    fn append(
        &self,
        request: &AppendRequest<'_>,
        policy: AppendPolicy,
        durability: Durability,
    ) -> Result<PendingAppend, AppendError> {
        self.disturbed(|bench| Appender::append(bench, request, policy, durability))
    }
}

impl Queryable for Restless {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.disturbed(|bench| bench.released().querier(range))
    }

    fn write_generation(&self) -> WriteGeneration {
        self.disturbed(|bench| bench.released().write_generation())
    }

    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        self.disturbed(|bench| bench.released().first_change(since, range))
    }
}

fn check(disturbance: Disturbance) {
    let in_order = contract::HISTOGRAM_CHECKS.iter();
    let in_order = in_order.map(|check| (check, PromDuration::ZERO));
    let window = PromDuration::from_secs(3600);
    // Generations are those of an engine since it was opened.
    let late = contract::OUT_OF_ORDER_CHECKS
        .iter()
        .filter(|(name, _)| !name.contains("generation"));
    for ((name, check), window) in in_order.chain(late.map(|check| (check, window))) {
        let bench = Bench::with_window(window);
        bench.clock.advance(DAY);
        let restless = Restless {
            bench: Mutex::new(Some(bench)),
            disturbance,
        };
        let fixture = contract::Fixture {
            appender: &restless,
            queryable: &restless,
            start: Timestamp::from_millis(START_MS),
        };
        check(&fixture).unwrap_or_else(|violation| panic!("{disturbance:?}, {name}: {violation}"));
    }
}

#[test]
fn histograms_starts_and_late_samples_survive_seals() {
    check(Disturbance::Seal);
}

#[test]
fn histograms_starts_and_late_samples_survive_kills() {
    check(Disturbance::Kill);
}

#[test]
fn histograms_starts_and_late_samples_survive_kills_during_the_replay() {
    check(Disturbance::KillHeld);
}

#[test]
fn histograms_starts_and_late_samples_survive_restarts() {
    check(Disturbance::Restart);
}

#[test]
fn directories_of_the_first_version_are_taken_over() {
    let bench = Bench::new();
    let points = super::every_15s(START_MS - 60_000, 4);
    bench.append(&super::metric("a"), &points).unwrap();
    let kv = &bench.tsdb.engine().kv;
    let put = |version: u32| {
        let mut batch = kv.batch();
        batch.put(
            kv::Family::Meta,
            crate::keys::META_FORMAT,
            &version.to_be_bytes(),
        );
        kv.write(batch).unwrap();
    };
    put(1);
    let bench = bench.reopen(false);
    assert_eq!(bench.points("a"), super::bits(&points));
    let stored = bench
        .tsdb
        .engine()
        .kv
        .get(kv::Family::Meta, crate::keys::META_FORMAT);
    assert_eq!(
        stored.unwrap(),
        Some(crate::replay::FORMAT_VERSION.to_be_bytes().to_vec())
    );
}
