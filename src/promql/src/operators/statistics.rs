//! Histograms without buckets, where nobody reads those. Source: upstream
//! `promql/histogram_stats_iterator.go`.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};
use storage::Columns;

use super::selector::advance;
use crate::grid::Reference;

/// Reduces histograms to schema, count, sum and hint. Where the hint is unknown it becomes what the
/// buckets say: whether there was a counter reset since the histogram before. Windows of `reach_ms`
/// end at the instants of `reference`; what lies between two windows is not looked at.
pub(super) fn keep_statistics(columns: &mut Columns, reference: Reference, reach_ms: i64) {
    if columns.histograms.is_empty() {
        return;
    }
    let mut starts = starts(&columns.timestamps, reference, reach_ms)
        .into_iter()
        .peekable();
    let mut previous: Option<Arc<FloatHistogram>> = None;
    for (index, histogram) in columns.histograms.iter_mut().enumerate() {
        if starts.next_if_eq(&index).is_some() {
            previous = None;
        }
        let Some(histogram) = histogram else { continue };
        let reduced = FloatHistogram {
            counter_reset_hint: hint(histogram, previous.as_deref()),
            schema: histogram.schema,
            count: histogram.count,
            sum: histogram.sum,
            ..FloatHistogram::default()
        };
        previous = Some(std::mem::replace(histogram, Arc::new(reduced)));
    }
}

fn hint(histogram: &FloatHistogram, previous: Option<&FloatHistogram>) -> CounterResetHint {
    match (histogram.counter_reset_hint, previous) {
        (CounterResetHint::Unknown, Some(previous)) => {
            if histogram.is_reset_of(previous) {
                CounterResetHint::CounterReset
            } else {
                CounterResetHint::NotCounterReset
            }
        }
        (hint, _) => hint,
    }
}

/// The samples before which others are passed over: upstream seeks to the start of a window unless
/// it has come there already.
fn starts(timestamps: &[i64], reference: Reference, reach_ms: i64) -> Vec<usize> {
    let mut starts = Vec::new();
    // The first sample that is not before the last instant, to which reading has come.
    let mut reached = None;
    for step in 0..reference.count() {
        let at_ms = reference.at(step);
        let from_ms = at_ms.saturating_sub(reach_ms);
        let mut next = reached.unwrap_or(0);
        if next >= timestamps.len() {
            break;
        }
        if reached.is_none() || timestamps[next] < from_ms {
            next += advance(&timestamps[next..], from_ms.saturating_sub(1));
            starts.push(next);
        }
        let ahead = timestamps.get(next..).unwrap_or_default();
        reached = Some(next + advance(ahead, at_ms.saturating_sub(1)));
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;

    #[test]
    fn windows_start_where_reading_has_not_come() {
        let timestamps: Vec<i64> = (0..10).map(|number| number * 10).collect();
        // First and last instant, step, reach, the first samples of windows.
        for (start, end, step, reach, expected) in [
            (50, 50, 1, 25, &[3][..]),
            (20, 60, 10, 15, &[1]),
            (20, 60, 20, 9, &[2, 4, 6]),
            (20, 80, 30, 5, &[2, 5, 8]),
            (25, 85, 30, 1, &[3, 6, 9]),
            (200, 300, 50, 20, &[10]),
            (-10, 5, 15, 5, &[0]),
        ] {
            let reference = Grid::range(start, end, step).unwrap().reference(None, 0);
            assert_eq!(
                starts(&timestamps, reference, reach),
                expected,
                "{start} {end} {step}"
            );
        }
    }

    #[test]
    fn unknown_hints_become_known() {
        let mut columns = Columns::default();
        let histogram = |count: f64, hint| {
            Arc::new(FloatHistogram {
                counter_reset_hint: hint,
                schema: 3,
                count,
                zero_count: count,
                ..FloatHistogram::default()
            })
        };
        use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};
        columns.push_histogram(10, histogram(9.0, Unknown));
        columns.push_histogram(20, histogram(2.0, Unknown));
        columns.push(25, 1.0);
        columns.push_histogram(30, histogram(3.0, Unknown));
        columns.push_histogram(40, histogram(1.0, Gauge));
        columns.push_histogram(50, histogram(0.0, Unknown));
        let reference = Grid::instant(50).reference(None, 0);
        keep_statistics(&mut columns, reference, 30);
        let found = columns.histograms.iter().flatten();
        let found: Vec<_> = found
            .map(|histogram| {
                assert_eq!((histogram.schema, histogram.zero_count), (3, 0.0));
                histogram.counter_reset_hint
            })
            .collect();
        // The first one lies before the window.
        assert_eq!(found[1..], [Unknown, NotCounterReset, Gauge, CounterReset]);
    }
}
