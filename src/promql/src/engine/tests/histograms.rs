//! Native histograms and start timestamps: limits, statistics and settings, which scripts do not
//! show.

use model::{CounterResetHint, FloatHistogram, Histogram, Span};
use storage::HistogramSample;

use super::*;
use crate::result::VectorSample;

/// A counter of histograms, one sample a minute from 0 on, and one of floats; all have been
/// counting since 30 seconds before the first.
fn load_counters() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let mut request = AppendRequest::default();
    let labels = |name| Labels::from_pairs([(model::METRIC_NAME, name)]).expect("valid");
    let histograms = labels("h_total");
    let floats = labels("f_total");
    request.push(SeriesKey::Labels(&histograms), []);
    request.push_histograms((0..3_u8).map(|minute| HistogramSample {
        timestamp: minutes(i64::from(minute)),
        histogram: Histogram::Float(Arc::new(histogram(f64::from(minute + 1)))),
    }));
    request.push(
        SeriesKey::Labels(&floats),
        (0..3_u8).map(|minute| Sample {
            timestamp: minutes(i64::from(minute)),
            value: f64::from(minute + 1),
        }),
    );
    request.start_timestamps = vec![-30_000; 3];
    request.histogram_start_timestamps = vec![-30_000; 3];
    storage
        .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
        .expect("in order");
    storage
}

/// A histogram of this many observations, in one bucket.
fn histogram(count: f64) -> FloatHistogram {
    FloatHistogram {
        count,
        sum: count,
        positive_spans: vec![Span {
            offset: 0,
            length: 1,
        }],
        positive_buckets: vec![count],
        ..FloatHistogram::default()
    }
}

#[track_caller]
fn instant(engine: &Engine, storage: &MemoryStorage, query: &str, at: Timestamp) -> QueryResult {
    engine
        .instant(storage, query, at, QueryContext::default())
        .expect("valid")
}

/// What a query gives for one series.
#[track_caller]
fn only(result: QueryResult) -> VectorSample {
    match result.value {
        Value::Vector(samples) if samples.len() == 1 => samples[0].clone(),
        other => panic!("not one sample: {other:?}"),
    }
}

fn experimental(use_start_timestamps: bool) -> Engine {
    Engine::new(EngineOptions {
        use_start_timestamps,
        parser: ParserOptions::all(),
        ..EngineOptions::default()
    })
}

#[test]
fn start_timestamps_are_read_only_where_that_is_wanted() {
    let storage = load_counters();
    for (query, without, with) in [
        // One sample, and the start 30 seconds before it.
        ("sum(increase(f_total[1m]))", None, Some(1.0)),
        ("sum(start_timestamp(f_total))", None, Some(-30.0)),
    ] {
        for (engine, want) in [(experimental(false), without), (experimental(true), with)] {
            let got = match instant(&engine, &storage, query, minutes(0)).value {
                Value::Vector(samples) => samples.first().and_then(|it| it.value.as_float()),
                other => panic!("{query}: {other:?}"),
            };
            assert_eq!(got, want, "{query}");
        }
    }
}

#[test]
fn names_go_at_once_where_they_are_not_kept_until_the_end() {
    let storage = load_counters();
    let engine = experimental(false);
    for (query, want) in [
        ("increase(h_total[5m])", "{}"),
        ("-h_total", "{}"),
        ("sum_over_time(h_total[5m])", "{}"),
        ("last_over_time(h_total[5m])", "{__name__=\"h_total\"}"),
        ("h_total @ 0", "{__name__=\"h_total\"}"),
    ] {
        let sample = only(instant(&engine, &storage, query, minutes(2)));
        assert_eq!(sample.labels.to_string(), want, "{query}");
        assert!(sample.value.as_float().is_none(), "{query}");
    }
}

#[test]
fn histograms_count_as_samples_by_their_size() {
    let storage = load_counters();
    let engine = Engine::default();
    let size = u64::try_from(histogram(1.0).size_in_samples()).expect("small");
    assert_eq!(size, 12);
    for (query, queryable) in [
        ("h_total", size),
        ("f_total", 1),
        ("increase(h_total[5m])", 3 * size),
        ("increase(f_total[5m])", 3),
        ("h_total[2m]", 2 * size),
        ("last_over_time({__name__=~\".+\"}[5m])", 3 * size + 3),
    ] {
        let stats = instant(&engine, &storage, query, minutes(2)).stats;
        assert_eq!(stats.queryable_samples, queryable, "{query}");
        assert!(stats.peak_samples >= queryable.min(3), "{query}: {stats:?}");
    }
    let small = Engine::new(EngineOptions {
        max_samples: 3 * size - 1,
        ..EngineOptions::default()
    });
    let result = small.instant(&storage, "h_total[5m]", minutes(2), QueryContext::default());
    assert!(matches!(result, Err(EngineError::TooManySamples)));
    instant(&small, &storage, "h_total[1m]", minutes(2));
}

#[test]
fn computed_histograms_count_as_memory_and_watch_the_clock() {
    let storage = load_counters();
    let small = Engine::new(EngineOptions {
        max_query_bytes: 1_000_000,
        ..EngineOptions::default()
    });
    for query in [
        "count_over_time(rate(h_total[10m])[5m:20ms])",
        "count_over_time(sum_over_time(h_total[10m])[5m:20ms])",
        "count_over_time((-h_total)[5m:20ms])",
    ] {
        let result = small.instant(&storage, query, minutes(5), QueryContext::default());
        assert!(
            matches!(result, Err(EngineError::TooManySamples)),
            "{query}"
        );
    }
    instant(
        &small,
        &storage,
        "count_over_time(rate(f_total[10m])[5m:20ms])",
        minutes(5),
    );
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let context = QueryContext {
        stop: Some(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            None
        })),
        ..QueryContext::default()
    };
    let query = "count_over_time(sum_over_time(h_total[10m])[5m:10ms])";
    Engine::default()
        .instant(&storage, query, minutes(5), context)
        .expect("fits");
    // 30,000 windows of one to three histograms that count as twelve samples each.
    assert!(asked.load(Ordering::Relaxed) > 40);
}

#[test]
fn a_pinned_histogram_is_repeated_at_every_step() {
    let storage = load_counters();
    let result = run_range(&Engine::default(), &storage, "h_total @ 60").expect("valid");
    let Value::Matrix(series) = result.value else {
        panic!("not a matrix");
    };
    assert!(series[0].points.is_empty());
    let second = FloatHistogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        ..histogram(2.0)
    };
    let same = |(_, found): &(i64, Arc<FloatHistogram>)| **found == second;
    assert_eq!(series[0].histograms.len(), 11);
    assert!(series[0].histograms.iter().all(same));
}
