//! A random walk of samples in any order and of any kind, beside the engine in memory: the same
//! answers to every request, the same samples, whatever happens in between.

use std::sync::Arc;

use model::{
    FloatHistogram, Histogram, IntegerHistogram, Labels, Matcher, PromDuration, TimeRange,
    Timestamp,
};
use proptest::prelude::*;
use storage::{
    AppendPolicy, AppendRequest, Appender, Columns, Durability, HistogramSample, Maintenance as _,
    MemoryStorage, OutOfOrder, Queryable, Rejected, Sample, SelectHints, SeriesKey,
};

use crate::rewrite::{RewriteStep, Unpaced};

use super::{Bench, DAY, START_MS};

const MINUTE_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug)]
enum Value {
    Float(u8),
    Integer(u8),
    FloatHistogram(u8),
    Stale,
    StaleHistogram,
}

/// A sample: its series, its time in half minutes before the walk's present, and its value.
type Draft = (u8, i64, Value, bool);

#[derive(Clone, Debug)]
enum Step {
    Append {
        drafts: Vec<Draft>,
        policy: AppendPolicy,
        order: OutOfOrder,
    },
    /// Many samples of one series, each so many half minutes after the one before, with holes.
    Run {
        series: u8,
        from: i64,
        step: i64,
        count: u8,
    },
    Window {
        minutes: i64,
    },
    /// Deletes so many half minutes of a series, never its newest samples.
    Delete {
        series: u8,
        from: i64,
        count: i64,
    },
    Clean,
    Maintain,
    Seal,
    /// Rewrites all partitions that have small chunks, or ends on the way.
    Rewrite {
        end: Option<RewriteStep>,
    },
    Advance {
        minutes: i64,
    },
    Reopen {
        clean: bool,
    },
    /// Kills, and lets the replay wait for what needs it.
    ReopenHeld,
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..3_u8).prop_map(Value::Float),
        1 => (0..3_u8).prop_map(Value::Integer),
        1 => (0..3_u8).prop_map(Value::FloatHistogram),
        1 => Just(Value::Stale),
        1 => Just(Value::StaleHistogram),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let draft = (0..3_u8, 0..600_i64, value(), prop::bool::weighted(0.1));
    let policy = prop_oneof![3 => Just(AppendPolicy::Skip), 1 => Just(AppendPolicy::RollBack)];
    let order = prop_oneof![9 => Just(OutOfOrder::Accept), 1 => Just(OutOfOrder::Refuse)];
    let append =
        (prop::collection::vec(draft, 1..60), policy, order).prop_map(|(drafts, policy, order)| {
            Step::Append {
                drafts,
                policy,
                order,
            }
        });
    let run = (
        0..3_u8,
        0..600_i64,
        prop_oneof![Just(-1_i64), 1..3_i64],
        1..200_u8,
    );
    prop_oneof![
        6 => append,
        3 => run.prop_map(|(series, from, step, count)| Step::Run { series, from, step, count }),
        1 => prop_oneof![Just(0), Just(30), Just(240)].prop_map(|minutes| Step::Window { minutes }),
        2 => (0..3_u8, 0..600_i64, 0..100_i64)
            .prop_map(|(series, from, count)| Step::Delete { series, from, count }),
        1 => Just(Step::Clean),
        2 => Just(Step::Maintain),
        1 => Just(Step::Seal),
        2 => prop::option::of(prop::sample::select(&RewriteStep::ALL[..]))
            .prop_map(|end| Step::Rewrite { end }),
        3 => (1..200_i64).prop_map(|minutes| Step::Advance { minutes }),
        2 => any::<bool>().prop_map(|clean| Step::Reopen { clean }),
        2 => Just(Step::ReopenHeld),
    ]
}

fn histogram(n: u8) -> Histogram {
    Histogram::Integer(Arc::new(IntegerHistogram {
        count: n.into(),
        zero_count: n.into(),
        sum: f64::from(n) / 3.0,
        ..IntegerHistogram::default()
    }))
}

/// A series, and its samples as they are sent.
#[derive(Default)]
struct Sent {
    floats: Vec<(Sample, i64)>,
    histograms: Vec<(HistogramSample, i64)>,
}

