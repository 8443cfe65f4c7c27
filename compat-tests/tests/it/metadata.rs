//! Metadata of metrics beside Debian's Prometheus: of the same targets the same answers, and what
//! Prometheus sends on is kept.
//!
//! Prometheus answers in no certain order, where it answers with more than one thing: there order
//! is not compared. It is too old to know `limit_per_metric`.

use std::time::Duration;

use serde_json::Value;
use testkit::process::Server;

use crate::support::{Running, firewatch_binary, start, wait_until};

const LIMIT: Duration = Duration::from_secs(120);

/// A family that the node exporter has.
const FAMILY: &str = "node_load1";

/// Queries whose answers have one order.
const SAME_BYTES: [&str; 16] = [
    "metadata?metric=node_load1",
    "metadata?metric=go_info&limit=%2B1",
    "metadata?metric=nobody",
    "metadata?limit=0",
    "metadata?limit=abc",
    "metadata?limit=1.5",
    "metadata?limit=99999999999999999999",
    "targets/metadata?match_target=%7Btier=%22backend%22%7D&metric=node_load1",
    "targets/metadata?match_target=%7Btier!=%22%22%7D&metric=go_info&limit=5",
    "targets/metadata?match_target=up&metric=node_load1",
    "targets/metadata?metric=nobody",
    "targets/metadata?limit=0",
    "targets/metadata?limit=abc",
    "targets/metadata?match_target=%7B",
    "targets/metadata?match_target=%7Ba=%22%5C%22%7D",
    "targets/metadata?match_target=1",
];

/// Queries whose answers are the same in any order.
const SAME_SETS: [&str; 6] = [
    "metadata",
    "metadata?limit=-1",
    "targets/metadata",
    "targets/metadata?limit=-3",
    "targets/metadata?metric=node_load1",
    "targets/metadata?match_target=%7B%7D&metric=go_info",
];

/// Queries of which everybody leaves out something else, but as much.
const SAME_COUNTS: [&str; 4] = [
    "metadata?limit=7",
    "targets/metadata?metric=node_load1&limit=1",
    "targets/metadata?match_target=%7Bjob=~%22node.*%22%7D&limit=1",
    "targets/metadata?match_target=%7Bjob=~%22node.*%22%7D&limit=100000",
];

#[test]
fn metadata_is_told_as_prometheus_does_and_outlives_kills() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = Server::start(
        "prometheus-node-exporter",
        &["--web.listen-address=127.0.0.1:0".to_owned()],
        &folder.path().join("exporter.log"),
    )
    .unwrap();
    let receiver_folder = folder.path().join("receiver");
    let mut receiver = start(&firewatch_binary(), &receiver_folder, "", &[]);
    let jobs = jobs(exporter.address(), receiver.server.address());
    let sending = format!(
        "{jobs}remote_write:\n- url: http://{}/api/v1/write\n  metadata_config: {{send_interval: 1s}}\n",
        receiver.server.address()
    );
    let prometheus = start(
        "prometheus",
        &folder.path().join("prometheus"),
        &sending,
        &[],
    );
    let scraping = start(
        &firewatch_binary(),
        &folder.path().join("scraping"),
        &jobs,
        &[],
    );
    wait_until("both know the same families", LIMIT, || {
        let theirs = set(&prometheus, "metadata");
        theirs.get(FAMILY).is_some()
            && SAME_SETS
                .iter()
                .all(|query| set(&prometheus, query) == set(&scraping, query))
    });
    compare(&prometheus, &scraping);

    let sent = set(&prometheus, "metadata");
    wait_until("what was sent is there", LIMIT, || {
        is_kept(&receiver, &sent)
    });
    repetition_writes_nothing(&prometheus, &receiver);
    receiver.server.kill();
    let receiver = start(&firewatch_binary(), &receiver_folder, "", &[]);
    assert!(is_kept(&receiver, &sent), "{}", set(&receiver, "metadata"));
}

fn jobs(exporter: &str, firewatch: &str) -> String {
    format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: node, static_configs: [{{targets: ['{exporter}']}}]}}\n\
         - {{job_name: node_again, static_configs: [{{targets: ['{exporter}'], \
            labels: {{tier: backend}}}}]}}\n\
         - {{job_name: firewatch, static_configs: [{{targets: ['{firewatch}']}}]}}\n\
         - {{job_name: gone, static_configs: [{{targets: ['127.0.0.1:1']}}]}}\n"
    )
}

fn get(server: &Running, query: &str) -> (u16, String) {
    let answer = server.client.get(&format!("/api/v1/{query}")).unwrap();
    (answer.status, answer.body)
}

fn data(server: &Running, query: &str) -> Value {
    let (status, body) = get(server, query);
    assert_eq!(status, 200, "{query}: {body}");
    let mut answer: Value = serde_json::from_str(&body).unwrap();
    answer["data"].take()
}

/// An answer with every list in order.
fn set(server: &Running, query: &str) -> Value {
    let mut data = data(server, query);
    let sort = |list: &mut Value| {
        if let Some(list) = list.as_array_mut() {
            list.sort_by_key(Value::to_string);
        }
    };
    sort(&mut data);
    if let Some(families) = data.as_object_mut() {
        families.values_mut().for_each(sort);
    }
    data
}

fn compare(prometheus: &Running, firewatch: &Running) {
    for query in SAME_BYTES {
        let (theirs, ours) = (get(prometheus, query), get(firewatch, query));
        assert_eq!(ours, theirs, "{query}");
    }
    for query in SAME_SETS {
        assert_eq!(set(firewatch, query), set(prometheus, query), "{query}");
    }
    let count = |data: Value| match data.as_object() {
        Some(families) => families.len(),
        None => data.as_array().unwrap().len(),
    };
    for query in SAME_COUNTS {
        let theirs = count(data(prometheus, query));
        assert_eq!(count(data(firewatch, query)), theirs, "{query}");
        assert!(theirs > 0, "{query}");
    }
}

/// Whether a server knows the families that were sent, each by one of the things that were said.
fn is_kept(receiver: &Running, sent: &Value) -> bool {
    let (kept, sent) = (set(receiver, "metadata"), sent.as_object().unwrap());
    let kept = kept.as_object().unwrap();
    kept.len() >= sent.len()
        && sent.iter().all(|(family, said)| {
            let said = said.as_array().unwrap();
            let kept = kept.get(family).and_then(Value::as_array);
            kept.is_some_and(|kept| kept.len() == 1 && said.contains(&kept[0]))
        })
}

fn repetition_writes_nothing(prometheus: &Running, receiver: &Running) {
    let metric = |server: &Running, name: &str| {
        let metrics = server.client.get("/metrics").unwrap().body;
        let line = metrics.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next());
        value.map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    let written = || metric(receiver, "firewatch_tsdb_metadata_written_total");
    let sent = || metric(prometheus, "prometheus_remote_storage_metadata_total");
    let families = metric(receiver, "firewatch_tsdb_metadata_families");
    let (before, first) = (written(), sent());
    assert!(families > 100.0, "{families}");
    wait_until("everything was sent again", LIMIT, || {
        sent() > first + 3.0 * families
    });
    // A target may have told of a new family meanwhile.
    assert!(written() - before < families / 10.0);
}
