//! Chunks that overlap in time, read as one sequence of samples.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram, TimeRange};
use storage::Columns;

/// Positions of those spans that have to be read together since they share an instant, directly or
/// through others: groups in order of time, each in order of positions.
pub(crate) fn groups(spans: &[TimeRange]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|position| spans[*position].start);
    let mut groups: Vec<Vec<usize>> = Vec::with_capacity(spans.len());
    let mut end = None;
    for position in order {
        let span = spans[position];
        match groups.last_mut() {
            Some(group) if end.is_some_and(|end| span.start <= end) => group.push(position),
            _ => groups.push(vec![position]),
        }
        end = end.max(Some(span.end));
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    groups
}

/// Where a sample comes from: its part, and its position there.
type Origin = (usize, usize);

/// All samples of `parts` whose time passes `keep`, in order of time; of samples at one time that
/// of the first part.
///
/// What a histogram says of the one before it holds no longer where another one came between, or where
/// that one goes.
/// Source: upstream `storage/merge.go`, `chainSampleIterator`.
pub(crate) fn merge(parts: &[Columns], keep: impl Fn(i64) -> bool) -> Columns {
    let mut origins: Vec<Origin> = Vec::with_capacity(parts.iter().map(Columns::len).sum());
    for (number, part) in parts.iter().enumerate() {
        origins.extend((0..part.len()).map(|position| (number, position)));
    }
    let time = |(number, position): &Origin| parts[*number].timestamps[*position];
    // Stable: of equal times the earlier part stays in front.
    origins.sort_by_key(time);
    origins.dedup_by_key(|origin| time(origin));
    let mut merged = Columns::default();
    let mut previous: Option<Origin> = None;
    for origin in origins {
        let (number, position) = origin;
        let part = &parts[number];
        let at = part.timestamps[position];
        if !keep(at) {
            continue;
        }
        match part.histogram(position) {
            Some(histogram) => {
                let follows =
                    previous.is_none_or(|(before, last)| before == number && last + 1 == position);
                merged.push_histogram(at, hinted(histogram, follows));
            }
            None => merged.push(at, part.values[position]),
        }
        let start = part.start_timestamps.get(position).copied().unwrap_or(0);
        merged.set_last_start(start);
        previous = Some(origin);
    }
    merged
}

fn hinted(histogram: &Arc<FloatHistogram>, follows: bool) -> Arc<FloatHistogram> {
    if follows || histogram.counter_reset_hint != CounterResetHint::NotCounterReset {
        return Arc::clone(histogram);
    }
    let mut unsure = FloatHistogram::clone(histogram);
    unsure.counter_reset_hint = CounterResetHint::Unknown;
    Arc::new(unsure)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    fn span(start: i64, end: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_millis(start), Timestamp::from_millis(end))
    }

    /// Spans, and their groups.
    type Case = (&'static [(i64, i64)], &'static [&'static [usize]]);

    #[test]
    fn spans_that_share_an_instant_are_one_group() {
        let cases: [Case; 6] = [
            (&[], &[]),
            (&[(0, 9), (10, 19)], &[&[0], &[1]]),
            (&[(0, 10), (10, 19)], &[&[0, 1]]),
            (&[(20, 29), (0, 9), (5, 20)], &[&[0, 1, 2]]),
            // A long span holds those together that do not touch each other.
            (
                &[(0, 100), (1, 2), (50, 60), (101, 102)],
                &[&[0, 1, 2], &[3]],
            ),
            (&[(50, 60), (0, 40), (7, 7)], &[&[1, 2], &[0]]),
        ];
        for (spans, want) in cases {
            let spans: Vec<TimeRange> = spans.iter().map(|(a, b)| span(*a, *b)).collect();
            assert_eq!(groups(&spans), want, "{spans:?}");
        }
    }

    fn floats(points: &[(i64, f64)]) -> Columns {
        let mut columns = Columns::default();
        for (at, value) in points {
            columns.push(*at, *value);
        }
        columns
    }

    #[test]
    fn the_first_part_wins_at_equal_times() {
        let parts = [
            floats(&[(1, 1.0), (3, 3.0), (5, 5.0)]),
            floats(&[(0, -1.0), (3, -3.0), (4, -4.0)]),
            floats(&[(4, -40.0), (9, 9.0)]),
        ];
        let merged = merge(&parts, |_| true);
        assert_eq!(merge(&parts, |at| at == 4).values, [-4.0]);
        assert_eq!(merged.timestamps, [0, 1, 3, 4, 5, 9]);
        assert_eq!(merged.values, [-1.0, 1.0, 3.0, -4.0, 5.0, 9.0]);
        assert!(merged.histograms.is_empty() && merged.start_timestamps.is_empty());
    }

    #[test]
    fn histograms_do_not_speak_of_what_came_between() {
        let known = |hint| {
            Arc::new(FloatHistogram {
                counter_reset_hint: hint,
                ..FloatHistogram::default()
            })
        };
        let mut columns = Columns::default();
        for at in [10, 20, 30, 40] {
            columns.push_histogram(at, known(CounterResetHint::NotCounterReset));
        }
        columns.push_histogram(50, known(CounterResetHint::Gauge));
        columns.set_last_start(7);
        let without = merge(std::slice::from_ref(&columns), |at| at != 20);
        let hint = |at| without.histogram(at).unwrap().counter_reset_hint;
        assert_eq!(hint(0), CounterResetHint::NotCounterReset);
        assert_eq!(hint(1), CounterResetHint::Unknown);
        let merged = merge(&[columns, floats(&[(25, 1.0), (45, f64::NAN)])], |_| true);
        let hints: Vec<Option<CounterResetHint>> = (0..merged.len())
            .map(|at| Some(merged.histogram(at)?.counter_reset_hint))
            .collect();
        let not = Some(CounterResetHint::NotCounterReset);
        let unknown = Some(CounterResetHint::Unknown);
        let gauge = Some(CounterResetHint::Gauge);
        assert_eq!(hints, [not, not, None, unknown, not, None, gauge]);
        assert_eq!(merged.start_timestamps, [0, 0, 0, 0, 0, 0, 7]);
    }
}
