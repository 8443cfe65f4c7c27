//! The whole server in one process, over real connections, on a clock that stands still.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base::ManualClock;
use model::Timestamp;
use remote::wire::push_varint;
use server::{App, Options, StartError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const NOW_MS: i64 = 1_795_443_600_000;

fn options(folder: &Path, more: &[&str]) -> Options {
    let path = format!("--storage.tsdb.path={}", folder.join("data").display());
    let fixed = [
        "firewatch",
        "--web.listen-address=127.0.0.1:0",
        path.as_str(),
    ];
    Options::parse(fixed.into_iter().chain(more.iter().copied())).expect("flags")
}

async fn new(folder: &Path, more: &[&str]) -> Result<App, StartError> {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(NOW_MS)));
    App::new(options(folder, more), clock).await
}

async fn start(folder: &Path, more: &[&str]) -> App {
    let mut app = new(folder, more).await.expect("put together");
    app.start().await.expect("started");
    app
}

/// Sends a request and gives the whole answer.
async fn send(address: SocketAddr, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .await
        .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

async fn get(app: &App, path: &str) -> String {
    send(app.addresses()[0], &format!("GET {path}"), &[]).await
}

fn write_request() -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let mut out = vec![tag];
        push_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    };
    let label = [field(0x0a, b"__name__"), field(0x12, b"written")].concat();
    let mut sample = vec![0x09];
    sample.extend_from_slice(&4.25_f64.to_le_bytes());
    sample.push(0x10);
    push_varint(NOW_MS.cast_unsigned(), &mut sample);
    let series = [field(0x0a, &label), field(0x12, &sample)].concat();
    snap::raw::Encoder::new()
        .compress_vec(&field(0x0a, &series))
        .expect("compressed")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = start(folder.path(), &[]).await;
    assert!(get(&app, "/-/ready").await.starts_with("HTTP/1.1 200 "));
    let written = send(app.addresses()[0], "POST /api/v1/write", &write_request()).await;
    assert!(written.starts_with("HTTP/1.1 204 "), "{written}");
    let want = r#"[{"metric":{"__name__":"written"},"value":[1795443600,"4.25"]}]"#;
    assert!(
        get(&app, "/api/v1/query?query=written")
            .await
            .contains(want)
    );
    app.stop().await.expect("stopped");
    let app = start(folder.path(), &[]).await;
    assert!(
        get(&app, "/api/v1/query?query=written")
            .await
            .contains(want)
    );
    let targets = get(&app, "/api/v1/targets").await;
    let own = format!("\"scrapeUrl\":\"http://{}/metrics\"", app.addresses()[0]);
    assert!(targets.contains(&own), "{targets}");
    let metrics = get(&app, "/metrics").await;
    for line in [
        "prometheus_ready 1",
        "prometheus_tsdb_head_series ",
        "process_open_fds ",
    ] {
        assert!(metrics.contains(&format!("\n{line}")), "{line}");
    }
    app.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_logged_where_the_configuration_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prometheus.yml");
    let config = format!("--config.file={}", file.display());
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    let lines = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("a log");
        text.lines().count()
    };
    write("global: {query_log_file: first.log}");
    let app = start(folder.path(), &[&config]).await;
    let query = "/api/v1/query?query=1";
    get(&app, query).await;
    write("global: {query_log_file: no/such/folder}");
    let refused = app.reload().await.expect_err("no folder").to_string();
    assert!(refused.contains("no/such/folder"), "{refused}");
    get(&app, query).await;
    assert_eq!(lines("first.log"), 2);
    write("global: {query_log_file: second.log}");
    app.reload().await.expect("reloaded");
    get(&app, query).await;
    write("");
    app.reload().await.expect("reloaded");
    get(&app, query).await;
    assert_eq!((lines("first.log"), lines("second.log")), (2, 1));
    let active = std::fs::read(folder.path().join("data/queries.active")).expect("a file");
    assert_eq!(active.len(), 1 + 20 * 1000);
    assert!(active.starts_with(b"[\0"));
    app.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn features_reach_the_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let query = "/api/v1/query?query=sort_by_label(vector(1),%22a%22)";
    let app = start(folder.path(), &[]).await;
    assert!(get(&app, query).await.starts_with("HTTP/1.1 400 "));
    app.stop().await.expect("stopped");
    let feature = "--enable-feature=promql-experimental-functions,unknown";
    let app = start(folder.path(), &[feature]).await;
    assert!(get(&app, query).await.starts_with("HTTP/1.1 200 "));
    app.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_does_not_load_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prometheus.yml");
    let config = format!("--config.file={}", file.display());
    let flags = [config.as_str(), "--web.enable-lifecycle"];
    let write = |text: &str| std::fs::write(&file, text).expect("written");
    write("scrape_configs: [{job_name: a}]");
    let app = start(folder.path(), &flags).await;
    let pools = "/api/v1/status/config";
    assert!(get(&app, pools).await.contains("job_name: a"));
    write("scrape_configs: [{job_name: b}, {job_name: b}]");
    let error = app
        .reload()
        .await
        .expect_err("two jobs of one name")
        .to_string();
    let start_of_text = format!(
        "couldn't load configuration (--config.file=\"{}\"",
        file.display()
    );
    assert!(error.starts_with(&start_of_text), "{error}");
    let refused = send(app.addresses()[0], "POST /-/reload", &[]).await;
    assert!(
        refused.contains("failed to reload config: couldn't load"),
        "{refused}"
    );
    assert!(get(&app, pools).await.contains("job_name: a"));
    let runtime = get(&app, "/api/v1/status/runtimeinfo").await;
    assert!(
        runtime.contains("\"reloadConfigSuccess\":false"),
        "{runtime}"
    );
    write("scrape_configs: [{job_name: c}]");
    let reloaded = send(app.addresses()[0], "POST /-/reload", &[]).await;
    assert!(reloaded.starts_with("HTTP/1.1 200 "), "{reloaded}");
    assert!(get(&app, pools).await.contains("job_name: c"));
    let written = send(app.addresses()[0], "POST /api/v1/write", &write_request()).await;
    assert!(written.starts_with("HTTP/1.1 404 "), "{written}");
    app.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_prevents_a_start_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = start(folder.path(), &[]).await;
    let mut second = new(folder.path(), &[]).await.expect("put together");
    assert!(matches!(second.start().await, Err(StartError::Storage(_))));
    second.stop().await.expect("stopped");
    let taken = format!("--web.listen-address={}", app.addresses()[0]);
    let error = new(folder.path(), &[&taken])
        .await
        .err()
        .expect("the port is taken");
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    let error = new(folder.path(), &["--config.file=/nonexistent"])
        .await
        .err()
        .expect("no file");
    assert!(matches!(error, StartError::Config(_)), "{error}");
    app.stop().await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_over_http_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = start(folder.path(), &["--web.enable-lifecycle"]).await;
    let answer = send(app.addresses()[0], "PUT /-/quit", &[]).await;
    assert!(
        answer.ends_with("Requesting termination... Goodbye!"),
        "{answer}"
    );
    app.quit_requested().await;
    app.stop().await.expect("stopped");
}
