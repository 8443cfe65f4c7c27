//! Warnings and infos of a query: collected without duplicates, with their position in the query.

mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use promql_syntax::ast::PosRange;
use promql_syntax::line_and_column;

pub(crate) use text::{Annotation, HistogramOperation, Monotonicity, NanEffect};

/// Warnings and infos, each text once, in order of where they point to in the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Results may be wrong.
    pub warnings: Vec<String>,
    /// Results are right, but perhaps not what was meant.
    pub infos: Vec<String>,
}

impl Annotations {
    /// In order of positions and texts: threads may have come in any order.
    pub(crate) fn of(mut notes: Vec<Noted>) -> Self {
        notes.sort_by(|a, b| (a.start, &a.text).cmp(&(b.start, &b.text)));
        let mut annotations = Self::default();
        for note in notes {
            // What was counted is shown beside the position only.
            let detail = note
                .detail
                .filter(|_| !note.position.is_empty())
                .map(|detail| detail.to_string())
                .unwrap_or_default();
            let lines = if note.is_warning {
                &mut annotations.warnings
            } else {
                &mut annotations.infos
            };
            lines.push(format!("{}{detail}{}", note.text, note.position));
        }
        annotations
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.infos.is_empty()
    }

    /// At most `limit` warnings and infos each, followed by a line that counts those left out.
    /// Source: upstream `Annotations.AsStrings`.
    #[must_use]
    pub fn limited(mut self, limit: usize) -> Self {
        truncate(&mut self.warnings, limit, "warning");
        truncate(&mut self.infos, limit, "info");
        self
    }
}

fn truncate(lines: &mut Vec<String>, limit: usize, what: &str) {
    if lines.len() > limit {
        let omitted = lines.len() - limit;
        lines.truncate(limit);
        lines.push(format!("{omitted} more {what} annotations omitted"));
    }
}

/// Collects annotations while a query runs; shared by all its operators.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The query's text, for positions. Empty when it is not known, and in a part.
    query: String,
    found: Mutex<Found>,
    /// Where annotations go, if these are those of a part of the query only.
    whole: Option<Arc<Notes>>,
    /// Whether the part has steps of its own.
    has_other_steps: bool,
    has_any: AtomicBool,
}

#[derive(Debug, Default)]
struct Found {
    entries: Vec<Noted>,
    by_text: HashMap<String, usize>,
}

/// An annotation that came up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// Where it points to in the query.
    start: usize,
    text: String,
    /// ` (line:column)`; empty where the query's text is not known.
    position: String,
    is_warning: bool,
    /// What was counted.
    pub(crate) detail: Option<Monotonicity>,
    /// When it came up.
    pub(crate) steps: NoteSteps,
}

/// At which steps of the query an annotation came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum NoteSteps {
    /// At every step.
    All,
    /// At these two, and neither before nor behind them.
    Between(usize, usize),
    /// At some step.
    #[default]
    Unknown,
}

impl NoteSteps {
    fn merge(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Between(first, last), Self::Between(from, to)) => {
                Self::Between(first.min(from), last.max(to))
            }
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }
}

impl Noted {
    /// Whether both say the same of the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.start == other.start && self.text == other.text && self.position == other.position
    }

    /// About how much memory it takes.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.position.len()
    }
}

impl Notes {
    pub(crate) fn new(query: &str) -> Self {
        Self {
            query: query.to_owned(),
            ..Self::default()
        }
    }

    /// The annotations of a part of the query: they go to `whole`, and it is known whether there
    /// were any.
    pub(crate) fn of_part(whole: &Arc<Self>) -> Self {
        Self {
            whole: Some(Arc::clone(whole)),
            ..Self::default()
        }
    }

    /// As [`Notes::of_part`], for a part that is evaluated at other steps than the query.
    pub(crate) fn of_other_steps(whole: &Arc<Self>) -> Self {
        Self {
            has_other_steps: true,
            ..Self::of_part(whole)
        }
    }

