//! `info()`: both ways of dropping names, and what is read.

use super::*;
use crate::operators::NameRemoval;

const TARGETS: [&str; 5] = [
    "m_total{instance=\"a\", job=\"j\"} 0+60x10",
    "m_total{instance=\"b\", job=\"j\"} 0+60x10",
    "target_info{instance=\"a\", job=\"j\", zone=\"1\"} 1x10",
    "target_info{instance=\"b\", job=\"j\", zone=\"2\"} 1x10",
    "target_info{instance=\"c\", job=\"other\", zone=\"3\"} 1x10",
];

fn engine(name_removal: NameRemoval) -> Engine {
    Engine::new(EngineOptions {
        name_removal,
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    })
}

/// The labels that a query gives.
#[track_caller]
fn labels_of(engine: &Engine, series: &[&str], query: &str) -> Vec<String> {
    let result = engine
        .instant(&load(series), query, minutes(5), QueryContext::default())
        .expect("valid");
    let Value::Vector(samples) = result.value else {
        panic!("not a vector")
    };
    samples
        .iter()
        .map(|sample| sample.labels.to_string())
        .collect()
}

#[test]
fn names_are_dropped_before_or_behind_the_lookup() {
    for (query, want) in [
        (
            "info(m_total{instance=\"a\"})",
            [r#"{__name__="m_total", instance="a", job="j", zone="1"}"#],
        ),
        (
            "info(rate(m_total{instance=\"a\"}[5m]))",
            [r#"{instance="a", job="j", zone="1"}"#],
        ),
        (
            "info(-m_total{instance=\"b\"}, {zone=\"2\"})",
            [r#"{instance="b", job="j", zone="2"}"#],
        ),
    ] {
        for removal in [NameRemoval::Immediate, NameRemoval::Delayed] {
            assert_eq!(
                labels_of(&engine(removal), &TARGETS, query),
                want,
                "{removal:?}"
            );
        }
    }
    // Only while it still has its name is an info series known as one.
    let query = "info(abs(target_info{instance=\"a\"}), {__name__=\"target_info\", zone=~\".+\"})";
    for removal in [NameRemoval::Immediate, NameRemoval::Delayed] {
        let want = [r#"{instance="a", job="j", zone="1"}"#];
        assert_eq!(
            labels_of(&engine(removal), &TARGETS, query),
            want,
            "{removal:?}"
        );
    }
}

#[test]
fn only_info_series_of_the_targets_are_read() {
    let engine = engine(NameRemoval::Immediate);
    let read = |query| {
        let storage = load(&TARGETS);
        let context = QueryContext::default();
        let result = engine.instant(&storage, query, minutes(0), context);
        result.expect("valid").stats.samples_read
    };
    let alone = read("m_total{instance=\"a\"}");
    let series = read("target_info{instance=\"a\"}");
    assert_eq!(read("info(m_total{instance=\"a\"})"), alone + series);
    assert_eq!(read("info(m_total{instance=\"a\"}, {zone=\"2\"})"), alone);
    assert_eq!(read("info(vector(1))"), 0);
}

#[test]
fn a_plan_shows_what_is_looked_up_and_when() {
    let engine = engine(NameRemoval::Immediate);
    let check_plan = |query, want| {
        assert_eq!(trace(&engine, query).optimised.to_string().trim(), want);
    };
    check_plan(
        "info(m @ 60, {zone=~\".+\"})",
        "once
  info() {__name__=\"target_info\",zone=~\".+\"} @60000 timestamps reads=-239999..60000
    selector {__name__=\"m\"} @60000 reads=-239999..60000",
    );
    check_plan(
        "info(m offset 1m or m @ 60)",
        "info() {__name__=\"target_info\"} timestamps reads=-299999..600000
  binary or many-to-many ignoring ()
    selector {__name__=\"m\"} offset=1m reads=-359999..540000
    once
      selector {__name__=\"m\"} @60000 reads=-239999..60000",
    );
}
