//! Folders of past versions open, and every sample in them is what it was.
//!
//! `compat-tests/formats/vN` holds a data folder as version N left it when it was killed, and what
//! is in it as text. [`what_is_written_reads_as_it_was`] makes the folder of the present version:
//! `FORMAT_FOLDER=$PWD/compat-tests/formats/v3 cargo test -p tsdb what_is_written` keeps it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{
    Exemplar, FloatHistogram, Histogram, IntegerHistogram, Labels, Matcher, PromDuration, Span,
    TimeRange, Timestamp,
};
use storage::{
    AppendPolicy, AppendRequest, Appender as _, Columns, Durability, ExemplarStore, FamilyMetadata,
    HistogramSample, Maintenance as _, MetadataEntry, MetadataStore as _, MetricKind,
    Queryable as _, Sample, SelectHints, SeriesExemplars, SeriesKey, StateChange, StateStore as _,
};

use super::{Bench, DAY, START_MS, Settings, open};
use crate::Tsdb;
use crate::rewrite::Unpaced;

/// A sample as it is sent.
#[derive(Clone)]
enum Value {
    Float(f64),
    Histogram(Histogram),
}

/// Writes samples and their text.
#[derive(Default)]
struct Script {
    /// Lines by series and time.
    lines: BTreeMap<Labels, BTreeMap<i64, String>>,
    exemplars: Vec<SeriesExemplars>,
    metadata: Vec<FamilyMetadata>,
}

const NAMESPACE: &str = "formats";

fn formats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compat-tests/formats")
}

fn bits_of(values: &[f64]) -> String {
    let bits: Vec<String> = values
        .iter()
        .map(|value| format!("{:x}", value.to_bits()))
        .collect();
    bits.join(",")
}

fn spans(spans: &[Span]) -> String {
    let spans: Vec<String> = spans
        .iter()
        .map(|span| format!("{}+{}", span.offset, span.length))
        .collect();
    spans.join(",")
}

fn histogram_line(histogram: &FloatHistogram) -> String {
    format!(
        "histogram schema {} count,sum,threshold,zero {} spans {};{} buckets {};{} bounds {}",
        histogram.schema,
        bits_of(&[
            histogram.count,
            histogram.sum,
            histogram.zero_threshold,
            histogram.zero_count
        ]),
        spans(&histogram.positive_spans),
        spans(&histogram.negative_spans),
        bits_of(&histogram.positive_buckets),
        bits_of(&histogram.negative_buckets),
        bits_of(&histogram.custom_values),
    )
}

/// Time, bits of the value or the histogram, start timestamp.
fn line(at: i64, value: f64, histogram: Option<&FloatHistogram>, start_ms: i64) -> String {
    let value = match histogram {
        Some(histogram) => histogram_line(histogram),
        None => format!("{:x}", value.to_bits()),
    };
    match start_ms {
        0 => format!("  {at} {value}\n"),
        start => format!("  {at} {value} since {start}\n"),
    }
}

impl Script {
    fn append(&mut self, tsdb: &Tsdb, series: &str, start_ms: i64, points: &[(i64, Value)]) {
        let pairs = [(model::METRIC_NAME, "m"), ("series", series)];
        let labels = Labels::from_pairs(pairs).unwrap();
        let lines = self.lines.entry(labels.clone()).or_default();
        let mut request = AppendRequest::default();
        request.push(SeriesKey::Labels(&labels), []);
        for (at, value) in points {
            let timestamp = Timestamp::from_millis(*at);
            match value.clone() {
                Value::Float(value) => {
                    lines.insert(*at, line(*at, value, None, start_ms));
                    request.samples.push(Sample { timestamp, value });
                    request.start_timestamps.push(start_ms);
                }
                Value::Histogram(histogram) => {
                    let read = histogram.to_float();
                    lines.insert(*at, line(*at, 0.0, Some(&read), start_ms));
                    request.push_histograms([HistogramSample {
                        timestamp,
                        histogram,
                    }]);
                    request.histogram_start_timestamps.push(start_ms);
                }
            }
        }
        request.series[0].samples.end = u32::try_from(request.samples.len()).unwrap();
        if start_ms == 0 {
            request.start_timestamps.clear();
            request.histogram_start_timestamps.clear();
        }
        let appended = tsdb.append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
        appended.unwrap().wait_blocking().unwrap();
    }

