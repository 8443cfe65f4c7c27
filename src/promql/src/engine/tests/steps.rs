//! A range query gives at each step what an instant query gives there: points, and together all
//! annotations. Over floats and histograms in turn, which operators treat differently.

use std::collections::{BTreeMap, BTreeSet};

use model::{FloatHistogram, Histogram, Span};
use promql_syntax::ParserOptions;
use storage::HistogramSample;

use super::*;
use crate::operators::NameRemoval;
use crate::result::SampleValue;

const STEPS: i64 = 12;

const QUERIES: &[&str] = &[
    "a + b",
    "a - b",
    "a * on (id) b",
    "a / ignoring (g) b",
    "a % b",
    "a == b",
    "a != bool b",
    "a >= b",
    "a < bool b",
    "a </ b",
    "a * 2",
    "-1 * a",
    "a / 0",
    "3 - a",
    "a > 1",
    "1 != bool a",
    "a </ 2",
    "a >/ scalar(max(b))",
    "a + on (g) group_left (zone) c",
    "c * on (g) group_right b",
    "a + on (g) b",
    "a * on (g) group_left b",
    "a and b",
    "a or b",
    "a unless on (id) b",
    "a + fill (1) b",
    "a * fill_left (2) b",
    "b - on (id) fill_right (3) a",
    "c * on (g) group_right fill (2) a",
    "sum(a)",
    "sum by (g) (a)",
    "avg without (id) ({__name__=~\"a|b\"})",
    "avg(b)",
    "count by (g) (a)",
    "group(a)",
    "max(a)",
    "min by (id) ({__name__=~\"a|b\"})",
    "stddev(a)",
    "quantile(0.5, a)",
    "topk(2, a)",
    "bottomk by (g) (1, a)",
    "limitk(2, a)",
    "limit_ratio(0.5, a)",
    "count_values by (g) (\"v\", a)",
    "sort_by_label(a, \"id\")",
    "info(a)",
    "info(a, {zone=~\".+\"})",
    "info({__name__=~\"a|c\"}, {__name__=~\".+_info\", zone=~\".*\"})",
    "sum by (zone) (info(b offset 1m))",
];

