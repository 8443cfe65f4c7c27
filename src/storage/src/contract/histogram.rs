//! Checks of native histograms and start timestamps, on both sides.

use std::sync::Arc;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{
    CounterResetHint, FloatHistogram, Histogram, IntegerHistogram, Matcher, Span, TimeRange,
    stale_nan,
};

use super::fixture::{Fixture, Violation, expect_equal, expect_that, labels};
use crate::append::{
    AppendOutcome, AppendPolicy, AppendRequest, HistogramSample, Rejected, Sample, SeriesKey,
};
use crate::error::AppendError;
use crate::read::{Columns, SelectHints};

/// A sample of either kind.
#[derive(Clone, Debug)]
struct Entry {
    /// Milliseconds after the fixture's start.
    at: i64,
    value: Value,
    /// As `at`; `None` where no start timestamp is known.
    started: Option<i64>,
}

#[derive(Clone, Debug)]
enum Value {
    Float(f64),
    Histogram(Histogram),
}

/// A sample as read back: time after the start, bits of the value, histogram, start timestamp in
/// milliseconds since the epoch.
type ReadEntry = (i64, u64, Option<Arc<FloatHistogram>>, i64);

fn float(at: i64, value: f64) -> Entry {
    Entry {
        at,
        value: Value::Float(value),
        started: None,
    }
}

fn histogram(at: i64, histogram: Histogram) -> Entry {
    Entry {
        at,
        value: Value::Histogram(histogram),
        started: None,
    }
}

impl Entry {
    fn started(self, at: i64) -> Self {
        Self {
            started: Some(at),
            ..self
        }
    }
}

fn span(offset: i32, length: u32) -> Span {
    Span { offset, length }
}

/// A plausible integer histogram that grows with `n`.
fn counts(n: u32) -> Histogram {
    let n = i64::from(n);
    Histogram::Integer(Arc::new(IntegerHistogram {
        schema: 3,
        zero_threshold: 1e-128,
        zero_count: n.unsigned_abs(),
        count: 12 + 8 * n.unsigned_abs(),
        sum: 0.1 + f64::from(i32::try_from(n).unwrap_or(0)),
        positive_spans: vec![span(-2, 2), span(3, 1)],
        negative_spans: vec![span(0, 1)],
        positive_deltas: vec![1 + n, 2, n - 1],
        negative_deltas: vec![3 + n],
        ..IntegerHistogram::default()
    }))
}

/// The same with float counts.
fn float_counts(n: u32) -> Histogram {
    Histogram::Float(counts(n).to_float())
}

fn custom(n: u32, bounds: &[f64]) -> Histogram {
    let buckets = u32::try_from(bounds.len() + 1).unwrap_or(1);
    Histogram::Float(Arc::new(FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: f64::from(n) * f64::from(buckets),
        sum: f64::from(n) / 3.0,
        positive_spans: vec![span(0, buckets)],
        positive_buckets: vec![f64::from(n); bounds.len() + 1],
        custom_values: bounds.into(),
        ..FloatHistogram::default()
    }))
}

/// Values whose bits are easily lost.
fn odd_histograms() -> Vec<Histogram> {
    let largest = IntegerHistogram {
        counter_reset_hint: CounterResetHint::NotCounterReset,
        schema: -4,
        zero_threshold: f64::MIN_POSITIVE / 8.0,
        zero_count: u64::MAX,
        count: u64::MAX - 1,
        sum: f64::from_bits(0xfff8_dead_beef_0001),
        positive_spans: vec![span(i32::MIN, 1), span(0, 0), span(i32::MAX, 2)],
        positive_deltas: vec![i64::MAX, i64::MIN, (1 << 53) + 1],
        ..IntegerHistogram::default()
    };
    let odd = FloatHistogram {
        counter_reset_hint: CounterResetHint::CounterReset,
        schema: 8,
        zero_threshold: -0.0,
        zero_count: f64::from_bits(0x7ff8_0000_0000_1234),
        count: f64::NAN,
        sum: f64::NEG_INFINITY,
        negative_spans: vec![span(5, 3)],
        negative_buckets: vec![-0.0, stale_nan(), 5e-324],
        ..FloatHistogram::default()
    };
    let gauge = FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        ..FloatHistogram::default()
    };
    vec![
        Histogram::Integer(Arc::new(largest)),
        Histogram::Float(Arc::new(odd)),
        Histogram::Integer(Arc::default()),
        Histogram::Float(Arc::new(gauge)),
        custom(3, &[-1.0, 0.0, 2.5]),
        custom(4, &[-1.0, 0.0, 2.5]),
        custom(4, &[]),
        counts(7),
        float_counts(7),
    ]
}

fn stale() -> Histogram {
    Histogram::Float(Arc::new(FloatHistogram::stale()))
}

