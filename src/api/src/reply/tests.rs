//! Replies as whole texts, and cut into pieces.

use model::{FloatHistogram, Span};
use promql::Annotations;

use super::*;

fn reply(value: Value) -> Reply {
    let annotations = Annotations::default();
    let result = QueryResult {
        value,
        annotations,
        stats: QueryStats::default(),
        step_stats: None,
    };
    Reply::new(result, Timestamp::from_millis(1_050), None)
}

fn text(reply: Reply) -> String {
    reply
        .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
        .collect()
}

#[track_caller]
fn check(reply: Reply, data: &str) {
    assert_eq!(
        text(reply),
        format!("{{\"status\":\"success\",\"data\":{data}}}")
    );
}

fn labels(value: &str) -> Labels {
    Labels::from_pairs([("__name__", "m"), ("A", value)]).unwrap()
}

fn sample(value: f64) -> VectorSample {
    VectorSample {
        labels: labels("<1>"),
        timestamp: Timestamp::from_millis(1_050),
        value: SampleValue::Float(value),
    }
}

#[test]
fn writes_each_kind_of_value() {
    let timestamp = Timestamp::from_millis(1_050);
    check(
        reply(Value::Scalar {
            timestamp,
            value: 1e21,
        }),
        r#"{"resultType":"scalar","result":[1.05,"1000000000000000000000"]}"#,
    );
    check(
        reply(Value::String("a<b".into())),
        r#"{"resultType":"string","result":[1.05,"a\u003cb"]}"#,
    );
    check(
        reply(Value::Vector(vec![])),
        r#"{"resultType":"vector","result":[]}"#,
    );
    check(
        reply(Value::Matrix(vec![])),
        r#"{"resultType":"matrix","result":[]}"#,
    );
    check(
        reply(Value::Vector(vec![sample(1e21), sample(0.5)])),
        r#"{"resultType":"vector","result":[{"metric":{"A":"<1>","__name__":"m"},"value":[1.050,"1e+21"]},{"metric":{"A":"<1>","__name__":"m"},"value":[1.050,"0.5"]}]}"#,
    );
    let series = Series {
        labels: Labels::empty(),
        points: vec![(0, 1.0), (1500, f64::NAN)],
        histograms: Vec::new(),
    };
    check(
        reply(Value::Matrix(vec![series.clone(), series])),
        r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[1.500,"NaN"]]},{"metric":{},"values":[[0,"1"],[1.500,"NaN"]]}]}"#,
    );
}

fn histogram() -> Arc<FloatHistogram> {
    let span = |offset, length| Span { offset, length };
    Arc::new(FloatHistogram {
        schema: 0,
        zero_threshold: 0.25,
        zero_count: 3.0,
        count: 42.5,
        sum: -1e21,
        positive_spans: vec![span(1, 2), span(1, 1)],
        positive_buckets: vec![12.0, 0.0, 21.0],
        negative_spans: vec![span(0, 1)],
        negative_buckets: vec![6.5],
        ..FloatHistogram::default()
    })
}

const HISTOGRAM: &str = r#"{"count":"42.5","sum":"-1e+21","buckets":[[1,"-1","-0.5","6.5"],[3,"-0.25","0.25","3"],[0,"1","2","12"],[0,"8","16","21"]]}"#;

