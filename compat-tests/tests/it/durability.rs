//! Kills: whatever was acknowledged is there afterwards.

mod deletes;
mod full_disk;
mod histograms;
mod retention;
mod work;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use testkit::http::Client;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

use crate::support::{Running, firewatch_binary, start, wait_until};
use deletes::Deletes;
use retention::Dropped;
use work::{Tally, WorkLog};

/// `KILL_ROUNDS=200 cargo test -p compat-tests acknowledged_samples` runs more.
const ROUNDS: u32 = 20;
const WRITERS: u32 = 6;
/// The writer that sends native histograms; the others send floats.
const HISTOGRAM_WRITER: u32 = 3;
/// The writer whose samples come out of order, ten by ten the newest first.
const LATE_WRITER: u32 = 4;
/// The writer of samples of a past day, which is rewritten into large chunks.
const PAST_WRITER: u32 = 5;
const PAST_MS: i64 = 3 * 86_400_000;
/// Chunks are sealed, and past days rewritten, while the server is killed.
const FLAGS: &[&str] = &[
    "--log.level=debug",
    "--storage.max-chunk-age=1s",
    "--web.enable-admin-api",
];
const SERIES_PER_WRITER: u32 = 500;
/// Requests of one writer in a round at the most; every 128th fills chunks, which are then sealed.
const REQUESTS_PER_ROUND: u32 = 150;
/// Answers with histograms are compared one by one.
const HISTOGRAM_REQUESTS_PER_ROUND: u32 = 20;
/// Work of the engine that a round waits for before it kills; one without any kills at any moment.
const AIMS: &[Option<&str>] = &[
    None,
    Some("sealing"),
    Some("rewriting"),
    Some("deleting"),
    Some("retention"),
    Some("cleaning"),
    Some("snapshot"),
];
/// Looks for the work that a round waits for, after enough was answered.
const LOOKS: u32 = 10_000;
const LOOK_INTERVAL: Duration = Duration::from_micros(300);

/// What a writer knows to be accepted, across rounds: requests `0..acknowledged`.
struct Writer {
    number: u32,
    acknowledged: u32,
}

/// Everybody who sends, and what each knows to be acknowledged.
struct Senders {
    start_ms: i64,
    writers: Vec<Writer>,
    deletes: Deletes,
    dropped: Dropped,
}

/// A server's life between start and kill.
struct Round<'a> {
    address: &'a str,
    start_ms: i64,
    aim: Option<&'static str>,
    answered: AtomicU32,
    is_over: AtomicBool,
}

#[test]
fn acknowledged_samples_survive_kills() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let rounds = std::env::var("KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    // Requests are a second apart, and none is in the future.
    let span_ms = i64::from(rounds) * i64::from(REQUESTS_PER_ROUND * WRITERS) * 1000;
    let start_ms = i64::try_from(now_ms).unwrap() - span_ms;
    let mut senders = Senders::new(start_ms);
    let mut tally = Tally::default();
    for round in 0..rounds {
        let aim = AIMS[round as usize % AIMS.len()];
        let mut running;
        if aim == Some("retention") {
            senders.dropped.expect_drops();
            running = open(folder.path(), aim);
        } else {
            running = open(folder.path(), aim);
            senders.verify(&running);
        }
        senders.send_until_killed(&mut running, aim, &mut random);
        let mut log = WorkLog::new(&folder.path().join("log"));
        log.read();
        tally.count(log.under_way());
        match round % 3 {
            1 => kill_while_opening(folder.path(), &mut random, &mut tally),
            2 => kill_while_compacting(folder.path(), &mut random, &mut tally),
            _ => {}
        }
        // They would fill the disk.
        let _none = std::fs::remove_dir_all(folder.path().join("data/snapshots"));
    }
    let mut running = open(folder.path(), None);
    senders.verify(&running);
    running.server.terminate().unwrap();
    senders.verify(&open(folder.path(), None));
    println!(
        "{rounds} rounds, {} acknowledged samples, 0 lost; {tally}",
        senders.samples()
    );
    assert!(tally.during("sealing") > 0, "no kill fell into sealing");
}

/// A round of retention keeps less than has been written.
fn open(folder: &Path, aim: Option<&str>) -> Running {
    let days = if aim == Some("retention") { 10 } else { 40 };
    let config = format!(
        "storage:\n  tsdb:\n    out_of_order_time_window: 30d\n    retention:\n      time: {days}d\n"
    );
    start(&firewatch_binary(), folder, &config, FLAGS)
}

fn value(request: u32, series: u32) -> f64 {
    f64::from(request % 97) + f64::from(series) / 8.0
}

