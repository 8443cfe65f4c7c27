//! A random walk of series that stop and come back, beside a map that knows all of them: upkeep,
//! hours and days that pass, retention, stops and kills, and every way to ask for series.

use std::collections::{BTreeMap, BTreeSet};

use model::{Labels, MatchOp, Matcher, PromDuration, TimeRange, Timestamp};
use proptest::prelude::*;
use storage::{
    AppendError, AppendPolicy, AppendRequest, Appender as _, Columns, Durability, Queryable as _,
    Sample, SelectHints, SeriesKey,
};

use super::{Bench, RETENTION};
use crate::partition::{PARTITION_MS, Partition};

#[derive(Clone, Debug)]
enum Step {
    /// A sample now for each of these series.
    Append {
        series: BTreeSet<u8>,
    },
    /// The newest sample of a series once more, or one before it: both are judged by order.
    Repeat {
        series: u8,
        back_ms: i64,
    },
    Maintain,
    Advance {
        minutes: i64,
    },
    Reopen {
        clean: bool,
    },
    Ask {
        matchers: Vec<Matcher>,
        days: (i64, i64),
    },
}

fn step() -> impl Strategy<Value = Step> {
    let series = prop::collection::btree_set(0..24_u8, 1..12);
    prop_oneof![
        6 => series.prop_map(|series| Step::Append { series }),
        2 => (0..24_u8, 0..3_i64).prop_map(|(series, back_ms)| Step::Repeat { series, back_ms }),
        6 => Just(Step::Maintain),
        4 => (1..100_i64).prop_map(|minutes| Step::Advance { minutes }),
        2 => (100..2000_i64).prop_map(|minutes| Step::Advance { minutes }),
        1 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
        4 => (prop::collection::vec(matcher(), 1..4), (0..4_i64, 0..4_i64))
            .prop_map(|(matchers, days)| Step::Ask { matchers, days }),
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let cases = [
        (MatchOp::Equal, "__name__", "m1"),
        (MatchOp::Equal, "pod", ""),
        (MatchOp::NotEqual, "__name__", "m0"),
        (MatchOp::NotEqual, "pod", ""),
        (MatchOp::Regex, "pod", "pod-[0-9]"),
        (MatchOp::Regex, "pod", "pod-1.*"),
        (MatchOp::Regex, "pod", "pod-1|pod-2|"),
        (MatchOp::Regex, "__name__", ".+"),
        (MatchOp::Regex, "kind", ".*"),
        (MatchOp::NotRegex, "pod", "pod-(1|2).*"),
        (MatchOp::NotRegex, "kind", ".+"),
        (MatchOp::NotRegex, "__name__", "|m2"),
        (MatchOp::Regex, "kind", "od+|eve."),
    ];
    prop::sample::select(cases.to_vec())
        .prop_map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
}

fn labels(series: u8) -> Labels {
    let (name, pod) = (format!("m{}", series % 3), format!("pod-{series}"));
    let mut pairs = vec![("__name__", name.as_str())];
    let tag = if series.is_multiple_of(5) {
        "pot"
    } else {
        "pod"
    };
    pairs.push((tag, &pod));
    if series % 4 != 3 {
        pairs.push((
            "kind",
            if series.is_multiple_of(2) {
                "even"
            } else {
                "odd"
            },
        ));
    }
    Labels::from_pairs(pairs).unwrap()
}

/// Ids of all series that the store has rows of.
fn ids_by_labels(bench: &Bench) -> BTreeMap<Labels, Vec<u32>> {
    let mut ids: BTreeMap<Labels, Vec<u32>> = BTreeMap::new();
    let everything = (0..10_000).collect();
    let engine = bench.tsdb.engine();
    engine
        .stored_series(&everything, |id, entry| {
            ids.entry(entry.labels).or_default().push(id)
        })
        .unwrap();
    ids
}

/// Samples of each series.
type Model = BTreeMap<Labels, Vec<(i64, u64)>>;

fn append(bench: &Bench, labels: &Labels, (at, value): (i64, f64)) -> Result<(), AppendError> {
    let timestamp = Timestamp::from_millis(at);
    let mut request = AppendRequest::default();
    request.push(SeriesKey::Labels(labels), [Sample { timestamp, value }]);
    let pending = bench
        .tsdb
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)?;
    pending.wait_blocking().map(drop)
}

