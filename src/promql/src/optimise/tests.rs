//! What each rule makes of a plan, and that results stay the same with all of them: values, errors,
//! annotations.

use model::{Labels, PromDuration, Timestamp};
use storage::memory::MemoryStorage;
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

use super::Optimiser;
use crate::{
    Engine, EngineOptions, EvaluationTimes, NameRemoval, QueryContext, QueryRange, StopReason,
};

fn range() -> QueryRange {
    QueryRange {
        start: Timestamp::from_millis(0),
        end: Timestamp::from_millis(600_000),
        step: PromDuration::from_secs(60),
    }
}

#[track_caller]
fn check_rule(rule: &str, query: &str, want: &str) {
    let engine = Engine::default();
    let trace = engine
        .explain(
            &engine.parse(query).expect("a valid query"),
            EvaluationTimes::Range(range()),
            &QueryContext::default(),
        )
        .expect("a valid query")
        .expect("some steps");
    let place = trace.rules.iter().position(|applied| applied.rule == rule);
    let got = &trace.rules[place.expect("a known rule")];
    assert_eq!(got.plan.to_string().trim(), want.trim());
    assert!(got.changed);
}

#[track_caller]
fn check_unchanged(rule: &str, queries: &[&str]) {
    for query in queries {
        let engine = Engine::default();
        let query = engine.parse(query).expect("a valid query");
        let times = EvaluationTimes::Range(range());
        let trace = engine
            .explain(&query, times, &QueryContext::default())
            .expect("a valid query")
            .expect("some steps");
        let changes = |applied: &crate::RuleTrace| applied.rule == rule && applied.changed;
        assert!(!trace.rules.iter().any(changes), "{}", query.text());
    }
}