fn time(writer: u32, request: u32, start_ms: i64) -> i64 {
    match writer {
        LATE_WRITER => start_ms + i64::from(request / 10 * 10 + 9 - request % 10) * 1000,
        PAST_WRITER => start_ms - PAST_MS + i64::from(request) * 1000,
        _ => start_ms + i64::from(request) * 1000,
    }
}

fn request(writer: u32, request: u32, start_ms: i64) -> Vec<u8> {
    let timestamp = time(writer, request, start_ms);
    if writer == HISTOGRAM_WRITER {
        return histograms::request(request, timestamp);
    }
    let series = |series: u32| {
        let (writer, number) = (writer.to_string(), series.to_string());
        let pairs = [
            ("__name__", "kill_test"),
            ("series", &number),
            ("writer", &writer),
        ];
        let samples = vec![Sample {
            value: value(request, series),
            timestamp,
        }];
        TimeSeries {
            labels: labels(&pairs),
            samples,
            ..TimeSeries::default()
        }
    };
    body((0..SERIES_PER_WRITER).map(series).collect()).unwrap()
}

impl Round<'_> {
    /// Whether somebody shall send on; waits while enough was answered and the kill is still to come.
    fn goes_on(&self) -> bool {
        let most = WRITERS * REQUESTS_PER_ROUND;
        let (_sender, pace) = std::sync::mpsc::channel::<()>();
        while !self.is_over.load(Ordering::SeqCst) {
            if self.answered.load(Ordering::SeqCst) < most {
                return true;
            }
            let _timeout = pace.recv_timeout(Duration::from_millis(5));
        }
        false
    }

    /// Waits until so many requests were answered; `false` when the server is gone before.
    fn goes_on_behind(&self, answered: u32) -> bool {
        let (_sender, pace) = std::sync::mpsc::channel::<()>();
        let answered = answered.min(WRITERS * REQUESTS_PER_ROUND);
        while !self.is_over.load(Ordering::SeqCst) {
            if self.answered.load(Ordering::SeqCst) >= answered {
                return true;
            }
            let _timeout = pace.recv_timeout(Duration::from_millis(1));
        }
        false
    }

    /// Waits until `enough` requests are answered and the work of the round is under way; if it does
    /// not come, any moment is a good one.
    fn wait_for_moment(&self, log: &mut WorkLog, enough: u32) {
        let limit = Duration::from_secs(120);
        wait_until("enough was answered", limit, || {
            self.answered.load(Ordering::SeqCst) >= enough
        });
        let Some(aim) = self.aim else {
            return;
        };
        let (_sender, pace) = std::sync::mpsc::channel::<()>();
        for _ in 0..LOOKS {
            log.read();
            if log.is_under_way(aim) {
                return;
            }
            let _timeout = pace.recv_timeout(LOOK_INTERVAL);
        }
    }
}

impl Senders {
    fn new(start_ms: i64) -> Self {
        let writer = |number| Writer {
            number,
            acknowledged: 0,
        };
        Self {
            start_ms,
            writers: (0..WRITERS).map(writer).collect(),
            deletes: Deletes::default(),
            dropped: Dropped::default(),
        }
    }

    /// Sends from all sides until the server has answered a random number of requests and is at the
    /// work of the round, and kills it while the others are under way.
    fn send_until_killed(
        &mut self,
        running: &mut Running,
        aim: Option<&'static str>,
        random: &mut StdRng,
    ) {
        let most = match aim {
            None => WRITERS * REQUESTS_PER_ROUND,
            // It happens once, soon after the start.
            Some("retention") => 1,
            Some(_) => WRITERS * REQUESTS_PER_ROUND / 2,
        };
        let enough = random.random_range(0..most);
        let mut log = WorkLog::new(running.server.log_file());
        let address = running.server.address().to_owned();
        let round = Round {
            address: &address,
            start_ms: self.start_ms,
            aim,
            answered: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        };
        let administered = self.deletes;
        std::thread::scope(|scope| {
            let round = &round;
            for writer in &mut self.writers {
                scope.spawn(move || write(writer, round));
            }
            let (deletes, dropped) = (&mut self.deletes, &mut self.dropped);
            scope.spawn(move || deletes.run(round));
            scope.spawn(move || administered.administer(round));
            scope.spawn(move || dropped.run(round));
            round.wait_for_moment(&mut log, enough);
            running.server.kill();
            round.is_over.store(true, Ordering::SeqCst);
        });
    }

    #[track_caller]
    fn verify(&self, running: &Running) {
        verify(running, &self.writers);
        self.deletes.verify(running, self.start_ms);
        self.dropped.verify(running, self.start_ms);
    }