    /// Whether anything was added.
    pub(crate) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Acquire)
    }

    /// Adds an annotation unless it is already there. One that counts is merged with its equal.
    pub(crate) fn add(&self, annotation: &Annotation<'_>, pos: PosRange) {
        self.add_at(annotation, pos, NoteSteps::Unknown);
    }

    /// As [`Notes::add`], where it is known at which steps it came up.
    pub(crate) fn add_at(&self, annotation: &Annotation<'_>, pos: PosRange, steps: NoteSteps) {
        self.has_any.store(true, Ordering::Release);
        if let Some(whole) = &self.whole {
            let steps = match (self.has_other_steps, steps) {
                (true, NoteSteps::Between(..)) => NoteSteps::Unknown,
                (_, steps) => steps,
            };
            return whole.add_at(annotation, pos, steps);
        }
        let (text, position) = (annotation.text(), self.position(pos));
        let key = format!("{text}{position}");
        let mut found = self.found.lock();
        let Found { entries, by_text } = &mut *found;
        match by_text.get(&key) {
            Some(index) => {
                let old = &mut entries[*index];
                old.detail = Monotonicity::merge(old.detail, annotation.detail());
                old.steps = old.steps.merge(steps);
            }
            None => {
                by_text.insert(key, entries.len());
                entries.push(Noted {
                    start: pos.start,
                    text,
                    position,
                    is_warning: annotation.is_warning(),
                    detail: annotation.detail(),
                    steps,
                });
            }
        }
    }

    /// The part of the query's text that stands there, if the text is known.
    pub(crate) fn source(&self, pos: PosRange) -> Option<&str> {
        if let Some(whole) = &self.whole {
            return whole.source(pos);
        }
        self.query
            .get(pos.start..pos.end)
            .filter(|text| !text.is_empty())
    }

    /// ` (line:column)` where the query's text is known.
    fn position(&self, pos: PosRange) -> String {
        if self.query.is_empty() {
            return String::new();
        }
        format!(" ({})", line_and_column(&self.query, pos.start))
    }

    /// What was collected.
    pub(crate) fn take(&self) -> Vec<Noted> {
        std::mem::take(&mut *self.found.lock()).entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_annotations_are_kept_once_and_carry_line_and_column() {
        let notes = Notes::new("1 +\n  quantile(2, x)");
        for _ in 0..2 {
            notes.add(&Annotation::InvalidQuantile(2.0), PosRange::new(15, 16));
        }
        notes.add(&Annotation::PossibleNonCounter("x"), PosRange::new(0, 1));
        let annotations = Annotations::of(notes.take());
        assert_eq!(
            annotations.warnings,
            ["PromQL warning: quantile value should be between 0 and 1, got 2 (2:12)"]
        );
        assert_eq!(
            annotations.infos,
            [
                "PromQL info: metric might not be a counter, name does not end in \
              _total/_sum/_count/_bucket: \"x\" (1:1)"
            ]
        );
    }

    #[test]
    fn monotonicity_fixes_are_counted_together() {
        let notes = Notes::new("histogram_quantile(0.5, x)");
        for (at, bound, difference) in [(1_000, 2.0, 0.125), (61_000, 1.0, 3.0)] {
            let detail = Monotonicity::new(at, (bound, bound), difference);
            notes.add(
                &Annotation::ForcedMonotonicity {
                    metric: "x",
                    detail,
                },
                PosRange::new(24, 25),
            );
        }
        let infos = Annotations::of(notes.take()).infos;
        assert_eq!(infos.len(), 1);
        assert!(
            infos[0].ends_with(
                " for metric name \"x\", from buckets 1 to 2, with a max diff of 3, over 2 samples \
                 from 1970-01-01T00:00:01Z to 1970-01-01T00:01:01Z (1:25)"
            ),
            "{}",
            infos[0]
        );
    }

    #[test]
    fn without_a_query_there_are_no_positions() {
        let notes = Notes::new("");
        notes.add(&Annotation::SortInRangeQuery, PosRange::new(0, 4));
        assert!(Annotations::of(notes.take()).warnings[0].ends_with("ordered by labels"));
    }

    #[test]
    fn what_exceeds_the_limit_is_counted() {
        let all = Annotations {
            warnings: (0..12).map(|number| number.to_string()).collect(),
            infos: vec!["one".to_owned()],
        };
        let limited = all.limited(10);
        assert_eq!(limited.warnings.len(), 11);
        assert_eq!(limited.warnings[10], "2 more warning annotations omitted");
        assert_eq!(limited.infos, ["one"]);
    }
}
