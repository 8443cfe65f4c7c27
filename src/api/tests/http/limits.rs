//! What a query may use: time, turns, memory. Clocks stand still or are moved by hand.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::body::Body;
use http::Request;
use model::{TimeRange, Timestamp};
use parking_lot::Mutex;
use storage::memory::MemoryStorage;
use storage::{Querier, Queryable, StorageError, WriteGeneration};

use crate::answer;
use crate::fixture::Fixture;

/// Storage that says when it is asked, and answers when it is told to.
pub(crate) struct Stuck {
    data: Arc<MemoryStorage>,
    asked: tokio::sync::mpsc::Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Queryable for Stuck {
    fn querier(&self, range: TimeRange) -> Result<Box<dyn Querier>, StorageError> {
        self.asked.blocking_send(()).expect("the test waits");
        self.go_on.lock().recv().expect("the test goes on");
        self.data.querier(range)
    }

    fn write_generation(&self) -> WriteGeneration {
        self.data.write_generation()
    }

    fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        self.data.first_change(since, range)
    }
}

pub(crate) fn stuck() -> (Arc<Stuck>, tokio::sync::mpsc::Receiver<()>, Sender<()>) {
    let (asked, was_asked) = tokio::sync::mpsc::channel(8);
    let (go_on, wait) = channel();
    let storage = Stuck {
        data: Fixture::data(),
        asked,
        go_on: Mutex::new(wait),
    };
    (Arc::new(storage), was_asked, go_on)
}

async fn get(fixture: &Fixture, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let (response, body) = answer(fixture, request).await;
    let body = String::from_utf8(body).expect("text");
    (response.status().as_u16(), body)
}

fn failure(status: u16, kind: &str, text: &str) -> (u16, String) {
    let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#);
    (status, body)
}

#[tokio::test(start_paused = true)]
async fn a_query_that_waits_too_long_in_line_times_out() {
    let (storage, mut was_asked, go_on) = stuck();
    let fixture = Fixture::with_queryable(storage);
    let first = get(&fixture, "/api/v1/query?query=up");
    let second = async {
        was_asked.recv().await.expect("the first query runs");
        let second = get(&fixture, "/api/v1/query?query=1").await;
        go_on.send(()).expect("the first query waits");
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(
        second,
        failure(503, "timeout", "query timed out in query queue")
    );
}

#[tokio::test]
async fn a_query_that_takes_too_long_times_out() {
    for (timeout, passes, want) in [
        ("", 119, None),
        ("", 120, Some("query timed out in expression evaluation")),
        (
            "&timeout=5s",
            5,
            Some("query timed out in expression evaluation"),
        ),
        (
            "&timeout=1h",
            121,
            Some("query timed out in expression evaluation"),
        ),
    ] {
        let (storage, mut was_asked, go_on) = stuck();
        let fixture = Fixture::with_queryable(storage);
        let path = format!("/api/v1/query?query=up{timeout}");
        let passing = async {
            was_asked.recv().await.expect("the query runs");
            fixture.stopwatch.advance(Duration::from_secs(passes));
            go_on.send(()).expect("the query waits");
        };
        let (got, ()) = tokio::join!(get(&fixture, &path), passing);
        match want {
            Some(text) => assert_eq!(got, failure(503, "timeout", text), "{timeout} {passes}"),
            None => assert_eq!(got.0, 200, "{}", got.1),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_waits_for_memory() {
    let fixture = Fixture::ready();
    let budget = &fixture.parts.query_memory;
    let others = budget.try_share(budget.total()).expect("all is free");
    let timed_out = failure(503, "timeout", "query timed out in query queue");
    assert_eq!(get(&fixture, "/api/v1/query?query=up").await, timed_out);
    let waiting = get(&fixture, "/api/v1/query?query=up");
    let ending = async {
        tokio::task::yield_now().await;
        others.shrink_to(0);
    };
    let (answered, ()) = tokio::join!(waiting, ending);
    assert_eq!(answered.0, 200, "{}", answered.1);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn memory_is_free_again_when_the_answer_was_read_or_dropped() {
    let fixture = Fixture::ready();
    let long = "/api/v1/query_range?query=up&start=0&end=10000&step=1&lookback_delta=1h";
    let request = Request::get(long).body(Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(fixture.router.clone(), request)
        .await
        .expect("never fails");
    let held = fixture.parts.query_memory.used();
    assert!((100_000..1_000_000).contains(&held), "{held}");
    drop(response);
    assert_eq!(fixture.parts.query_memory.used(), 0);
    let (status, body) = get(&fixture, long).await;
    assert!(status == 200 && body.len() > 100_000);
    assert_eq!(fixture.parts.query_memory.used(), 0);
}
