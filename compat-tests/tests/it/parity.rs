//! The same data in Prometheus and Firewatch, the same expressions on both, the same answers.
//!
//! Prometheus 2.42 scrapes itself and a node exporter and writes everything on to Firewatch. Its
//! windows are closed where ours are left-open, so evaluation times keep clear of sample times.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use testkit::process::Server;

use crate::support::{Running, data_lines, firewatch_binary, start, wait_until};

/// How much data is collected, in seconds.
const COLLECT_SECONDS: f64 = 150.0;
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// By label set: the points, as seconds and value texts.
type Answer = BTreeMap<String, Vec<(String, String)>>;

#[test]
fn answers_as_prometheus_does() {
    let folder = tempfile::tempdir().unwrap();
    let firewatch = start(
        &firewatch_binary(),
        &folder.path().join("firewatch"),
        "",
        &[],
    );
    let exporter_log = folder.path().join("exporter.log");
    let exporter = Server::start(
        "prometheus-node-exporter",
        &["--web.listen-address=127.0.0.1:0".to_owned()],
        &exporter_log,
    )
    .unwrap();
    let config = prometheus_config(exporter.address(), firewatch.server.address());
    let prometheus = start(
        "prometheus",
        &folder.path().join("prometheus"),
        &config,
        &[],
    );

    let (end, length) = collect(&prometheus, &firewatch);
    let expressions = data_lines("parity.txt");
    assert!(
        expressions.len() >= 80,
        "only {} expressions",
        expressions.len()
    );
    let mut differences = Vec::new();
    let mut series = 0;
    for expression in &expressions {
        for kind in [Kind::Instant, Kind::Range { length }] {
            let theirs = ask(&prometheus, expression, kind, end);
            let ours = ask(&firewatch, expression, kind, end);
            let difference = match (theirs, ours) {
                (Ok(theirs), Ok(ours)) => {
                    series += theirs.len();
                    first_difference(&theirs, &ours)
                }
                (theirs, ours) => Some(format!("answers: ours {ours:?}, theirs {theirs:?}")),
            };
            if let Some(difference) = difference {
                differences.push(format!("{expression} ({kind:?}): {difference}"));
            }
        }
    }
    assert!(series > 1000, "only {series} series were compared");
    println!(
        "{} expressions, instant and range, {series} series: {} differences",
        expressions.len(),
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn prometheus_config(exporter: &str, firewatch: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['{exporter}']}}]}}\n\
         - {{job_name: firewatch, static_configs: [{{targets: ['{firewatch}']}}]}}\n\
         - {{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n\
         - {{job_name: node_again, static_configs: [{{targets: ['{exporter}'], \
            labels: {{tier: backend}}}}]}}\n\
         remote_write:\n\
         - url: http://{firewatch}/api/v1/write\n  \
           queue_config: {{batch_send_deadline: 500ms}}\n"
    )
}

/// Waits for the data and chooses an end for evaluation, in seconds, and the length before it.
fn collect(prometheus: &Running, firewatch: &Running) -> (f64, f64) {
    let newest = |server: &Running| server.scalar("max(timestamp(up))", "");
    wait_until("Prometheus has scraped", Duration::from_secs(60), || {
        newest(prometheus).is_some()
    });
    let first = newest(prometheus).unwrap();
    let enough = |server: &Running| newest(server).is_some_and(|at| at > first + COLLECT_SECONDS);
    let limit = Duration::from_secs(600);
    wait_until("Prometheus has collected", limit, || enough(prometheus));
    let last = newest(prometheus).unwrap();
    wait_until("Firewatch has it all", limit, || {
        newest(firewatch).is_some_and(|at| at >= last)
    });
    (
        clear_of_samples(prometheus, last.floor() - 5.0),
        COLLECT_SECONDS - 60.0,
    )
}