fn apply(bench: Bench, step: &Step, model: &mut Model) -> Bench {
    let now = bench.now_ms();
    match step {
        Step::Append { series } => {
            for series in series {
                let labels = labels(*series);
                let known = model.entry(labels.clone()).or_default();
                let value = f64::from(*series) + known.len() as f64;
                if known.last().is_none_or(|(newest, _)| *newest < now) {
                    append(&bench, &labels, (now, value)).unwrap();
                    known.push((now, value.to_bits()));
                }
            }
        }
        Step::Repeat { series, back_ms } => {
            let labels = labels(*series);
            let known = model.get(&labels).and_then(|known| known.last()).copied();
            let Some((newest, bits)) = known else {
                return bench;
            };
            if newest < now - RETENTION.as_millis() + PARTITION_MS {
                // Whether it is still there depends on upkeep.
                return bench;
            }
            let outcome = append(&bench, &labels, (newest - back_ms, f64::from_bits(bits)));
            match back_ms {
                0 => outcome.unwrap(),
                _ => assert!(
                    matches!(outcome, Err(AppendError::OutOfOrder { .. })),
                    "{outcome:?}"
                ),
            }
        }
        Step::Maintain => bench.tsdb.maintain().unwrap(),
        Step::Advance { minutes } => {
            bench.clock.advance(PromDuration::from_secs(minutes * 60));
        }
        Step::Reopen { clean } => return bench.reopen(*clean),
        Step::Ask { matchers, days } => check(&bench, matchers, *days, model),
    }
    bench
}