type Answer = Result<AppendOutcome, AppendError>;

fn try_append(
    fixture: &Fixture<'_>,
    policy: AppendPolicy,
    series: &[(&str, &[Entry])],
) -> Result<Answer, Violation> {
    let mut keys = Vec::with_capacity(series.len());
    for (text, _) in series {
        keys.push(labels(text)?);
    }
    let start_of = |entry: &Entry| entry.started.map_or(0, |at| fixture.at(at).as_millis());
    let any_start = series
        .iter()
        .any(|(_, entries)| entries.iter().any(|entry| entry.started.is_some()));
    let mut request = AppendRequest::default();
    for (labels, (_, entries)) in keys.iter().zip(series) {
        request.push(SeriesKey::Labels(labels), []);
        for entry in *entries {
            let timestamp = fixture.at(entry.at);
            match &entry.value {
                Value::Float(value) => {
                    let value = *value;
                    request.samples.push(Sample { timestamp, value });
                    if any_start {
                        request.start_timestamps.push(start_of(entry));
                    }
                }
                Value::Histogram(histogram) => {
                    let histogram = histogram.clone();
                    request.push_histograms([HistogramSample {
                        timestamp,
                        histogram,
                    }]);
                    if any_start {
                        request.histogram_start_timestamps.push(start_of(entry));
                    }
                }
            }
        }
        if let Some(series) = request.series.last_mut() {
            series.samples.end = u32::try_from(request.samples.len())?;
        }
    }
    Ok(fixture.send(&request, policy))
}

/// Sends one series that must be accepted whole.
fn append(
    fixture: &Fixture<'_>,
    name: &str,
    entries: &[Entry],
) -> Result<AppendOutcome, Violation> {
    Ok(try_append(
        fixture,
        AppendPolicy::RollBack,
        &[(name, entries)],
    )??)
}

fn expected(fixture: &Fixture<'_>, entry: &Entry) -> ReadEntry {
    let start = entry.started.map_or(0, |at| fixture.at(at).as_millis());
    let (bits, histogram) = match &entry.value {
        Value::Float(value) => (value.to_bits(), None),
        Value::Histogram(histogram) if histogram.is_stale() => (model::STALE_NAN_BITS, None),
        Value::Histogram(histogram) => (model::sample::NORMAL_NAN_BITS, Some(histogram.to_float())),
    };
    (entry.at, bits, histogram, start)
}

fn read(
    fixture: &Fixture<'_>,
    range: TimeRange,
    name: &str,
) -> Result<(Columns, Vec<ReadEntry>), Violation> {
    let matchers = [Matcher::equal(model::METRIC_NAME, name)];
    let set = fixture
        .querier(range)?
        .select(&matchers, SelectHints::default())?;
    let mut columns = Columns::default();
    if !set.is_empty() {
        expect_equal("selected series", set.len(), 1)?;
        set.read(0, &mut columns)?;
    }
    let count = columns.len();
    for optional in [columns.histograms.len(), columns.start_timestamps.len()] {
        let full = optional == 0 || optional == count;
        let why = format!("{optional} entries for {count} samples");
        expect_that("an optional column", if full { Ok(()) } else { Err(why) })?;
    }
    expect_equal("length of the values", columns.values.len(), count)?;
    let start = fixture.start.as_millis();
    let entries = (0..count).map(|index| {
        (
            columns.timestamps[index] - start,
            columns.values[index].to_bits(),
            columns.histogram(index).cloned(),
            columns.start_timestamps.get(index).copied().unwrap_or(0),
        )
    });
    let entries = entries.collect();
    Ok((columns, entries))
}

/// Refuses anything but exactly `want` under the metric `name`.
fn expect_stored(fixture: &Fixture<'_>, name: &str, want: &[Entry]) -> Result<Columns, Violation> {
    let (columns, got) = read(fixture, fixture.whole_range(), name)?;
    let want: Vec<ReadEntry> = want.iter().map(|entry| expected(fixture, entry)).collect();
    expect_equal(&format!("samples of {name}"), got, want)?;
    Ok(columns)
}

pub(super) fn histograms_are_kept_bit_for_bit(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries: Vec<Entry> = (0_i64..)
        .zip(odd_histograms())
        .map(|(n, value)| histogram(n * 1_000, value))
        .collect();
    let outcome = append(fixture, "odd", &entries)?;
    expect_equal("stored samples", outcome.appended, entries.len() as u64)?;
    let columns = expect_stored(fixture, "odd", &entries)?;
    expect_equal("start timestamps", columns.start_timestamps.len(), 0)
}

