//! The load: what scraped node exporters send by remote write, the same on every run and for every
//! server. Nothing is kept per series, so a million of them cost the client nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::encode::{self, Encoder};
use super::node;
use super::recorded::Recording;

/// Distance of scrapes.
pub(super) const INTERVAL_MS: i64 = 15_000;
/// How far a scrape may be off, in either direction.
const JITTER_MS: u32 = 2;
/// Samples in one request, as senders batch them by default.
const SAMPLES_PER_REQUEST: u32 = 2000;
/// With many samples a series in one request, more of them are sent at once.
const BULK_SAMPLES_PER_REQUEST: u32 = 12_000;

/// One series of every target.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Sorted by name; [`INSTANCE`] and [`NODE_NAME`] stand for what differs between targets.
    pub(super) labels: Vec<(String, String)>,
    pub(super) model: Model,
}

/// Stands for the address of the target.
pub(super) const INSTANCE: &str = "$instance";
/// Stands for the name of the machine.
pub(super) const NODE_NAME: &str = "$node";

/// How values move.
#[derive(Clone, Debug)]
pub(super) enum Model {
    Constant(f64),
    /// So many events a step, a little unevenly; an integer.
    Counter(f64),
    /// So many seconds a step, with two decimals.
    Seconds(f64),
    /// A slow wave around a value and noise of two percent, with two decimals.
    Gauge(f64),
    /// The same in whole pages of memory.
    Bytes(f64),
    /// What was scraped, one value a step.
    Recorded(Vec<f64>),
}

/// How targets come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Churn {
    /// One of so many targets is replaced in each round.
    pub(super) one_of: u32,
    pub(super) steps_per_round: u32,
}

/// All series and all their samples.
#[derive(Clone, Debug)]
pub(super) struct Load {
    templates: Vec<Template>,
    encoded: Vec<encode::Template>,
    pub(super) series: u32,
    /// Samples of each series.
    pub(super) steps: u32,
    /// Samples of a series that go into one request.
    pub(super) batch: u32,
    pub(super) interval_ms: i64,
    pub(super) start_ms: i64,
    pub(super) churn: Option<Churn>,
    /// Most steps that a sample is late; one of [`LATE_ONE_OF`] is.
    pub(super) late_steps: u32,
}

/// With late samples, one of so many is late.
const LATE_ONE_OF: u32 = 20;

/// Series and steps that go into one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) series: Range<u32>,
    pub(super) steps: Range<u32>,
}

impl Load {
    /// A load of node exporters that ends at `end_ms`.
    pub(super) fn new(series: u32, steps: u32, end_ms: i64) -> Self {
        Self::of(node::templates(), series, steps, end_ms)
    }

    /// A load that replays a recording, as far as that reaches.
    pub(super) fn recorded(recording: Recording, series: u32, steps: u32, end_ms: i64) -> Self {
        let steps = steps.min(recording.scrapes);
        Self::of(recording.templates, series, steps, end_ms)
    }

    fn of(templates: Vec<Template>, series: u32, steps: u32, end_ms: i64) -> Self {
        let length_ms = i64::from(steps) * INTERVAL_MS;
        Self {
            encoded: templates.iter().map(encode::Template::new).collect(),
            templates,
            series,
            steps,
            batch: 1,
            interval_ms: INTERVAL_MS,
            start_ms: (end_ms - length_ms) / INTERVAL_MS * INTERVAL_MS,
            churn: None,
            late_steps: 0,
        }
    }

    /// Leaves out templates, so that a few series make many targets.
    pub(super) fn keep_templates(&mut self, count: usize) {
        self.templates.truncate(count);
        self.encoded.truncate(count);
    }

    pub(super) fn total_samples(&self) -> u64 {
        u64::from(self.series) * u64::from(self.steps)
    }

    /// Time of the last scrape, without its jitter.
    pub(super) fn end_ms(&self) -> i64 {
        self.start_ms + i64::from(self.steps.saturating_sub(1)) * self.interval_ms
    }

    fn targets(&self) -> u32 {
        self.series.div_ceil(self.templates_count())
    }

    fn templates_count(&self) -> u32 {
        u32::try_from(self.templates.len()).unwrap_or(1).max(1)
    }