/// Compares all that lies safely within retention.
fn check(bench: &Bench, matchers: &[Matcher], (from, to): (i64, i64), model: &Model) {
    let now = bench.now_ms();
    let day =
        |days_ago: i64| Partition::nearest(Timestamp::from_millis(now - days_ago * PARTITION_MS));
    // Partitions are the unit in which series without samples in range may be listed.
    let range = TimeRange::new(
        day(from.max(to)).range().start,
        day(from.min(to)).range().end,
    );
    let passes = |labels: &Labels| {
        let value = |matcher: &Matcher| labels.value_or_empty(matcher.name()).to_owned();
        matchers
            .iter()
            .all(|matcher| matcher.matches(&value(matcher)))
    };
    let within = |at: &i64| range.contains(Timestamp::from_millis(*at));
    let mut want = Model::new();
    for (labels, points) in model {
        let points: Vec<(i64, u64)> = points
            .iter()
            .copied()
            .filter(|(at, _)| within(at))
            .collect();
        if passes(labels) && !points.is_empty() {
            want.insert(labels.clone(), points);
        }
    }
    let querier = bench.tsdb.querier(range).unwrap();
    let set = querier.select(matchers, SelectHints::default()).unwrap();
    let mut found = Model::new();
    let mut columns = Columns::default();
    for index in 0..set.len() {
        set.read(index, &mut columns).unwrap();
        let values = columns.values.iter().map(|value| value.to_bits());
        let points = columns.timestamps.iter().copied().zip(values).collect();
        let before = found.insert(set.labels(index), points);
        assert_eq!(before, None, "a series is there twice");
    }
    assert_eq!(found, want, "{matchers:?}");
    let names: BTreeSet<String> = want
        .keys()
        .flat_map(|labels| labels.iter().map(|(name, _)| name.to_owned()))
        .collect();
    assert_eq!(
        querier.label_names(matchers).unwrap(),
        Vec::from_iter(names)
    );
    for name in ["pod", "kind", "absent"] {
        let values = want.keys().filter_map(|labels| labels.get(name));
        let values: BTreeSet<String> = values.map(str::to_owned).collect();
        assert_eq!(
            querier.label_values(name, matchers).unwrap(),
            Vec::from_iter(values)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn stopped_series_are_found_and_come_back(steps in prop::collection::vec(step(), 1..120)) {
        let mut bench = Bench::with_retention();
        let mut model = Model::new();
        for step in &steps {
            bench = apply(bench, step, &mut model);
        }
        bench = bench.reopen(false);
        let everything = [Matcher::new(MatchOp::NotEqual, "__name__", "").unwrap()];
        check(&bench, &everything, (0, 4), &model);
        let ids = ids_by_labels(&bench);
        prop_assert!(ids.values().all(|ids| ids.len() == 1), "{:?}", ids);
    }
}

/// Hours pass without samples, and upkeep runs.
pub(super) fn rest(bench: &Bench) {
    for _ in 0..4 {
        bench.clock.advance(PromDuration::from_secs(30 * 60));
        bench.tsdb.maintain().unwrap();
    }
}

#[test]
fn series_that_stop_leave_memory_and_keep_their_ids() {
    let bench = Bench::with_retention();
    let pods: Vec<Labels> = (0..200_u32)
        .map(|pod| {
            let name = format!("pod-{pod}");
            Labels::from_pairs([("__name__", "m"), ("pod", &name)]).unwrap()
        })
        .collect();
    let first = bench.now_ms();
    for labels in &pods {
        append(&bench, labels, (first, 1.0)).unwrap();
    }
    rest(&bench);
    let engine = bench.tsdb.engine();
    assert_eq!(
        (engine.catalog.len(), engine.index.read().all().len()),
        (0, 0)
    );
    assert_eq!(bench.tsdb.head_stats().series, 0);
    let ids = ids_by_labels(&bench);
    assert_eq!(bench.read("m").len(), 200);
    // Memory follows what is active, after opening as well.
    let bench = bench.reopen(true);
    assert_eq!(bench.tsdb.engine().catalog.len(), 0);
    for labels in &pods[..50] {
        let repeated = append(&bench, labels, (first, 2.0));
        assert!(
            matches!(repeated, Err(AppendError::DuplicateForTimestamp { .. })),
            "{repeated:?}"
        );
        append(&bench, labels, (bench.now_ms(), 2.0)).unwrap();
    }
    assert_eq!(bench.tsdb.engine().catalog.len(), 50);
    // A kill right then: the log has samples of series that have stopped.
    let bench = bench.reopen(false);
    assert_eq!(ids_by_labels(&bench), ids);
    let read = bench.read("m");
    assert_eq!(read.len(), 200);
    assert_eq!(
        read.iter().map(|(_, points)| points.len()).sum::<usize>(),
        250
    );
}

#[test]
fn rows_of_stopped_series_go_with_their_last_partition() {
    let bench = Bench::with_retention();
    let engine = |bench: &Bench| std::sync::Arc::clone(bench.tsdb.engine());
    for round in 0..24_i64 {
        let pod = format!("pod-{round}");
        let labels = Labels::from_pairs([("__name__", "m"), ("pod", &pod)]).unwrap();
        append(&bench, &labels, (bench.now_ms(), 1.0)).unwrap();
        rest(&bench);
    }
    // Two days of them, each of which stopped alone: small segments were merged on the way.
    assert!(engine(&bench).index.read().segments().len() < 12);
    assert_eq!(bench.read("m").len(), 24);
    bench.clock.advance(RETENTION);
    append(&bench, &super::metric("later"), (bench.now_ms(), 1.0)).unwrap();
    bench.tsdb.maintain().unwrap();
    bench.clock.advance(PromDuration::from_secs(2 * 24 * 3600));
    append(&bench, &super::metric("later"), (bench.now_ms(), 1.0)).unwrap();
    rest(&bench);
    rest(&bench);
    let bench = bench.reopen(false);
    assert_eq!(bench.read("m").len(), 0);
    let kv = &engine(&bench).kv;
    for (family, want) in [(kv::Family::Stopped, 1), (kv::Family::Series, 1)] {
        let mut scan = kv.scan(family, None);
        scan.seek(&[]);
        let mut rows = 0;
        while scan.current().unwrap().is_some() {
            rows += 1;
            scan.advance();
        }
        assert!(rows <= want, "{rows} rows in {family:?}");
    }
}

#[test]
fn writers_do_not_lose_samples_while_series_stop() {
    let bench = Bench::with_retention();
    let accepted = parking_lot::Mutex::new(BTreeMap::<Labels, BTreeSet<(i64, u64)>>::new());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u64)
            .map(|writer| {
                let (bench, accepted) = (&bench, &accepted);
                scope.spawn(move || {
                    let mut random = writer + 1;
                    for _ in 0..400 {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(99);
                        let labels = labels((random >> 59) as u8);
                        let value = (random >> 40) as f64;
                        let at = bench.now_ms();
                        // Another writer may have been there at the same time, or a later one.
                        if append(bench, &labels, (at, value)).is_ok() {
                            let mut accepted = accepted.lock();
                            accepted
                                .entry(labels)
                                .or_default()
                                .insert((at, value.to_bits()));
                        }
                    }
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            bench
                .clock
                .advance(PromDuration::from_millis(17 * 60_000 + 1));
            bench.tsdb.maintain().unwrap();
        }
    });
    let bench = bench.reopen(false);
    let now = bench.now_ms();
    let kept = |at: i64| now - at < RETENTION.as_millis() - PARTITION_MS;
    let mut found: BTreeMap<Labels, BTreeSet<(i64, u64)>> = BTreeMap::new();
    for name in ["m0", "m1", "m2"] {
        for (labels, points) in bench.read(name) {
            let points: BTreeSet<_> = points.into_iter().filter(|(at, _)| kept(*at)).collect();
            let before = found.insert(labels, points);
            assert_eq!(before, None, "a series is there twice");
        }
    }
    let mut want = accepted.into_inner();
    for points in want.values_mut() {
        points.retain(|(at, _)| kept(*at));
    }
    found.retain(|_, points| !points.is_empty());
    want.retain(|_, points| !points.is_empty());
    assert_eq!(found, want);
}

fn stopped_pods() -> Bench {
    let bench = Bench::with_retention();
    for pod in 0..20_u32 {
        let name = format!("pod-{pod}");
        let labels = Labels::from_pairs([("__name__", "m"), ("pod", &name)]).unwrap();
        append(&bench, &labels, (bench.now_ms(), 1.0)).unwrap();
    }
    rest(&bench);
    assert_eq!(bench.tsdb.engine().catalog.len(), 0);
    bench
}

/// Changes a byte of each row of a kind of all segments.
fn damage_segments(bench: &Bench, kind: u8) {
    let kv = &bench.tsdb.engine().kv;
    let mut batch = kv.batch();
    let mut scan = kv.scan(kv::Family::Index, None);
    scan.seek(crate::keys::SEGMENT_PREFIX);
    while let Some((key, row)) = scan.current().unwrap() {
        if crate::keys::segment_number(key).is_some() && key[5] == kind {
            let mut row = row.to_vec();
            let middle = row.len() / 2;
            row[middle] ^= 0x40;
            batch.put(kv::Family::Index, key, &row);
        }
        scan.advance();
    }
    assert!(!batch.is_empty());
    kv.write(batch).unwrap();
}

#[test]
fn series_of_damaged_segments_are_active_again() {
    for lose_seed in [false, true] {
        let bench = stopped_pods();
        let ids = ids_by_labels(&bench);
        if lose_seed {
            let kv = &bench.tsdb.engine().kv;
            let mut batch = kv.batch();
            batch.delete(kv::Family::Meta, crate::keys::META_LABELS_SEED);
            kv.write(batch).unwrap();
        } else {
            damage_segments(&bench, 0);
        }
        let bench = bench.reopen(false);
        assert_eq!(bench.tsdb.engine().catalog.len(), 20);
        rest(&bench);
        assert_eq!(bench.tsdb.engine().catalog.len(), 0);
        let bench = bench.reopen(false);
        assert_eq!(bench.read("m").len(), 20);
        let labels = Labels::from_pairs([("__name__", "m"), ("pod", "pod-7")]).unwrap();
        append(&bench, &labels, (bench.now_ms(), 1.0)).unwrap();
        assert_eq!(ids_by_labels(&bench), ids);
        assert_eq!(bench.read("m").len(), 20);
    }
}

#[test]
fn damaged_values_are_an_error() {
    let bench = stopped_pods();
    damage_segments(&bench, 2);
    let querier = bench.tsdb.querier(TimeRange::ALL).unwrap();
    let matcher = Matcher::equal("pod", "pod-3");
    assert!(querier.select(&[matcher], SelectHints::default()).is_err());
    assert!(
        querier
            .label_values("pod", &[Matcher::equal("__name__", "m")])
            .is_err()
    );
}
