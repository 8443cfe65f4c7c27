//! Connections: queries that wait in line, clients that go away, servers that stop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use api::ServeOptions;
use axum::body::Body;
use base::Shutdown;
use http::Request;
use model::TimeRange;
use parking_lot::Mutex;
use storage::{Querier, Queryable, StorageError, WriteGeneration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::answer;
use crate::fixture::Fixture;

/// Storage that says when it is asked, and answers when it is told to.
struct Slow {
    asked: tokio::sync::mpsc::Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Queryable for Slow {
    fn querier(&self, _range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.asked.blocking_send(()).expect("the test waits");
        self.go_on.lock().recv().expect("the test goes on");
        Err(StorageError::NotReady)
    }

    fn write_generation(&self, _range: TimeRange) -> WriteGeneration {
        WriteGeneration(0)
    }
}

fn slow() -> (Arc<Slow>, tokio::sync::mpsc::Receiver<()>, Sender<()>) {
    let (asked, was_asked) = tokio::sync::mpsc::channel(8);
    let (go_on, wait) = channel();
    (
        Arc::new(Slow {
            asked,
            go_on: Mutex::new(wait),
        }),
        was_asked,
        go_on,
    )
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a request")
}

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
async fn a_query_that_waits_too_long_in_line_times_out() {
    let (storage, mut was_asked, go_on) = slow();
    let fixture = Fixture::with_queryable(storage);
    let first = answer(&fixture, get("/api/v1/query?query=up"));
    let second = async {
        was_asked.recv().await.expect("the first query runs");
        let (response, body) = answer(&fixture, get("/api/v1/query?query=1&timeout=1ms")).await;
        go_on.send(()).expect("the first query waits");
        (
            response.status().as_u16(),
            String::from_utf8(body).expect("text"),
        )
    };
    let ((first, _), second) = tokio::join!(first, second);
    assert_eq!(first.status().as_u16(), 500);
    let text =
        r#"{"status":"error","errorType":"timeout","error":"query timed out in query queue"}"#;
    assert_eq!(second, (503, text.to_owned()));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request() {
    let (storage, mut was_asked, go_on) = slow();
    let fixture = Fixture::with_queryable(storage);
    let running = || {
        let families = fixture.parts.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name == "prometheus_engine_queries");
        family.map(|family| family.samples[0].value)
    };
    let shutdown = Shutdown::new();
    let (mut client, serving) = listen(&fixture, &shutdown).await;
    let leaving = async {
        client.write_all(QUERY).await.expect("sent");
        was_asked.recv().await.expect("the query runs");
        assert_eq!(running(), Some(1.0));
        drop(client);
        // The query itself is still stuck in storage; only its request ends.
        while running() != Some(0.0) {
            tokio::task::yield_now().await;
        }
        go_on.send(()).expect("the query waits");
        shutdown.trigger();
    };
    tokio::join!(serving, leaving);
}

#[tokio::test]
async fn requests_that_have_begun_are_finished() {
    let (storage, mut was_asked, go_on) = slow();
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
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(
        answer.ends_with("expanding series: TSDB not ready\"}"),
        "{answer}"
    );
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
