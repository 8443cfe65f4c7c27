//! Random series: counters with resets, gauges, odd numbers, gaps, stale markers, classic and native
//! histograms, info metrics.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Labels, Span, stale_nan};
use promql::SampleValue;

use super::expressions::Dialect;
use super::random::Random;
use crate::reference::{DataPoint, DataSeries, Dataset};

/// Samples are from minus 10 minutes to 40 minutes, most of them 15 s apart, in milliseconds.
const FIRST_MS: i64 = -600_000;
const LAST_MS: i64 = 2_400_000;
const INTERVAL_MS: i64 = 15_000;

/// Upper bounds of classic histograms.
const BOUNDS: [&str; 4] = ["0.5", "1", "5", "+Inf"];

/// Times of samples are this much behind a multiple of [`TICK_MS`], so that they never lie on the
/// edge of a window: evaluation times and durations are multiples of it, or 5 ms behind one.
const PHASE_MS: i64 = 3;
const TICK_MS: i64 = 10;

/// The series of a seed, around `base_ms` milliseconds after the epoch.
#[must_use]
pub fn random_data(seed: u64, dialect: Dialect, base_ms: i64) -> Dataset {
    let mut maker = Maker {
        random: Random::new(seed),
        series: Vec::new(),
        base_ms,
        is_off_edges: dialect != Dialect::Full,
    };
    for job in ["a", "b"] {
        for instance in ["1", "2"] {
            maker.floats(&[("job", job), ("instance", instance)]);
            if dialect == Dialect::Full {
                maker.histograms(&[("job", job), ("instance", instance)]);
            }
            maker.infos(job, instance);
        }
    }
    maker.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Dataset {
        series: maker.series,
    }
}

struct Maker {
    random: Random,
    series: Vec<DataSeries>,
    base_ms: i64,
    is_off_edges: bool,
}

impl Maker {
    fn push(&mut self, name: &str, labels: &[(&str, &str)], points: Vec<DataPoint>) {
        let pairs = labels.iter().copied().chain([("__name__", name)]);
        if let Ok(labels) = Labels::from_pairs(pairs) {
            let has_points = !points.is_empty();
            if has_points {
                self.series.push(DataSeries { labels, points });
            }
        }
    }

    /// Times with gaps.
    fn times(&mut self) -> Vec<i64> {
        let mut at = FIRST_MS + self.random.between(0, INTERVAL_MS - 1) + self.base_ms;
        let mut times: Vec<i64> = Vec::new();
        while at < LAST_MS + self.base_ms {
            let taken = if self.is_off_edges {
                at - at % TICK_MS + PHASE_MS
            } else {
                at
            };
            if times.last().is_none_or(|last| *last < taken) {
                times.push(taken);
            }
            at += match self.random.below(40) {
                0 => 400_000,
                1 => self.random.between(1, 20_000),
                _ => INTERVAL_MS,
            };
        }
        times
    }

    fn floats(&mut self, target: &[(&str, &str)]) {
        for x in ["1", "2"] {
            if self.random.once_in(5) {
                continue;
            }
            let labels = [target, &[("x", x)]].concat();
            for (name, is_counter) in [("g", false), ("k", false), ("c_total", true)] {
                let points = if is_counter {
                    self.counter()
                } else {
                    self.gauge()
                };
                self.push(name, &labels, points);
            }
        }
        self.classic(target);
    }

    fn gauge(&mut self) -> Vec<DataPoint> {
        let mut value = self.random.between(-5, 20);
        let times = self.times();
        let points = times.into_iter().map(|at_ms| {
            value += self.random.between(-3, 3);
            float_point(
                at_ms,
                match self.random.below(80) {
                    0 => stale_nan(),
                    1 => f64::INFINITY,
                    2 => model::sample::normal_nan(),
                    3 => -0.5,
                    _ => value as f64,
                },
            )
        });
        points.collect()
    }

    fn counter(&mut self) -> Vec<DataPoint> {
        let mut value = 0;
        let has_starts = self.random.once_in(2);
        let mut start_ms = 0;
        let mut points: Vec<DataPoint> = Vec::new();
        for at_ms in self.times() {
            value += self.random.between(0, 4);
            if self.random.once_in(25) {
                value = self.random.between(0, 2);
                start_ms = at_ms - self.random.between(0, INTERVAL_MS);
            }
            let mut point = float_point(at_ms, value as f64);
            if self.random.once_in(40) {
                point = float_point(at_ms, stale_nan());
            } else if has_starts {
                point.start_ms = match self.random.below(30) {
                    0 => 0,
                    1 => at_ms,
                    2 => points.last().map_or(0, |last| last.at_ms),
                    _ => start_ms,
                };
            }
            points.push(point);
        }
        points
    }

    /// `lat_bucket`, `lat_count`, `lat_sum` of a target.
    fn classic(&mut self, target: &[(&str, &str)]) {
        let times = self.times();
        let mut counts = [0_i64; BOUNDS.len()];
        let mut columns: Vec<Vec<DataPoint>> = vec![Vec::new(); BOUNDS.len()];
        let (mut totals, mut sums) = (Vec::new(), Vec::new());
        for at_ms in times {
            if self.random.once_in(60) {
                counts = [0; BOUNDS.len()];
            }
            let mut below = 0;
            for (count, column) in counts.iter_mut().zip(&mut columns) {
                *count += self.random.between(0, 3);
                below += *count;
                column.push(float_point(at_ms, below as f64));
            }
            totals.push(float_point(at_ms, below as f64));
            sums.push(float_point(at_ms, below as f64 * 1.5));
        }
        for (bound, column) in BOUNDS.iter().zip(columns) {
            let labels = [target, &[("le", bound)]].concat();
            self.push("lat_bucket", &labels, column);
        }
        self.push("lat_count", target, totals);
        self.push("lat_sum", target, sums);
    }

