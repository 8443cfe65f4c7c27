//! The cache of range queries' results: whatever is written, removed and asked in between, answers are
//! those of an evaluation without it, bit for bit, annotations included.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Labels, PromDuration, TimeRange, Timestamp, stale_nan};
use parking_lot::Mutex;
use promql::{
    CacheUse, Engine, EngineError, EngineOptions, QueryContext, QueryRange, QueryResult,
    ResultCache, Value,
};
use promql_syntax::ParserOptions;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use storage::memory::MemoryStorage;
use storage::{
    AppendPolicy, AppendRequest, Appender, ChangeLog, Durability, Querier, Queryable, Sample,
    SeriesKey, StorageError, WriteGeneration,
};

/// An engine that takes samples in any order and forgets them again.
#[derive(Default)]
struct World {
    samples: BTreeMap<(usize, i64), f64>,
    storage: MemoryStorage,
    changes: Option<Mutex<ChangeLog>>,
}

/// Counters, gauges, one of which is asked for as if it was a counter, and one that comes and goes.
const SERIES: [(&str, &str); 5] = [
    ("a_total", "1"),
    ("a_total", "2"),
    ("b", "1"),
    ("b", "2"),
    ("c", "1"),
];

impl World {
    fn log(&self) -> &Mutex<ChangeLog> {
        self.changes.as_ref().expect("made with one")
    }

    fn new() -> Self {
        Self {
            changes: Some(Mutex::new(ChangeLog::new(400_000))),
            ..Self::default()
        }
    }

    /// Loads all samples anew, and tells of what changed.
    fn reload(&mut self, first_ms: i64, last_ms: i64) {
        let storage = MemoryStorage::new();
        let labels: Vec<Labels> = SERIES
            .iter()
            .map(|(name, x)| Labels::from_pairs([("__name__", *name), ("x", *x)]))
            .collect::<Result<_, _>>()
            .expect("valid");
        let mut request = AppendRequest::default();
        for (number, labels) in labels.iter().enumerate() {
            let samples = self.samples.range((number, i64::MIN)..=(number, i64::MAX));
            let samples: Vec<Sample> = samples
                .map(|((_, at), value)| Sample {
                    timestamp: Timestamp::from_millis(*at),
                    value: *value,
                })
                .collect();
            if !samples.is_empty() {
                request.push(SeriesKey::Labels(labels), samples);
            }
        }
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .expect("in order");
        self.storage = storage;
        self.log().lock().record(TimeRange::new(
            Timestamp::from_millis(first_ms),
            Timestamp::from_millis(last_ms),
        ));
    }

    fn write(&mut self, series: usize, first_ms: i64, count: i64) {
        for index in 0..count {
            let at = first_ms + index * 15_000;
            let value = match (series, at.rem_euclid(70)) {
                (4, 0..20) => stale_nan(),
                (0 | 1, _) => (at / 1_000) as f64,
                _ => (at.rem_euclid(977)) as f64 * 0.1,
            };
            self.samples.insert((series, at), value);
        }
        self.reload(first_ms, first_ms + (count - 1).max(0) * 15_000);
    }

    fn delete(&mut self, first_ms: i64, last_ms: i64) {
        self.samples
            .retain(|(_, at), _| !(first_ms..=last_ms).contains(at));
        self.reload(first_ms, last_ms);
    }
}

impl Queryable for World {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.storage.querier(range)
    }

    fn write_generation(&self) -> WriteGeneration {
        self.log().lock().generation()
    }

    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        self.log().lock().first_change(since, range)
    }
}

const QUERIES: [&str; 22] = [
    "a_total",
    "sum by (x) (rate(a_total[2m]))",
    "rate(b[1m])",
    "sum(increase(b[3m]))",
    "avg_over_time(b[5m])",
    "sum_over_time(b[4m]) / count_over_time(b[4m])",
    "max_over_time(rate(b[1m])[3m:20s])",
    "c",
    "absent(c)",
    "absent_over_time(c[1m])",
    "topk(1, b)",
    "quantile(2, b)",
    "b offset 2m + ignoring (x) group_left () sum(b offset -1m)",
    "b - b @ 600",
    "rate(b[2m] @ 500) or b",
    "sort(b)",
    "b > time() / 100",
    "b * step()",
    "a_total @ end()",
    "a_total - start() + range()",
    "limitk(1, b) or label_replace(c, \"x\", \"$1\", \"x\", \"(.*)\")",
    "a_total + a_total{x=\"1\"} or on (x) c",
];

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A series goes on.
    InOrder(usize, i64),
    /// Samples somewhere.
    Anywhere(usize, i64, i64),
    Delete(i64, i64),
    /// A query over so many steps, so many steps behind the present.
    Ask(usize, i64, i64),
    /// All queries, as a dashboard does it.
    Refresh(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let series = 0..SERIES.len();
    prop_oneof![
        6 => (series.clone(), 1..5_i64).prop_map(|(series, count)| Event::InOrder(series, count)),
        1 => (series, 0..1_500_000_i64, 1..9_i64)
            .prop_map(|(series, at, count)| Event::Anywhere(series, at, count)),
        1 => (0..1_500_000_i64, 0..200_000_i64).prop_map(|(at, ms)| Event::Delete(at, at + ms)),
        6 => (0..QUERIES.len(), 0..40_i64, -5..20_i64)
            .prop_map(|(query, steps, back)| Event::Ask(query, steps, back)),
        2 => (5..40_i64).prop_map(Event::Refresh),
    ]
}

