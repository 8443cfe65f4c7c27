//! Metadata on disk: it comes back, changes once, and goes after its series.

use std::sync::atomic::{AtomicUsize, Ordering};

use base::Clock as _;
use storage::{MetricKind, contract};

use super::*;
use crate::tests::{Bench, DAY, START_MS, metric};

fn entry<'a>(family: &'a str, help: &'a str) -> MetadataEntry<'a> {
    MetadataEntry {
        family,
        kind: MetricKind::Counter,
        help,
        unit: "bytes",
    }
}

fn put(bench: &Bench, entries: &[MetadataEntry<'_>]) {
    let left_out = bench.tsdb.put_metadata(&mut entries.iter().copied());
    assert_eq!(left_out.unwrap(), 0);
}

/// Name and help of every family.
fn known(bench: &Bench) -> Vec<String> {
    let all = bench.tsdb.metadata(None).into_iter();
    all.map(|it| format!("{} {}", it.family, it.help)).collect()
}

fn written(bench: &Bench) -> u64 {
    bench.tsdb.engine().metrics.metadata.written.get()
}

#[test]
fn keeps_the_contract() {
    for (name, check) in contract::METADATA_CHECKS {
        let bench = Bench::new();
        if let Err(violation) = check(&bench.tsdb) {
            panic!("{name}: {violation}");
        }
    }
}

#[test]
fn survives_kills_and_is_written_once() {
    let mut bench = Bench::new();
    put(&bench, &[entry("a", "1"), entry("b", "2")]);
    put(&bench, &[entry("a", "1"), entry("b", "3"), entry("b", "3")]);
    assert_eq!(written(&bench), 3);
    for clean in [false, true, false] {
        bench = bench.reopen(clean);
        assert_eq!(known(&bench), ["a 1", "b 3"]);
        assert_eq!(
            bench.tsdb.metadata(Some("a")),
            [entry("a", "1").to_metadata()]
        );
        put(&bench, &[entry("a", "1"), entry("b", "3")]);
        assert_eq!(written(&bench), 0, "nothing new");
    }
}

/// Counts what is logged as an error.
struct Errors;

static ERRORS: AtomicUsize = AtomicUsize::new(0);

impl tracing::Subscriber for Errors {
    fn enabled(&self, about: &tracing::Metadata<'_>) -> bool {
        *about.level() == tracing::Level::ERROR && about.target().ends_with("replay")
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn event(&self, _event: &tracing::Event<'_>) {
        ERRORS.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}

#[test]
fn a_damaged_record_is_logged_and_skipped() {
    let mut bench = Bench::new();
    put(&bench, &[entry("a", "1"), entry("b", "2"), entry("c", "3")]);
    let mut value = record::encode(&entry("b", "2").to_metadata());
    *value.last_mut().unwrap() ^= 1;
    let damaged = StateChange::Put {
        key: b"b".to_vec(),
        value,
    };
    let kv = &bench.tsdb.engine().kv;
    kv.apply(NAMESPACE, &[damaged]).unwrap();
    let logged = ERRORS.load(Ordering::SeqCst);
    bench = tracing::subscriber::with_default(Errors, || bench.reopen(false));
    assert_eq!(ERRORS.load(Ordering::SeqCst), logged + 1);
    assert_eq!(known(&bench), ["a 1", "c 3"]);
    // The sender tells it again.
    put(&bench, &[entry("a", "1"), entry("b", "2")]);
    bench = bench.reopen(false);
    assert_eq!(known(&bench), ["a 1", "b 2", "c 3"]);
}

#[test]
fn goes_when_nobody_sends_it_and_its_series_are_gone() {
    let hour = PromDuration::from_secs(3600);
    let bench = Bench::with_retention();
    put(&bench, &[entry("a", "1"), entry("b", "2"), entry("c", "3")]);
    bench.append(&metric("a"), &[(START_MS, 1.0)]).unwrap();
    bench
        .append(&metric("b_bucket"), &[(START_MS, 1.0)])
        .unwrap();
    bench.append(&metric("bc"), &[(START_MS, 1.0)]).unwrap();
    bench.tsdb.maintain().unwrap();
    assert_eq!(
        known(&bench),
        ["a 1", "b 2", "c 3"],
        "series may come later"
    );
    bench.clock.advance(hour);
    put(&bench, &[entry("c", "3")]);
    bench.tsdb.maintain().unwrap();
    assert_eq!(known(&bench), ["a 1", "b 2", "c 3"], "c was sent again");
    bench.clock.advance(PromDuration::from_secs(2 * 3600));
    bench.tsdb.maintain().unwrap();
    assert_eq!(known(&bench), ["a 1", "b 2"]);
    // By now both series have stopped, and are found all the same.
    let bench = bench.reopen(false);
    bench.clock.advance(DAY);
    bench.tsdb.maintain().unwrap();
    assert_eq!(known(&bench), ["a 1", "b 2"]);
    for _ in 0..8 {
        bench.clock.advance(DAY);
        let now_ms = bench.clock.now().as_millis();
        bench.append(&metric("a"), &[(now_ms, 1.0)]).unwrap();
        bench.tsdb.maintain().unwrap();
    }
    assert_eq!(known(&bench), ["a 1"], "retention took the series of b");
    let bench = bench.reopen(false);
    assert_eq!(known(&bench), ["a 1"]);
}