    fn floats(
        &mut self,
        tsdb: &Tsdb,
        series: &str,
        from_ms: i64,
        (start_ms, values): (i64, &[f64]),
    ) {
        let points: Vec<(i64, Value)> = (0..)
            .zip(values)
            .map(|(k, value)| (from_ms + k * 15_000, Value::Float(*value)))
            .collect();
        self.append(tsdb, series, start_ms, &points);
    }

    /// Samples of every kind from `from_ms` on.
    fn every_kind(&mut self, tsdb: &Tsdb, from_ms: i64, count: i32) {
        let all = |value: &dyn Fn(i32) -> f64| -> Vec<f64> { (0..count).map(value).collect() };
        let whole = all(&|k| f64::from(k * k % 91));
        let decimals = all(&|k| f64::from(k) / 100.0);
        let doubles = all(&|k| f64::from(k + 1).sqrt());
        let special = all(&|k| match k % 6 {
            0 => -0.0,
            1 => f64::INFINITY,
            2 => f64::from_bits(0x7ff8_0000_0000_beef),
            3 => f64::from_bits(model::STALE_NAN_BITS),
            _ => f64::from(k),
        });
        self.floats(tsdb, "whole", from_ms, (0, &whole));
        self.floats(tsdb, "decimals", from_ms + 3, (0, &decimals));
        self.floats(tsdb, "doubles", from_ms, (0, &doubles));
        self.floats(tsdb, "special", from_ms, (0, &special));
        self.floats(tsdb, "started", from_ms, (from_ms - 500, &whole));
        for (series, kinds) in [
            ("integer", &[0][..]),
            ("float", &[1]),
            ("custom", &[2]),
            ("mixed", &[0, 1, 3, 2]),
        ] {
            let points: Vec<(i64, Value)> = (0..count / 4)
                .map(|k| {
                    let kind = kinds[usize::try_from(k / 5).unwrap() % kinds.len()];
                    (from_ms + i64::from(k) * 60_000, histogram(kind, k))
                })
                .collect();
            let start_ms = if series == "float" { from_ms } else { 0 };
            self.append(tsdb, series, start_ms, &points);
        }
    }

    /// Samples of a series, the second half of them first.
    fn late(&mut self, tsdb: &Tsdb, from_ms: i64) {
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        self.floats(tsdb, "late", from_ms + 90_000, (0, &values[6..]));
        self.floats(tsdb, "late", from_ms, (0, &values[..6]));
    }

    fn exemplar(&mut self, tsdb: &Tsdb, at_ms: i64) {
        let pairs = [(model::METRIC_NAME, "m"), ("series", "whole")];
        let exemplar = SeriesExemplars {
            series: Labels::from_pairs(pairs).unwrap(),
            exemplars: vec![Exemplar {
                labels: Labels::from_pairs([("trace_id", "fade")]).unwrap(),
                value: 10.0 / 3.0,
                timestamp: Timestamp::from_millis(at_ms),
            }],
        };
        tsdb.add(std::slice::from_ref(&exemplar)).unwrap();
        self.exemplars.push(exemplar);
    }

    fn metadata(&mut self, tsdb: &Tsdb, help: &str) {
        let entry = MetadataEntry {
            family: "m",
            kind: MetricKind::Gauge,
            help,
            unit: "bytes",
        };
        tsdb.put_metadata(&mut std::iter::once(entry)).unwrap();
        self.metadata = vec![entry.to_metadata()];
    }

    fn delete(&mut self, tsdb: &Tsdb, series: &str, (first_ms, last_ms): (i64, i64)) {
        let (start, end) = (
            Timestamp::from_millis(first_ms),
            Timestamp::from_millis(last_ms),
        );
        let matchers = [Matcher::equal("series", series)];
        tsdb.delete(TimeRange::new(start, end), &matchers).unwrap();
        let pairs = [(model::METRIC_NAME, "m"), ("series", series)];
        let lines = self.lines.get_mut(&Labels::from_pairs(pairs).unwrap());
        lines
            .unwrap()
            .retain(|at, _| !(first_ms..=last_ms).contains(at));
    }

