//! Doubles as decimal integers: `value = mantissa / 10^exponent`, only where that is exact.
//!
//! Samples are mostly counts, or were printed with few decimals. Such a double is the nearest
//! one to a short decimal, so that dividing the mantissa by the power of ten gives it back bit
//! for bit; a multiplication by the inverse power would not. Whether it does is always checked
//! with the very operation that decoding uses.

/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
/// The greatest exponent.
pub(crate) const MAX_EXPONENT: u8 = 22;
/// Mantissas with decimals stay at or below 2^51: adding [`ROUNDER`] then rounds to an integer.
const MAX_FRACTIONAL: f64 = 2_251_799_813_685_248.0;
/// 1.5·2^52. Doubles from 2^52 to 2^53 are the integers, so the sum holds the rounded integer in
/// its low bits. Cheaper than a call to `round`, and it vectorises.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// 10 to the power of `exponent`; 1 above [`MAX_EXPONENT`].
pub(crate) fn power_of_ten(exponent: u8) -> f64 {
    POWERS.get(usize::from(exponent)).copied().unwrap_or(1.0)
}

/// The double that a mantissa stands for.
#[inline(always)]
pub(crate) fn restore(mantissa: i64, power: f64) -> f64 {
    mantissa as f64 / power
}

/// The mantissa of `value` for a power of ten, if it restores to the same bits.
#[inline(always)]
pub(crate) fn mantissa(value: f64, power: f64) -> Option<i64> {
    let (mantissa, exact) = rounded(value, power);
    exact.then_some(mantissa)
}

/// The mantissa of an integer, up to 2^63.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "checked by converting back"
)]
pub(crate) fn integer(value: f64) -> Option<i64> {
    let mantissa = value as i64;
    ((mantissa as f64).to_bits() == value.to_bits()).then_some(mantissa)
}

#[inline(always)]
fn rounded(value: f64, power: f64) -> (i64, bool) {
    let scaled = value * power;
    let shifted = scaled + ROUNDER;
    let mantissa = shifted
        .to_bits()
        .wrapping_sub(ROUNDER.to_bits())
        .cast_signed();
    let restored = (shifted - ROUNDER) / power;
    // No short cut between the two tests: the loop over a column has no branch then.
    let exact = (scaled.abs() <= MAX_FRACTIONAL) & (restored.to_bits() == value.to_bits());
    (mantissa, exact)
}

/// True for values that no decimal stands for: NaN, infinities and negative zero.
pub(crate) fn is_special(value: f64) -> bool {
    !value.is_finite() || (value == 0.0 && value.is_sign_negative())
}