/// The time within the second after `at` that is farthest from the samples of every target.
fn clear_of_samples(prometheus: &Running, at: f64) -> f64 {
    let result = prometheus.query("timestamp(up)", &format!("{at}"));
    let mut fractions: Vec<f64> = result
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            series["value"][1]
                .as_str()
                .unwrap()
                .parse::<f64>()
                .unwrap()
                .fract()
        })
        .collect();
    fractions.sort_by(f64::total_cmp);
    fractions.push(fractions[0] + 1.0);
    let gaps = fractions
        .windows(2)
        .map(|pair| (pair[1] - pair[0], pair[0]));
    let (gap, from) = gaps.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    at + ((from + gap / 2.0).fract() * 1000.0).round() / 1000.0
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Instant,
    Range { length: f64 },
}

fn ask(server: &Running, expression: &str, kind: Kind, end: f64) -> Result<Answer, Value> {
    let end_text = format!("{end:.3}");
    let answer = match kind {
        Kind::Instant => {
            let form = [("query", expression), ("time", end_text.as_str())];
            server.client.post_form("/api/v1/query", &form)
        }
        Kind::Range { length } => {
            let start = format!("{:.3}", end - length);
            let form = [
                ("query", expression),
                ("start", &start),
                ("end", &end_text),
                ("step", "7"),
            ];
            server.client.post_form("/api/v1/query_range", &form)
        }
    };
    let answer = answer.unwrap();
    if answer["status"] == "success" {
        Ok(points_of(&answer["data"]))
    } else {
        Err(answer)
    }
}

fn points_of(data: &Value) -> Answer {
    let point = |pair: &Value| (pair[0].to_string(), pair[1].as_str().unwrap().to_owned());
    if data["resultType"] == "scalar" || data["resultType"] == "string" {
        return BTreeMap::from([(String::new(), vec![point(&data["result"])])]);
    }
    let mut answer = Answer::new();
    for series in data["result"].as_array().unwrap() {
        let points = match series.get("values") {
            Some(values) => values.as_array().unwrap().iter().map(point).collect(),
            None => vec![point(&series["value"])],
        };
        answer.insert(series["metric"].to_string(), points);
    }
    answer
}

fn first_difference(theirs: &Answer, ours: &Answer) -> Option<String> {
    if let Some(missing) = theirs.keys().find(|labels| !ours.contains_key(*labels)) {
        return Some(format!("{missing} is missing"));
    }
    if let Some(extra) = ours.keys().find(|labels| !theirs.contains_key(*labels)) {
        return Some(format!("{extra} is too much"));
    }
    theirs.iter().find_map(|(labels, theirs)| {
        let ours = &ours[labels];
        if theirs.len() != ours.len() {
            return Some(format!(
                "{labels}: {} points, not {}",
                ours.len(),
                theirs.len()
            ));
        }
        let different = |(theirs, ours): &(&(String, String), &(String, String))| {
            theirs.0.parse::<f64>() != ours.0.parse::<f64>() || !same_value(&theirs.1, &ours.1)
        };
        let (theirs, ours) = theirs.iter().zip(ours).find(different)?;
        Some(format!("{labels}: {ours:?}, not {theirs:?}"))
    })
}

fn same_value(theirs: &str, ours: &str) -> bool {
    if theirs == ours {
        return true;
    }
    let (Ok(theirs), Ok(ours)) = (theirs.parse::<f64>(), ours.parse::<f64>()) else {
        return false;
    };
    (theirs - ours).abs() <= RELATIVE_TOLERANCE * theirs.abs().max(ours.abs())
}

#[test]
fn the_comparison_sees_differences() {
    let answer = |labels: &str, value: &str| {
        Answer::from([(labels.to_owned(), vec![("1".to_owned(), value.to_owned())])])
    };
    assert_eq!(
        first_difference(&answer("a", "1"), &answer("a", "1.0000000000001")),
        None
    );
    assert!(first_difference(&answer("a", "1"), &answer("a", "1.000001")).is_some());
    assert!(first_difference(&answer("a", "1"), &answer("b", "1")).is_some());
    assert!(first_difference(&answer("a", "NaN"), &answer("a", "1")).is_some());
    assert_eq!(
        first_difference(&answer("a", "NaN"), &answer("a", "NaN")),
        None
    );
}