    fn histograms(&mut self, target: &[(&str, &str)]) {
        let schema = i32::try_from(self.random.between(-1, 2)).unwrap_or(0);
        let exponential = self.histogram_series(schema, Kind::Counter);
        self.push("h", target, exponential);
        let custom = self.histogram_series(CUSTOM_BUCKETS_SCHEMA, Kind::Counter);
        self.push("hc", target, custom);
        let gauges = self.histogram_series(schema, Kind::Gauge);
        self.push("hg", target, gauges);
        let mixed = self.histogram_series(schema, Kind::Mixed);
        self.push("m", target, mixed);
    }

    fn histogram_series(&mut self, schema: i32, kind: Kind) -> Vec<DataPoint> {
        let mut histogram = self.empty_histogram(schema);
        let has_starts = kind == Kind::Counter && self.random.once_in(3);
        let mut start_ms = 0;
        let mut points = Vec::new();
        for at_ms in self.times() {
            let is_reset = self.random.once_in(30);
            if is_reset || (kind == Kind::Gauge && self.random.once_in(3)) {
                let schema = if schema == CUSTOM_BUCKETS_SCHEMA || self.random.once_in(2) {
                    schema
                } else {
                    schema - 1
                };
                histogram = self.empty_histogram(schema);
                start_ms = at_ms - self.random.between(1, INTERVAL_MS);
            }
            self.observe(&mut histogram);
            let mut taken = histogram.clone();
            if kind == Kind::Gauge {
                taken.counter_reset_hint = CounterResetHint::Gauge;
            }
            let mut point = DataPoint {
                at_ms,
                value: SampleValue::Histogram(Arc::new(taken)),
                start_ms: if has_starts { start_ms } else { 0 },
            };
            if kind == Kind::Mixed && self.random.once_in(4) {
                point = float_point(at_ms, self.random.between(0, 9) as f64);
            } else if self.random.once_in(60) {
                point = float_point(at_ms, stale_nan());
            }
            points.push(point);
        }
        points
    }

    fn empty_histogram(&mut self, schema: i32) -> FloatHistogram {
        let span = |offset| vec![Span { offset, length: 3 }];
        if schema == CUSTOM_BUCKETS_SCHEMA {
            let bounds: &[f64] = if self.random.once_in(4) {
                &[1.0, 4.0]
            } else {
                &[0.5, 1.0, 4.0]
            };
            let length = bounds.len() + 1;
            return FloatHistogram {
                schema,
                positive_spans: vec![Span {
                    offset: 0,
                    length: u32::try_from(length).unwrap_or(0),
                }],
                positive_buckets: vec![0.0; length],
                custom_values: bounds.into(),
                ..FloatHistogram::default()
            };
        }
        let offset = i32::try_from(self.random.between(-1, 1)).unwrap_or(0);
        let has_negative = self.random.once_in(3);
        FloatHistogram {
            schema,
            zero_threshold: if self.random.once_in(3) {
                0.001
            } else {
                0.0001
            },
            positive_spans: span(offset),
            positive_buckets: vec![0.0; 3],
            negative_spans: if has_negative { span(0) } else { Vec::new() },
            negative_buckets: if has_negative {
                vec![0.0; 3]
            } else {
                Vec::new()
            },
            ..FloatHistogram::default()
        }
    }

    fn observe(&mut self, histogram: &mut FloatHistogram) {
        let mut added = 0.0;
        for bucket in &mut histogram.positive_buckets {
            let more = self.random.between(0, 2) as f64;
            *bucket += more;
            added += more;
            histogram.sum += more * 1.25;
        }
        for bucket in &mut histogram.negative_buckets {
            let more = self.random.between(0, 1) as f64;
            *bucket += more;
            added += more;
            histogram.sum -= more * 1.25;
        }
        if !histogram.has_custom_buckets() {
            let more = self.random.between(0, 1) as f64;
            histogram.zero_count += more;
            added += more;
        }
        histogram.count += added;
    }

    fn infos(&mut self, job: &str, instance: &str) {
        for (name, label) in [("target_info", "version"), ("build_info", "branch")] {
            if self.random.once_in(5) {
                continue;
            }
            let version = format!("v{}", self.random.below(3));
            let times = self.times();
            // Now and then a target gets new labels, so that series replace each other.
            let change = self.random.below(times.len() * 2);
            let value = |at_ms: &i64| float_point(*at_ms, 1.0);
            let (before, after) = times.split_at(change.min(times.len()));
            for (version, times) in [(version.as_str(), before), ("v9", after)] {
                let labels = [
                    ("job", job),
                    ("instance", instance),
                    (label, version),
                    ("env", "e"),
                ];
                let points = times.iter().map(value).collect();
                self.push(name, &labels, points);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    /// Floats now and then.
    Mixed,
}

fn float_point(at_ms: i64, value: f64) -> DataPoint {
    DataPoint {
        at_ms,
        value: SampleValue::Float(value),
        start_ms: 0,
    }
}
