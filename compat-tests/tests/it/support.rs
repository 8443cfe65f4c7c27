//! Starting servers and waiting for what they promise.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::http::Client;
use testkit::process::Server;

/// The binary under test.
pub(crate) fn firewatch_binary() -> String {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../bin/firewatch");
    std::env::var("FIREWATCH_BIN").unwrap_or_else(|_| default.to_owned())
}

/// A file of this crate's data.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

/// Lines of a data file that are neither empty nor comments.
pub(crate) fn data_lines(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(data(name)).unwrap();
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// A running server and its client.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

/// Starts a server of Prometheus' command line on a free port, with its data in `folder`.
pub(crate) fn start(program: &str, folder: &Path, config: &str, more: &[&str]) -> Running {
    std::fs::create_dir_all(folder).unwrap();
    let config_file = folder.join("config.yml");
    std::fs::write(&config_file, config).unwrap();
    let mut arguments = vec![
        format!("--config.file={}", config_file.display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        "--web.listen-address=127.0.0.1:0".to_owned(),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let server = Server::start(program, &arguments, &folder.join("log")).unwrap();
    let client = Client::new(server.address());
    wait_until("the server is ready", Duration::from_secs(120), || {
        client
            .get("/-/ready")
            .is_ok_and(|answer| answer.status == 200)
    });
    Running { server, client }
}

/// Asks again and again until `holds`; fails the test after `limit`.
#[track_caller]
pub(crate) fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let timer = Instant::now();
    // Nobody sends: the channel only paces the questions.
    let (_sender, pace) = std::sync::mpsc::channel::<()>();
    while !holds() {
        assert!(
            timer.elapsed() < limit,
            "waited {limit:?} in vain until {what}"
        );
        let _timeout = pace.recv_timeout(Duration::from_millis(20));
    }
}

impl Running {
    /// An instant query's result.
    #[track_caller]
    pub(crate) fn query(&self, query: &str, at: &str) -> Value {
        let form = [("query", query), ("time", at)];
        let answer = self.client.post_form("/api/v1/query", &form).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].clone()
    }

    /// The only value of an instant query with one result.
    #[track_caller]
    pub(crate) fn scalar(&self, query: &str, at: &str) -> Option<f64> {
        let result = self.query(query, at);
        let value = result.get(0)?.get("value")?.get(1)?.as_str()?;
        value.parse().ok()
    }
}