    fn text(self) -> String {
        let mut text = String::new();
        for (labels, lines) in self.lines {
            writeln!(text, "{labels}").unwrap();
            text.extend(lines.into_values());
        }
        for exemplar in self.exemplars {
            text.push_str(&exemplar_line(&exemplar));
        }
        text.extend(self.metadata.iter().map(metadata_line));
        text
    }
}

/// One line for each exemplar of a series.
fn exemplar_line(SeriesExemplars { series, exemplars }: &SeriesExemplars) -> String {
    let lines = exemplars.iter().map(|exemplar| {
        let (labels, at) = (&exemplar.labels, exemplar.timestamp);
        format!(
            "exemplar of {series}: {labels} {} {:x}\n",
            at.as_millis(),
            exemplar.value.to_bits()
        )
    });
    lines.collect()
}

fn metadata_line(metadata: &FamilyMetadata) -> String {
    format!("metadata: {metadata:?}\n")
}

fn histogram(kind: i32, k: i32) -> Value {
    let more = u64::try_from(k).unwrap();
    let integer = IntegerHistogram {
        schema: 3,
        count: 10 + 4 * more,
        zero_count: 2 + more,
        zero_threshold: 1e-128,
        sum: f64::from(k) * 1.25,
        positive_spans: vec![
            Span {
                offset: -2,
                length: 2,
            },
            Span {
                offset: 3,
                length: 1,
            },
        ],
        negative_spans: vec![Span {
            offset: 0,
            length: 1,
        }],
        positive_deltas: vec![3 + i64::from(k), -1, 2],
        negative_deltas: vec![1],
        ..IntegerHistogram::default()
    };
    match kind {
        0 => Value::Histogram(Histogram::Integer(Arc::new(integer))),
        1 => {
            let integer = Histogram::Integer(Arc::new(integer));
            Value::Histogram(Histogram::Float(integer.to_float()))
        }
        2 => Value::Histogram(Histogram::Integer(Arc::new(IntegerHistogram {
            schema: model::histogram::CUSTOM_BUCKETS_SCHEMA,
            zero_threshold: 0.0,
            zero_count: 0,
            negative_spans: Vec::new(),
            negative_deltas: Vec::new(),
            positive_spans: vec![Span {
                offset: 0,
                length: 3,
            }],
            custom_values: Arc::from([0.5, 10.0 / 3.0]),
            ..integer
        }))),
        _ => Value::Float(f64::from(k) + 0.5),
    }
}

/// Everything that the engine has, as text.
fn read(tsdb: &Tsdb) -> String {
    let querier = tsdb.querier(TimeRange::ALL).unwrap();
    let matchers = [Matcher::equal(model::METRIC_NAME, "m")];
    let set = querier.select(&matchers, SelectHints::default()).unwrap();
    let mut columns = Columns::default();
    let mut series: BTreeMap<Labels, String> = BTreeMap::new();
    for index in 0..set.len() {
        set.read(index, &mut columns).unwrap();
        let mut text = String::new();
        for at in 0..columns.len() {
            let start_ms = columns.start_timestamps.get(at).copied().unwrap_or(0);
            let histogram = columns.histogram(at).map(|histogram| &**histogram);
            let (at, value) = (columns.timestamps[at], columns.values[at]);
            text.push_str(&line(at, value, histogram, start_ms));
        }
        let before = series.insert(set.labels(index), text);
        assert_eq!(before, None);
    }
    let mut text = String::new();
    for (labels, lines) in series {
        writeln!(text, "{labels}").unwrap();
        text.push_str(&lines);
    }
    let exemplars = ExemplarStore::select(tsdb, TimeRange::ALL, &[matchers.to_vec()]);
    text.extend(exemplars.iter().map(exemplar_line));
    text.extend(tsdb.metadata(None).iter().map(metadata_line));
    text
}

/// Engines of this test keep exemplars and take samples out of order.
fn settings() -> Settings {
    Settings {
        window: PromDuration::from_secs(3600),
        max_exemplars: 100,
        ..Settings::default()
    }
}

