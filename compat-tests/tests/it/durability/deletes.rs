//! The writer that deletes half of what it has written, and an administrator who cleans up, takes
//! snapshots and deletes again while everybody writes.

use std::collections::BTreeSet;

use testkit::http::Client;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

use super::{Round, time_ms};
use crate::support::Running;

const NAME: &str = "kill_test_deleted";
const SERIES: u32 = 100;
/// Requests after which the first half of them is deleted.
const BLOCK: u32 = 10;
/// A round writes at most so many blocks.
const BLOCKS_PER_ROUND: u32 = 12;

/// What is acknowledged of the writes and deletes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deletes {
    /// Requests `0..written`.
    written: u32,
    /// Of as many blocks of requests the first half is deleted.
    deleted_blocks: u32,
}

fn time(request: u32, start_ms: i64) -> i64 {
    start_ms + i64::from(request) * 1000
}

fn value(request: u32, series: u32) -> f64 {
    f64::from(request) + f64::from(series) / 128.0
}

fn request(number: u32, start_ms: i64) -> Vec<u8> {
    let series = |series: u32| TimeSeries {
        labels: labels(&[("__name__", NAME), ("series", &series.to_string())]),
        samples: vec![Sample {
            value: value(number, series),
            timestamp: time(number, start_ms),
        }],
        ..TimeSeries::default()
    };
    body((0..SERIES).map(series).collect()).unwrap()
}

/// Whether an administrator's request was answered; the server may be gone.
fn is_done(client: &Client, what: &str, form: &[(&str, &str)]) -> bool {
    let path = format!("/api/v1/admin/tsdb/{what}");
    let Ok(answer) = client.post_form_head(&path, form, 1 << 10) else {
        return false;
    };
    assert!(
        matches!(answer.status, 200 | 204),
        "{what}: {} {}",
        answer.status,
        answer.body
    );
    true
}

fn delete(client: &Client, block: u32, start_ms: i64) -> bool {
    let seconds = |request| format!("{:.3}", time(request, start_ms) as f64 / 1000.0);
    let first = block * BLOCK;
    let (start, end) = (seconds(first), seconds(first + BLOCK / 2 - 1));
    let form = [("match[]", NAME), ("start", &start), ("end", &end)];
    is_done(client, "delete_series", &form)
}

impl Deletes {
    /// Writes and deletes until the server is gone.
    pub(super) fn run(&mut self, round: &Round<'_>) {
        let client = Client::new(round.address);
        let last = self.deleted_blocks + BLOCKS_PER_ROUND;
        while round.goes_on() && self.deleted_blocks < last {
            if self.written == (self.deleted_blocks + 1) * BLOCK {
                if !delete(&client, self.deleted_blocks, round.start_ms) {
                    return;
                }
                self.deleted_blocks += 1;
            } else {
                let Ok(answer) = client.remote_write(&request(self.written, round.start_ms)) else {
                    return;
                };
                assert_eq!(answer.status, 204, "{}", answer.body);
                self.written += 1;
            }
        }
    }

    /// Cleans up and takes snapshots until the server is gone. What is deleted once more is what was
    /// deleted when the round began.
    pub(super) fn administer(self, round: &Round<'_>) {
        let client = Client::new(round.address);
        let works: &[&str] = match round.aim {
            Some("deleting") => &["deleting"],
            Some("cleaning") => &["deleting", "cleaning"],
            Some("snapshot") => &["snapshot"],
            Some("retention") => return,
            _ => &["deleting", "snapshot", "cleaning"],
        };
        for (turn, work) in (0_u32..).zip(works.iter().cycle()) {
            let wait_for = if works.len() < 3 { turn } else { turn * 40 };
            if !round.goes_on_behind(wait_for) {
                return;
            }
            let answered = match *work {
                "snapshot" => {
                    let skip_head = if turn % 2 == 0 { "true" } else { "false" };
                    is_done(&client, "snapshot", &[("skip_head", skip_head)])
                }
                "cleaning" => is_done(&client, "clean_tombstones", &[]),
                _ => match self.deleted_blocks {
                    0 => true,
                    blocks => delete(&client, turn % blocks, round.start_ms),
                },
            };
            if !answered {
                return;
            }
        }
    }

    /// Every series has what was acknowledged and not deleted, and nothing of what was deleted. A
    /// request under way is there or not; so is a delete, for all series alike.
    #[track_caller]
    pub(super) fn verify(self, running: &Running, start_ms: i64) {
        let result = running.query(&format!("{NAME}[6d]"), "");
        let result = result.as_array().unwrap();
        if self.written > 0 {
            assert_eq!(result.len(), SERIES as usize);
        }
        let mut kinds = BTreeSet::new();
        for found in result {
            let series: u32 = found["metric"]["series"].as_str().unwrap().parse().unwrap();
            let mut requests = BTreeSet::new();
            for point in found["values"].as_array().unwrap() {
                let at_ms = time_ms(&point[0]);
                let request = u32::try_from((at_ms - start_ms) / 1000).unwrap();
                let got: f64 = point[1].as_str().unwrap().parse().unwrap();
                assert_eq!(got, value(request, series), "series {series} at {at_ms}");
                assert!(requests.insert(request), "series {series}: twice {at_ms}");
            }
            kinds.insert(self.check(series, &requests));
        }
        assert!(kinds.len() <= 1, "a delete is there for some series only");
    }

    /// Whether the delete under way is there.
    #[track_caller]
    fn check(self, series: u32, requests: &BTreeSet<u32>) -> Option<bool> {
        let mut pending = None;
        for request in 0..self.written {
            let (block, is_there) = (request / BLOCK, requests.contains(&request));
            let is_first_half = request % BLOCK < BLOCK / 2;
            if is_first_half && block < self.deleted_blocks {
                assert!(!is_there, "{self:?}: series {series} has deleted {request}");
            } else if is_first_half && self.written == (block + 1) * BLOCK {
                assert!(
                    pending.is_none_or(|before| before == is_there),
                    "{self:?}: series {series} has a part of block {block}"
                );
                pending = Some(is_there);
            } else {
                assert!(is_there, "{self:?}: series {series} lacks {request}");
            }
        }
        let newest = requests.last().copied().unwrap_or(0);
        assert!(newest <= self.written, "{self:?}: {newest} is there");
        pending
    }
}
