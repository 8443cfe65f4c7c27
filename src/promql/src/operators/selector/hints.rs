//! What histograms say of counter resets, made certain by comparing each with the one before it.
//!
//! Hints are kept as they were sent, and most senders send none. Source of what queries see:
//! upstream `counterResetHint` in `tsdb/chunkenc`, where the first histogram of a chunk is unknown
//! and a chunk ends before each reset.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};
use storage::Columns;

/// Sets the hints of all histograms.
pub(super) fn settle(columns: &mut Columns) {
    let mut previous = columns.before.take();
    for slot in &mut columns.histograms {
        if let Some(histogram) = slot {
            let hint = settled(histogram, previous.as_deref());
            if histogram.counter_reset_hint != hint {
                Arc::make_mut(histogram).counter_reset_hint = hint;
            }
        }
        previous.clone_from(slot);
    }
}

/// The hint of a histogram behind `previous`. Resets that buckets show are left for functions to
/// find; those that only the sender knew of are told.
fn settled(histogram: &FloatHistogram, previous: Option<&FloatHistogram>) -> CounterResetHint {
    let hint = histogram.counter_reset_hint;
    if hint == CounterResetHint::Gauge {
        return hint;
    }
    let is_counter = |it: &&FloatHistogram| it.counter_reset_hint != CounterResetHint::Gauge;
    let Some(previous) = previous.filter(is_counter) else {
        return CounterResetHint::Unknown;
    };
    match (shows_reset(histogram, previous), hint) {
        (true, _) => CounterResetHint::Unknown,
        (false, CounterResetHint::CounterReset) => hint,
        (false, _) if has_layout_of(histogram, previous) => CounterResetHint::NotCounterReset,
        (false, _) => CounterResetHint::Unknown,
    }
}

/// Whether the buckets show a reset, whatever the hint says.
fn shows_reset(histogram: &FloatHistogram, previous: &FloatHistogram) -> bool {
    if histogram.counter_reset_hint == CounterResetHint::Unknown {
        return histogram.is_reset_of(previous);
    }
    let unsaid = FloatHistogram {
        counter_reset_hint: CounterResetHint::Unknown,
        ..histogram.clone()
    };
    unsaid.is_reset_of(previous)
}

/// Whether upstream keeps both in one chunk, inside of which there are no resets.
fn has_layout_of(histogram: &FloatHistogram, previous: &FloatHistogram) -> bool {
    histogram.schema == previous.schema
        && histogram.zero_threshold.to_bits() == previous.zero_threshold.to_bits()
        && histogram.custom_values == previous.custom_values
}

#[cfg(test)]
mod tests {
    use CounterResetHint::{CounterReset, Gauge, NotCounterReset, Unknown};

    use super::*;

    fn histogram(count: f64, counter_reset_hint: CounterResetHint) -> Arc<FloatHistogram> {
        Arc::new(FloatHistogram {
            counter_reset_hint,
            count,
            sum: count,
            zero_count: count,
            ..FloatHistogram::default()
        })
    }

    #[test]
    fn hints_follow_from_neighbours() {
        let mut columns = Columns::default();
        let samples = [
            (1.0, Unknown, Unknown),
            (2.0, Unknown, NotCounterReset),
            (1.0, Unknown, Unknown),
            (3.0, NotCounterReset, NotCounterReset),
            (2.0, NotCounterReset, Unknown),
            (5.0, CounterReset, CounterReset),
            (4.0, CounterReset, Unknown),
            (9.0, Gauge, Gauge),
            (10.0, NotCounterReset, Unknown),
            (11.0, NotCounterReset, NotCounterReset),
        ];
        for (at, (count, hint, _)) in (0..).zip(samples) {
            columns.push_histogram(at, histogram(count, hint));
        }
        columns.push(100, 1.0);
        columns.push_histogram(101, histogram(12.0, NotCounterReset));
        settle(&mut columns);
        let found = columns.histograms.iter().flatten();
        let found: Vec<_> = found.map(|it| it.counter_reset_hint).collect();
        let expected = samples.map(|(_, _, settled)| settled);
        assert_eq!(found[..10], expected);
        // The one before is a float.
        assert_eq!(found[10], Unknown);
    }

    #[test]
    fn the_first_is_compared_with_what_was_read_before_it() {
        let mut columns = Columns {
            before: Some(histogram(1.0, Unknown)),
            ..Columns::default()
        };
        columns.push_histogram(1, histogram(2.0, Unknown));
        settle(&mut columns);
        let first = columns.histogram(0).expect("pushed");
        assert_eq!(first.counter_reset_hint, NotCounterReset);
    }
}
