//! The writer of samples that retention drops: a generation of series each time between rounds
//! whose configuration keeps less.

use testkit::http::Client;
use testkit::remote_write::{Sample, TimeSeries, body, labels};

use super::{Round, time_ms};
use crate::support::Running;

const NAME: &str = "kill_test_dropped";
const SERIES: u32 = 20;
const DAYS: u32 = 8;
const DAY_MS: i64 = 86_400_000;
/// The first of the days lies so far back.
const AGE_MS: i64 = 20 * DAY_MS;
const REQUESTS_PER_ROUND: u32 = 40;

/// What is acknowledged of the present generation.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    generation: u32,
    written: u32,
    /// Since when anything of it may be gone.
    may_be_gone: bool,
}

fn time(request: u32, start_ms: i64) -> i64 {
    let day = i64::from(request % DAYS);
    start_ms - AGE_MS + day * DAY_MS + i64::from(request / DAYS) * 1000
}

fn value(request: u32, series: u32) -> f64 {
    f64::from(request / DAYS) + f64::from(request % DAYS) / 16.0 + f64::from(series) / 1024.0
}

impl Dropped {
    fn request(&self, start_ms: i64) -> Vec<u8> {
        let day = (self.written % DAYS).to_string();
        let generation = self.generation.to_string();
        let series = |series: u32| TimeSeries {
            labels: labels(&[
                ("__name__", NAME),
                ("day", &day),
                ("generation", &generation),
                ("series", &series.to_string()),
            ]),
            samples: vec![Sample {
                value: value(self.written, series),
                timestamp: time(self.written, start_ms),
            }],
            ..TimeSeries::default()
        };
        body((0..SERIES).map(series).collect()).unwrap()
    }

    /// From here on a server may drop what was written.
    pub(super) fn expect_drops(&mut self) {
        self.may_be_gone = true;
    }

    /// Writes until the server is gone; nothing while the configuration drops it.
    pub(super) fn run(&mut self, round: &Round<'_>) {
        if round.aim == Some("retention") {
            return;
        }
        if self.may_be_gone {
            *self = Self {
                generation: self.generation + 1,
                ..Self::default()
            };
        }
        let client = Client::new(round.address);
        for _ in 0..REQUESTS_PER_ROUND {
            if !round.goes_on() {
                return;
            }
            let Ok(answer) = client.remote_write(&self.request(round.start_ms)) else {
                return;
            };
            assert_eq!(answer.status, 204, "{}", answer.body);
            self.written += 1;
        }
    }

    /// The present generation is whole unless retention may have dropped some of it; whatever is
    /// there, of any generation, was written.
    #[track_caller]
    pub(super) fn verify(&self, running: &Running, start_ms: i64) {
        let result = running.query(&format!("{NAME}[30d]"), "");
        let mut found = 0;
        for series in result.as_array().unwrap() {
            let label = |name: &str| -> u32 {
                let text = series["metric"][name].as_str().unwrap();
                text.parse().unwrap()
            };
            let (generation, day, number) = (label("generation"), label("day"), label("series"));
            let mut newest = None;
            for point in series["values"].as_array().unwrap() {
                let at_ms = time_ms(&point[0]);
                let day_start = time(day, start_ms);
                let request = u32::try_from((at_ms - day_start) / 1000).unwrap() * DAYS + day;
                let got: f64 = point[1].as_str().unwrap().parse().unwrap();
                assert_eq!(got, value(request, number), "{series}");
                assert!(newest < Some(request), "{request} is there twice");
                newest = Some(request);
                if generation == self.generation && request < self.written {
                    found += 1;
                }
            }
        }
        let want = self.written * SERIES;
        assert!(
            found == want || (self.may_be_gone && found < want),
            "{self:?}: {found} of {want} samples are there"
        );
    }
}
