//! The instants at which a part of a query is evaluated.

/// Evenly spaced instants. There is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    start_ms: i64,
    step_ms: i64,
    count: usize,
}

impl Grid {
    /// A single instant.
    pub(crate) const fn instant(at_ms: i64) -> Self {
        Self {
            start_ms: at_ms,
            step_ms: 1,
            count: 1,
        }
    }

    /// The instants `start, start + step, …` up to `end`; `None` when there is none, or more than
    /// fit into memory anyway.
    pub(crate) fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Option<Self> {
        if step_ms < 1 || end_ms < start_ms {
            return None;
        }
        let steps = (i128::from(end_ms) - i128::from(start_ms)) / i128::from(step_ms) + 1;
        let count = usize::try_from(steps).ok()?;
        Some(Self {
            start_ms,
            step_ms,
            count,
        })
    }

    /// The multiples of `step` in `(after, end]`, as subqueries use them; `None` when there is none.
    pub(crate) fn aligned(after_ms: i64, end_ms: i64, step_ms: i64) -> Option<Self> {
        if step_ms < 1 {
            return None;
        }
        let start =
            (i128::from(after_ms).div_euclid(i128::from(step_ms)) + 1) * i128::from(step_ms);
        Self::range(i64::try_from(start).ok()?, end_ms, step_ms)
    }

    /// How many instants there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Whether there is only one.
    pub(crate) const fn is_instant(&self) -> bool {
        self.count == 1
    }

    /// The distance between two instants.
    pub(crate) const fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// The first instant.
    pub(crate) const fn first_ms(&self) -> i64 {
        self.start_ms
    }

    /// The last instant.
    pub(crate) fn last_ms(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// The instant number `index`.
    pub(crate) fn at(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.start_ms
            .saturating_add(self.step_ms.saturating_mul(index))
    }

    /// All instants.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|index| self.at(index))
    }

    /// The same instants, `offset` earlier; all of them `at` minus the offset when they are pinned.
    pub(crate) fn reference(self, at_ms: Option<i64>, offset_ms: i64) -> Reference {
        match at_ms {
            Some(at) => Reference {
                start_ms: at.saturating_sub(offset_ms),
                step_ms: 0,
                count: self.count,
            },
            None => Reference {
                start_ms: self.start_ms.saturating_sub(offset_ms),
                step_ms: self.step_ms,
                count: self.count,
            },
        }
    }
}

/// The instants that a selector looks at, one for each instant of its grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    start_ms: i64,
    /// Zero when the selector is pinned to one instant.
    step_ms: i64,
    count: usize,
}

impl Reference {
    /// How many instants there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The earliest instant.
    pub(crate) const fn first_ms(&self) -> i64 {
        self.start_ms
    }

    /// The latest instant.
    pub(crate) fn last_ms(&self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }

    /// The distance between two instants; zero when all are the same.
    pub(crate) const fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// The instant number `index`.
    pub(crate) fn at(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.start_ms
            .saturating_add(self.step_ms.saturating_mul(index))
    }

    /// The same instants, each this much later.
    pub(crate) fn later(self, by_ms: i64) -> Self {
        Self {
            start_ms: self.start_ms.saturating_add(by_ms),
            ..self
        }
    }

    /// Whether any instant lies in this range.
    pub(crate) fn any_within(&self, range: std::ops::Range<i64>) -> bool {
        if self.step_ms == 0 || range.is_empty() {
            return range.contains(&self.start_ms);
        }
        let (start, step) = (i128::from(self.start_ms), i128::from(self.step_ms));
        let behind = i128::from(range.start) - start;
        // The earliest instant that is not before the range.
        let number = (behind + step - 1).div_euclid(step).max(0);
        let count = i128::try_from(self.count).unwrap_or(i128::MAX);
        number < count && start + number * step < i128::from(range.end)
    }

    /// Whether any window `(instant - window, instant]` holds an instant of `first..=last`.
    pub(crate) fn needs(&self, first_ms: i64, last_ms: i64, window_ms: i64) -> bool {
        let end = last_ms.saturating_add(window_ms);
        // The earliest instant that is not before `first`.
        let candidate = if first_ms <= self.start_ms {
            self.start_ms
        } else if self.step_ms == 0 {
            return false;
        } else {
            let behind = i128::from(first_ms) - i128::from(self.start_ms);
            let steps = (behind + i128::from(self.step_ms) - 1) / i128::from(self.step_ms);
            match usize::try_from(steps) {
                Ok(steps) if steps < self.count => self.at(steps),
                _ => return false,
            }
        };
        candidate < end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_at_or_before_the_end() {
        let grid = Grid::range(100, 350, 100).expect("three steps");
        assert_eq!(grid.iter().collect::<Vec<_>>(), [100, 200, 300]);
        assert_eq!(Grid::range(2, 1, 1), None);
        assert_eq!(Grid::range(0, 1, 0), None);
    }

    #[test]
    fn subquery_steps_are_multiples_behind_the_left_edge() {
        for (after, end, want) in [
            (0, 60, vec![20, 40, 60]),
            (1, 59, vec![20, 40]),
            (-90, -30, vec![-80, -60, -40]),
            (-80, -60, vec![-60]),
        ] {
            let grid = Grid::aligned(after, end, 20).expect("some steps");
            assert_eq!(grid.iter().collect::<Vec<_>>(), want);
        }
        assert_eq!(Grid::aligned(1, 19, 20), None);
    }

    #[test]
    fn questions_agree_with_looking_at_every_window() {
        let grid = Grid::range(100, 400, 100).expect("four steps");
        for (at, offset) in [(None, 0), (None, 50), (Some(250), 0)] {
            let reference = grid.reference(at, offset);
            for window in [1, 30, 100, 250] {
                for first in (-300..600).step_by(7) {
                    for last in [first, first + 40] {
                        let want = (0..reference.count()).any(|index| {
                            let instant = reference.at(index);
                            first <= instant && last > instant - window
                        });
                        assert_eq!(reference.needs(first, last, window), want);
                        let mut instants = (0..reference.count()).map(|it| reference.at(it));
                        let any = instants.any(|at| (first..last).contains(&at));
                        assert_eq!(reference.any_within(first..last), any);
                    }
                }
            }
        }
    }
}
