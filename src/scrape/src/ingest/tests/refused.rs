//! Scrapes that are refused as a whole: limits and formats.

use super::*;

#[test]
fn extra_series_are_written_when_asked_for() {
    let mut bench =
        Bench::new(", extra_scrape_metrics: true, sample_limit: 9, body_size_limit: 8B");
    bench.scrape("a 1");
    bench.scrape("!");
    bench.scrape("long_name 1");
    let extra = [
        "scrape_timeout_seconds",
        "scrape_sample_limit",
        "scrape_body_size_bytes",
    ];
    assert_eq!(
        bench.stored(|name| extra.contains(&name)),
        [
            r#"{__name__="scrape_body_size_bytes"} 3@1 0@2 -1@3"#,
            r#"{__name__="scrape_sample_limit"} 9@1 9@2 9@3"#,
            r#"{__name__="scrape_timeout_seconds"} 10@1 10@2 10@3"#,
        ]
    );
    assert_eq!(
        bench.metric("prometheus_target_scrapes_exceeded_body_size_limit_total"),
        1.0
    );
}

#[test]
fn limits_fail_the_whole_scrape() {
    for (settings, exposition, want) in [
        (", sample_limit: 2", "a 1;b 1;c 1", "sample limit exceeded"),
        (", body_size_limit: 3B", "a 1", "body size limit exceeded"),
        (
            ", label_limit: 3",
            "a{b=\"c\"} 1",
            "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
        ),
        (
            ", label_name_length_limit: 8",
            "a{ninechars=\"c\"} 1",
            "label_name_length_limit exceeded (metric: a, label name: ninechars, length: 9, limit: 8)",
        ),
        (
            ", label_value_length_limit: 3",
            "a{b=\"four\"} 1",
            "label_value_length_limit exceeded (metric: a, label name: b, value: \"four\", length: 4, limit: 3)",
        ),
        (
            ", metric_name_validation_scheme: legacy",
            "{\"a.b\"} 1",
            r#"invalid metric name or label names: {__name__="a.b", instance="h:1", job="j"}"#,
        ),
        (
            "",
            "a{b=\"1\",b=\"2\"} 1",
            r#"label name "b" is not unique: invalid sample"#,
        ),
        ("", "{\"\"} 1", "missing metric name (__name__ label)"),
    ] {
        let mut bench = Bench::new(settings);
        let (report, error) = bench.scrape(exposition);
        assert_eq!(error, want);
        assert!(!report.up);
        assert!(bench.stored(is_scraped).is_empty(), "{settings}");
    }
    check(
        ", sample_limit: 2",
        &["a 1;b 1", "a 2;b 2;c 2", "a 3"],
        &[
            r#"{__name__="a"} 1@1 stale@2 3@3"#,
            r#"{__name__="b"} 1@1 stale@2"#,
        ],
    );
}

#[test]
fn the_format_comes_from_the_answer() {
    let unknown = "received unsupported Content-Type \"text/html\" and no \
                   fallback_scrape_protocol specified for target";
    let fallback = ", fallback_scrape_protocol: PrometheusText0.0.4";
    let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let stored = &[r#"{__name__="a"} 1@0.500"#] as &[&str];
    for (settings, content_type, body, want_error, want) in [
        ("", "text/html", "a 1 500", unknown, &[] as &[&str]),
        (fallback, "text/html", "a 1 500", "", stored),
        ("", open_metrics, "a 1 0.5\n# EOF\n", "", stored),
        (
            "",
            open_metrics,
            "a 1 0.5\n",
            "data does not end with # EOF",
            &[],
        ),
        ("", open_metrics, "", "", &[]),
    ] {
        let mut bench = Bench::new(settings);
        let fetched = Fetched {
            body: Bytes::from(body).into(),
            content_type: content_type.to_owned(),
        };
        let times = (Instant::now(), Timestamp::from_millis(1000));
        let (_, error) = bench.state.scrape(&bench.context, Ok(fetched), times);
        let error = error.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error, want_error, "{content_type} {body:?}");
        assert_eq!(bench.stored(is_scraped), want, "{content_type} {body:?}");
    }
}
