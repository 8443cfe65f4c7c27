//! Kills: whatever was acknowledged is there afterwards.

mod full_disk;
mod histograms;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use testkit::http::Client;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

use crate::support::{Running, firewatch_binary, start, wait_until};

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
const FLAGS: &[&str] = &["--log.level=info", "--storage.max-chunk-age=1s"];
const CONFIG: &str = "storage:\n  tsdb:\n    out_of_order_time_window: 30d\n";
const SERIES_PER_WRITER: u32 = 500;
/// Requests of one writer in a round at the most; every 128th fills chunks, which are then sealed.
const REQUESTS_PER_ROUND: u32 = 150;

/// What a writer knows to be accepted, across rounds: requests `0..acknowledged`.
struct Writer {
    number: u32,
    acknowledged: u32,
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
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer {
            number,
            acknowledged: 0,
        })
        .collect();
    for round in 0..rounds {
        let mut running = open(folder.path());
        verify(&running, &writers);
        write_until_killed(&mut running, &mut writers, &mut random, start_ms);
        if round % 2 == 1 {
            kill_while_opening(folder.path(), &mut random);
        }
    }
    let mut running = open(folder.path());
    verify(&running, &writers);
    running.server.terminate().unwrap();
    verify(&open(folder.path()), &writers);
    let total: u32 = writers
        .iter()
        .map(|writer| match writer.number {
            HISTOGRAM_WRITER => writer.acknowledged * histograms::SERIES,
            _ => writer.acknowledged * SERIES_PER_WRITER,
        })
        .sum();
    println!("{rounds} rounds, {total} acknowledged samples, 0 lost");
}

fn open(folder: &Path) -> Running {
    start(&firewatch_binary(), folder, CONFIG, FLAGS)
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

/// Writes from all sides until the server has answered a random number of requests, and kills it
/// while the others are under way.
fn write_until_killed(
    running: &mut Running,
    writers: &mut [Writer],
    random: &mut StdRng,
    start_ms: i64,
) {
    let limit = random.random_range(1..WRITERS * REQUESTS_PER_ROUND);
    let answered = AtomicU32::new(0);
    let address = running.server.address().to_owned();
    std::thread::scope(|scope| {
        for writer in writers {
            let (answered, address) = (&answered, &address);
            scope.spawn(move || write(writer, &Client::new(address), answered, start_ms));
        }
        wait_until("enough was answered", Duration::from_secs(120), || {
            answered.load(Ordering::SeqCst) >= limit
        });
        running.server.kill();
    });
}

/// Writes until the server is gone. An unanswered request is sent again in the next round.
fn write(writer: &mut Writer, client: &Client, answered: &AtomicU32, start_ms: i64) {
    while let Ok(answer) =
        client.remote_write(&request(writer.number, writer.acknowledged, start_ms))
    {
        assert_eq!(answer.status, 204, "{}", answer.body);
        writer.acknowledged += 1;
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Kills the server somewhere between its start and the end of its replay.
fn kill_while_opening(folder: &Path, random: &mut StdRng) {
    let mut child = std::process::Command::new(firewatch_binary())
        .arg(format!(
            "--config.file={}",
            folder.join("config.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg("--web.listen-address=127.0.0.1:0")
        .args(FLAGS)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (_sender, pace) = std::sync::mpsc::channel::<()>();
    // Any moment is a good one: the choice needs no condition.
    let _timeout = pace.recv_timeout(Duration::from_millis(random.random_range(1..300)));
    child.kill().unwrap();
    child.wait().unwrap();
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
