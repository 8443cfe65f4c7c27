//! Remote write through the router: what is stored, what is refused and how.

use axum::body::Body;
use http::Request;
use remote::wire::push_varint;

use crate::answer;
use crate::fixture::Fixture;

type Series<'a> = (&'a [(&'a str, &'a str)], &'a [(i64, f64)]);

fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    push_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn message(series: &[Series<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for (labels, samples) in series {
        let mut body = Vec::new();
        for (name, value) in *labels {
            let label = [field(0x0a, name.as_bytes()), field(0x12, value.as_bytes())].concat();
            body.extend(field(0x0a, &label));
        }
        for (timestamp, value) in *samples {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(0x10);
            push_varint(timestamp.cast_unsigned(), &mut sample);
            body.extend(field(0x12, &sample));
        }
        message.extend(field(0x0a, &body));
    }
    message
}

fn compress(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(message)
        .expect("compressed")
}

async fn post(fixture: &Fixture, body: Vec<u8>) -> (u16, String) {
    let request = Request::post("/api/v1/write")
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(Body::from(body))
        .expect("a request");
    let (response, body) = answer(fixture, request).await;
    (
        response.status().as_u16(),
        String::from_utf8(body).expect("text"),
    )
}

async fn query(fixture: &Fixture, query: &str) -> String {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let request = Request::get(format!("/api/v1/query?time=5000&query={escaped}"));
    let (_, body) = answer(fixture, request.body(Body::empty()).expect("a request")).await;
    String::from_utf8(body).expect("text")
}

const DONE: (u16, String) = (204, String::new());

#[tokio::test]
async fn samples_are_there_when_the_answer_comes() {
    let fixture = Fixture::ready();
    let stale = f64::from_bits(model::STALE_NAN_BITS);
    // Unsorted labels are sorted, empty ones left out.
    let labels = [("job", "x"), ("__name__", "w"), ("empty", "")];
    let body = message(&[(&labels, &[(4_900_000, 1.5), (4_990_000, 2.5)])]);
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    // The newest sample once more is a repetition, not an error.
    let again = message(&[(&labels, &[(4_990_000, 2.5)])]);
    assert_eq!(post(&fixture, compress(&again)).await, DONE);
    assert_eq!(
        query(&fixture, "w[5m]").await,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"w","job":"x"},"values":[[4900,"1.5"],[4990,"2.5"]]}]}}"#
    );
    let body = message(&[(&labels, &[(4_995_000, stale)])]);
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    let nothing = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert_eq!(query(&fixture, "w").await, nothing);
}

#[tokio::test]
async fn a_refused_sample_takes_its_whole_request_along() {
    let fixture = Fixture::ready();
    let series: &[(&str, &str)] = &[("__name__", "w")];
    let other: &[(&str, &str)] = &[("__name__", "other")];
    let start = message(&[(series, &[(4_990_000, 1.0)])]);
    assert_eq!(post(&fixture, compress(&start)).await, DONE);
    for (samples, want) in [
        (&[(4_980_000, 1.0)], "out of order sample\n"),
        (&[(4_990_000, 2.0)], "duplicate sample for timestamp\n"),
    ] {
        let body = message(&[(other, &[(4_990_000, 1.0)]), (series, samples)]);
        assert_eq!(
            post(&fixture, compress(&body)).await,
            (400, want.to_owned())
        );
    }
    let nothing = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert_eq!(query(&fixture, "other").await, nothing);
}

