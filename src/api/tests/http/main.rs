//! The whole router in one process, on storage in memory and a clock that stands still. Cases are
//! files: after a title, the request; below `---` the answer's status, headers and body; `===`
//! between cases. Headers that are not named are not compared; the header `!Name` must be absent.
//! Below a body `*` stands for any text up to the end.

mod fixture;
mod limits;
mod serving;
mod writing;

use axum::body::Body;
use fixture::Fixture;
use http::{Request, Response, StatusCode};
use promql::EngineOptions;
use tower::ServiceExt as _;

struct Case<'a> {
    title: &'a str,
    request: &'a str,
    answer: &'a str,
}

fn cases(file: &str) -> impl Iterator<Item = Case<'_>> {
    file.split("===\n")
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(|text| {
            let (title, rest) = text.split_once('\n').expect("a case has a title");
            let (request, answer) = rest.split_once("\n---\n").expect("a case has an answer");
            Case {
                title,
                request,
                answer,
            }
        })
}

fn request(text: &str) -> Request<Body> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .expect("request line");
    let mut builder = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        builder = builder.header(name, value);
    }
    builder
        .body(Body::from(body.to_owned()))
        .expect("a request")
}

async fn answer(fixture: &Fixture, request: Request<Body>) -> (Response<()>, Vec<u8>) {
    let response = fixture
        .router
        .clone()
        .oneshot(request)
        .await
        .expect("never fails");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .expect("a body");
    (Response::from_parts(parts, ()), body.to_vec())
}

async fn check_file(fixture: &Fixture, file: &str) {
    for case in cases(file) {
        let (response, body) = answer(fixture, request(case.request)).await;
        let (head, want_body) = case.answer.split_once("\n\n").unwrap_or((case.answer, ""));
        let mut lines = head.lines();
        let body = String::from_utf8(body).expect("text");
        let shown = format!(
            "{}\n{}\n{:?}\n{body}",
            case.title,
            response.status(),
            response.headers()
        );
        assert_eq!(lines.next(), Some(response.status().as_str()), "{shown}");
        for line in lines {
            if let Some(absent) = line.strip_prefix('!') {
                assert!(
                    !response.headers().contains_key(absent),
                    "{line} in {shown}"
                );
                continue;
            }
            let (name, value) = line.split_once(": ").expect("a header");
            let all: Vec<_> = response.headers().get_all(name).iter().collect();
            assert!(all.iter().any(|got| *got == value), "{line} in {shown}");
        }
        match want_body.strip_suffix('*') {
            Some(start) => assert!(body.starts_with(start), "{shown}"),
            None => assert_eq!(body.trim_end_matches('\n'), want_body, "{shown}"),
        }
    }
}

macro_rules! case_files {
    ($($name:ident: $make:expr, $path:literal;)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                check_file(&$make, include_str!($path)).await;
            }
        )*
    };
}

case_files! {
    instant_queries: Fixture::ready(), "../cases/query.txt";
    range_queries: Fixture::ready(), "../cases/query_range.txt";
    too_many_samples: Fixture::with_engine(EngineOptions {
        max_samples: 3,
        ..EngineOptions::default()
    }), "../cases/too_many_samples.txt";
    explanations: Fixture::ready(), "../cases/explain.txt";
    expressions: Fixture::ready(), "../cases/expressions.txt";
    series_and_labels: Fixture::ready(), "../cases/metadata.txt";
    metadata_of_metrics: Fixture::ready(), "../cases/metric_metadata.txt";
    state: Fixture::ready(), "../cases/status.txt";
    routes: Fixture::ready(), "../cases/routes.txt";
    lifecycle_off: Fixture::ready(), "../cases/lifecycle_off.txt";
    admin_off: Fixture::ready(), "../cases/admin_off.txt";
    admin_on: Fixture::with_admin(), "../cases/admin_on.txt";
    lifecycle_on: Fixture::with_lifecycle(), "../cases/lifecycle_on.txt";
    starting: Fixture::starting(), "../cases/starting.txt";
    stopping: Fixture::stopping(), "../cases/stopping.txt";
    write_headers: Fixture::ready(), "../cases/write.txt";
    write_off: Fixture::without_receiver(), "../cases/write_off.txt";
    restricted_origins: Fixture::with_origin("https?://(a|b).example"), "../cases/cors.txt";
}

#[tokio::test]
async fn compresses_large_answers_alone() {
    let fixture = Fixture::ready();
    let get =
        |path: &str, encoding: &str| request(&format!("GET {path}\nAccept-Encoding: {encoding}"));
    let (plain, want) = answer(&fixture, get("/metrics", "identity")).await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let (gzip, body) = answer(&fixture, get("/metrics", "gzip")).await;
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    assert!(body.len() < want.len() / 2);
    let mut unpacked = String::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut unpacked).expect("gzip");
    assert!(unpacked.contains("# TYPE prometheus_http_requests_total counter\n"));
    let (deflate, body) = answer(&fixture, get("/metrics", "deflate")).await;
    assert_eq!(deflate.headers()["content-encoding"], "deflate");
    let mut unpacked = String::new();
    let mut decoder = flate2::read::ZlibDecoder::new(&body[..]);
    std::io::Read::read_to_string(&mut decoder, &mut unpacked).expect("zlib");
    let (small, _) = answer(&fixture, get("/api/v1/query?query=1", "gzip")).await;
    assert!(!small.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn an_analysis_says_what_each_part_cost() {
    let fixture = Fixture::ready();
    let path = "/api/firewatch/v1/query/explain?query=count(up)&time=3661&analyze=true";
    let (response, body) = answer(&fixture, request(&format!("GET {path}"))).await;
    let body = String::from_utf8(body).expect("text");
    assert_eq!(response.status(), StatusCode::OK, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let data = &answer["data"];
    assert_eq!(data["stats"]["samples"]["totalQueryableSamples"], 2);
    let whole = &data["optimised"];
    assert_eq!(whole["position"], serde_json::json!([0, 9]));
    assert_eq!(whole["usage"]["series"], 1, "{body}");
    let selector = &whole["inputs"][0];
    assert_eq!(selector["usage"]["series"], 2, "{body}");
    assert_eq!(selector["usage"]["samples"], 2, "{body}");
    assert!(data["built"].get("usage").is_none() && data["rules"].is_array());
}

#[tokio::test]
async fn counts_requests_by_handler_and_code() {
    let fixture = Fixture::ready();
    for path in [
        "/api/v1/label/job/values",
        "/api/v1/label/job/values",
        "/api/v1/query",
    ] {
        answer(&fixture, request(&format!("GET {path}"))).await;
    }
    let (_, body) = answer(&fixture, request("GET /metrics")).await;
    let text = String::from_utf8(body).expect("text");
    for line in [
        r#"prometheus_http_requests_total{code="200",handler="/api/v1/label/:name/values"} 2"#,
        r#"prometheus_http_requests_total{code="400",handler="/api/v1/query"} 1"#,
        r#"prometheus_http_requests_total{code="200",handler="/-/ready"} 0"#,
        "prometheus_engine_queries 0",
        "prometheus_engine_queries_concurrent_max 20",
    ] {
        assert!(text.lines().any(|got| got == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn the_page_says_what_runs() {
    let fixture = Fixture::ready();
    let (response, body) = answer(&fixture, request("GET /")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    let page = String::from_utf8(body).expect("text");
    assert!(!page.contains("{{"));
    for text in [
        "Firewatch 9.8.7",
        "1h1m1s",
        "./data",
        "15d",
        "&lt;refused&gt;",
        "ready",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
}
