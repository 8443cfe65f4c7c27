//! Random series: counters with resets, gauges, gaps, stale markers, odd numbers.

use model::{Labels, Timestamp};
use storage::memory::MemoryStorage;
use storage::{AppendPolicy, AppendRequest, Appender, Durability, Sample, SeriesKey};

/// Series and a storage that holds them.
pub(crate) struct Data {
    pub(crate) series: Vec<(Labels, Vec<(i64, f64)>)>,
    pub(crate) storage: MemoryStorage,
}

/// A small generator of random numbers, so that data is a function of its seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> i64 {
        i64::try_from(self.next() % limit).expect("limits are small")
    }
}

/// The series of a seed.
pub(crate) fn data(seed: u64) -> Data {
    let mut random = Random(seed);
    let mut series = Vec::new();
    for name in ["a", "b", "c_total"] {
        for x in ["1", "2"] {
            for y in ["1", "2", "3"] {
                if random.below(4) == 0 {
                    continue;
                }
                let labels = Labels::from_pairs([("__name__", name), ("x", x), ("y", y)])
                    .expect("valid labels");
                let samples = if name == "c_total" {
                    counter(&mut random)
                } else {
                    gauge(&mut random)
                };
                series.push((labels, samples));
            }
        }
    }
    let storage = MemoryStorage::new();
    for (labels, samples) in &series {
        let mut request = AppendRequest::default();
        request.push(
            SeriesKey::Labels(labels),
            samples.iter().map(|(at, value)| Sample {
                timestamp: Timestamp::from_millis(*at),
                value: *value,
            }),
        );
        storage
            .append(&request, AppendPolicy::RollBack, Durability::Acknowledged)
            .expect("samples are in order");
    }
    Data { series, storage }
}

/// Times from -10 to 50 minutes: mostly every 15 s, with gaps.
fn times(random: &mut Random) -> Vec<i64> {
    let mut at = -600_000 + random.below(15_000);
    let mut times = Vec::new();
    while at < 3_000_000 {
        times.push(at);
        at += match random.below(40) {
            0 => 400_000,
            1 => 1 + random.below(20_000),
            _ => 15_000,
        };
    }
    times
}

fn gauge(random: &mut Random) -> Vec<(i64, f64)> {
    let times = times(random);
    let mut value = 5.0;
    let mut sample = |at| {
        value += (random.below(7) - 3) as f64;
        let sample = match random.below(60) {
            0 => model::stale_nan(),
            1 => f64::INFINITY,
            2 => model::sample::normal_nan(),
            _ => value,
        };
        (at, sample)
    };
    times.into_iter().map(&mut sample).collect()
}

fn counter(random: &mut Random) -> Vec<(i64, f64)> {
    let times = times(random);
    let mut value = 0.0;
    let mut sample = |at| {
        value += random.below(5) as f64;
        match random.below(30) {
            0 => value = 0.0,
            1 => return (at, model::stale_nan()),
            _ => {}
        }
        (at, value)
    };
    times.into_iter().map(&mut sample).collect()
}
