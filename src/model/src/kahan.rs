//! Compensated summation after Kahan, Babuška and Neumaier. Source of the behaviour at infinity:
//! upstream `util/kahansum`.

/// A sum and the part of it that rounding took away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KahanSum {
    /// The rounded sum.
    pub sum: f64,
    /// What has to be added to it.
    pub compensation: f64,
}

impl KahanSum {
    /// The empty sum.
    pub const EMPTY: Self = Self {
        sum: 0.0,
        compensation: 0.0,
    };

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let (sum, compensation) = add(self.sum, self.compensation, value);
        *self = Self { sum, compensation };
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Self) {
        self.add(other.sum);
        if self.sum.is_finite() {
            self.compensation += other.compensation;
        }
    }

    /// The value of the sum.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.sum + self.compensation
    }
}

/// One step of the summation: new sum and new compensation. Without branches, so that a loop over
/// independent sums becomes vector code.
#[inline]
#[must_use]
pub fn add(sum: f64, compensation: f64, value: f64) -> (f64, f64) {
    let total = sum + value;
    let sum_is_larger = sum.abs() >= value.abs();
    let larger = if sum_is_larger { sum } else { value };
    let smaller = if sum_is_larger { value } else { sum };
    let lost = (larger - total) + smaller;
    let compensation = if total.is_infinite() {
        0.0
    } else {
        compensation + lost
    };
    (total, compensation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = KahanSum::EMPTY;
        values.iter().for_each(|value| sum.add(*value));
        sum.total()
    }

    #[test]
    fn small_values_survive_large_ones() {
        assert_eq!(sum(&[1.0, 1e100, 1.0, -1e100]), 2.0);
        assert_eq!(sum(&[2.0, 8.0, 1e100, -1e100]), 10.0);
    }

    #[test]
    fn infinities_follow_the_rules_of_addition() {
        assert_eq!(sum(&[1.0, f64::INFINITY, 2.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(sum(&[f64::NAN, 2.0]).is_nan());
    }

    #[test]
    fn merged_sums_equal_one_sum() {
        let values = [1e16, 1.0, -3.5, 1e-9, -1e16, 7.25];
        let (mut left, mut right) = (KahanSum::EMPTY, KahanSum::EMPTY);
        values[..3].iter().for_each(|value| left.add(*value));
        values[3..].iter().for_each(|value| right.add(*value));
        left.merge(right);
        assert_eq!(left.total(), sum(&values));
    }
}
