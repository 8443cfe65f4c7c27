//! Which info series is the newest one of its metric about a target, for each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, METRIC_NAME, PromDuration};
use storage::{Querier, SelectHints};

use super::identity::{Identities, write_identity};
use crate::error::{EngineError, InfoError};
use crate::grid::Grid;
use crate::limits::Reservation;
use crate::operators::selector::{SeriesReader, newest_samples};
use crate::operators::{RangeSamples, SERIES_PER_CHECK, Shared};
use crate::plan::Selector;
use crate::slice::Bitmap;

/// No series.
const NONE: u32 = u32::MAX;

/// The info series about some targets.
pub(super) struct Lookup {
    labels: Vec<Labels>,
    /// For each target, by its identity, the info metrics about it, in order of their names.
    targets: HashMap<String, BTreeMap<String, usize>>,
    /// For each target and metric its series.
    tracks: Vec<Track>,
    /// How many tracks have a number already.
    numbered: usize,
    faults: Faults,
    memory: Reservation,
}

/// The series of an info metric that are about the same target.
pub(super) enum Track {
    /// The only one, and the steps at which it has a sample.
    Single { series: usize, present: Bitmap },
    /// Several, of which the one with the newest sample counts: at each step that one, and the time
    /// of its sample.
    Crowd {
        newest: Vec<u32>,
        newest_ms: Vec<i64>,
    },
}

/// Steps at which the info series cannot be used, with the first reason. They only matter where
/// there is something to be looked up.
#[derive(Default)]
pub(super) struct Faults {
    steps: Option<Bitmap>,
    reasons: BTreeMap<usize, Reason>,
}

enum Reason {
    /// A sample is a histogram.
    NotFloat,
    /// Two series of the same metric about the same target have samples of the same time.
    Duplicate {
        first: Labels,
        second: Labels,
        at_ms: i64,
    },
}

impl Lookup {
    /// Reads the info series about the targets.
    pub(super) fn read(
        identities: &Identities,
        (selector, grid): (&Selector, Grid),
        querier: &Arc<dyn Querier>,
        shared: &Shared,
    ) -> Result<Self, EngineError> {
        let mut lookup = Self {
            labels: Vec::new(),
            targets: HashMap::new(),
            tracks: Vec::new(),
            numbered: 0,
            faults: Faults::default(),
            memory: Reservation::empty(&shared.limits),
        };
        for matchers in identities.matchers()? {
            let selector = Selector {
                matchers: matchers
                    .into_iter()
                    .chain(selector.matchers.iter().cloned())
                    .collect(),
                ..selector.clone()
            };
            let reader = SeriesReader::new(&selector, grid, Arc::clone(querier), shared.clone());
            lookup.add(reader, identities, shared)?;
        }
        Ok(lookup)
    }

    fn add(
        &mut self,
        mut reader: SeriesReader,
        identities: &Identities,
        shared: &Shared,
    ) -> Result<(), EngineError> {
        let reference = reader.reference();
        let metas = reader.series(SelectHints {
            step: PromDuration::from_millis(reference.step_ms()),
            window: PromDuration::ZERO,
        })?;
        let track_of: Vec<Option<usize>> = metas
            .iter()
            .map(|meta| {
                let wanted = identities.may_include(&meta.labels);
                wanted.then(|| self.track_of(&meta.labels))
            })
            .collect();
        let steps = reference.count();
        self.make_tracks(&track_of, steps)?;
        let (mut samples, mut found) = (RangeSamples::default(), Vec::new());
        for (index, (meta, track)) in metas.into_iter().zip(track_of).enumerate() {
            if index.is_multiple_of(SERIES_PER_CHECK) {
                shared.limits.check()?;
            }
            reader.next(&mut samples)?;
            let Some(track) = track else { continue };
            let columns = &samples.columns;
            self.labels.push(meta.labels);
            found.clear();
            newest_samples(columns, reference, reader.window_ms(), |step, sample| {
                found.push(step);
                if columns.histogram(sample).is_some() {
                    self.faults.add(step, steps, || Reason::NotFloat);
                }
                self.note(track, step, columns.timestamps[sample], steps);
            });
            shared.limits.count_queryable(found.len());
            if let Some(steps) = shared.limits.steps() {
                steps.add_queryable(reference, found.iter().map(|step| (*step, 1)));
            }
        }
        Ok(())
    }

    /// The number of the track that a series belongs to.
    fn track_of(&mut self, labels: &Labels) -> usize {
        let mut identity = String::new();
        write_identity(labels, &mut identity);
        let metric = labels.value_or_empty(METRIC_NAME).to_owned();
        let metrics = self.targets.entry(identity).or_default();
        *metrics.entry(metric).or_insert_with(|| {
            self.numbered += 1;
            self.numbered - 1
        })
    }

