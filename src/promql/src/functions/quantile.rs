//! Quantiles of a list of values. Source: upstream `quantile` in `promql/quantile.go`.

use std::cmp::Ordering;

use crate::numeric::{count, to_index};

/// The φ-quantile of `values`, which are sorted on the way. Between two values it is interpolated;
/// NaN counts as the smallest value.
pub(crate) fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(nan_first);
    let last = values.len() - 1;
    let rank = phi * count(last);
    let lower = to_index(rank.floor()).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The middle value.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(0.5, values)
}

/// Order of values with NaN before all others.
pub(crate) fn nan_first(a: &f64, b: &f64) -> Ordering {
    a.partial_cmp(b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_clamp() {
        for (phi, values, want) in [
            (0.5, vec![2.0, 0.0, 1.0], 1.0),
            (0.8, vec![0.0, 1.0, 4.0], 2.8),
            (0.0, vec![3.0], 3.0),
            (1.0, vec![3.0, 9.0], 9.0),
            (-0.1, vec![3.0], f64::NEG_INFINITY),
            (1.1, vec![3.0], f64::INFINITY),
            (0.8, vec![0.0, 1.0, f64::NAN], 0.6),
        ] {
            let mut values = values;
            let got = quantile(phi, &mut values);
            assert!(
                (got - want).abs() < 1e-12 || got == want,
                "{phi}: {got} is not {want}"
            );
        }
        assert!(quantile(0.5, &mut []).is_nan() && quantile(f64::NAN, &mut [1.0]).is_nan());
        assert!(quantile(0.2, &mut [0.0, 1.0, f64::NAN]).is_nan());
    }
}
