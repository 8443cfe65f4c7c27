//! What a series costs in memory: `memory [SERIES] [STEPS]` takes samples of so many series and
//! prints how the process grows. Run it with `--release`.

#[path = "../benches/ingest/load.rs"]
mod load;

use std::sync::Arc;

use base::ManualClock;
use base::metrics::Registry;
use model::Timestamp;
use storage::{AppendPolicy, Appender as _, Durability};
use tsdb::{Background, Tsdb, TsdbOptions};

use load::{INTERVAL_MS, SERIES_PER_REQUEST, request, span};

/// As in the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const START_MS: i64 = 1_700_000_000_000;

#[expect(clippy::print_stdout, reason = "a program that prints figures")]
fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default: u32| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let (series, steps) = (argument(1_000_000), argument(16));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = TsdbOptions {
        background: Background::Manual,
        ..TsdbOptions::new(folder.path().to_owned())
    };
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START_MS)));
    let shared: Arc<ManualClock> = Arc::clone(&clock);
    let tsdb = Tsdb::open(options, shared, &Registry::new()).expect("the engine opens");
    let before = anonymous_bytes();
    for step in 0..steps {
        clock.set(Timestamp::from_millis(
            START_MS + i64::from(step) * INTERVAL_MS,
        ));
        for first in (0..series).step_by(SERIES_PER_REQUEST) {
            let spans: Vec<Vec<u8>> = (first..series).take(SERIES_PER_REQUEST).map(span).collect();
            let request = request(&spans, first, step, START_MS);
            let pending = tsdb.append(&request, AppendPolicy::RollBack, Durability::Acknowledged);
            pending
                .and_then(storage::PendingAppend::wait_blocking)
                .expect("the request is right");
        }
        if step % 8 == 7 {
            tsdb.maintain().expect("the store works");
        }
        let grown = anonymous_bytes().saturating_sub(before);
        println!(
            "{} samples each: {} MiB, {} bytes a series",
            step + 1,
            grown >> 20,
            grown / u64::from(series)
        );
    }
}

/// Anonymous resident memory of this process.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) << 10
}
