//! Whole queries against a small engine in memory: what test scripts do not show.

mod histograms;
mod info;
mod steps;

use std::sync::atomic::{AtomicUsize, Ordering};

use base::ErrorKind;
use model::Labels;
use promql_syntax::{SequenceValue, parse_series_description};
use storage::memory::MemoryStorage;
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

use super::*;
use crate::limits::StopReason;

/// A storage with these series, one sample a minute from 0 on.
fn load(series: &[&str]) -> MemoryStorage {
    let storage = MemoryStorage::new();
    for line in series {
        let series = parse_series_description(line).expect("a valid series");
        let samples = series
            .values
            .iter()
            .zip(0_i64..)
            .filter_map(|(value, minute)| {
                let SequenceValue::Float(value) = value else {
                    return None;
                };
                Some(Sample {
                    timestamp: Timestamp::from_millis(minute * 60_000),
                    value: *value,
                })
            });
        let labels: Labels = series.labels.clone();
        let mut request = AppendRequest::default();
        request.push(SeriesKey::Labels(&labels), samples);
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .expect("in order");
    }
    storage
}

fn minutes(count: i64) -> Timestamp {
    Timestamp::from_millis(count * 60_000)
}

fn ten_minutes() -> QueryRange {
    QueryRange {
        start: minutes(0),
        end: minutes(10),
        step: PromDuration::from_secs(60),
    }
}

#[track_caller]
fn run_range(
    engine: &Engine,
    storage: &MemoryStorage,
    query: &str,
) -> Result<QueryResult, EngineError> {
    engine.range_parsed(
        storage,
        &engine.parse(query)?,
        ten_minutes(),
        QueryContext::default(),
    )
}

#[track_caller]
fn trace(engine: &Engine, query: &str) -> PlanTrace {
    let query = engine.parse(query).expect("a valid query");
    let times = EvaluationTimes::Range(ten_minutes());
    engine
        .explain(&query, times, &QueryContext::default())
        .expect("a valid query")
        .expect("some steps")
}

#[track_caller]
fn check_plan(query: &str, want: &str) {
    let got = trace(&Engine::default(), query).optimised.to_string();
    let want: String = want
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect();
    assert_eq!(got.trim(), want.trim());
}