pub(super) fn stale_histograms_are_stale_markers(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = [
        histogram(0, counts(1)),
        histogram(1_000, stale()),
        float(2_000, 1.0),
        histogram(3_000, stale()),
        histogram(4_000, counts(2)),
    ];
    append(fixture, "m", &entries)?;
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "gone", &[histogram(0, stale())])?;
    let columns = expect_stored(fixture, "gone", &[histogram(0, stale())])?;
    expect_equal("histograms", columns.histograms.len(), 0)
}

/// Runs of floats, integer and float histograms of several layouts, and a start timestamp here
/// and there.
fn mixed(count: u32) -> Vec<Entry> {
    let entry = |n: u32| {
        let at = i64::from(n) * 1_000;
        let entry = match n {
            400..=699 => histogram(at, counts(n)),
            _ if n % 50 < 20 => float(at, f64::from(n)),
            _ if n % 50 < 21 => histogram(at, stale()),
            _ if n % 50 < 30 => histogram(at, counts(n)),
            _ if n % 50 < 40 => histogram(at, float_counts(n)),
            _ => histogram(at, custom(n, &[1.0, f64::from(n / 100)])),
        };
        if n % 200 < 90 {
            entry.started(i64::from(n / 30) * 1_000 - 500)
        } else {
            entry
        }
    };
    (0..count).map(entry).collect()
}

pub(super) fn floats_and_histograms_share_a_series(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = mixed(1_000);
    for part in entries.chunks(70) {
        append(fixture, "m", part)?;
    }
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "at_once", &entries)?;
    expect_stored(fixture, "at_once", &entries)?;
    for (first, last) in [
        (0, 0),
        (19_000, 21_000),
        (20_500, 20_600),
        (395_000, 705_000),
        (999_000, 7_200_000),
    ] {
        let (_, got) = read(fixture, fixture.range(first, last), "m")?;
        let want: Vec<ReadEntry> = entries
            .iter()
            .filter(|entry| (first..=last).contains(&entry.at))
            .map(|entry| expected(fixture, entry))
            .collect();
        expect_equal(&format!("samples in {first}..={last}"), got, want)?;
    }
    Ok(())
}

pub(super) fn chunks_with_histograms_tell_no_values(
    fixture: &Fixture<'_>,
) -> Result<(), Violation> {
    append(fixture, "m", &mixed(1_000))?;
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = fixture
        .querier(fixture.whole_range())?
        .select(&matchers, SelectHints::default())?;
    let mut cursor = set.chunks(0)?;
    let mut previous_last = None;
    let mut samples = 0;
    while let Some(summary) = cursor.summary()? {
        let ordered = summary.first <= summary.last && previous_last < Some(summary.first);
        let why = format!("{summary:?} after {previous_last:?}");
        expect_that("chunk order", if ordered { Ok(()) } else { Err(why) })?;
        previous_last = Some(summary.last);
        let mut columns = Columns::default();
        cursor.decode(&mut columns)?;
        expect_equal("samples", columns.len(), summary.samples as usize)?;
        samples += columns.len();
        if !columns.histograms.is_empty() {
            expect_equal("facts about values", summary.values, None)?;
        }
    }
    expect_equal("samples of all chunks", samples, 1_000)
}

pub(super) fn histograms_keep_the_order(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let stored = [histogram(10_000, counts(1)), float(20_000, 2.0)];
    append(fixture, "m", &stored)?;
    for late in [
        histogram(15_000, counts(9)),
        histogram(10_000, counts(1)),
        float(10_000, 1.0),
    ] {
        let refused = try_append(fixture, AppendPolicy::RollBack, &[("m", &[late])])?;
        expect_that("an older sample", is_out_of_order(&refused))?;
    }
    let backwards = [histogram(40_000, counts(1)), histogram(30_000, counts(2))];
    let refused = try_append(fixture, AppendPolicy::RollBack, &[("m", &backwards)])?;
    expect_that("histograms going backwards", is_out_of_order(&refused))?;
    expect_stored(fixture, "m", &stored)?;
    // The columns of a request are one sequence: each entry comes at its time.
    let sorted = [
        float(30_000, 1.0),
        histogram(40_000, counts(1)),
        float(50_000, 2.0),
        histogram(60_000, counts(2)),
    ];
    append(fixture, "m", &sorted)?;
    expect_stored(fixture, "m", &[&stored[..], &sorted].concat())?;
    Ok(())
}