#[test]
fn common_subexpressions_are_computed_once() {
    check_rule(
        "common subexpressions",
        "(a > 1) + on () sum(rate(b[5m])) / (a > 1) + a",
        "binary + one-to-one ignoring ()
  binary + one-to-one on ()
    common #1
      binary >
        selector {__name__=\"a\"} reads=-299999..600000
        number 1
    binary / one-to-one ignoring ()
      sum by ()
        rate()
          matrix [5m] {__name__=\"b\"} reads=-299999..600000
      common #1 again
  selector {__name__=\"a\"} reads=-299999..600000",
    );
    check_unchanged(
        "common subexpressions",
        &[
            "a + b",
            "time() + time()",
            "a + a offset 1m",
            "a + a @ 10",
            "max_over_time(a[5m:1m]) + a",
            "timestamp(a) + a",
            "sum(a) + avg(b)",
        ],
    );
}

#[test]
fn a_selection_inside_another_one_is_read_from_there() {
    check_rule(
        "subset selectors",
        "sum(rate(a{code=\"500\"}[5m])) / sum(rate(a[5m]))",
        "binary / one-to-one ignoring ()
  sum by ()
    common #1 where {code=\"500\"}
  sum by ()
    common #1
      rate()
        matrix [5m] {__name__=\"a\"} reads=-299999..600000",
    );
    check_rule(
        "subset selectors",
        "a + a - a{x!=\"1\",y=~\"2.*\"}",
        "binary - one-to-one ignoring ()
  binary + one-to-one ignoring ()
    common #1
      selector {__name__=\"a\"} reads=-299999..600000
    common #1 again
  common #1 where {x!=\"1\",y=~\"2.*\"}",
    );
    check_unchanged(
        "subset selectors",
        &[
            "a{x=\"1\"} / a{y=\"1\"}",
            "rate(a[5m]) / rate({__type__=\"x\",__name__=\"a\"}[5m])",
            "rate(a{x=\"1\"}[5m]) / rate(a[6m])",
            "rate(a{x=\"1\"}[5m]) / increase(a[5m])",
            "a{x=\"1\"} / a offset 1m",
            "quantile_over_time(0.1, a{x=\"1\"}[5m]) / quantile_over_time(0.2, a[5m])",
        ],
    );
}

#[test]
fn very_many_selections_are_not_compared_with_each_other() {
    let mut parts: Vec<String> = (0..500).map(|x| format!("a{{x=\"{x}\"}}")).collect();
    parts.push("a".to_owned());
    let sums: Vec<String> = parts.chunks(30).map(|part| part.join(" + ")).collect();
    check_unchanged("subset selectors", &[&format!("({})", sums.join(") + ("))]);
}

#[test]
fn what_is_the_same_at_all_steps_is_computed_once() {
    check_rule(
        "step invariant",
        "sum(a @ 1 + 2) + max_over_time((a + b @ 1)[5m:1m]) + rate(a[5m:1m] @ 1)",
        "binary + one-to-one ignoring ()
  binary + one-to-one ignoring ()
    once
      sum by ()
        binary +
          selector {__name__=\"a\"} @1000 reads=-298999..1000
          number 2
    max_over_time()
      subquery [5m:1m] steps=15
        binary + one-to-one ignoring ()
          selector {__name__=\"a\"} reads=-539999..600000
          once
            selector {__name__=\"b\"} @1000 reads=-298999..1000
  once
    rate()
      subquery [5m:1m] @1000 steps=5
        selector {__name__=\"a\"} reads=-539999..0",
    );
    check_unchanged(
        "step invariant",
        &["predict_linear(a[5m] @ 1, 5)", "a + 1", "hour() + 1"],
    );
}

#[test]
fn labels_that_nobody_reads_are_not_removed() {
    check_rule(
        "label projection",
        "sum without (x) (-rate(a[5m]) * 2)",
        "sum without (x)
  binary * (metadata labels unread)
    negate (metadata labels unread)
      rate() (metadata labels unread)
        matrix [5m] {__name__=\"a\"} reads=-299999..600000
    number 2",
    );
    check_unchanged(
        "label projection",
        &[
            "sum by (__name__) (rate(a[5m]))",
            "topk(1, rate(a[5m]))",
            "count_values(\"x\", rate(a[5m]))",
            "sum(last_over_time(a[5m]))",
            "sum(rate(a[5m]) > 1)",
            "sum(a)",
            "sum(label_replace(rate(a[5m]), \"\", \"\", \"\", \"\"))",
        ],
    );
}

/// Few counters and gauges, with a gap, and names that look alike.
fn storage() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let series = [
        ("a_total", "1", "1"),
        ("a_total", "1", "2"),
        ("a_total", "2", "1"),
        ("a_total", "2", "2"),
        ("b", "1", "1"),
        ("b", "2", "1"),
        ("c", "1", "1"),
        ("d", "1", "1"),
        ("d", "2", "1"),
    ];
    for (number, (name, x, y)) in (0_u32..).zip(series) {
        let kind = if name == "d" { "gauge" } else { "" };
        let pairs = [("__name__", name), ("__type__", kind), ("x", x), ("y", y)];
        let labels = Labels::from_pairs(pairs).expect("valid labels");
        let mut request = AppendRequest::default();
        let samples = (0..60_u32)
            .filter(|step| step % 13 > number)
            .map(|step| Sample {
                timestamp: Timestamp::from_millis(i64::from(step) * 15_000),
                value: f64::from(step * (number + 1) % 40) + 0.1,
            });
        request.push(SeriesKey::Labels(&labels), samples);
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .expect("in order");
    }
    storage
}

fn outcome(optimiser: Optimiser, name_removal: NameRemoval, query: &str) -> String {
    let engine = Engine::new(EngineOptions {
        optimiser,
        name_removal,
        ..EngineOptions::default()
    });
    let query = engine.parse(query).expect("a valid query");
    let ranged = engine.range_parsed(&storage(), &query, range(), QueryContext::default());
    let at = Timestamp::from_millis(500_000);
    let instant = engine.instant_parsed(&storage(), &query, at, QueryContext::default());
    let text = |result: Result<crate::QueryResult, crate::EngineError>| match result {
        Ok(result) => format!("{:?} {:?}", result.value, result.annotations),
        Err(error) => error.to_string(),
    };
    format!("{}\n{}", text(ranged), text(instant))
}

#[test]
fn rules_change_neither_results_nor_errors_nor_annotations() {
    for query in [
        "a_total + a_total",
        "a_total and a_total",
        "a_total unless on (x) a_total{y=\"1\"}",
        "a_total or a_total or a_total",
        "sum(a_total) / count(a_total) * on () group_right () a_total",
        "rate(a_total[2m]) / rate(a_total[2m])",
        // Warnings at both places.
        "rate(b[2m]) / rate(b[2m])",
        "sum(rate(b{x=\"1\"}[2m])) / sum(rate(b[2m]))",
        "quantile(2, a_total) + quantile(2, a_total)",
        "sort(a_total) + sort(a_total)",
        "topk(1, a_total) / topk(1, a_total)",
        // Part of a selection, before and behind the whole.
        "a_total{x=\"1\"} / on (y) group_left () sum by (y) (a_total)",
        "sum by (y) (a_total) / on (y) group_right () a_total{x=\"1\"}",
        "sum(increase(a_total{y!=\"1\"}[2m])) / sum(increase(a_total[2m]))",
        "absent(a_total{x=\"7\"}) or absent(a_total)",
        "timestamp(a_total{x=\"1\"}) - on (y) timestamp(a_total{x=\"2\"})",
        "timestamp(a_total{x=\"1\"}) - on (x, y) timestamp(a_total)",
        "a_total{x=\"1\"} - on (x, y) timestamp(a_total)",
        // Labels that nobody reads, unless removing them matters.
        "sum by (x) (rate(a_total[2m]) * 2)",
        "max without (y) (-abs(a_total))",
        "sum by (x) (abs({x=\"1\"}))",
        "count without (x) (-{__name__=~\"a_total|d\"})",
        "count without (x) (rate({__name__=~\"d|b\"}[2m]))",
        "count by (__type__) (-d)",
        "sum(-d)",
        "group without () (-d @ 300)",
        // Errors.
        "a_total * on (x) a_total",
        "sum(rate({x=\"1\"}[2m])) / sum(rate({y=\"1\",x=\"1\"}[2m]))",
        "{x=\"1\"} * 2 + {x=\"1\"} * 2",
        // Inside of subqueries and pinned to a time.
        "max_over_time((a_total + a_total)[2m:30s]) + a_total",
        "a_total @ 300 + a_total @ 300",
        "sum_over_time((a_total{x=\"1\"} + on (x, y) a_total)[2m:30s])",
        "scalar(b{x=\"1\"}) + b",
        "(a_total{x=\"1\"} + on (x, y) a_total)[2m:30s]",
    ] {
        for name_removal in [NameRemoval::Immediate, NameRemoval::Delayed] {
            let want = outcome(Optimiser::Off, name_removal, query);
            assert_eq!(outcome(Optimiser::On, name_removal, query), want, "{query}");
        }
    }
}

#[test]
fn a_common_part_is_read_once_and_stops_like_others() {
    let engine = Engine::default();
    let read = |query: &str| {
        let query = engine.parse(query).expect("valid");
        let result = engine.range_parsed(&storage(), &query, range(), QueryContext::default());
        result.expect("valid").stats.samples_read
    };
    let once = read("a_total");
    assert_eq!(read("a_total + a_total"), once);
    assert_eq!(read("sum(a_total{x=\"1\"}) / sum(a_total)"), once);
    let query = engine.parse("a_total + a_total").expect("valid");
    let context = QueryContext {
        stop: Some(std::sync::Arc::new(|| Some(StopReason::Canceled))),
        ..QueryContext::default()
    };
    assert!(
        engine
            .range_parsed(&storage(), &query, range(), context)
            .is_err()
    );
}
