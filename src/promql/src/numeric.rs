//! Arithmetic where Go and Rust differ.

/// Go's `math.Max`: infinity if either is, else NaN if either is, and positive zero is larger than
/// negative zero.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`: minus infinity if either is, else NaN if either is, and negative zero is smaller
/// than positive zero.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { a } else { b }
    } else {
        a.min(b)
    }
}

/// The whole part of a number, clamped to what fits; zero for NaN.
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamping is what is wanted"
)]
pub(crate) fn to_i64(value: f64) -> i64 {
    value as i64
}

/// The whole part of a number that is known to be a small index; zero for NaN and negative numbers.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamping is what is wanted"
)]
pub(crate) fn to_index(value: f64) -> usize {
    value as usize
}

/// A count as a number.
pub(crate) fn count(value: usize) -> f64 {
    value as f64
}

/// Seconds since the epoch of a value, as Go converts: out of range and NaN become the smallest
/// integer.
pub(crate) fn go_i64(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) {
        to_i64(value)
    } else {
        i64::MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_follow_go() {
        assert!(go_max(f64::NAN, 1.0).is_nan() && go_min(1.0, f64::NAN).is_nan());
        assert!(go_max(-0.0, 0.0).is_sign_positive() && go_max(0.0, -0.0).is_sign_positive());
        assert!(go_min(-0.0, 0.0).is_sign_negative() && go_min(0.0, -0.0).is_sign_negative());
        assert_eq!((go_max(1.0, 2.0), go_min(1.0, 2.0)), (2.0, 1.0));
    }

    #[test]
    fn conversions_clamp_or_follow_go() {
        assert_eq!(
            (go_i64(f64::NAN), go_i64(1e30), go_i64(-1.9)),
            (i64::MIN, i64::MIN, -1)
        );
        assert_eq!((to_i64(1e30), to_index(-3.0)), (i64::MAX, 0));
    }
}