#[test]
fn writes_histograms() {
    let sample = VectorSample {
        value: SampleValue::Histogram(histogram()),
        ..sample(0.0)
    };
    check(
        reply(Value::Vector(vec![sample])),
        &format!(
            r#"{{"resultType":"vector","result":[{{"metric":{{"A":"<1>","__name__":"m"}},"histogram":[1.050,{HISTOGRAM}]}}]}}"#
        ),
    );
    let series = |points: &[(i64, f64)]| Series {
        labels: Labels::empty(),
        points: points.to_vec(),
        histograms: vec![(3000, histogram()), (4000, Arc::default())],
    };
    let histograms = format!(r#""histograms":[[3,{HISTOGRAM}],[4,{{"count":"0","sum":"0"}}]]"#);
    check(
        reply(Value::Matrix(vec![series(&[]), series(&[(0, 1.0)])])),
        &format!(
            r#"{{"resultType":"matrix","result":[{{"metric":{{}},{histograms}}},{{"metric":{{}},"values":[[0,"1"]],{histograms}}}]}}"#
        ),
    );
    let custom = FloatHistogram {
        schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_buckets: vec![1.0, 2.0],
        custom_values: [5.0].into(),
        ..FloatHistogram::default()
    };
    let mut out = String::new();
    push_histogram_point(Timestamp::EPOCH, &custom, &mut out);
    assert_eq!(
        out,
        r#"[0,{"count":"0","sum":"0","buckets":[[3,"-Inf","5","1"],[0,"5","+Inf","2"]]}]"#
    );
}

#[test]
fn adds_stats_and_annotations() {
    let mut reply = reply(Value::Vector(vec![sample(1.0), sample(2.0)]));
    reply.stats = Some("{}".to_owned());
    reply.infos.push("i".to_owned());
    reply.truncate(1);
    assert_eq!(
        text(reply),
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"A":"<1>","__name__":"m"},"value":[1.050,"1"]}],"stats":{}},"warnings":["results truncated due to limit"],"infos":["i"]}"#
    );
}

#[test]
fn pieces_make_up_the_whole() {
    let points: Vec<(i64, f64)> = (0..20_000).map(|at| (at * 1000, at as f64 / 7.0)).collect();
    let lengths = [0, 1, 20_000, 3, 9_000];
    let series: Vec<Series> = lengths
        .iter()
        .map(|length| Series {
            labels: labels("x"),
            points: points[..*length].to_vec(),
            histograms: vec![(0, histogram()); length % 7000],
        })
        .filter(|series| point_count(series) > 0)
        .collect();
    let pieces: Vec<Bytes> = reply(Value::Matrix(series.clone())).collect();
    assert!(pieces.len() > 5);
    assert!(pieces.iter().all(|piece| piece.len() < PIECE_BYTES + 1000));
    let whole = text(reply(Value::Matrix(series.clone())));
    let parsed: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let result = parsed["data"]["result"].as_array().unwrap();
    assert_eq!(result.len(), series.len());
    for (got, want) in result.iter().zip(&series) {
        let histograms = got["histograms"].as_array().map_or(0, Vec::len);
        assert_eq!(histograms, want.histograms.len());
        let values = got["values"].as_array().unwrap();
        assert_eq!(values.len(), want.points.len());
        let last = values.last().and_then(|point| point[1].as_str()).unwrap();
        assert_eq!(last.parse(), Ok(want.points[want.points.len() - 1].1));
    }
}

#[test]
fn stats_have_upstreams_shape() {
    let stats = QueryStats {
        queryable_samples: 3,
        samples_read: 2,
        peak_samples: 1,
        peak_bytes: 9,
    };
    let timings = Timings {
        queue_seconds: 0.25,
        preparation_seconds: 0.125,
        evaluation_seconds: 1.5,
    };
    let written = |steps| {
        let mut out = String::new();
        push_stats(timings, &stats, steps, &mut out);
        out
    };
    let plain = r#"{"timings":{"evalTotalTime":1.625,"resultSortTime":0,"queryPreparationTime":0.125,"innerEvalTime":1.5,"execQueueTime":0.25,"execTotalTime":1.875},"samples":{"totalQueryableSamples":3,"samplesRead":2,"peakSamples":1}}"#;
    assert_eq!(written(None), plain);
    let steps = StepStats {
        times_ms: vec![20_000, 21_500],
        queryable_samples: vec![1, 2],
        samples_read: vec![2, 0],
    };
    let with_steps = plain
        .replace(
            "\"totalQueryable",
            "\"totalQueryableSamplesPerStep\":[[20,1],[21.5,2]],\"totalQueryable",
        )
        .replace(
            "\"samplesRead\"",
            "\"samplesReadPerStep\":[[20,2],[21.5,0]],\"samplesRead\"",
        );
    assert_eq!(written(Some(&steps)), with_steps);
}
