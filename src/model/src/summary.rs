//! Facts about the values of a chunk, from which windows are answered without decoding it.

use crate::is_stale_nan;

/// Facts about the values of a chunk. Stale markers are left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueSummary {
    /// How many values there are, at least one.
    pub count: u32,
    /// Smallest value, the first of equal ones. NaN only where there is nothing else, as
    /// `min_over_time` has it.
    pub min: f64,
    /// Largest value, the first of equal ones; NaN as for `min`.
    pub max: f64,
    /// First value.
    pub first: f64,
    /// Last value.
    pub last: f64,
    /// The sum, where adding the values in any order and grouping, compensated or not, gives the
    /// same bits: all are integers, none is -0.0, and their magnitudes together stay below 2^53.
    pub exact_sum: Option<f64>,
    /// Whether no value is NaN or below the one before it.
    pub is_monotone: bool,
}

impl ValueSummary {
    /// Sums of integers are exact as long as their magnitudes together stay below this: 2^53.
    pub const EXACT_SUMS_BELOW: f64 = 9_007_199_254_740_992.0;

    /// The facts about `values`, which are in order of time; `None` where all are stale markers, or
    /// where there are more than a chunk can count.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        u32::try_from(values.len()).ok()?;
        let mut live = values.iter().copied().filter(|value| !is_stale_nan(*value));
        let mut summary = Self::starting_with(live.next()?);
        let mut magnitude = summary.first.abs();
        for value in live {
            magnitude += value.abs();
            summary.push(value);
        }
        // Rounding never takes it back below the limit.
        if magnitude >= Self::EXACT_SUMS_BELOW {
            summary.exact_sum = None;
        }
        Some(summary)
    }

    fn starting_with(value: f64) -> Self {
        Self {
            count: 1,
            min: value,
            max: value,
            first: value,
            last: value,
            exact_sum: adds_exactly(value).then_some(value),
            is_monotone: !value.is_nan(),
        }
    }

    fn push(&mut self, value: f64) {
        self.count += 1;
        if value < self.min || self.min.is_nan() {
            self.min = value;
        }
        if value > self.max || self.max.is_nan() {
            self.max = value;
        }
        // False for NaN on either side.
        self.is_monotone &= value >= self.last;
        self.exact_sum = match self.exact_sum {
            Some(sum) if adds_exactly(value) => Some(sum + value),
            _ => None,
        };
        self.last = value;
    }

    /// No less than the sum of the values' magnitudes. Exact sums of several chunks can be added in
    /// any order while these together stay below [`ValueSummary::EXACT_SUMS_BELOW`].
    #[must_use]
    pub fn magnitude(&self) -> f64 {
        match self.exact_sum {
            Some(sum) if self.min >= 0.0 || self.max <= 0.0 => sum.abs(),
            _ => f64::from(self.count) * self.min.abs().max(self.max.abs()),
        }
    }
}

/// Whether sums with this value can be exact.
fn adds_exactly(value: f64) -> bool {
    // Infinities are their own integer part; the limit of magnitudes refuses them.
    value.trunc() == value && !(value == 0.0 && value.is_sign_negative())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{normal_nan, stale_nan};

    /// Values among which all cases of the facts are likely.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (-3_i32..100).prop_map(f64::from),
            2 => Just(ValueSummary::EXACT_SUMS_BELOW / 4.0),
            1 => Just(-ValueSummary::EXACT_SUMS_BELOW),
            1 => Just(0.5),
            1 => Just(0.0),
            1 => Just(-0.0),
            1 => Just(f64::INFINITY),
            1 => Just(normal_nan()),
            2 => Just(stale_nan()),
            1 => any::<u64>().prop_map(f64::from_bits),
        ]
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let counters = prop::collection::vec(0_u32..1000, 0..40).prop_map(|mut counts| {
            counts.sort_unstable();
            counts.into_iter().map(f64::from).collect()
        });
        prop_oneof![
            prop::collection::vec(value(), 0..6),
            prop::collection::vec((-1000_i32..1000).prop_map(f64::from), 0..40),
            counters,
        ]
    }

    /// The first value that no other one beats; the facts' definition, in quadratic time.
    fn extreme(live: &[f64], beats: impl Fn(f64, f64) -> bool) -> Option<f64> {
        let unbeaten = |value: &&f64| !value.is_nan() && !live.iter().any(|it| beats(*it, **value));
        live.iter().find(unbeaten).copied()
    }

    fn compensated(values: impl Iterator<Item = f64>) -> f64 {
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for value in values {
            let next = sum + value;
            lost += if sum.abs() >= value.abs() {
                (sum - next) + value
            } else {
                (value - next) + sum
            };
            sum = next;
        }
        sum + lost
    }

    /// The sum of magnitudes; `None` where sums may depend on their order.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and small enough for 128 bits"
    )]
    fn whole_magnitude(live: &[f64]) -> Option<i128> {
        let mut total = 0_i128;
        for value in live {
            if value.fract() != 0.0 || value.to_bits() == 1 << 63 || value.abs() > 1e30 {
                return None;
            }
            total += value.abs() as i128;
        }
        (total < 1 << 53).then_some(total)
    }

    fn same(a: Option<f64>, b: Option<f64>) -> bool {
        a.map(f64::to_bits) == b.map(f64::to_bits)
    }

    proptest! {
        #[test]
        fn facts_are_true(values in values()) {
            let live: Vec<f64> =
                values.iter().copied().filter(|value| !is_stale_nan(*value)).collect();
            let Some(summary) = ValueSummary::of(&values) else {
                prop_assert!(live.is_empty());
                return Ok(());
            };
            prop_assert_eq!(summary.count as usize, live.len());
            prop_assert!(same(Some(summary.first), live.first().copied()));
            prop_assert!(same(Some(summary.last), live.last().copied()));
            let (min, max) = (extreme(&live, |a, b| a < b), extreme(&live, |a, b| a > b));
            prop_assert!(same(Some(summary.min).filter(|min| !min.is_nan()), min));
            prop_assert!(same(Some(summary.max).filter(|max| !max.is_nan()), max));
            let rises = live.windows(2).all(|pair| pair[0] <= pair[1]);
            prop_assert_eq!(summary.is_monotone, rises && !live[0].is_nan());
        }

        #[test]
        fn exact_sums_are_the_same_in_any_order(values in values(), seed in any::<u64>()) {
            let Some(summary) = ValueSummary::of(&values) else { return Ok(()) };
            let mut live: Vec<f64> =
                values.iter().copied().filter(|value| !is_stale_nan(*value)).collect();
            let magnitude = whole_magnitude(&live);
            prop_assert_eq!(summary.exact_sum.is_some(), magnitude.is_some());
            let Some(sum) = summary.exact_sum else { return Ok(()) };
            prop_assert!(magnitude.is_some_and(|exact| summary.magnitude() >= exact as f64));
            live.sort_by_key(|value| value.to_bits().wrapping_mul(seed | 1));
            prop_assert!(same(live.iter().copied().reduce(|a, b| a + b), Some(sum)));
            prop_assert!(same(Some(compensated(live.iter().copied())), Some(sum)));
            prop_assert!(same(Some(compensated(live.iter().rev().copied())), Some(sum)));
        }
    }
}