    fn samples(&self) -> u32 {
        let of = |writer: &Writer| match writer.number {
            HISTOGRAM_WRITER => writer.acknowledged * histograms::SERIES,
            _ => writer.acknowledged * SERIES_PER_WRITER,
        };
        self.writers.iter().map(of).sum()
    }
}

/// Milliseconds of a time as answers have it.
fn time_ms(seconds: &serde_json::Value) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "times of this test are small"
    )]
    let ms = (seconds.as_f64().unwrap() * 1000.0).round() as i64;
    ms
}

/// Writes until the server is gone. An unanswered request is sent again in the next round.
fn write(writer: &mut Writer, round: &Round<'_>) {
    let client = Client::new(round.address);
    let last = match writer.number {
        HISTOGRAM_WRITER => writer.acknowledged + HISTOGRAM_REQUESTS_PER_ROUND,
        _ => u32::MAX,
    };
    while writer.acknowledged < last && round.goes_on() {
        let body = request(writer.number, writer.acknowledged, round.start_ms);
        let Ok(answer) = client.remote_write(&body) else {
            return;
        };
        assert_eq!(answer.status, 204, "{}", answer.body);
        writer.acknowledged += 1;
        round.answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Kills the server somewhere between its start and the end of its replay.
fn kill_while_opening(folder: &Path, random: &mut StdRng, tally: &mut Tally) {
    let config = format!("--config.file={}", folder.join("config.yml").display());
    let log = folder.join("opening.log");
    let mut command = Command::new(firewatch_binary());
    command
        .args([config, storage_flag(folder)])
        .arg("--web.listen-address=127.0.0.1:0")
        .args(FLAGS)
        .stderr(std::fs::File::create(&log).unwrap());
    kill_within(command.spawn().unwrap(), random.random_range(1..300));
    let is_open = std::fs::read_to_string(&log)
        .unwrap()
        .contains("log replayed");
    tally.count((!is_open).then_some("opening").into_iter());
}

/// Kills what makes all data as small as can be.
fn kill_while_compacting(folder: &Path, random: &mut StdRng, tally: &mut Tally) {
    let mut command = Command::new(firewatch_binary());
    command
        .args(["tsdb", "compact", &storage_flag(folder)])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let was_running = kill_within(command.spawn().unwrap(), random.random_range(1..2000));
    tally.count(was_running.then_some("tsdb compact").into_iter());
}

fn storage_flag(folder: &Path) -> String {
    format!("--storage.tsdb.path={}", folder.join("data").display())
}

/// Kills a process after a while, and tells whether it was still running.
fn kill_within(mut child: Child, ms: u64) -> bool {
    let (_sender, pace) = std::sync::mpsc::channel::<()>();
    // Any moment is a good one: the choice needs no condition.
    let _timeout = pace.recv_timeout(Duration::from_millis(ms));
    let was_running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    was_running
}

/// Every series has the samples of all acknowledged requests, without holes, and at most those of
/// one more: the request that was under way.
#[track_caller]
fn verify(running: &Running, writers: &[Writer]) {
    for writer in writers {
        if writer.number == HISTOGRAM_WRITER {
            histograms::verify(running, writer.acknowledged);
            continue;
        }
        let selector = format!("kill_test{{writer=\"{}\"}}[6d]", writer.number);
        let counts = running.query(&format!("count_over_time({selector})"), "");
        let sums = running.query(&format!("sum_over_time({selector})"), "");
        let read = |result: &serde_json::Value| -> Vec<(u32, f64)> {
            let series = result.as_array().unwrap().iter();
            let mut values: Vec<(u32, f64)> = series
                .map(|series| {
                    let number = series["metric"]["series"]
                        .as_str()
                        .unwrap()
                        .parse()
                        .unwrap();
                    (
                        number,
                        series["value"][1].as_str().unwrap().parse().unwrap(),
                    )
                })
                .collect();
            values.sort_by_key(|(series, _)| *series);
            values
        };
        let (counts, sums) = (read(&counts), read(&sums));
        if writer.acknowledged > 0 {
            assert_eq!(
                counts.len(),
                SERIES_PER_WRITER as usize,
                "writer {}",
                writer.number
            );
        }
        for ((series, count), (_, sum)) in counts.into_iter().zip(sums) {
            let acknowledged = f64::from(writer.acknowledged);
            assert!(
                (acknowledged..=acknowledged + 1.0).contains(&count),
                "writer {} series {series}: {count} samples, {acknowledged} acknowledged",
                writer.number
            );
            let requests = (0..).take_while(|request| f64::from(*request) < count);
            let want: f64 = requests.map(|request| value(request, series)).sum();
            assert!(
                (want - sum).abs() < 1e-6 * want.max(1.0),
                "series {series}: {sum}, not {want}"
            );
        }
    }
}
