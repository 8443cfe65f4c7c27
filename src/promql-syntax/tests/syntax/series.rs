//! Series descriptions, metrics and selectors.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, Span};
use promql_syntax::{
    SequenceValue, has_non_empty_matcher, parse_metric, parse_metric_selector,
    parse_series_description,
};

#[track_caller]
fn check(description: &str, labels: &str, values: &str) {
    let got = parse_series_description(description).unwrap();
    assert_eq!(got.labels.to_string(), labels, "{description}");
    let shown: Vec<String> = got
        .values
        .iter()
        .map(|value| match value {
            SequenceValue::Float(value) if model::is_stale_nan(*value) => "stale".to_owned(),
            SequenceValue::Float(value) => value.to_string(),
            _ => "_".to_owned(),
        })
        .collect();
    assert_eq!(shown.join(" "), values, "{description}");
}

#[test]
fn series_descriptions() {
    check("a", r#"{__name__="a"}"#, "");
    check("a 1 2 3", r#"{__name__="a"}"#, "1 2 3");
    check("{} 1", "{}", "1");
    check("{b='c',} -1 +2", r#"{b="c"}"#, "-1 2");
    check(
        "a{b=\"c\"}  0+1x3\t_ _x2 ",
        r#"{__name__="a", b="c"}"#,
        "0 1 2 3 _ _ _",
    );
    check(
        "a 5-2x2 1x3 -1-.5x2",
        r#"{__name__="a"}"#,
        "5 3 1 1 1 1 1 -1 -1.5 -2",
    );
    check("a 1+0x0 1e3 0x2", r#"{__name__="a"}"#, "1 1000 0 0 0");
    check(
        "a stale NaN Inf -inf",
        r#"{__name__="a"}"#,
        "stale NaN inf -inf",
    );
    check("a Inf+1x1", r#"{__name__="a"}"#, "inf inf");
    check(
        "sum{by=\"x\"} 1m 1h-30sx1",
        r#"{__name__="sum", by="x"}"#,
        "60 3600 3570",
    );
    check(
        "{\"a.b\", \"c d\"=\"e\"} 1",
        r#"{__name__="a.b", "c d"="e"}"#,
        "1",
    );
}

#[test]
fn histograms() {
    let values = |description: &str| {
        let parsed = parse_series_description(description).unwrap();
        parsed
            .values
            .into_iter()
            .map(|value| match value {
                SequenceValue::Histogram {
                    histogram,
                    hint_is_given,
                } => (Arc::unwrap_or_clone(histogram), hint_is_given),
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let empty = (FloatHistogram::default(), false);
    assert_eq!(
        values("a {{}} {{ }}x1"),
        [empty.clone(), empty.clone(), empty]
    );
    let full = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        schema: -2,
        zero_threshold: 0.5,
        zero_count: 4.0,
        count: 11.0,
        sum: -1.5,
        positive_spans: vec![Span {
            offset: -3,
            length: 2,
        }],
        negative_spans: vec![Span {
            offset: 7,
            length: 1,
        }],
        positive_buckets: vec![1.0, f64::INFINITY],
        negative_buckets: vec![-2.0],
        ..FloatHistogram::default()
    };
    let text = "a {{schema:-2 sum:-1.5 count:11 z_bucket:4 z_bucket_w:0.5 offset:-3 \
        buckets:[1 Inf] n_offset:7 n_buckets:[-2 ] counter_reset_hint:gauge}}";
    assert_eq!(values(text), [(full, true)]);
    let custom = values("a {{schema:-53 custom_values:[1 2.5] counter_reset_hint:unknown}}");
    assert_eq!(*custom[0].0.custom_values, [1.0, 2.5]);
    assert!(custom[0].1);
}

#[test]
fn histograms_in_steps() {
    for (description, counts) in [
        (
            "a {{count:1 buckets:[1]}}+{{count:2 buckets:[2]}}x2",
            [1.0, 3.0, 5.0],
        ),
        (
            "a {{count:9 buckets:[9]}}-{{count:2 buckets:[2]}}x2",
            [9.0, 7.0, 5.0],
        ),
    ] {
        let parsed = parse_series_description(description).unwrap();
        assert_eq!(parsed.values.len(), 3);
        for (value, count) in parsed.values.iter().zip(counts) {
            let SequenceValue::Histogram { histogram, .. } = value else {
                panic!("{value:?}");
            };
            assert_eq!(
                (histogram.count, histogram.positive_buckets[0]),
                (count, count)
            );
        }
    }
}

#[test]
fn bad_series_descriptions() {
    for (description, want) in [
        (
            "a 1 b",
            "1:5: parse error: unexpected identifier \"b\" in series values, expected number or \"stale\"",
        ),
        (
            "a 1x",
            "1:5: parse error: unexpected end of input in series values",
        ),
        (
            "a 1+1",
            "1:6: parse error: unexpected end of input in series values",
        ),
        (
            "a 1x1.5",
            "1:5: parse error: invalid repetition in series values: strconv.ParseUint: parsing \"1.5\": invalid syntax",
        ),
        (
            "a 1x99999999999999999999",
            "1:5: parse error: invalid repetition in series values: strconv.ParseUint: parsing \"99999999999999999999\": value out of range",
        ),
        (
            "a 1x10000001",
            "1:5: parse error: more than 10000000 values in a series description",
        ),
        (
            "a 1 ?",
            "1:5: parse error: unexpected character in series sequence: '?'",
        ),
        (
            "a{b=c} 1",
            "1:5: parse error: unexpected identifier \"c\" in label set, expected string",
        ),
        (
            "a{b} 1",
            "1:4: parse error: unexpected \"}\" in label set, expected \"=\"",
        ),
        (
            "a{b=\"c\" d=\"e\"}",
            "1:9: parse error: unexpected identifier \"d\" in label set, expected \",\" or \"}\"",
        ),
        (
            "a{=\"c\"}",
            "1:3: parse error: unexpected \"=\" in label set, expected identifier or \"}\"",
        ),
        (
            "a{b=\"c\",b=\"d\"} 1",
            "1:1: parse error: duplicate label name \"b\"",
        ),
    ] {
        let errors = parse_series_description(description).expect_err(description);
        assert_eq!(errors.to_string(), want, "{description}");
    }
}

#[test]
fn bad_histograms() {
    for (description, want) in [
        (
            "a {{count:1 count:2}}",
            "1:1: parse error: duplicate key \"count\" in histogram",
        ),
        (
            "a {{count:1 nothing:2}}",
            "1:13: parse error: bad histogram descriptor found: \"nothing\"",
        ),
        (
            "a {{count:1 5}}",
            "1:13: parse error: unexpected number \"5\" in histogram description, expected histogram description key, e.g. buckets:[5 10 7]",
        ),
        (
            "a {{buckets:[]}}",
            "1:14: parse error: unexpected \"]\" in series values",
        ),
        (
            "a {{schema:1}}+{{schema:0}}x1",
            "1:28: parse error: error combining histograms: cannot merge from schema 0 to 1",
        ),
        (
            "a {{}}+{{}}",
            "1:12: parse error: unexpected end of input in series values",
        ),
        (
            "a {{}}+{{}}x100001",
            "1:12: parse error: more than 100000 histograms in steps",
        ),
        (
            "a {{schema:9999999999}}",
            "1:12: parse error: 9999999999 is out of range in a histogram",
        ),
    ] {
        let errors = parse_series_description(description).expect_err(description);
        assert_eq!(errors.to_string(), want, "{description}");
    }
}

#[test]
fn metrics() {
    for (metric, want) in [
        ("", "{}"),
        ("a", r#"{__name__="a"}"#),
        ("{a=\"b\"}", r#"{a="b"}"#),
        (" up { b = 'x' , a = \"\" } ", r#"{__name__="up", b="x"}"#),
        ("a{__name__=\"b\"}", r#"{__name__="a"}"#),
    ] {
        assert_eq!(parse_metric(metric).unwrap().to_string(), want, "{metric}");
    }
    let errors = parse_metric("a{b!=\"c\"}").expect_err("not an equality");
    assert_eq!(
        errors.to_string(),
        "1:4: parse error: unexpected <op:!=> in label set, expected \"=\""
    );
    assert!(parse_metric("a b").is_err());
}

#[test]
fn metric_selectors() {
    for (selector, want, is_narrow) in [
        ("up", "__name__=\"up\"", true),
        ("{a=\"b\",c!~\"d|e\"}", "a=\"b\",c!~\"d|e\"", true),
        ("up{a!=\"b\"}", "a!=\"b\",__name__=\"up\"", true),
        ("{__name__=~\".*\"}", "__name__=~\".*\"", false),
        ("{}", "", false),
    ] {
        let matchers = parse_metric_selector(selector).unwrap();
        let shown: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(","), want);
        assert_eq!(has_non_empty_matcher(&matchers), is_narrow, "{selector}");
    }
    for (selector, want) in [
        ("", "unknown position: parse error: unexpected end of input"),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("sum(a)", "1:4: parse error: unexpected \"(\""),
        ("1", "1:1: parse error: unexpected number \"1\""),
        ("up{a=\"b\"}[5m]", "1:10: parse error: unexpected \"[\""),
    ] {
        let errors = parse_metric_selector(selector).expect_err(selector);
        assert_eq!(errors.to_string(), want, "{selector}");
    }
}
