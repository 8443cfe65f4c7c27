//! Counter resets between two histograms.

use super::layout::{coarsened, walk};
use super::operand::{add_onto_bounds, beyond, common_bounds, widened_zero_count};
use super::{CounterResetHint, FloatHistogram, same_bounds};

impl FloatHistogram {
    /// Whether the counter was reset between `previous` and this histogram: as the hint says, else
    /// if a count fell, a populated bucket is gone, the resolution rose or the zero bucket shrank.
    /// The sum is not looked at. Source: upstream `DetectReset`.
    #[must_use]
    pub fn is_reset_of(&self, previous: &Self) -> bool {
        match self.counter_reset_hint {
            CounterResetHint::CounterReset => true,
            CounterResetHint::NotCounterReset => false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => self.lost_something_of(previous),
        }
    }

    fn lost_something_of(&self, previous: &Self) -> bool {
        if self.count < previous.count {
            return true;
        }
        match (self.has_custom_buckets(), previous.has_custom_buckets()) {
            (true, true) => self.lost_custom_count_of(previous),
            (false, false) => self.lost_exponential_count_of(previous),
            (true, false) | (false, true) => true,
        }
    }

    fn lost_exponential_count_of(&self, previous: &Self) -> bool {
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = if self.zero_threshold == previous.zero_threshold {
            (previous.zero_count, self.zero_threshold)
        } else {
            widened_zero_count(previous, self.zero_threshold)
        };
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let steps = previous.schema.abs_diff(self.schema);
        [
            (
                walk(&self.positive_spans, &self.positive_buckets),
                walk(&previous.positive_spans, &previous.positive_buckets),
            ),
            (
                walk(&self.negative_spans, &self.negative_buckets),
                walk(&previous.negative_spans, &previous.negative_buckets),
            ),
        ]
        .into_iter()
        .any(|(now, before)| {
            let now = beyond(threshold, now, self.schema);
            let before = beyond(threshold, before, previous.schema);
            if steps == 0 {
                lost_count(now, before)
            } else {
                lost_count(now, coarsened(before, steps).walk())
            }
        })
    }

    fn lost_custom_count_of(&self, previous: &Self) -> bool {
        let now = walk(&self.positive_spans, &self.positive_buckets);
        let before = walk(&previous.positive_spans, &previous.positive_buckets);
        if same_bounds(&self.custom_values, &previous.custom_values) {
            return lost_count(now, before);
        }
        let common = common_bounds(&self.custom_values, &previous.custom_values);
        let [mut counts, mut counts_before] = [(); 2].map(|()| vec![0.0; common.len() + 1]);
        add_onto_bounds(&mut counts, &common, now, &self.custom_values);
        add_onto_bounds(&mut counts_before, &common, before, &previous.custom_values);
        counts
            .iter()
            .zip(&counts_before)
            .any(|(now, before)| now < before)
    }
}

/// Whether a populated bucket is gone or counts less than before.
fn lost_count(
    now: impl Iterator<Item = (i32, f64)>,
    mut before: impl Iterator<Item = (i32, f64)>,
) -> bool {
    let mut now = now.peekable();
    before.any(|(index, count)| {
        while now.next_if(|(at, _)| *at < index).is_some() {}
        match now.peek() {
            Some((at, current)) if *at == index => *current < count,
            _ => count != 0.0,
        }
    })
}