    /// Makes the tracks of the series that are read next.
    fn make_tracks(&mut self, track_of: &[Option<usize>], steps: usize) -> Result<(), EngineError> {
        let first = self.tracks.len();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (series, track) in (self.labels.len()..).zip(track_of.iter().flatten()) {
            let place = track - first;
            if place >= members.len() {
                members.resize_with(place + 1, Vec::new);
            }
            members[place].push(series);
        }
        for members in members {
            let track = match members.as_slice() {
                [series] => Track::Single {
                    series: *series,
                    present: Bitmap::none(steps),
                },
                _ => Track::Crowd {
                    newest: vec![NONE; steps],
                    newest_ms: vec![0; steps],
                },
            };
            self.memory.add_bytes(track.bytes())?;
            self.tracks.push(track);
        }
        Ok(())
    }

    /// Notes that the series added last has a sample of `at_ms` at a step.
    fn note(&mut self, track: usize, step: usize, at_ms: i64, steps: usize) {
        let series = self.labels.len() - 1;
        match &mut self.tracks[track] {
            Track::Single { present, .. } => present.set(step),
            Track::Crowd { newest, newest_ms } => {
                let known = newest[step];
                if known == NONE || newest_ms[step] < at_ms {
                    newest[step] = u32::try_from(series).unwrap_or(NONE);
                    newest_ms[step] = at_ms;
                } else if newest_ms[step] == at_ms {
                    let labels = &self.labels;
                    self.faults.add(step, steps, || Reason::Duplicate {
                        first: index_of(known)
                            .and_then(|known| labels.get(known).cloned())
                            .unwrap_or_else(Labels::empty),
                        second: labels[series].clone(),
                        at_ms,
                    });
                }
            }
        }
    }

    /// The info metrics about a target, in order of their names.
    pub(super) fn tracks(&self, identity: &str) -> impl Iterator<Item = &Track> {
        self.targets
            .get(identity)
            .into_iter()
            .flat_map(|metrics| metrics.values())
            .map(|track| &self.tracks[*track])
    }

    /// The labels of an info series.
    pub(super) fn labels(&self, series: usize) -> &Labels {
        &self.labels[series]
    }

    /// Keeps only what says where the info series cannot be used.
    pub(super) fn into_faults(self) -> Faults {
        self.faults
    }
}

impl Track {
    /// Splits a set of steps by the series that is the newest at each; `None` where there is none.
    /// No part is empty.
    pub(super) fn split(&self, steps: &Bitmap) -> Vec<(Option<usize>, Bitmap)> {
        let mut parts: Vec<(Option<usize>, Bitmap)> = match self {
            Self::Single { series, present } => {
                let (mut with, mut without) = (steps.clone(), steps.clone());
                with.intersect(present);
                without.subtract(present);
                vec![(Some(*series), with), (None, without)]
            }
            Self::Crowd { newest, .. } => {
                let mut by_series: BTreeMap<u32, Bitmap> = BTreeMap::new();
                for step in steps.iter() {
                    by_series
                        .entry(newest[step])
                        .or_insert_with(|| Bitmap::none(newest.len()))
                        .set(step);
                }
                let part = |(series, steps)| (index_of(series), steps);
                by_series.into_iter().map(part).collect()
            }
        };
        parts.retain(|(_, steps)| !steps.is_empty());
        parts
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Single { present, .. } => size_of::<Self>() + present.bytes(),
            Self::Crowd { newest, .. } => newest
                .len()
                .saturating_mul(size_of::<u32>() + size_of::<i64>()),
        }
    }
}

fn index_of(series: u32) -> Option<usize> {
    (series != NONE).then(|| usize::try_from(series).ok())?
}

impl Faults {
    fn add(&mut self, step: usize, steps: usize, reason: impl FnOnce() -> Reason) {
        self.steps
            .get_or_insert_with(|| Bitmap::none(steps))
            .set(step);
        self.reasons.entry(step).or_insert_with(reason);
    }

    /// Fails if there is a point at a step at which the info series cannot be used.
    pub(super) fn check(&self, present: &Bitmap) -> Result<(), InfoError> {
        let Some(steps) = &self.steps else {
            return Ok(());
        };
        if !steps.intersects(present) {
            return Ok(());
        }
        let met = self.reasons.iter().find(|(step, _)| present.get(**step));
        match met {
            None => Ok(()),
            Some((_, Reason::NotFloat)) => Err(InfoError::NotFloat),
            Some((
                _,
                Reason::Duplicate {
                    first,
                    second,
                    at_ms,
                },
            )) => Err(InfoError::Duplicate {
                first: first.clone(),
                second: second.clone(),
                at_ms: *at_ms,
            }),
        }
    }
}
