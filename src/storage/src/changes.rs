//! From which time on samples have changed since a moment: what caches of results ask an engine.

use std::collections::BTreeMap;

use model::{TimeRange, Timestamp};

use crate::read::WriteGeneration;

/// Most changes that are told apart in one partition. Older ones are taken together.
const MAX_CHANGES: usize = 512;
/// A change of more partitions than this is kept apart from them.
const MAX_PARTITIONS: i64 = 64;
/// Most changes of many partitions that are told apart.
const MAX_WIDE: usize = 64;

/// Which times changed when. Takes some kilobytes for each partition of time, whatever is written:
/// what it forgets makes changes look larger, never smaller.
#[derive(Clone, Debug)]
pub struct ChangeLog {
    partition_ms: i64,
    newest: u64,
    /// For each partition its changes, by rising generation and rising time: a change that begins no
    /// later than older ones hides them.
    partitions: BTreeMap<i64, Vec<Change>>,
    /// Changes of many partitions.
    wide: Vec<(TimeRange, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    first_ms: i64,
    generation: u64,
}

impl ChangeLog {
    /// A log of an engine whose partitions are that long, in milliseconds.
    #[must_use]
    pub fn new(partition_ms: i64) -> Self {
        Self {
            partition_ms: partition_ms.max(1),
            newest: 0,
            partitions: BTreeMap::new(),
            wide: Vec::new(),
        }
    }

    /// See [`crate::Queryable::write_generation`].
    #[must_use]
    pub fn generation(&self) -> WriteGeneration {
        WriteGeneration(self.newest)
    }

    /// Takes down that samples from the first time to the last were added or removed. To be called
    /// when readers see the change, and before anybody is told that it is done.
    pub fn record(&mut self, changed: TimeRange) {
        let (first_ms, last_ms) = (changed.start.as_millis(), changed.end.as_millis());
        if first_ms > last_ms {
            return;
        }
        self.newest += 1;
        let generation = self.newest;
        let (first, last) = (self.partition_of(first_ms), self.partition_of(last_ms));
        if last.saturating_sub(first) > MAX_PARTITIONS {
            return self.record_wide(changed);
        }
        for partition in first..=last {
            let start_ms = partition.saturating_mul(self.partition_ms);
            let change = Change {
                first_ms: first_ms.max(start_ms),
                generation,
            };
            add(self.partitions.entry(partition).or_default(), change);
        }
    }

    fn record_wide(&mut self, changed: TimeRange) {
        self.wide.push((changed, self.newest));
        if self.wide.len() > MAX_WIDE {
            let hull = self
                .wide
                .iter()
                .map(|(range, _)| *range)
                .reduce(|a, b| TimeRange::new(a.start.min(b.start), a.end.max(b.end)));
            self.wide.clear();
            self.wide.extend(hull.map(|hull| (hull, self.newest)));
        }
    }

    /// See [`crate::Queryable::first_change`].
    #[must_use]
    pub fn first_change(&self, since: WriteGeneration, range: TimeRange) -> Option<Timestamp> {
        if since.0 >= self.newest || range.start > range.end {
            return None;
        }
        let (start_ms, end_ms) = (range.start.as_millis(), range.end.as_millis());
        let partitions = self.partition_of(start_ms)..=self.partition_of(end_ms);
        let first_of = |changes: &Vec<Change>| {
            let seen = changes.partition_point(|change| change.generation <= since.0);
            changes.get(seen).map(|change| change.first_ms)
        };
        let in_partitions = self
            .partitions
            .range(partitions)
            .find_map(|(_, changes)| first_of(changes));
        let newer = self
            .wide
            .iter()
            .filter(|(_, generation)| *generation > since.0);
        let wide = newer
            .filter(|(changed, _)| changed.overlaps(&range))
            .map(|(changed, _)| changed.start.as_millis());
        wide.chain(in_partitions)
            .min()
            .filter(|first_ms| *first_ms <= end_ms)
            .map(|first_ms| Timestamp::from_millis(first_ms.max(start_ms)))
    }

    fn partition_of(&self, at_ms: i64) -> i64 {
        at_ms.div_euclid(self.partition_ms)
    }
}

fn add(changes: &mut Vec<Change>, change: Change) {
    while changes
        .last()
        .is_some_and(|last| last.first_ms >= change.first_ms)
    {
        changes.pop();
    }
    changes.push(change);
    if changes.len() > MAX_CHANGES {
        take_together(changes);
    }
}

/// Joins each two neighbours of the older half: the earlier time of both, and the later generation.
fn take_together(changes: &mut Vec<Change>) {
    let newer = changes.split_off(changes.len() / 2 / 2 * 2);
    let pairs = changes.chunks_exact(2).map(|pair| Change {
        first_ms: pair[0].first_ms,
        generation: pair[1].generation,
    });
    *changes = pairs.chain(newer).collect();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(first_ms: i64, last_ms: i64) -> TimeRange {
        TimeRange::new(
            Timestamp::from_millis(first_ms),
            Timestamp::from_millis(last_ms),
        )
    }

    #[test]
    fn writes_in_order_leave_what_is_older_unchanged() {
        let mut log = ChangeLog::new(1_000_000);
        let marks: Vec<WriteGeneration> = (0..5_000)
            .map(|number| {
                log.record(range(number * 100, number * 100 + 50));
                log.generation()
            })
            .collect();
        let whole = range(0, 1_000_000);
        let change = |since: usize| {
            log.first_change(marks[since], whole)
                .map(Timestamp::as_millis)
        };
        assert_eq!(change(4_998), Some(499_900));
        assert_eq!(change(4_899), Some(490_000));
        // Of old ones only about when they were.
        assert!(change(2_000).is_some_and(|first| (0..=200_100).contains(&first)));
        assert_eq!(change(4_999), None);
        assert_eq!(log.first_change(marks[4_000], range(0, 300_000)), None);
        assert!(
            log.partitions
                .values()
                .all(|changes| changes.len() <= MAX_CHANGES)
        );
    }

    fn change() -> impl Strategy<Value = (i64, i64)> {
        let lengths = prop_oneof![8 => 0..50_i64, 2 => 0..1_000_i64, 1 => Just(1 << 40)];
        (-500..2_000_i64, lengths)
    }

    proptest! {
        #[test]
        fn no_change_is_missed(
            changes in prop::collection::vec(change(), 1..200),
            since in any::<prop::sample::Index>(),
            (start, length) in (-600..2_100_i64, 0..900_i64),
        ) {
            let mut log = ChangeLog::new(100);
            let mut marks = vec![log.generation()];
            for (first, length) in &changes {
                log.record(range(*first, first + length));
                marks.push(log.generation());
            }
            let since = since.index(marks.len());
            let asked = range(start, start + length);
            let got = log.first_change(marks[since], asked).map(Timestamp::as_millis);
            let exact = changes[since..]
                .iter()
                .filter(|(first, length)| range(*first, first + length).overlaps(&asked))
                .map(|(first, _)| (*first).max(start))
                .min();
            match (got, exact) {
                (None, exact) => prop_assert_eq!(exact, None),
                (Some(got), Some(exact)) => prop_assert!(got <= exact),
                // Behind the end of a change its partition looks changed.
                (Some(_), None) => {}
            }
        }
    }
}
