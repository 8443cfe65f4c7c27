//! Annotations of cached steps: which of them still hold when only some of the steps are used.

use crate::annotations::{NoteSteps, Noted};
use crate::grid::Grid;

/// An annotation, and at which times it came up.
#[derive(Clone, Debug)]
pub(super) struct CachedNote {
    pub(super) note: Noted,
    when: When,
}

/// When an annotation came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At every step.
    Always,
    /// At these two times, and neither before nor behind them, where they are known.
    Between(Option<i64>, Option<i64>),
    /// At some step.
    Somewhere,
}

impl CachedNote {
    /// An annotation of an evaluation.
    pub(super) fn new(note: Noted, grid: Grid) -> Self {
        let when = match note.steps {
            NoteSteps::All => When::Always,
            NoteSteps::Between(first, last) => {
                When::Between(Some(grid.at(first)), Some(grid.at(last)))
            }
            NoteSteps::Unknown => When::Somewhere,
        };
        Self { note, when }
    }

    /// Whether it holds for the steps from `first_ms` to `last_ms` of those from `all.0` to `all.1`;
    /// an error when that is not known.
    fn within(&self, (first_ms, last_ms): (i64, i64), all: (i64, i64)) -> Result<Option<Self>, ()> {
        let kept = |when| {
            let note = self.note.clone();
            Ok(Some(Self { note, when }))
        };
        let is_inside = |at: &i64| (first_ms..=last_ms).contains(at);
        match self.when {
            When::Always => kept(When::Always),
            When::Somewhere if (first_ms, last_ms) == all => kept(When::Somewhere),
            When::Somewhere => Err(()),
            When::Between(first, last) => {
                let inside = (first.filter(is_inside), last.filter(is_inside));
                if inside != (None, None) {
                    return kept(When::Between(inside.0, inside.1));
                }
                let is_gone = last.is_some_and(|last| last < first_ms)
                    || first.is_some_and(|first| first > last_ms);
                if is_gone { Ok(None) } else { Err(()) }
            }
        }
    }
}

/// The annotations of some of the steps; `None` when they are not known.
pub(super) fn within(
    notes: &[CachedNote],
    some: (i64, i64),
    all: (i64, i64),
) -> Option<Vec<CachedNote>> {
    let kept: Result<Vec<_>, ()> = notes.iter().map(|note| note.within(some, all)).collect();
    Some(kept.ok()?.into_iter().flatten().collect())
}

/// Adds the annotations of later steps.
pub(super) fn append(notes: &mut Vec<CachedNote>, later: Vec<CachedNote>) {
    for next in later {
        let same = notes.iter_mut().find(|old| old.note.is_same(&next.note));
        let Some(old) = same else {
            notes.push(next);
            continue;
        };
        old.when = match (old.when, next.when) {
            (When::Always, When::Always) => When::Always,
            (When::Between(first, _), When::Between(_, last)) => When::Between(first, last),
            _ => When::Somewhere,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(when: When) -> CachedNote {
        CachedNote {
            note: Noted::default(),
            when,
        }
    }

    #[test]
    fn annotations_go_with_their_steps() {
        let between = |first, last| note(When::Between(first, last));
        for (note, some, want) in [
            (note(When::Always), (50, 60), Ok(Some(When::Always))),
            (note(When::Somewhere), (0, 100), Ok(Some(When::Somewhere))),
            (note(When::Somewhere), (10, 100), Err(())),
            (between(Some(0), Some(40)), (50, 100), Ok(None)),
            (between(Some(60), Some(90)), (10, 50), Ok(None)),
            (between(Some(0), Some(90)), (10, 50), Err(())),
            (
                between(Some(0), Some(90)),
                (10, 100),
                Ok(Some(When::Between(None, Some(90)))),
            ),
            (between(None, Some(90)), (10, 50), Err(())),
            (between(None, Some(40)), (50, 100), Ok(None)),
        ] {
            let got = note
                .within(some, (0, 100))
                .map(|kept| kept.map(|it| it.when));
            assert_eq!(got, want, "{note:?} {some:?}");
        }
    }

    #[test]
    fn equal_annotations_of_neighbours_are_one() {
        let mut notes = vec![note(When::Between(Some(1), Some(2)))];
        append(&mut notes, vec![note(When::Between(None, Some(9)))]);
        assert_eq!(notes[0].when, When::Between(Some(1), Some(9)));
        append(&mut notes, vec![note(When::Always)]);
        assert_eq!((notes.len(), notes[0].when), (1, When::Somewhere));
    }
}
