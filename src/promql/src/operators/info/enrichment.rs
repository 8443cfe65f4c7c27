//! The labels that series get.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Labels, LabelsBuilder, METRIC_NAME, Matcher};

use super::identity::write_identity;
use super::lookup::Lookup;
use crate::error::EngineError;
use crate::slice::Bitmap;

/// Works out the labels of one series after the other.
pub(super) struct Enrichment<'a> {
    lookup: &'a Lookup,
    /// The names of the labels that are added; empty for all.
    wanted: Vec<&'a str>,
    /// Whether a series stays at steps without any info series.
    keeps_unmatched: bool,
    steps: usize,
    /// What is known of targets that have been looked up.
    known: HashMap<String, Arc<[Variant]>>,
    identity: String,
    bytes: usize,
}

/// Steps at which the same info series are the newest about a target.
struct Variant {
    series: Vec<usize>,
    /// `None` for all.
    steps: Option<Arc<Bitmap>>,
}

/// What becomes of a series at some steps.
pub(super) enum Outcome {
    /// It has these labels; `None` for all steps.
    Labels {
        labels: Labels,
        steps: Option<Arc<Bitmap>>,
    },
    /// Info metrics have different values for a label.
    Conflict { label: String, steps: Arc<Bitmap> },
}

impl<'a> Enrichment<'a> {
    pub(super) fn new(lookup: &'a Lookup, data: &'a [Matcher], steps: usize) -> Self {
        Self {
            lookup,
            wanted: data.iter().map(Matcher::name).collect(),
            keeps_unmatched: data.iter().all(Matcher::matches_empty),
            steps,
            known: HashMap::new(),
            identity: String::new(),
            bytes: 0,
        }
    }

    /// How much memory the sets of steps take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What becomes of a series. Steps at which it is left out are in no outcome.
    pub(super) fn of(&mut self, labels: &Labels) -> Result<Vec<Outcome>, EngineError> {
        let variants = self.variants(labels);
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(variants.len());
        for variant in variants.iter() {
            if variant.series.is_empty() && !self.keeps_unmatched {
                continue;
            }
            let outcome = match self.enriched(labels, &variant.series)? {
                Ok(labels) => Outcome::Labels {
                    labels,
                    steps: variant.steps.clone(),
                },
                Err(label) => Outcome::Conflict {
                    label,
                    steps: self.steps_of(variant),
                },
            };
            push(&mut outcomes, outcome);
        }
        Ok(outcomes)
    }

    fn steps_of(&self, variant: &Variant) -> Arc<Bitmap> {
        match &variant.steps {
            Some(steps) => Arc::clone(steps),
            None => Arc::new(Bitmap::all(self.steps)),
        }
    }

    /// The combinations of info series about the target of a series.
    fn variants(&mut self, labels: &Labels) -> Arc<[Variant]> {
        write_identity(labels, &mut self.identity);
        if let Some(known) = self.known.get(&self.identity) {
            return Arc::clone(known);
        }
        let mut parts = vec![(Vec::new(), Bitmap::all(self.steps))];
        for track in self.lookup.tracks(&self.identity) {
            let mut finer = Vec::with_capacity(parts.len());
            for (series, steps) in parts {
                for (newest, steps) in track.split(&steps) {
                    let series = series.iter().copied().chain(newest).collect();
                    finer.push((series, steps));
                }
            }
            parts = finer;
        }
        let variants: Arc<[Variant]> = parts
            .into_iter()
            .map(|(series, steps)| Variant {
                series,
                steps: (!steps.is_full()).then(|| Arc::new(steps)),
            })
            .collect();
        for variant in variants.iter() {
            let steps = variant.steps.as_ref().map_or(0, |steps| steps.bytes());
            self.bytes = self.bytes.saturating_add(steps + size_of::<Variant>());
        }
        self.known
            .insert(self.identity.clone(), Arc::clone(&variants));
        variants
    }

    /// The labels of a series with those of the info series added; the name of a label for which
    /// these have different values, if there is one.
    fn enriched(
        &self,
        labels: &Labels,
        series: &[usize],
    ) -> Result<Result<Labels, String>, EngineError> {
        if series.is_empty() {
            return Ok(Ok(labels.clone()));
        }
        let mut added: HashMap<&str, &str> = HashMap::new();
        for info in series.iter().map(|series| self.lookup.labels(*series)) {
            for (name, value) in info {
                let is_wanted = self.wanted.is_empty() || self.wanted.contains(&name);
                if name == METRIC_NAME || !is_wanted || labels.get(name).is_some() {
                    continue;
                }
                if *added.entry(name).or_insert(value) != value {
                    return Ok(Err(name.to_owned()));
                }
            }
        }
        let mut builder = LabelsBuilder::new(labels.clone());
        for (name, value) in added {
            builder.set(name, value);
        }
        Ok(Ok(builder.build()?))
    }
}

/// Adds an outcome; one with labels that there are already makes those steps more.
fn push(outcomes: &mut Vec<Outcome>, new: Outcome) {
    if let Outcome::Labels {
        labels: new_labels,
        steps: Some(new_steps),
    } = &new
    {
        for old in outcomes.iter_mut() {
            if let Outcome::Labels {
                labels,
                steps: Some(steps),
            } = old
                && labels == new_labels
            {
                Arc::make_mut(steps).union(new_steps);
                return;
            }
        }
    }
    outcomes.push(new);
}
