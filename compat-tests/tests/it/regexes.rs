//! Go's pattern dialect in matchers, beside a program that uses Go's own package.

use testkit::remote_write::{Sample, TimeSeries, body, labels};

use crate::support::{Running, data_lines, firewatch_binary, start};

/// Label values that the patterns are tried on.
const VALUES: &[&str] = &[
    "a", "b", "ab", "aab", "abc", "A", "1", "12", "٣", "é", "x y", "a.b", "a|b", "[", "]", "&&",
    "-", "<b>", "{", "a{,2}", "foo", "foobar", "bar", "\n", "a\nb", "0", "A1_", "k", "K",
    "\u{212a}",
];

#[test]
fn patterns_match_as_in_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let firewatch = start(
        &firewatch_binary(),
        &folder.path().join("firewatch"),
        "",
        &[],
    );
    let prometheus = start("prometheus", &folder.path().join("prometheus"), "", &[]);
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let timestamp = i64::try_from(now_ms).unwrap();
    let series = |value: &&str| TimeSeries {
        labels: labels(&[("__name__", "m"), ("l", value)]),
        samples: vec![Sample {
            value: 1.0,
            timestamp,
        }],
        ..TimeSeries::default()
    };
    let request = body(VALUES.iter().map(series).collect()).unwrap();
    for server in [&firewatch, &prometheus] {
        let answer = server.client.remote_write(&request).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    let at = format!("{}.{:03}", timestamp / 1000, timestamp % 1000);
    let patterns = data_lines("patterns.txt");
    assert!(patterns.len() >= 60, "only {} patterns", patterns.len());
    let mut differences = Vec::new();
    for pattern in &patterns {
        let (ours, theirs) = (
            ask(&firewatch, pattern, &at),
            ask(&prometheus, pattern, &at),
        );
        if ours != theirs {
            differences.push(format!("{pattern}: {ours:?}, not {theirs:?}"));
        }
    }
    println!(
        "{} patterns, {} differences",
        patterns.len(),
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The matching values, sorted, or what is wrong with the pattern. 2.42 names the pattern with its
/// own anchors around it, so only the words before it are compared.
fn ask(server: &Running, pattern: &str, at: &str) -> Result<Vec<String>, String> {
    let quoted = pattern.replace('\\', "\\\\").replace('"', "\\\"");
    let query = format!("m{{l=~\"{quoted}\"}}");
    let form = [("query", query.as_str()), ("time", at)];
    let answer = server.client.post_form("/api/v1/query", &form).unwrap();
    if answer["status"] != "success" {
        let error = answer["error"].as_str().unwrap();
        let (_, about) = error
            .split_once("error parsing regexp: ")
            .unwrap_or(("", error));
        return Err(about.split(": `").next().unwrap_or_default().to_owned());
    }
    let result = answer["data"]["result"].as_array().unwrap();
    let value = |series: &serde_json::Value| series["metric"]["l"].as_str().unwrap().to_owned();
    let mut values: Vec<String> = result.iter().map(value).collect();
    values.sort();
    Ok(values)
}