    /// The steps that are sent together, one range after the other.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        let (end, batch) = (self.steps + self.late_steps, self.batch.max(1));
        (0..end)
            .step_by(batch as usize)
            .map(move |from| from..(from + batch).min(end))
    }

    /// The requests of some steps, split evenly between senders.
    pub(super) fn requests(&self, steps: &Range<u32>, senders: usize) -> Vec<Vec<Request>> {
        let batch = steps.end - steps.start;
        let per_request = if batch == 1 {
            SAMPLES_PER_REQUEST
        } else {
            BULK_SAMPLES_PER_REQUEST / batch
        };
        let all: Vec<Request> = (0..self.series)
            .step_by(per_request.max(1) as usize)
            .map(|from| Request {
                series: from..(from + per_request.max(1)).min(self.series),
                steps: steps.clone(),
            })
            .collect();
        let share = all.len().div_ceil(senders.max(1)).max(1);
        all.chunks(share).map(<[Request]>::to_vec).collect()
    }

    /// The body of a request: protobuf in a snappy block.
    pub(super) fn body(&self, encoder: &mut Encoder, request: &Request) -> anyhow::Result<Vec<u8>> {
        for number in request.series.clone() {
            for (target, steps) in self.lives(number, request.steps.clone()) {
                let template = number % self.templates_count();
                let series = SeriesId { target, template };
                if self.late_steps == 0 {
                    let samples = steps.map(|step| self.sample(series, step));
                    encoder.series(&self.encoded[template as usize], target, samples);
                } else {
                    let samples = steps.flat_map(|step| self.due(series, step));
                    encoder.series(&self.encoded[template as usize], target, samples);
                }
            }
        }
        encoder.finish()
    }

    /// Which targets a series has during some steps, and when.
    fn lives(&self, number: u32, steps: Range<u32>) -> impl Iterator<Item = (u32, Range<u32>)> {
        let slot = number / self.templates_count();
        let mut from = steps.start;
        std::iter::from_fn(move || {
            if from >= steps.end {
                return None;
            }
            let round_end = match self.churn {
                Some(churn) => (from / churn.steps_per_round + 1) * churn.steps_per_round,
                None => steps.end,
            };
            let life = from..round_end.min(steps.end);
            from = life.end;
            Some((self.target(slot, life.start), life))
        })
    }

    /// The number of the target in a slot at a step.
    pub(super) fn target(&self, slot: u32, step: u32) -> u32 {
        let Some(churn) = self.churn else {
            return slot;
        };
        // Slot 0 is replaced first in round 1, slot 1 in round 2, and so on around.
        let round = step / churn.steps_per_round;
        let replaced = (round + churn.one_of - 1 - slot % churn.one_of) / churn.one_of;
        slot + replaced * self.targets()
    }

    /// Time and value of a series at a step.
    pub(super) fn sample(&self, series: SeriesId, step: u32) -> (i64, f64) {
        let jitter = noise(series.target ^ 0x5eed, step) % (2 * JITTER_MS + 1);
        let at_ms = self.start_ms + i64::from(step) * self.interval_ms + i64::from(jitter)
            - i64::from(JITTER_MS);
        let template = &self.templates[series.template as usize];
        (at_ms, template.model.value(series, step))
    }

    /// The samples that arrive at a step: the one of that step unless it is late, and late ones.
    fn due(&self, series: SeriesId, step: u32) -> impl Iterator<Item = (i64, f64)> {
        (0..=self.late_steps.min(step))
            .map(move |late| step - late)
            .filter(move |of| *of < self.steps && of + self.late_by(series, *of) == step)
            .map(move |of| self.sample(series, of))
    }

    fn late_by(&self, series: SeriesId, step: u32) -> u32 {
        let random = noise(series.seed() ^ 0x1a7e, step);
        if random.is_multiple_of(LATE_ONE_OF) {
            random / LATE_ONE_OF % (self.late_steps + 1)
        } else {
            0
        }
    }

    /// The series with a number, as it is called at a step.
    pub(super) fn series_at(&self, number: u32, step: u32) -> SeriesId {
        let templates = self.templates_count();
        SeriesId {
            target: self.target(number / templates, step),
            template: number % templates,
        }
    }

    /// Names of all metrics.
    pub(super) fn metric_names(&self) -> BTreeSet<&str> {
        let labels = self.templates.iter().flat_map(|template| &template.labels);
        let names = labels.filter(|(name, _)| name == model::METRIC_NAME);
        names.map(|(_, value)| value.as_str()).collect()
    }

    /// A selector of one series.
    pub(super) fn selector(&self, series: SeriesId) -> String {
        let labels = &self.templates[series.template as usize].labels;
        let matchers: Vec<String> = labels
            .iter()
            .map(|(name, value)| {
                let value = match value.as_str() {
                    INSTANCE => instance(series.target),
                    NODE_NAME => node_name(series.target),
                    value => value.replace('\\', "\\\\").replace('"', "\\\""),
                };
                format!("{name}=\"{value}\"")
            })
            .collect();
        format!("{{{}}}", matchers.join(","))
    }
}

