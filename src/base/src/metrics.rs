//! Our own metrics: counters, gauges and histograms, registered once, gathered as families.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, sum and count.
    Histogram,
}

/// One line of a gathered family.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample {
    /// Name of the series: the family's, with `_bucket`, `_sum` or `_count` for histograms.
    pub name: String,
    /// Labels in the order they were given.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// All lines of one metric name.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricFamily {
    /// The metric's name.
    pub name: String,
    /// One sentence about it.
    pub help: String,
    /// What it measures.
    pub kind: FamilyKind,
    /// Its lines.
    pub samples: Vec<MetricSample>,
}

/// A number that only grows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The current count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds `delta`, which may be negative.
    pub fn add(&self, delta: f64) {
        let changed = |bits| Some((f64::from_bits(bits) + delta).to_bits());
        // The closure never gives up, so the update cannot fail.
        let _infallible = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Counts observations in cumulative buckets. Clones share them.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramCells>);

#[derive(Debug)]
struct HistogramCells {
    bounds: Vec<f64>,
    counts: Vec<Counter>,
    sum: Gauge,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        Self(Arc::new(HistogramCells {
            bounds: bounds.to_vec(),
            counts: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum: Gauge::default(),
        }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        self.0.counts[bucket].inc();
        self.0.sum.add(value);
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are exported as float64")]
    fn gather(&self, name: &str, labels: &[(String, String)], out: &mut Vec<MetricSample>) {
        let mut cumulative = 0;
        for (index, count) in self.0.counts.iter().enumerate() {
            cumulative += count.get();
            let bound = match self.0.bounds.get(index) {
                Some(bound) => model::number::format_general(*bound),
                None => "+Inf".to_owned(),
            };
            let mut with_bound = labels.to_vec();
            with_bound.push(("le".to_owned(), bound));
            out.push(sample(
                &format!("{name}_bucket"),
                with_bound,
                cumulative as f64,
            ));
        }
        out.push(sample(
            &format!("{name}_sum"),
            labels.to_vec(),
            self.0.sum.get(),
        ));
        out.push(sample(
            &format!("{name}_count"),
            labels.to_vec(),
            cumulative as f64,
        ));
    }
}

fn sample(name: &str, labels: Vec<(String, String)>, value: f64) -> MetricSample {
    MetricSample {
        name: name.to_owned(),
        labels,
        value,
    }
}

type Collector = Box<dyn Fn() -> Vec<MetricFamily> + Send + Sync>;

#[derive(Debug)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: FamilyKind,
    cells: Vec<(Vec<(String, String)>, Cell)>,
}

/// Where a part registers its metrics; passed in, never global. Clones share one registry.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    families: Vec<Family>,
    collectors: Vec<Collector>,
}

impl Registry {
    /// A registry without metrics.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a counter. Registering the same name and labels again returns the same counter.
    #[must_use]
    pub fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
    ) -> Counter {
        let cell = self.cell(name, help, labels, || Cell::Counter(Counter::default()));
        match cell {
            Cell::Counter(counter) => counter,
            Cell::Gauge(_) | Cell::Histogram(_) => Counter::default(),
        }
    }

    /// Registers a gauge. Registering the same name and labels again returns the same gauge.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        match self.cell(name, help, labels, || Cell::Gauge(Gauge::default())) {
            Cell::Gauge(gauge) => gauge,
            Cell::Counter(_) | Cell::Histogram(_) => Gauge::default(),
        }
    }

    /// Registers a histogram with the given upper bounds, in increasing order, without `+Inf`.
    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Histogram {
        match self.cell(name, help, labels, || {
            Cell::Histogram(Histogram::new(bounds))
        }) {
            Cell::Histogram(histogram) => histogram,
            Cell::Counter(_) | Cell::Gauge(_) => Histogram::new(bounds),
        }
    }

    /// Registers a function that makes families when metrics are gathered.
    pub fn collector(&self, collect: impl Fn() -> Vec<MetricFamily> + Send + Sync + 'static) {
        self.inner.lock().collectors.push(Box::new(collect));
    }

    /// All families, sorted by name.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        let inner = self.inner.lock();
        let mut families: Vec<MetricFamily> = inner.families.iter().map(gather_family).collect();
        families.extend(inner.collectors.iter().flat_map(|collect| collect()));
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }

    fn cell(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        create: impl FnOnce() -> Cell,
    ) -> Cell {
        let labels: Vec<(String, String)> = labels
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let mut inner = self.inner.lock();
        let index = inner.families.iter().position(|family| family.name == name);
        let family = match index {
            Some(index) => &mut inner.families[index],
            None => {
                inner.families.push(Family {
                    name,
                    help,
                    kind: FamilyKind::Gauge,
                    cells: vec![],
                });
                let last = inner.families.len() - 1;
                &mut inner.families[last]
            }
        };
        if let Some((_, cell)) = family.cells.iter().find(|(known, _)| *known == labels) {
            return cell.share();
        }
        let cell = create();
        family.kind = cell.kind();
        family.cells.push((labels, cell.share()));
        cell
    }
}

impl Cell {
    fn share(&self) -> Self {
        match self {
            Self::Counter(counter) => Self::Counter(counter.clone()),
            Self::Gauge(gauge) => Self::Gauge(gauge.clone()),
            Self::Histogram(histogram) => Self::Histogram(histogram.clone()),
        }
    }

    fn kind(&self) -> FamilyKind {
        match self {
            Self::Counter(_) => FamilyKind::Counter,
            Self::Gauge(_) => FamilyKind::Gauge,
            Self::Histogram(_) => FamilyKind::Histogram,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counters are exported as float64"
)]
fn gather_family(family: &Family) -> MetricFamily {
    let mut samples = Vec::new();
    for (labels, cell) in &family.cells {
        match cell {
            Cell::Counter(counter) => {
                samples.push(sample(family.name, labels.clone(), counter.get() as f64));
            }
            Cell::Gauge(gauge) => samples.push(sample(family.name, labels.clone(), gauge.get())),
            Cell::Histogram(histogram) => histogram.gather(family.name, labels, &mut samples),
        }
    }
    MetricFamily {
        name: family.name.to_owned(),
        help: family.help.to_owned(),
        kind: family.kind,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_what_was_counted() {
        let registry = Registry::new();
        registry
            .counter("b_total", "Second.", &[("code", "200")])
            .add(3);
        registry
            .counter("b_total", "Second.", &[("code", "200")])
            .inc();
        registry.gauge("a", "First.", &[]).add(-1.5);
        let histogram = registry.histogram("c_seconds", "Third.", &[], &[0.5, 1.0]);
        for value in [0.5, 0.7, 9.0] {
            histogram.observe(value);
        }
        let lines: Vec<(String, f64)> = registry
            .gather()
            .into_iter()
            .flat_map(|family| family.samples)
            .map(|line| (format!("{}{:?}", line.name, line.labels), line.value))
            .collect();
        let want = [
            ("a[]", -1.5),
            (r#"b_total[("code", "200")]"#, 4.0),
            (r#"c_seconds_bucket[("le", "0.5")]"#, 1.0),
            (r#"c_seconds_bucket[("le", "1")]"#, 2.0),
            (r#"c_seconds_bucket[("le", "+Inf")]"#, 3.0),
            ("c_seconds_sum[]", 10.2),
            ("c_seconds_count[]", 3.0),
        ];
        assert_eq!(lines, want.map(|(name, value)| (name.to_owned(), value)));
    }
}
