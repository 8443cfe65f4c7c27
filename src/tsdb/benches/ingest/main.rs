//! Time to take a sample: requests of 2000 series among 100,000 known ones, in the order in which
//! they first came and in another one; and time to select many series.

mod load;

use std::sync::Arc;

use base::ManualClock;
use base::metrics::Registry;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{MatchOp, Matcher, TimeRange, Timestamp};
use storage::{AppendPolicy, Appender as _, Durability, Queryable as _, SelectHints};
use tsdb::{Background, Tsdb, TsdbOptions};

use load::{INTERVAL_MS, SERIES_PER_REQUEST, request, span};

const SERIES: u32 = 100_000;
const START_MS: i64 = 1_700_000_000_000;

/// An engine, and the spans of its series request by request.
struct Bench {
    tsdb: Tsdb,
    clock: Arc<ManualClock>,
    requests: Vec<Vec<Vec<u8>>>,
    next: usize,
    step: u32,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// The first step creates the series in the order of their numbers; then `order` tells which
    /// stands at each place.
    fn new(order: impl Fn(u32) -> u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = TsdbOptions {
            background: Background::Manual,
            ..TsdbOptions::new(folder.path().to_owned())
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START_MS)));
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let tsdb = Tsdb::open(options, shared, &Registry::new()).expect("the engine opens");
        let requests = |order: &dyn Fn(u32) -> u32| -> Vec<Vec<Vec<u8>>> {
            let spans: Vec<Vec<u8>> = (0..SERIES).map(|at| span(order(at))).collect();
            spans
                .chunks(SERIES_PER_REQUEST)
                .map(<[_]>::to_vec)
                .collect()
        };
        let mut bench = Self {
            tsdb,
            clock,
            requests: requests(&|at| at),
            next: 0,
            step: 0,
            _folder: folder,
        };
        for _ in 0..bench.requests.len() {
            bench.append();
        }
        bench.requests = requests(&order);
        bench
    }

    /// Takes the next request; returns when its samples are visible.
    fn append(&mut self) -> u64 {
        let spans = &self.requests[self.next];
        let first = u32::try_from(self.next * SERIES_PER_REQUEST).expect("few series");
        let request = request(spans, first, self.step, START_MS);
        let pending = self
            .tsdb
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
        let outcome = pending
            .and_then(storage::PendingAppend::wait_blocking)
            .expect("the request is right");
        self.next += 1;
        if self.next == self.requests.len() {
            self.next = 0;
            self.step += 1;
            let now = START_MS + i64::from(self.step) * INTERVAL_MS;
            self.clock.set(Timestamp::from_millis(now));
            if self.step.is_multiple_of(16) {
                self.tsdb.maintain().expect("the store works");
            }
        }
        outcome.appended
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(SERIES_PER_REQUEST as u64));
    group.sample_size(30);
    let mut same = Bench::new(|at| at);
    group.bench_function("same order", |b| b.iter(|| same.append()));
    drop(same);
    let mut mixed = Bench::new(|at| at.wrapping_mul(7919) % SERIES);
    group.bench_function("mixed order", |b| b.iter(|| mixed.append()));
    group.finish();
}

fn select(c: &mut Criterion) {
    let bench = Bench::new(|at| at);
    let matcher = Matcher::new(MatchOp::Equal, "device", "device-3").expect("a valid matcher");
    let mut group = c.benchmark_group("select");
    group.throughput(Throughput::Elements(u64::from(SERIES / 10)));
    group.sample_size(30);
    group.bench_function("10,000 series with labels", |b| {
        b.iter(|| {
            let querier = bench.tsdb.querier(TimeRange::ALL).expect("a view");
            let set = querier
                .select(std::slice::from_ref(&matcher), SelectHints::default())
                .expect("a selection");
            let labels: Vec<_> = (0..set.len()).map(|index| set.labels(index)).collect();
            labels.len()
        });
    });
    group.finish();
}

criterion_group!(benches, append, select);
criterion_main!(benches);