/// A small generator, so that every run sees the same data.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn number(&mut self) -> f64 {
        f64::from(u8::try_from(self.below(7)).expect("small")) / 2.0
    }

    fn histogram(&mut self) -> FloatHistogram {
        let counts = [self.number(), self.number(), self.number()];
        let mut histogram = FloatHistogram {
            count: counts.iter().sum(),
            sum: self.number(),
            positive_spans: vec![Span {
                offset: 0,
                length: 3,
            }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        };
        match self.below(5) {
            0 => histogram.schema = 1,
            1 | 2 => {
                histogram.schema = -53;
                histogram.custom_values = match self.below(2) {
                    0 => Arc::from([1.0, 2.0]),
                    _ => Arc::from([2.0, 4.0]),
                };
            }
            _ => {}
        }
        histogram
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("valid")
}

/// Series whose samples are floats and histograms, with gaps, and the info series of their targets.
fn mixed(seed: u64) -> MemoryStorage {
    let mut random = Random(seed);
    let storage = MemoryStorage::new();
    let append = |labels: &Labels, floats: Vec<Sample>, histograms: Vec<HistogramSample>| {
        let mut request = AppendRequest::default();
        request.push(SeriesKey::Labels(labels), floats);
        request.push_histograms(histograms);
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .expect("in order");
    };
    let float = |minute, value| Sample {
        timestamp: minutes(minute),
        value,
    };
    for name in ["a", "b", "c"] {
        for (id, g) in [("1", "x"), ("2", "x"), ("3", "y"), ("4", "y")] {
            let (mut floats, mut histograms) = (Vec::new(), Vec::new());
            for minute in 0..STEPS {
                match random.below(6) {
                    0 => {}
                    1 => floats.push(float(minute, model::stale_nan())),
                    2 | 3 => floats.push(float(minute, random.number())),
                    _ => histograms.push(HistogramSample {
                        timestamp: minutes(minute),
                        histogram: Histogram::Float(Arc::new(random.histogram())),
                    }),
                }
            }
            let labels = match name {
                "c" if id == "2" || id == "4" => continue,
                "c" => labels(&[("__name__", name), ("g", g), ("zone", id)]),
                _ => labels(&[("__name__", name), ("g", g), ("id", id), ("job", g)]),
            };
            append(&labels, floats, histograms);
        }
    }
    for (job, zone, first) in [("x", "p", 0), ("x", "q", 5), ("y", "r", 3)] {
        let labels = labels(&[("__name__", "target_info"), ("job", job), ("zone", zone)]);
        let last = first + 4;
        let samples = (first..last).map(|minute| float(minute, 1.0)).collect();
        append(&labels, samples, Vec::new());
    }
    storage
}

type Points = BTreeMap<(String, i64), String>;

fn text(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) if value.is_nan() => "NaN".to_owned(),
        SampleValue::Float(value) => format!("{:x}", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}

fn take_annotations(result: &QueryResult, into: &mut BTreeSet<String>) {
    let annotations = &result.annotations;
    into.extend(annotations.warnings.iter().cloned());
    into.extend(annotations.infos.iter().cloned());
}

/// What a range query gives; `None` where it fails.
fn over_range(
    engine: &Engine,
    storage: &MemoryStorage,
    query: &str,
) -> Option<(Points, BTreeSet<String>)> {
    let result = run_range(engine, storage, query).ok()?;
    let mut annotations = BTreeSet::new();
    take_annotations(&result, &mut annotations);
    let Value::Matrix(matrix) = result.value else {
        panic!("not a matrix")
    };
    let mut points = Points::new();
    for series in matrix {
        let labels = series.labels.to_string();
        for (at, value) in series.points {
            points.insert((labels.clone(), at), text(&SampleValue::Float(value)));
        }
        for (at, value) in series.histograms {
            points.insert((labels.clone(), at), text(&SampleValue::Histogram(value)));
        }
    }
    Some((points, annotations))
}

/// The same, step by step.
fn by_steps(
    engine: &Engine,
    storage: &MemoryStorage,
    query: &str,
) -> Option<(Points, BTreeSet<String>)> {
    let (mut points, mut annotations) = (Points::new(), BTreeSet::new());
    for minute in 0..=10 {
        let at = minutes(minute);
        let result = engine
            .instant(storage, query, at, QueryContext::default())
            .ok()?;
        take_annotations(&result, &mut annotations);
        let Value::Vector(samples) = result.value else {
            panic!("not a vector")
        };
        for sample in samples {
            let key = (sample.labels.to_string(), at.as_millis());
            points.insert(key, text(&sample.value));
        }
    }
    Some((points, annotations))
}

#[test]
fn a_range_query_gives_what_its_steps_give() {
    let mut with_points = 0;
    for removal in [NameRemoval::Immediate, NameRemoval::Delayed] {
        let engine = Engine::new(EngineOptions {
            name_removal: removal,
            parser: ParserOptions::all(),
            ..EngineOptions::default()
        });
        for seed in 0..20 {
            let storage = mixed(seed);
            for query in QUERIES {
                let got = over_range(&engine, &storage, query);
                let want = by_steps(&engine, &storage, query);
                let is_sort = query.starts_with("sort");
                let points =
                    |result: &Option<(Points, _)>| result.as_ref().map(|some| some.0.clone());
                assert_eq!(
                    points(&got),
                    points(&want),
                    "{query}, seed {seed}, {removal:?}"
                );
                if let (Some(got), Some(want)) = (&got, &want) {
                    assert!(
                        is_sort || got.1 == want.1,
                        "{query}, seed {seed}: {:?} {:?}",
                        got.1,
                        want.1
                    );
                    with_points += usize::from(!got.0.is_empty());
                }
            }
        }
    }
    assert!(with_points > 1000, "{with_points}");
}