#[test]
fn plans_fold_constants_and_compute_invariant_parts_once() {
    check_plan(
        "sum by (job) (rate(x{b=\"1\", a!=\"2\"}[5m] offset 1m)) / (1 + 2 * 3)",
        "binary /
  sum by (job)
    rate() (metadata labels unread)
      matrix [5m] {__name__=\"x\",a!=\"2\",b=\"1\"} offset=1m reads=-359999..540000
  number 7",
    );
    check_plan(
        "x @ 60 + max_over_time(y[10m:3m] @ end())",
        "once
  binary + one-to-one ignoring ()
    selector {__name__=\"x\"} @60000 reads=-239999..60000
    max_over_time()
      subquery [10m:3m] @600000 steps=3
        selector {__name__=\"y\"} reads=-119999..540000",
    );
}

#[test]
fn times_depend_on_the_step_even_if_data_does_not() {
    check_plan(
        "predict_linear(x[5m] @ 60, 10) + time()",
        "binary +
  predict_linear()
    matrix [5m] {__name__=\"x\"} @60000 reads=-239999..60000
    number 10
  time()",
    );
}

#[test]
fn errors_say_what_they_mean() {
    let storage = load(&[
        "a{x=\"1\",y=\"1\"} 1+0x10",
        "a{x=\"1\",y=\"2\"} 1+0x10",
        "b{x=\"1\"} 1+0x10",
    ]);
    let engine = Engine::default();
    for (query, kind, text) in [
        (
            "sum(",
            ErrorKind::BadData,
            "1:5: parse error: unclosed left parenthesis",
        ),
        (
            "a[5m]",
            ErrorKind::BadData,
            "invalid expression type \"range vector\" for range query, must be Scalar or instant \
             Vector",
        ),
        (
            "b * on (x) a",
            ErrorKind::Execution,
            "found duplicate series for the match group {x=\"1\"} on the right hand-side of the \
             operation: [{__name__=\"a\", x=\"1\", y=\"2\"}, {__name__=\"a\", x=\"1\", y=\"1\"}];\
             many-to-many matching not allowed: matching labels must be unique on one side",
        ),
        (
            "a * on (x) b",
            ErrorKind::Execution,
            "multiple matches for labels: many-to-one matching must be explicit \
             (group_left/group_right)",
        ),
        (
            "label_replace(a, \"y\", \"\", \"\", \"\")",
            ErrorKind::Execution,
            "vector cannot contain metrics with the same labelset",
        ),
        (
            "topk(1e30, a)",
            ErrorKind::Execution,
            "Scalar value 1e+30 overflows int64",
        ),
    ] {
        let error = run_range(&engine, &storage, query).expect_err(query);
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (kind, text),
            "{query}"
        );
    }
}

#[test]
fn limits_refuse_what_would_not_fit() {
    let storage = load(&["a{x=\"1\"} 1+0x100", "a{x=\"2\"} 1+0x100"]);
    let too_many = "query processing would load too many samples into memory in query execution";
    let few_samples = Engine::new(EngineOptions {
        max_samples: 30,
        ..EngineOptions::default()
    });
    assert!(run_range(&few_samples, &storage, "sum(a)").is_ok());
    for query in ["sum_over_time(a[5h])", "a or a"] {
        let few_samples = Engine::new(EngineOptions {
            max_samples: 20,
            ..EngineOptions::default()
        });
        let error = run_range(&few_samples, &storage, query).expect_err(query);
        assert_eq!(error.to_string(), too_many, "{query}");
    }
    let engine = Engine::new(EngineOptions {
        max_query_bytes: 100_000,
        ..EngineOptions::default()
    });
    for query in [
        "max_over_time(a[200y:1ms])",
        "count_over_time(vector(time())[10y:1s])",
    ] {
        let error = run_range(&engine, &storage, query).expect_err(query);
        assert_eq!(error.to_string(), too_many, "{query}");
    }
}

#[test]
fn too_many_steps_never_start() {
    let engine = Engine::new(EngineOptions {
        max_query_bytes: 1_000_000,
        ..EngineOptions::default()
    });
    let range = QueryRange {
        start: minutes(0),
        end: Timestamp::MAX,
        step: PromDuration::from_millis(1),
    };
    let query = engine.parse("time()").expect("valid");
    let error = engine
        .range_parsed(
            &MemoryStorage::new(),
            &query,
            range,
            QueryContext::default(),
        )
        .expect_err("too many");
    assert!(matches!(error, EngineError::TooManySamples));
}

#[test]
fn queries_stop_when_asked_to() {
    let storage = load(&["a 1+0x10"]);
    let engine = Engine::default();
    let questions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&questions);
    let stop: StopCheck = Arc::new(move || {
        let asked = counted.fetch_add(1, Ordering::Relaxed);
        (asked > 1).then_some(StopReason::Timeout)
    });
    let context = QueryContext {
        stop: Some(stop),
        ..QueryContext::default()
    };
    let error = engine
        .instant(&storage, "sum(rate(a[5m]))", minutes(5), context)
        .expect_err("told to stop");
    assert_eq!(
        error.to_string(),
        "query timed out in expression evaluation"
    );
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(questions.load(Ordering::Relaxed), 3);
}

#[test]
fn a_lookback_can_be_given_for_one_query() {
    let storage = load(&["a 1"]);
    let engine = Engine::default();
    // One that is not positive is none.
    for (lookback_s, at_minutes, want) in [
        (None, 4, 1),
        (None, 50, 0),
        (Some(3600), 50, 1),
        (Some(60), 4, 0),
        (Some(0), 4, 1),
        (Some(-5), 4, 1),
    ] {
        let context = QueryContext {
            lookback_delta: lookback_s.map(PromDuration::from_secs),
            ..QueryContext::default()
        };
        let result = engine
            .instant(&storage, "a", minutes(at_minutes), context)
            .expect("valid");
        let Value::Vector(samples) = result.value else {
            panic!("not a vector")
        };
        assert_eq!(samples.len(), want, "{lookback_s:?} {at_minutes}");
    }
}

#[test]
fn statistics_count_samples_per_step_and_once() {
    let storage = load(&["a 1+0x30"]);
    let result = run_range(&Engine::default(), &storage, "sum_over_time(a[5m])").expect("valid");
    // Windows of one to five samples at eleven steps, of eleven samples.
    assert_eq!(result.stats.queryable_samples, 1 + 2 + 3 + 4 + 7 * 5);
    assert_eq!(result.stats.samples_read, 11);
}

#[test]
fn a_range_that_ends_before_it_starts_is_empty() {
    let engine = Engine::default();
    let range = QueryRange {
        start: minutes(2),
        end: minutes(1),
        step: PromDuration::from_secs(1),
    };
    let query = engine.parse("vector(1)").expect("valid");
    let result = engine
        .range_parsed(
            &MemoryStorage::new(),
            &query,
            range,
            QueryContext::default(),
        )
        .expect("valid");
    assert_eq!(result.value, Value::Matrix(Vec::new()));
    let range = QueryRange {
        step: PromDuration::ZERO,
        ..range
    };
    let error = engine
        .range_parsed(
            &MemoryStorage::new(),
            &query,
            range,
            QueryContext::default(),
        )
        .expect_err("no step");
    assert_eq!(error.kind(), ErrorKind::BadData);
}

#[test]
fn a_stale_marker_in_the_middle_of_far_steps_is_seen() {
    // Steps further apart than the lookback read single chunks only.
    let storage = load(&["a 1 2 3 stale 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 stale"]);
    let engine = Engine::default();
    let range = QueryRange {
        start: minutes(3),
        end: minutes(20),
        step: PromDuration::from_secs(17 * 30),
    };
    let query = engine.parse("a").expect("valid");
    let result = engine
        .range_parsed(&storage, &query, range, QueryContext::default())
        .expect("valid");
    let Value::Matrix(series) = result.value else {
        panic!("not a matrix")
    };
    assert_eq!(series.len(), 1);
    assert_eq!(series[0].points, [(690_000, 12.0)]);
}

#[test]
fn long_chains_run_and_longer_ones_are_refused() {
    let storage = load(&["a 1+0x10"]);
    let chain = |operator: &str, terms: usize| vec!["a"; terms].join(operator);
    for query in [
        chain(" or ", 4_900),
        chain(" + ", 4_900),
        ["a".to_owned(), " + 1".repeat(4_900)].concat(),
    ] {
        let result = run_range(&Engine::default(), &storage, &query).expect("not too deep");
        assert_ne!(result.value, Value::Matrix(Vec::new()));
    }
    for terms in [5_100, 90_000] {
        let error = run_range(&Engine::default(), &storage, &chain(" or ", terms));
        assert_eq!(
            error.expect_err("too deep").to_string(),
            "expression is nested more than 5000 levels deep"
        );
    }
    // Walking a plan as a tree is left to others, on their stacks.
    let engine = Engine::default();
    let query = engine.parse(&chain(" or ", 1_100)).expect("parses");
    let times = EvaluationTimes::Range(ten_minutes());
    let error = engine.explain(&query, times, &QueryContext::default());
    assert_eq!(
        error.expect_err("too deep").to_string(),
        "expression is nested more than 1000 levels deep"
    );
}

#[test]
fn deep_queries_neither_fail_nor_exhaust_the_stack() {
    let storage = load(&["a 1+0x10"]);
    // The parser allows fewer levels of brackets than a tree may have.
    let nested = 100;
    let chained = promql_syntax::DEFAULT_MAX_DEPTH - 10;
    for query in [
        ["-(".repeat(nested), "a".to_owned(), ")".repeat(nested)].concat(),
        ["abs(".repeat(nested), "a".to_owned(), ")".repeat(nested)].concat(),
        ["sum(".repeat(nested), "a".to_owned(), ")".repeat(nested)].concat(),
        vec!["a"; chained].join(" + "),
        vec!["a"; chained].join(" or "),
        ["a".to_owned(), " + 1".repeat(chained)].concat(),
    ] {
        let result = run_range(&Engine::default(), &storage, &query).expect("not too deep");
        assert_ne!(result.value, Value::Matrix(Vec::new()), "{query}");
    }
}

#[test]
fn a_trace_shows_the_plan_before_and_after_each_rule() {
    let trace = trace(&Engine::default(), "x @ 60 + (1 + 2)");
    assert_eq!(trace.steps.to_string(), "steps: 11 from 0 every 1m");
    let changed: Vec<&str> = trace
        .rules
        .iter()
        .filter(|rule| rule.changed)
        .map(|rule| rule.rule)
        .collect();
    assert_eq!(changed, ["constant folding", "step invariant"]);
    assert_eq!(
        trace.built.to_string(),
        "binary +
  selector {__name__=\"x\"} @60000 reads=-239999..60000
  binary +
    number 1
    number 2
"
    );
    assert_eq!(trace.before(0), &trace.built);
    assert_eq!(trace.before(1), &trace.rules[0].plan);
    assert_eq!(
        trace.rules[0].plan.to_string(),
        "binary +
  selector {__name__=\"x\"} @60000 reads=-239999..60000
  number 3
"
    );
    assert_eq!(
        trace.rules.last().map(|last| &last.plan),
        Some(&trace.optimised)
    );
    assert_eq!(trace.optimised.inputs[0].position, 0..16);
}

#[test]
fn an_analysis_measures_every_operator_and_gives_the_same_result() {
    let storage = load(&["a{x=\"1\"} 1+0x10", "a{x=\"2\"} 1+1x10"]);
    let engine = Engine::default();
    let query = engine.parse("sum(rate(a[5m])) * 2").expect("valid");
    let analysis = engine
        .analyze(
            &storage,
            &query,
            EvaluationTimes::Range(ten_minutes()),
            QueryContext::default(),
            Arc::new(base::ManualStopwatch::ticking(1_000)),
        )
        .expect("valid");
    let plain = run_range(&engine, &storage, query.text()).expect("valid");
    assert_eq!(analysis.result.value, plain.value);
    let plan = analysis.trace.expect("some steps").optimised.to_string();
    assert_eq!(
        plan,
        "binary *  (22µs, 1 series, 10 samples, 104 bytes)
  sum by ()  (14µs, 1 series, 10 samples, 104 bytes)
    rate() (metadata labels unread)  (9µs, 2 series, 20 samples, 238 bytes)
      matrix [5m] {__name__=\"a\"} reads=-299999..600000  (3µs, 2 series, 22 samples, 430 bytes)
  number 2  (2µs, 1 series, 11 samples, 112 bytes)
"
    );
}

#[test]
fn samples_are_counted_for_every_step_when_asked_for() {
    let storage = load(&["a 1 2 3 4 5", "b 1 2 3 4 5"]);
    let engine = Engine::new(EngineOptions {
        per_step_stats: true,
        ..EngineOptions::default()
    });
    let context = |per_step_stats| QueryContext {
        per_step_stats,
        ..QueryContext::default()
    };
    let run = |query: &str, context| {
        let step = PromDuration::from_secs(60);
        let result = engine.range(&storage, query, minutes(1), minutes(4), step, context);
        result.expect("valid")
    };
    assert_eq!(run("a", context(false)).step_stats, None);
    for (query, queryable, read) in [
        ("a", [1, 1, 1, 1], [2, 1, 1, 1]),
        ("a offset 1m", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("sum_over_time(a[2m]) + b", [3, 3, 3, 3], [4, 2, 2, 2]),
        ("1", [0, 0, 0, 0], [0, 0, 0, 0]),
    ] {
        let result = run(query, context(true));
        let stats = result.step_stats.expect("asked for");
        assert_eq!(stats.times_ms, [60_000, 120_000, 180_000, 240_000]);
        assert_eq!(stats.queryable_samples, queryable, "{query}");
        assert_eq!(stats.samples_read, read, "{query}");
        let sum: u64 = queryable.iter().sum();
        assert_eq!(result.stats.queryable_samples, sum, "{query}");
        let sum: u64 = read.iter().sum();
        assert_eq!(result.stats.samples_read, sum, "{query}");
    }
}