/// Fills an engine with large chunks of a day and small ones of another, with series that stopped
/// and returned, seal records, tombstones, exemplars, metadata, and commits that are only in the log;
/// in RocksDB's files and in its log. Returns what it has, as text.
fn fill(bench: &Bench) -> String {
    let tsdb = &bench.tsdb;
    let mut script = Script::default();
    let first_day = START_MS - 86_400_000;
    script.every_kind(tsdb, first_day, 60);
    script.floats(tsdb, "stopped", first_day, (0, &[1.0, 2.5]));
    script.late(tsdb, first_day);
    tsdb.engine().seal_everything().unwrap();
    tsdb.engine().rewrite_all(&mut Unpaced).unwrap();
    tsdb.maintain().unwrap();
    assert_eq!(tsdb.head_stats().series, 0, "all have stopped");
    script.delete(tsdb, "decimals", (first_day, first_day + 60_000));
    script.exemplar(tsdb, first_day);
    script.metadata(tsdb, "What it is.");
    for family in kv::Family::ALL {
        tsdb.engine().kv.flush(family).unwrap();
    }
    script.every_kind(tsdb, START_MS - 3_600_000, 40);
    let whole: Vec<f64> = (0..140).map(f64::from).collect();
    script.floats(tsdb, "full", START_MS - 3_600_000, (0, &whole));
    script.late(tsdb, START_MS - 3_600_000);
    tsdb.engine().seal_everything().unwrap();
    script.late(tsdb, START_MS - 2_000_000);
    tsdb.maintain().unwrap();
    tsdb.engine().kv.flush(kv::Family::Log).unwrap();
    script.every_kind(tsdb, START_MS - 1_000_000, 20);
    script.delete(tsdb, "doubles", (START_MS - 1_000_000, START_MS - 900_000));
    script.exemplar(tsdb, START_MS);
    script.metadata(tsdb, "What it \u{2026} is.");
    let change = StateChange::Put {
        key: b"key".to_vec(),
        value: b"value".to_vec(),
    };
    tsdb.apply(NAMESPACE, &[change]).unwrap();
    script.text()
}

fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if wanted(&name) {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// What RocksDB writes for people, and its options, are not needed to open.
fn is_needed(name: &str) -> bool {
    !name.starts_with("LOG") && name != "LOCK" && !name.starts_with("OPTIONS")
}

#[test]
fn what_is_written_reads_as_it_was() {
    let bench = Bench::prepared(settings(), |_| ());
    let text = fill(&bench);
    assert_eq!(read(&bench.tsdb), text);
    let Bench {
        directory,
        clock,
        tsdb,
        settings,
    } = bench;
    drop(tsdb);
    if let Some(folder) = std::env::var_os("FORMAT_FOLDER") {
        let folder = PathBuf::from(folder);
        copy(directory.path(), &folder.join("data"), is_needed);
        std::fs::write(folder.join("samples.txt"), &text).unwrap();
    }
    assert_eq!(read(&open(directory.path(), &clock, settings)), text);
}

#[test]
fn folders_of_all_versions_open() {
    let mut versions = 0;
    for version in std::fs::read_dir(formats()).unwrap() {
        let version = version.unwrap().path();
        if !version.is_dir() {
            continue;
        }
        versions += 1;
        let want = std::fs::read_to_string(version.join("samples.txt")).unwrap();
        let prepare = |folder: &Path| copy(&version.join("data"), folder, |_| true);
        let mut bench = Bench::prepared(settings(), prepare);
        bench.check_format(&version, &want);
        // Sealed by the present version, then read again; and so after a day.
        for _ in 0..2 {
            bench = bench.reopen(true);
            bench.check_format(&version, &want);
            bench.clock.advance(DAY);
            bench.tsdb.maintain().unwrap();
        }
        bench.tsdb.clean_tombstones().unwrap();
        bench.check_format(&version, &want);
    }
    assert!(versions > 0);
}

impl Bench {
    #[track_caller]
    fn check_format(&self, version: &Path, want: &str) {
        let read = read(&self.tsdb);
        let differs = read.lines().zip(want.lines()).find(|(a, b)| a != b);
        assert!(read == want, "{}: {differs:?}", version.display());
        let state = self.tsdb.get(NAMESPACE, b"key").unwrap();
        assert_eq!(state.as_deref(), Some(&b"value"[..]));
    }
}
