//! Functions of one number, and of one number and scalars. Source: upstream `promql/functions.go`.

use super::{Implementation, Table};
use crate::numeric::{go_max, go_min};

pub(super) const TABLE: Table = &[
    ("abs", Implementation::Map(f64::abs)),
    ("ceil", Implementation::Map(f64::ceil)),
    ("clamp", Implementation::MapWith(clamp)),
    ("clamp_max", Implementation::MapWith(clamp_max)),
    ("clamp_min", Implementation::MapWith(clamp_min)),
    ("exp", Implementation::Map(f64::exp)),
    ("floor", Implementation::Map(f64::floor)),
    ("ln", Implementation::Map(f64::ln)),
    ("log10", Implementation::Map(f64::log10)),
    ("log2", Implementation::Map(f64::log2)),
    ("max_of", Implementation::Scalars(go_max)),
    ("min_of", Implementation::Scalars(go_min)),
    ("round", Implementation::MapWith(round)),
    ("sgn", Implementation::Map(sgn)),
    ("sqrt", Implementation::Map(f64::sqrt)),
];

fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Rounds to the nearest multiple of the scalar, 1 without one; halves go up. Multiplying by the
/// inverse, as upstream does, makes `round(x, 0.1)` exact more often.
fn round(value: f64, scalars: &[f64]) -> Option<f64> {
    let inverse = 1.0 / scalars.first().copied().unwrap_or(1.0);
    Some((value * inverse + 0.5).floor() / inverse)
}

fn clamp(value: f64, scalars: &[f64]) -> Option<f64> {
    match scalars {
        [min, max] if max < min => None,
        // Also when one of them is NaN; the result is then NaN.
        [min, max] => Some(go_max(*min, go_min(*max, value))),
        _ => None,
    }
}

fn clamp_max(value: f64, scalars: &[f64]) -> Option<f64> {
    clamp(value, &[f64::NEG_INFINITY, *scalars.first()?])
}

fn clamp_min(value: f64, scalars: &[f64]) -> Option<f64> {
    clamp(value, &[*scalars.first()?, f64::INFINITY])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_up_at_half() {
        for (value, nearest, want) in [
            (0.5, 1.0, 1.0),
            (-0.5, 1.0, -0.0),
            (-1.5, 1.0, -1.0),
            (5.25, 0.1, 5.3),
            (7.6, 5.0, 10.0),
        ] {
            assert_eq!(round(value, &[nearest]), Some(want));
        }
    }

    #[test]
    fn clamping_to_an_empty_interval_gives_nothing() {
        assert_eq!(clamp(1.0, &[5.0, 4.0]), None);
        assert_eq!(clamp(1.0, &[2.0, 4.0]), Some(2.0));
        assert_eq!(clamp_max(9.0, &[4.0]), Some(4.0));
        assert!(clamp(1.0, &[f64::NAN, 4.0]).is_some_and(f64::is_nan));
        assert!(clamp_min(f64::NAN, &[4.0]).is_some_and(f64::is_nan));
        assert_eq!(clamp_min(f64::NAN, &[f64::INFINITY]), Some(f64::INFINITY));
    }
}