impl Sent {
    fn push(&mut self, at_ms: i64, value: Value, started: bool) {
        let timestamp = Timestamp::from_millis(at_ms);
        let start = if started { at_ms - 1000 } else { 0 };
        let histogram = match value {
            Value::Float(n) => return self.push_float(timestamp, f64::from(n) / 2.0, start),
            Value::Stale => return self.push_float(timestamp, model::stale_nan(), start),
            Value::Integer(n) => histogram(n),
            Value::FloatHistogram(n) => Histogram::Float(histogram(n).to_float()),
            Value::StaleHistogram => Histogram::Float(Arc::new(FloatHistogram::stale())),
        };
        let sample = HistogramSample {
            timestamp,
            histogram,
        };
        self.histograms.push((sample, start));
    }

    fn push_float(&mut self, timestamp: Timestamp, value: f64, start: i64) {
        self.floats.push((Sample { timestamp, value }, start));
    }
}

fn labels(series: u8) -> Labels {
    let series = series.to_string();
    Labels::from_pairs([(model::METRIC_NAME, "m"), ("series", series.as_str())]).unwrap()
}

type Answer = Result<(u64, Rejected), String>;

fn append(
    engine: &dyn Appender,
    series: &[(Labels, Sent)],
    policy: AppendPolicy,
    order: OutOfOrder,
) -> Answer {
    let mut request = AppendRequest {
        out_of_order: order,
        ..AppendRequest::default()
    };
    for (labels, sent) in series {
        let floats = sent.floats.iter().map(|(sample, _)| *sample);
        request.push(SeriesKey::Labels(labels), floats);
        let histograms = sent.histograms.iter().map(|(sample, _)| sample.clone());
        request.push_histograms(histograms);
        let starts = sent.floats.iter().map(|(_, start)| *start);
        request.start_timestamps.extend(starts);
        let starts = sent.histograms.iter().map(|(_, start)| *start);
        request.histogram_start_timestamps.extend(starts);
    }
    let pending = engine.append(&request, policy, Durability::Acknowledged);
    pending
        .and_then(storage::PendingAppend::wait_blocking)
        .map(|outcome| (outcome.appended, outcome.rejected))
        .map_err(|error| error.to_string())
}

/// Time, bits of the value, histogram and start timestamp.
type Point = (i64, u64, Option<Arc<FloatHistogram>>, i64);

fn points(columns: &Columns) -> Vec<Point> {
    (0..columns.len())
        .map(|at| {
            (
                columns.timestamps[at],
                columns.values[at].to_bits(),
                columns.histogram(at).cloned(),
                columns.start_timestamps.get(at).copied().unwrap_or(0),
            )
        })
        .collect()
}