#[tokio::test]
async fn series_with_invalid_labels_are_left_out_and_counted() {
    let fixture = Fixture::ready();
    let sample: &[(i64, f64)] = &[(4_990_000, 1.0)];
    let body = message(&[
        (&[("a", "nameless")], sample),
        (&[("__name__", "w"), ("a", "1"), ("a", "2")], sample),
        (&[("__name__", "w"), ("", "1")], sample),
        (&[("__name__", "w"), ("b", "kept")], sample),
    ]);
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    let kept = query(&fixture, "count(w or {a=\"nameless\"})").await;
    assert!(kept.contains("\"1\""), "{kept}");
    let families = fixture.parts.registry.gather();
    let name = "prometheus_api_remote_write_invalid_labels_samples_total";
    let counted = families
        .iter()
        .find(|family| family.name == name)
        .expect("registered");
    assert!((counted.samples[0].value - 3.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_does_not_decode_is_refused() {
    let fixture = Fixture::ready();
    // A count of one, and no bucket.
    let histogram = field(0x0a, &field(0x22, &[0x08, 1]));
    for (body, want) in [
        (vec![], "snappy: corrupt input\n"),
        (b"\x05\x00".to_vec(), "snappy: corrupt input\n"),
        (
            vec![0x81, 0x80, 0x80, 0x10, 0x00],
            "snappy: decoded block is too large\n",
        ),
        (compress(&[0x0a, 5]), "unexpected EOF\n"),
        (
            compress(&histogram),
            "0 observations found in buckets, but the Count field is 1: histogram's observation \
             count should equal the number of observations found in the buckets (in absence of \
             NaN)\n",
        ),
    ] {
        assert_eq!(post(&fixture, body).await, (400, want.to_owned()));
    }
    let large = vec![0; remote::MAX_BODY_BYTES + 1];
    let too_large = "http: request body too large\n".to_owned();
    assert_eq!(post(&fixture, large).await, (413, too_large));
}

#[tokio::test]
async fn exemplars_come_back_where_they_are_kept() {
    let fixture = Fixture::ready();
    let trace = [field(0x0a, b"trace_id"), field(0x12, b"xy")].concat();
    let mut exemplar = field(0x0a, &trace);
    exemplar.push(0x11);
    exemplar.extend_from_slice(&6.5_f64.to_le_bytes());
    exemplar.push(0x18);
    push_varint(4_000_123, &mut exemplar);
    let labels: &[(&str, &str)] = &[("__name__", "traced")];
    let mut body = message(&[(labels, &[(4_000_000, 1.0)])]);
    // The only field of the message: one series.
    let series = body.split_off(2);
    let body = field(0x0a, &[series, field(0x1a, &exemplar)].concat());
    let find = async || {
        let path = "/api/v1/query_exemplars?query=rate(traced%5B5m%5D)&start=4000&end=4001";
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (_, body) = answer(&fixture, request).await;
        String::from_utf8(body).expect("text")
    };
    let none = r#"{"status":"success","data":[]}"#;
    assert_eq!(find().await, none);
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    assert_eq!(
        find().await,
        r#"{"status":"success","data":[{"seriesLabels":{"__name__":"traced"},"exemplars":[{"labels":{"trace_id":"xy"},"value":"6.5","timestamp":4000.123}]}]}"#
    );
}

#[tokio::test]
async fn metadata_is_there_when_the_answer_comes() {
    let fixture = Fixture::ready();
    let metadata = |kind: u8, help: &[u8]| {
        let name = field(0x12, b"sent_seconds");
        let texts = [name, field(0x22, help), field(0x2a, b"seconds")].concat();
        field(0x1a, &[vec![0x08, kind], texts].concat())
    };
    let find = async || {
        let path = "/api/v1/metadata?metric=sent_seconds";
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (_, body) = answer(&fixture, request).await;
        String::from_utf8(body).expect("text")
    };
    let labels: &[(&str, &str)] = &[("__name__", "sent_seconds_total")];
    let mut body = message(&[(labels, &[(4_990_000, 1.0)])]);
    body.extend(metadata(1, b"old"));
    // What is no text is left out, and so is a family without a name.
    body.extend(metadata(2, b"\xff"));
    body.extend(field(0x1a, &[0x08, 1]));
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    let old = r#"{"status":"success","data":{"sent_seconds":[{"type":"counter","help":"old","unit":"seconds"}]}}"#;
    assert_eq!(find().await, old);
    // A refused request says nothing.
    let mut body = message(&[(labels, &[(4_990_000, 2.0)])]);
    body.extend(metadata(2, b"refused"));
    assert_eq!(post(&fixture, compress(&body)).await.0, 400);
    let damaged = [metadata(2, b"refused"), vec![0x1a, 2, 0x22, 9]].concat();
    let eof = (400, "unexpected EOF\n".to_owned());
    assert_eq!(post(&fixture, compress(&damaged)).await, eof);
    assert_eq!(find().await, old);
    // Metadata alone, of a kind that does not exist.
    let body = metadata(99, b"new");
    assert_eq!(post(&fixture, compress(&body)).await, DONE);
    let new = old.replace("counter", "unknown").replace("old", "new");
    assert_eq!(find().await, new);
}
