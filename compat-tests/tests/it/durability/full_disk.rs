//! A full disk: writes are refused with a reason, queries go on, and when there is room again writes
//! are taken without a restart. A limit on the size of files stands in for the disk: it needs no
//! privileges, and the system refuses the same writes.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use testkit::http::Client;
use testkit::process::Server;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

use crate::support::{Running, firewatch_binary, start, wait_until};

const SERIES: u32 = 500;
/// Requests after which the log is longer than the limit.
const REQUESTS: u32 = 40;
const LIMIT_BYTES: &str = "32768";

/// Starts a server that sees a refused write instead of dying of the signal that comes with it.
fn start_unharmed(folder: &Path) -> Running {
    std::fs::write(folder.join("config.yml"), "").unwrap();
    let arguments = [
        "-c".to_owned(),
        "trap '' XFSZ; exec \"$0\" \"$@\"".to_owned(),
        firewatch_binary(),
        format!("--config.file={}", folder.join("config.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        "--web.listen-address=127.0.0.1:0".to_owned(),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    let server = Server::start("sh", &arguments, &folder.join("log")).unwrap();
    let client = Client::new(server.address());
    wait_until("the server is ready", Duration::from_secs(120), || {
        let answer = client.get("/-/ready");
        answer.is_ok_and(|answer| answer.status == 200)
    });
    Running { server, client }
}

fn limit_files(running: &Running, bytes: &str) {
    let status = Command::new("prlimit")
        .arg(format!("--pid={}", running.server.id()))
        .arg(format!("--fsize={bytes}:"))
        .status()
        .unwrap();
    assert!(status.success());
}

fn request(number: u32, start_ms: i64) -> Vec<u8> {
    let series = |series: u32| TimeSeries {
        labels: labels(&[("__name__", "full_disk"), ("series", &series.to_string())]),
        samples: vec![Sample {
            value: f64::from(number * SERIES + series + 2).sqrt(),
            timestamp: start_ms + i64::from(number) * 1000,
        }],
        ..TimeSeries::default()
    };
    body((0..SERIES).map(series).collect()).unwrap()
}

#[track_caller]
fn check(running: &Running, requests: u32) {
    let samples = running.scalar("sum(count_over_time(full_disk[1h]))", "");
    assert_eq!(samples, Some(f64::from(requests * SERIES)));
    let numbers = 2..requests * SERIES + 2;
    let want: f64 = numbers.map(|number| f64::from(number).sqrt()).sum();
    let sum = running
        .scalar("sum(sum_over_time(full_disk[1h]))", "")
        .unwrap();
    assert!((sum - want).abs() < 1e-6 * want, "{sum}, not {want}");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let start_ms = i64::try_from(now_ms).unwrap() - 600_000;
    let mut running = start_unharmed(folder.path());
    let write = |running: &Running, number| {
        let answer = running.client.remote_write(&request(number, start_ms));
        answer.unwrap()
    };
    for number in 0..REQUESTS {
        assert_eq!(write(&running, number).status, 204);
    }
    limit_files(&running, LIMIT_BYTES);
    for _ in 0..3 {
        let refused = write(&running, REQUESTS);
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.body.contains("File too large"), "{}", refused.body);
        check(&running, REQUESTS);
    }
    let metrics = running.client.get("/metrics").unwrap().body;
    assert!(metrics.contains("firewatch_tsdb_writable 0\n"));
    limit_files(&running, "unlimited");
    wait_until("writes are taken", Duration::from_secs(120), || {
        write(&running, REQUESTS).status == 204
    });
    for number in REQUESTS + 1..2 * REQUESTS {
        assert_eq!(write(&running, number).status, 204);
    }
    check(&running, 2 * REQUESTS);
    running.server.kill();
    let running = start(&firewatch_binary(), folder.path(), "", &[]);
    check(&running, 2 * REQUESTS);
}
