//! Connections: clients that go away, servers that stop, targets that are not well encoded.

use std::time::Duration;

use api::ServeOptions;
use base::Shutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::Fixture;
use crate::limits::stuck;

const OPTIONS: ServeOptions = ServeOptions {
    max_connections: 8,
    read_timeout: Duration::from_secs(60),
    stop_timeout: Duration::from_secs(60),
};

async fn listen(fixture: &Fixture, shutdown: &Shutdown) -> (TcpStream, impl Future<Output = ()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = api::serve(listener, fixture.router.clone(), shutdown.clone(), OPTIONS);
    (
        TcpStream::connect(address).await.expect("connected"),
        serving,
    )
}

const QUERY: &[u8] = b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query() {
    let (storage, mut was_asked, go_on) = stuck();
    let fixture = Fixture::with_queryable(storage);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("query.log");
    fixture
        .parts
        .query_log
        .reopen(Some(&log))
        .expect("the log opens");
    let shutdown = Shutdown::new();
    let (mut client, serving) = listen(&fixture, &shutdown).await;
    let leaving = async {
        client.write_all(QUERY).await.expect("sent");
        was_asked.recv().await.expect("the query runs");
        drop(client);
        shutdown.trigger();
    };
    // The query itself is still stuck in storage; only its request ends.
    tokio::join!(serving, leaving);
    go_on.send(()).expect("the query waits");
    // Behind the query on the only thread.
    let done = fixture.parts.query_pool.run(|| ()).await;
    done.expect("the pool works");
    let line = std::fs::read_to_string(log).expect("the log is there");
    let line: serde_json::Value = serde_json::from_str(&line).expect("one line");
    assert_eq!(line["error"], "query was canceled in expression evaluation");
    assert_eq!(line["httpRequest"]["clientIP"], "127.0.0.1");
    assert_eq!(line["httpRequest"]["path"], "/api/v1/query");
}

#[tokio::test]
async fn requests_that_have_begun_are_finished() {
    let (storage, mut was_asked, go_on) = stuck();
    let fixture = Fixture::with_queryable(storage);
    let shutdown = Shutdown::new();
    let (mut client, serving) = listen(&fixture, &shutdown).await;
    let stopping = async {
        client.write_all(QUERY).await.expect("sent");
        was_asked.recv().await.expect("the query runs");
        shutdown.trigger();
        go_on.send(()).expect("the query waits");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    let ((), answer) = tokio::join!(serving, stopping);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"result\":[{"), "{answer}");
}

#[tokio::test]
async fn targets_may_hold_what_go_accepts() {
    let fixture = Fixture::ready();
    let shutdown = Shutdown::new();
    let (mut client, serving) = listen(&fixture, &shutdown).await;
    let asking = async {
        let body = "query={\"x\"}&time=7";
        let requests = format!(
            "GET /api/v1/query?query=count(up{{job=\"a\"}}<1)&time=3661 HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}\
             GET /api/v1/query?query=\"|#\"&time=7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            body.len()
        );
        client.write_all(requests.as_bytes()).await.expect("sent");
        let mut answers = String::new();
        client
            .read_to_string(&mut answers)
            .await
            .expect("an answer");
        shutdown.trigger();
        answers
    };
    let ((), answers) = tokio::join!(serving, asking);
    let results: Vec<&str> = answers
        .split("\"result\":")
        .skip(1)
        .filter_map(|rest| rest.split("}HTTP").next())
        .collect();
    assert_eq!(
        results,
        [
            r#"[{"metric":{},"value":[3661,"1"]}]}"#,
            "[]}",
            r##"[7,"|#"]}}"##
        ],
        "{answers}"
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let fixture = Fixture::ready();
    let shutdown = Shutdown::new();
    let (mut client, serving) = listen(&fixture, &shutdown).await;
    let sending = async {
        let part = b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
            Content-Type: application/x-www-form-urlencoded\r\n\r\nquery=";
        client.write_all(part).await.expect("sent");
        // Time runs on while everybody waits.
        tokio::time::pause();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        shutdown.trigger();
        answer
    };
    let ((), answer) = tokio::join!(serving, sending);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}