struct Comparison {
    engine: Engine,
    cache: Arc<ResultCache>,
    hits: usize,
}

impl Comparison {
    fn new(max_bytes: u64) -> Self {
        let cache = Arc::new(ResultCache::new(max_bytes));
        let engine = Engine::new(EngineOptions {
            result_cache: Some(Arc::clone(&cache)),
            lookback_delta: PromDuration::from_secs(60),
            parser: ParserOptions::all(),
            ..EngineOptions::default()
        });
        Self {
            engine,
            cache,
            hits: 0,
        }
    }

    /// Asks with and without the cache.
    fn ask(&mut self, world: &World, query: &str, range: QueryRange) -> Result<(), String> {
        let query = self.engine.parse(query).expect("valid");
        let run = |cache| {
            let context = QueryContext {
                cache,
                ..QueryContext::default()
            };
            self.engine.range_parsed(world, &query, range, context)
        };
        let (cached, plain) = (run(CacheUse::Allowed), run(CacheUse::Bypassed));
        let read = |result: &Result<QueryResult, EngineError>| {
            result
                .as_ref()
                .map_or(0, |result| result.stats.queryable_samples)
        };
        self.hits += usize::from(read(&cached) < read(&plain));
        let (cached, plain) = (shown(cached), shown(plain));
        if cached == plain {
            return Ok(());
        }
        let text = query.text();
        Err(format!(
            "{text} {range:?}\n{cached}\nwithout the cache\n{plain}"
        ))
    }
}

fn shown(result: Result<QueryResult, EngineError>) -> String {
    let result = match result {
        Ok(result) => result,
        Err(error) => return error.to_string(),
    };
    let Value::Matrix(series) = result.value else {
        return format!("{:?}", result.value);
    };
    let mut text = format!("{:?}\n", result.annotations);
    for one in series {
        let points = one.points.iter();
        let points: Vec<_> = points
            .map(|(at, value)| format!("{at}={:x}", value.to_bits()))
            .collect();
        text += &format!("{} {points:?} {:?}\n", one.labels, one.histograms);
    }
    text
}

fn steps(present_ms: i64, steps: i64, back: i64) -> QueryRange {
    let step_ms = 20_000;
    let end = (present_ms / step_ms - back) * step_ms;
    QueryRange {
        start: Timestamp::from_millis(end - steps * step_ms),
        // Behind the last step.
        end: Timestamp::from_millis(end + 7),
        step: PromDuration::from_millis(step_ms),
    }
}

#[test]
fn answers_are_those_of_an_evaluation() {
    let config = Config {
        failure_persistence: None,
        ..Config::with_cases(60)
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let total = std::cell::Cell::new((0, 0));
    let cases = (prop::collection::vec(event(), 10..80), prop::bool::ANY);
    runner
        .run(&cases, |(events, is_small)| {
            let mut world = World::new();
            let max_bytes = if is_small { 6_000 } else { 10_000_000 };
            let mut comparison = Comparison::new(max_bytes);
            let mut ends = [900_000_i64; SERIES.len()];
            for series in 0..SERIES.len() {
                world.write(series, 300_000 + series as i64 * 1_700, 40);
            }
            let mut asked = 0;
            for event in events {
                let present = ends.into_iter().max().unwrap_or(0);
                match event {
                    Event::InOrder(series, count) => {
                        world.write(series, ends[series] + series as i64 * 1_700, count);
                        ends[series] += count * 15_000;
                    }
                    Event::Anywhere(series, at, count) => world.write(series, at, count),
                    Event::Delete(first, last) => world.delete(first, last),
                    Event::Ask(query, count, back) => {
                        asked += 1;
                        let range = steps(present, count, back);
                        let asked = comparison.ask(&world, QUERIES[query], range);
                        prop_assert!(asked.is_ok(), "{}", asked.unwrap_err());
                    }
                    Event::Refresh(count) => {
                        for query in QUERIES {
                            asked += 1;
                            let asked = comparison.ask(&world, query, steps(present, count, 0));
                            prop_assert!(asked.is_ok(), "{}", asked.unwrap_err());
                        }
                    }
                }
                prop_assert!(comparison.cache.bytes() <= max_bytes);
            }
            let (all, hits) = total.get();
            total.set((all + asked, hits + comparison.hits));
            Ok(())
        })
        .expect("the same answers");
    let (asked, hits) = total.get();
    assert!(hits * 5 > asked, "{hits} of {asked} used the cache");
}

#[test]
fn a_sliding_dashboard_evaluates_its_new_steps_only() {
    let mut world = World::new();
    for series in 0..SERIES.len() {
        world.write(series, 0, 400);
    }
    let comparison = Comparison::new(1 << 20);
    let mut present = 4_000_000;
    let mut read = |world: &World| {
        present += 20_000;
        let query = comparison.engine.parse("sum(rate(b[2m]))").expect("valid");
        let context = QueryContext::default();
        let range = steps(present, 100, 0);
        let result = comparison
            .engine
            .range_parsed(world, &query, range, context);
        result.expect("runs").stats.queryable_samples
    };
    let (first, second) = (read(&world), read(&world));
    assert!(second * 50 < first, "{second} of {first}");
    // Samples at the end leave the rest alone, others do not.
    world.write(2, 6_000_000, 1);
    assert_eq!(read(&world), second);
    world.delete(3_000_000, 3_000_000);
    assert!(read(&world) > 10 * second);
}