/// The least exponent at which `value` is an exact decimal.
///
/// An exact decimal stays one at greater exponents until its mantissa grows too long, so one look
/// at the greatest possible exponent rejects a true double, and bisection finds the least one.
pub(crate) fn least_exponent(value: f64) -> Option<u8> {
    if integer(value).is_some() {
        return Some(0);
    }
    let mut most = greatest_exponent(value)?;
    if !is_decimal(value, most) {
        return None;
    }
    let mut least = 1;
    while least < most {
        let middle = least.midpoint(most);
        if is_decimal(value, middle) {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    Some(most)
}

fn is_decimal(value: f64, exponent: u8) -> bool {
    mantissa(value, power_of_ten(exponent)).is_some()
}

/// The greatest exponent, above zero, that keeps the mantissa of `value` within 2^51.
fn greatest_exponent(value: f64) -> Option<u8> {
    let binary = ((value.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    // 1233 / 4096 is a little below the decimal logarithm of 2, so this is at most one too low.
    let estimate = (((50 - binary) * 1233) >> 12) + 2;
    let estimate = u8::try_from(estimate.clamp(0, i32::from(MAX_EXPONENT))).ok()?;
    let lowest = estimate.saturating_sub(2).max(1);
    (lowest..=estimate)
        .rev()
        .find(|&exponent| (value * power_of_ten(exponent)).abs() <= MAX_FRACTIONAL)
}

/// A column as mantissas of one exponent, except for some values.
#[derive(Debug)]
pub(crate) struct DecimalColumn {
    pub(crate) exponent: u8,
    pub(crate) mantissas: Vec<i64>,
    /// Positions of the values that need to be stored in another way.
    pub(crate) exceptions: Vec<usize>,
}

/// Values looked at to find the exponent of a column.
const SAMPLED: usize = 16;

impl DecimalColumn {
    /// The column as decimals, or nothing if too many values are true doubles.
    pub(crate) fn from_values(values: &[f64]) -> Option<Self> {
        let exponent = sampled_exponent(values)?;
        let most_misses = values.len() / 16 + 1;
        let mut column = Self::at_exponent(values, exponent);
        let (mut misses, mut raised) = (0, exponent);
        for &at in &column.exceptions {
            let value = values[at];
            if is_special(value) {
                continue;
            }
            misses += 1;
            match least_exponent(value) {
                Some(least) => raised = raised.max(least),
                None if misses > most_misses => return None,
                None => {}
            }
        }
        if raised > exponent {
            let other = Self::at_exponent(values, raised);
            if other.exceptions.len() < column.exceptions.len() {
                misses = other
                    .exceptions
                    .iter()
                    .filter(|&&at| !is_special(values[at]))
                    .count();
                column = other;
            }
        }
        (misses <= most_misses).then_some(column)
    }

    fn at_exponent(values: &[f64], exponent: u8) -> Self {
        let power = power_of_ten(exponent);
        let mut mantissas = vec![0i64; values.len()];
        let mut all_exact = true;
        for (slot, &value) in mantissas.iter_mut().zip(values) {
            let (mantissa, exact) = rounded(value, power);
            *slot = mantissa;
            all_exact &= exact;
        }
        let mut exceptions = Vec::new();
        if !all_exact {
            for (at, (slot, &value)) in mantissas.iter_mut().zip(values).enumerate() {
                let exact = match exponent {
                    0 => integer(value),
                    _ => mantissa(value, power),
                };
                match exact {
                    Some(mantissa) => *slot = mantissa,
                    None => exceptions.push(at),
                }
            }
        }
        Self {
            exponent,
            mantissas,
            exceptions,
        }
    }
}

/// The exponent that serves a sample of the column, or nothing if more than one in eight of the
/// sampled values is a true double.
fn sampled_exponent(values: &[f64]) -> Option<u8> {
    let stride = (values.len() / SAMPLED).max(1);
    let (mut exponent, mut seen, mut doubles) = (0, 0, 0);
    for &value in values.iter().step_by(stride).take(SAMPLED) {
        if is_special(value) {
            continue;
        }
        seen += 1;
        if exponent > 0 && mantissa(value, power_of_ten(exponent)).is_some() {
            continue;
        }
        match least_exponent(value) {
            Some(least) => exponent = exponent.max(least),
            None => doubles += 1,
        }
        if doubles > SAMPLED / 8 {
            return None;
        }
    }
    (doubles <= seen / 8 + usize::from(seen < 8)).then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_exponent_is_found() {
        let cases = [
            (0.0, Some(0)),
            (12_345.0, Some(0)),
            (-1e15, Some(0)),
            (1.7e18, Some(0)),
            (0.1, Some(1)),
            (-2.25, Some(2)),
            (1_700_000_000.123, Some(3)),
            (1_700_000_000.123_456, Some(6)),
            (0.000_001_234, Some(9)),
            (1e-22, Some(22)),
            (1e-23, None),
            (1.0 / 3.0, None),
            (std::f64::consts::PI, None),
            (f64::MAX, None),
            (f64::MIN_POSITIVE, None),
            (5e-324, None),
            (-0.0, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (value, exponent) in cases {
            assert_eq!(least_exponent(value), exponent, "{value}");
        }
    }

    #[test]
    fn integers_up_to_two_to_the_63_are_exact() {
        for value in [
            9_007_199_254_740_993.0,
            9.223_372_036_854_775e18,
            -9.223_372_036_854_776e18,
        ] {
            let mantissa = integer(value).unwrap();
            assert_eq!(restore(mantissa, 1.0).to_bits(), f64::to_bits(value));
        }
        assert_eq!(integer(1e19), None);
        assert_eq!(integer(-0.0), None);
    }

    #[test]
    fn columns_keep_what_does_not_fit_as_exceptions() {
        let mut values: Vec<f64> = (0..120).map(|i| f64::from(i) / 100.0).collect();
        values[7] = f64::NAN;
        values[9] = 1.0 / 3.0;
        let column = DecimalColumn::from_values(&values).unwrap();
        assert_eq!((column.exponent, column.exceptions), (2, vec![7, 9]));
        assert_eq!(column.mantissas[50], 50);
    }

    #[test]
    fn a_rare_longer_decimal_raises_the_exponent() {
        let mut values: Vec<f64> = (0..120).map(f64::from).collect();
        values[1] = 0.5;
        let column = DecimalColumn::from_values(&values).unwrap();
        assert_eq!((column.exponent, column.exceptions.len()), (1, 0));
    }

    #[test]
    fn true_doubles_are_not_decimals() {
        let values: Vec<f64> = (1..120).map(|i| f64::from(i).sqrt()).collect();
        assert!(DecimalColumn::from_values(&values).is_none());
    }
}