pub(super) fn another_histogram_is_a_duplicate(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let cases = [
        (histogram(0, counts(1)), histogram(0, counts(2))),
        (histogram(0, counts(1)), histogram(0, float_counts(1))),
        (histogram(0, float_counts(1)), histogram(0, counts(1))),
        (
            histogram(0, custom(1, &[1.0])),
            histogram(0, custom(1, &[2.0])),
        ),
        (histogram(0, counts(1)), float(0, 1.0)),
        (float(0, 1.0), histogram(0, counts(1))),
        (float(0, stale_nan()), histogram(0, stale())),
        (histogram(0, stale()), histogram(0, counts(1))),
    ];
    for (n, (first, second)) in cases.iter().enumerate() {
        let name = format!("m{n}");
        append(fixture, &name, std::slice::from_ref(first))?;
        let again = std::slice::from_ref(second);
        let refused = try_append(fixture, AppendPolicy::RollBack, &[(&name, again)])?;
        expect_that(
            &format!("{second:?} after {first:?}"),
            is_duplicate(&refused),
        )?;
        expect_stored(fixture, &name, std::slice::from_ref(first))?;
        let both = [first.clone(), second.clone()];
        let refused = try_append(fixture, AppendPolicy::RollBack, &[("both", &both)])?;
        expect_that("both in one request", is_duplicate(&refused))?;
    }
    expect_stored(fixture, "both", &[])?;
    Ok(())
}

pub(super) fn a_repeated_histogram_is_accepted(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let values = odd_histograms().into_iter().chain([stale()]);
    for (n, value) in values.enumerate() {
        let name = format!("m{n}");
        let entries = [histogram(0, counts(1)), histogram(1_000, value)];
        append(fixture, &name, &entries)?;
        for policy in [AppendPolicy::RollBack, AppendPolicy::Skip] {
            let outcome = try_append(fixture, policy, &[(&name, &entries[1..])])??;
            expect_equal("repeated samples count as stored", outcome.appended, 1)?;
            expect_equal("rejected", outcome.rejected, Rejected::default())?;
        }
        expect_stored(fixture, &name, &entries)?;
    }
    Ok(())
}

pub(super) fn refused_histograms_leave_nothing(fixture: &Fixture<'_>) -> Result<(), Violation> {
    append(fixture, "old", &[histogram(10_000, counts(1))])?;
    let request: &[(&str, &[Entry])] = &[
        ("new", &[histogram(20_000, counts(5))]),
        (
            "old",
            &[histogram(20_000, counts(2)), histogram(5_000, counts(1))],
        ),
    ];
    let refused = try_append(fixture, AppendPolicy::RollBack, request)?;
    expect_that("a request with an old histogram", is_out_of_order(&refused))?;
    expect_stored(fixture, "new", &[])?;
    expect_stored(fixture, "old", &[histogram(10_000, counts(1))])?;
    // The same under the other policy loses the bad one alone.
    let outcome = try_append(fixture, AppendPolicy::Skip, request)??;
    expect_equal("stored samples", outcome.appended, 2)?;
    expect_equal("out of order", outcome.rejected.out_of_order, 1)?;
    expect_stored(fixture, "new", &[histogram(20_000, counts(5))])?;
    let kept = [histogram(10_000, counts(1)), histogram(20_000, counts(2))];
    expect_stored(fixture, "old", &kept)?;
    Ok(())
}

pub(super) fn start_timestamps_are_kept(fixture: &Fixture<'_>) -> Result<(), Violation> {
    let entries = [
        float(0, 1.0).started(-5_000),
        float(1_000, 2.0).started(-5_000),
        float(2_000, 3.0),
        histogram(3_000, counts(1)).started(2_500),
        histogram(4_000, float_counts(1)).started(i64::MIN / 4),
        histogram(5_000, counts(3)),
        float(6_000, 1.0).started(6_000),
        // Later than its sample: kept as it was sent.
        float(7_000, 1.0).started(9_000),
    ];
    append(fixture, "m", &entries)?;
    expect_stored(fixture, "m", &entries)?;
    append(fixture, "floats", &entries[..3])?;
    expect_stored(fixture, "floats", &entries[..3])?;
    // Repetitions are told by time and value alone, and change nothing.
    append(fixture, "m", &[float(7_000, 1.0).started(8_000)])?;
    append(fixture, "m", &[float(7_000, 1.0)])?;
    expect_stored(fixture, "m", &entries)?;
    let unknown = [float(0, 1.0), float(1_000, 2.0)];
    append(fixture, "unknown", &unknown)?;
    let columns = expect_stored(fixture, "unknown", &unknown)?;
    expect_equal("start timestamps", columns.start_timestamps.len(), 0)?;
    expect_equal("histograms", columns.histograms.len(), 0)
}

fn is_out_of_order(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::OutOfOrder { .. }) => Ok(()),
        other => Err(format!("want out of order, got {other:?}")),
    }
}

fn is_duplicate(answer: &Answer) -> Result<(), String> {
    match answer {
        Err(AppendError::DuplicateForTimestamp { .. }) => Ok(()),
        other => Err(format!("want duplicate for timestamp, got {other:?}")),
    }
}