/// A series among those of all targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeriesId {
    pub(super) target: u32,
    pub(super) template: u32,
}

impl SeriesId {
    fn seed(self) -> u32 {
        self.target
            .wrapping_mul(0x01f1_23bb)
            .wrapping_add(self.template)
    }
}

pub(super) fn instance(target: u32) -> String {
    format!("host-node-{target}:9100")
}

pub(super) fn node_name(target: u32) -> String {
    format!("host-node-{target}")
}

impl Model {
    fn value(&self, series: SeriesId, step: u32) -> f64 {
        let random = || f64::from(noise(series.seed(), step) % 65_536) / 65_536.0;
        let wave = || (f64::from(step) / 900.0 + f64::from(series.target % 64)).sin();
        match self {
            Self::Constant(value) => *value,
            Self::Counter(rate) => (rate * (f64::from(step) + 0.9 * random())).floor(),
            Self::Seconds(rate) => {
                (rate * (f64::from(step) + 0.9 * random()) * 100.0).floor() / 100.0
            }
            Self::Gauge(center) => {
                let value = center * (1.0 + 0.3 * wave() + 0.04 * (random() - 0.5));
                (value * 100.0).round() / 100.0
            }
            Self::Bytes(center) => {
                let value = center * (1.0 + 0.3 * wave() + 0.01 * (random() - 0.5));
                (value / 4096.0).round() * 4096.0
            }
            Self::Recorded(values) => {
                // Targets are scraped at different moments of the recording where it is long enough.
                let place = step as usize + series.target as usize * 23 % 360;
                values[place % values.len()]
            }
        }
    }
}

/// A well-mixed number for a series at a step; the same on every run.
pub(super) fn noise(number: u32, step: u32) -> u32 {
    let mut x = number.wrapping_mul(0x9e37_79b9) ^ step.wrapping_mul(0x85eb_ca6b);
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ x >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(series: u32, steps: u32) -> Load {
        Load::new(series, steps, 1_700_000_000_000)
    }

    #[test]
    fn timestamps_rise_and_counters_never_fall() {
        let load = load(1230, 50);
        for number in 0..load.series {
            let series = load.series_at(number, 0);
            let samples: Vec<_> = (0..50).map(|step| load.sample(series, step)).collect();
            assert!(samples.is_sorted_by(|a, b| a.0 < b.0));
            let model = &load.templates[number as usize].model;
            if matches!(model, Model::Counter(_) | Model::Seconds(_)) {
                assert!(samples.is_sorted_by(|a, b| a.1 <= b.1), "{model:?}");
            }
        }
    }

    #[test]
    fn every_sample_is_due_once_also_when_late() {
        let mut load = load(3, 200);
        load.late_steps = 120;
        let series = load.series_at(2, 0);
        let mut due: Vec<_> = load
            .stretches()
            .flat_map(|steps| steps.flat_map(|step| load.due(series, step)))
            .collect();
        let is_sorted = due.is_sorted_by_key(|(at, _)| *at);
        due.sort_unstable_by_key(|(at, _)| *at);
        let expected: Vec<_> = (0..200).map(|step| load.sample(series, step)).collect();
        assert_eq!(due, expected);
        assert!(!is_sorted, "none was late");
    }

    #[test]
    fn churn_replaces_a_tenth_of_the_targets_each_round() {
        let mut load = load(1230 * 20, 1000);
        load.churn = Some(Churn {
            one_of: 10,
            steps_per_round: 40,
        });
        let targets = |step| -> Vec<u32> { (0..20).map(|slot| load.target(slot, step)).collect() };
        assert_eq!(targets(0), (0..20).collect::<Vec<_>>());
        let mut seen: BTreeSet<u32> = targets(0).into_iter().collect();
        for round in 1..25 {
            let (before, now) = (targets(round * 40 - 1), targets(round * 40));
            let new: Vec<_> = now
                .iter()
                .filter(|target| !before.contains(target))
                .collect();
            assert_eq!(new.len(), 2, "round {round}");
            assert!(new.iter().all(|target| seen.insert(**target)));
        }
    }

    #[test]
    fn requests_cover_every_series_once() {
        let load = load(5001, 7);
        for steps in [0..1, 0..5] {
            let requests: Vec<_> = load.requests(&steps, 2).concat();
            let series: Vec<u32> = requests.iter().flat_map(|r| r.series.clone()).collect();
            assert_eq!(series, (0..5001).collect::<Vec<_>>());
        }
    }
}
