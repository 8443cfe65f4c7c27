//! The command line and the life of the process.

use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{firewatch_binary, start, wait_until};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(firewatch_binary())
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn tells_its_version_and_its_flags() {
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("firewatch "), "{stdout}");
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for flag in [
        "--config.file",
        "--storage.tsdb.path",
        "--web.listen-address",
        "--log.level",
    ] {
        assert!(stdout.contains(flag), "{flag} is not in the help");
    }
}

#[test]
fn refuses_unknown_flags_with_a_hint() {
    let (code, _, stderr) = run(&["--storage.tsdb.pth=x"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--storage.tsdb.path"), "{stderr}");
}

#[test]
fn refuses_a_bad_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.yml");
    std::fs::write(&config, "scrape_configs: [{job_nme: x}]\n").unwrap();
    let config = format!("--config.file={}", config.display());
    let (code, _, stderr) = run(&[&config, "--web.listen-address=127.0.0.1:0"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("job_nme"), "{stderr}");
}

#[test]
fn scrapes_itself_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = vec![
        format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ),
        "--web.listen-address=127.0.0.1:0".to_owned(),
    ];
    let program = firewatch_binary();
    let log = folder.path().join("log");
    let mut server = testkit::process::Server::start(&program, &arguments, &log).unwrap();
    let client = testkit::http::Client::new(server.address());
    wait_until("it has scraped itself", Duration::from_secs(90), || {
        let answer = client.post_form("/api/v1/query", &[("query", "up")]);
        answer.is_ok_and(|answer| answer["data"]["result"][0]["value"][1] == "1")
    });
    let home = client.get("/").unwrap();
    assert_eq!(home.status, 200);
    assert!(home.body.contains("Firewatch"));
    assert_eq!(server.terminate().unwrap(), Some(0));
}

#[test]
fn reloads_on_hangup_and_keeps_the_old_configuration_when_the_new_one_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let firewatch = start(&firewatch_binary(), folder.path(), "", &[]);
    let config = folder.path().join("config.yml");
    let jobs = || {
        let answer = firewatch.client.get("/api/v1/targets").unwrap();
        let targets: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        targets["data"]["activeTargets"].as_array().unwrap().len()
    };
    assert_eq!(jobs(), 0);
    let one = "scrape_configs: [{job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}]\n";
    std::fs::write(&config, one).unwrap();
    firewatch
        .server
        .signal(testkit::process::Signal::Hangup)
        .unwrap();
    wait_until("the target is there", Duration::from_secs(30), || {
        jobs() == 1
    });
    std::fs::write(&config, "nonsense: 1\n").unwrap();
    firewatch
        .server
        .signal(testkit::process::Signal::Hangup)
        .unwrap();
    wait_until("the failure is counted", Duration::from_secs(30), || {
        let metrics = firewatch.client.get("/metrics").unwrap().body;
        metrics
            .lines()
            .any(|line| line == "prometheus_config_last_reload_successful 0")
    });
    assert_eq!(jobs(), 1);
}