/// All series with samples in a range, each with all of them and with the newest one.
fn read(engine: &dyn Queryable, range: TimeRange) -> Vec<(String, Vec<Point>, Option<Point>)> {
    let querier = engine.querier(range).unwrap();
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = querier.select(&matchers, SelectHints::default()).unwrap();
    let mut found = Vec::new();
    let mut columns = Columns::default();
    for index in 0..set.len() {
        set.read_newest(index, &mut columns).unwrap();
        let newest = points(&columns).pop();
        set.read(index, &mut columns).unwrap();
        if !columns.is_empty() {
            found.push((set.labels(index).to_string(), points(&columns), newest));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Deletes the same from both engines. What was newest is not deleted: after a restart the engine
/// on disk does not remember it. Neither is a range without samples: whether late ones are deleted
/// there as well is left to engines.
fn delete(bench: &Bench, memory: &MemoryStorage, series: u8, (from, count): (i64, i64)) {
    let labels = labels(series);
    let all = read(memory, TimeRange::ALL);
    let known = all.iter().find(|(text, ..)| *text == labels.to_string());
    let Some((_, points, Some((newest_ms, ..)))) = known else {
        return;
    };
    let end_ms = (bench.now_ms() - from * MINUTE_MS / 2).min(newest_ms - 1);
    let range = TimeRange::new(
        Timestamp::from_millis(end_ms - count * MINUTE_MS / 2),
        Timestamp::from_millis(end_ms),
    );
    if !points
        .iter()
        .any(|(at_ms, ..)| range.contains(Timestamp::from_millis(*at_ms)))
    {
        return;
    }
    let series = labels.get("series").unwrap();
    let matchers = [Matcher::equal("series", series)];
    bench.released().delete(range, &matchers).unwrap();
    memory.delete(range, &matchers).unwrap();
}

/// A request.
type Request = (Vec<(Labels, Sent)>, AppendPolicy, OutOfOrder);

/// What a step sends.
fn drafts(step: &Step, now_ms: i64) -> Option<Request> {
    let mut series: Vec<(Labels, Sent)> = (0..3)
        .map(|series| (labels(series), Sent::default()))
        .collect();
    let at = |half_minutes: i64| now_ms - half_minutes * MINUTE_MS / 2;
    let (policy, order) = match step {
        Step::Append {
            drafts,
            policy,
            order,
        } => {
            for (id, before, value, started) in drafts {
                let sent = &mut series[usize::from(*id)].1;
                sent.push(at(*before), *value, *started);
            }
            (*policy, *order)
        }
        Step::Run {
            series: id,
            from,
            step,
            count,
        } => {
            let sent = &mut series[usize::from(*id)].1;
            for k in (0..i64::from(*count)).filter(|k| k % 5 != 3) {
                sent.push(at((from - k * step).max(0)), Value::Float(*count), false);
            }
            (AppendPolicy::Skip, OutOfOrder::Accept)
        }
        _ => return None,
    };
    Some((series, policy, order))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_order_gives_what_the_engine_in_memory_gives(
        steps in prop::collection::vec(step(), 1..40),
        cut in 0..600_i64,
    ) {
        let window = PromDuration::from_secs(3600);
        let mut bench = Bench::with_window(window);
        bench.clock.advance(DAY);
        let memory = MemoryStorage::new();
        memory.set_out_of_order_window(window);
        for step in &steps {
            if let Some((series, policy, order)) = drafts(step, bench.now_ms()) {
                let got = append(&bench, &series, policy, order);
                let want = append(&memory, &series, policy, order);
                prop_assert_eq!(got, want, "{:?}", step);
            }
            match step {
                Step::Append { .. } | Step::Run { .. } => {}
                Step::Window { minutes } => {
                    let window = PromDuration::from_secs(minutes * 60);
                    bench.set_window(window);
                    memory.set_out_of_order_window(window);
                }
                Step::Delete { series, from, count } => {
                    delete(&bench, &memory, *series, (*from, *count));
                }
                Step::Clean => {
                    bench.released().clean_tombstones().unwrap();
                    memory.clean_tombstones().unwrap();
                }
                Step::Maintain => bench.released().maintain().unwrap(),
                Step::Seal => bench.released().engine().seal_everything().unwrap(),
                Step::Rewrite { end } => {
                    let engine = bench.released().engine();
                    *engine.rewrite_fault.lock() = *end;
                    let rewritten = engine.rewrite_all(&mut Unpaced);
                    prop_assert!(rewritten.is_ok() || end.is_some(), "{:?}", rewritten);
                    *engine.rewrite_fault.lock() = None;
                }
                Step::Advance { minutes } => {
                    bench.clock.advance(PromDuration::from_secs(minutes * 60));
                }
                Step::Reopen { clean } => bench = bench.reopen(*clean),
                Step::ReopenHeld => bench = bench.reopen_held(),
            }
            if bench.is_held() {
                continue;
            }
            let from = START_MS + cut * MINUTE_MS;
            let cut = TimeRange::new(
                Timestamp::from_millis(from),
                Timestamp::from_millis(from + 200 * MINUTE_MS),
            );
            for range in [TimeRange::ALL, cut] {
                prop_assert_eq!(read(&bench.tsdb, range), read(&memory, range), "{:?}", step);
            }
        }
        let all = TimeRange::ALL;
        prop_assert_eq!(read(bench.released(), all), read(&memory, all));
    }
}
