//! Functions of one number.

use crate::reference::{Outcome, ReferenceError};

/// `None` where the function leaves the number out.
pub(super) fn apply(name: &str, value: f64, params: &[f64]) -> Outcome<Option<f64>> {
    Ok(Some(match name {
        "abs" => value.abs(),
        "acos" => value.acos(),
        "acosh" => value.acosh(),
        "asin" => value.asin(),
        "asinh" => value.asinh(),
        "atan" => value.atan(),
        "atanh" => value.atanh(),
        "ceil" => value.ceil(),
        "cos" => value.cos(),
        "cosh" => value.cosh(),
        "deg" => value * 180.0 / std::f64::consts::PI,
        "exp" => value.exp(),
        "floor" => value.floor(),
        "ln" => value.ln(),
        "log10" => value.log10(),
        "log2" => value.log2(),
        "rad" => value * std::f64::consts::PI / 180.0,
        "sgn" if value > 0.0 => 1.0,
        "sgn" if value < 0.0 => -1.0,
        "sgn" => value,
        "sin" => value.sin(),
        "sinh" => value.sinh(),
        "sqrt" => value.sqrt(),
        "tan" => value.tan(),
        "tanh" => value.tanh(),
        "clamp" if params[1] < params[0] => return Ok(None),
        "clamp" => larger(params[0], smaller(params[1], value)),
        "clamp_max" => smaller(params[0], value),
        "clamp_min" => larger(params[0], value),
        "round" => {
            let inverse = 1.0 / params.first().copied().unwrap_or(1.0);
            (value * inverse + 0.5).floor() / inverse
        }
        _ => return Err(ReferenceError::Undetermined("unknown function")),
    }))
}

/// `max_of`, `min_of`.
pub(super) fn chosen(name: &str, a: f64, b: f64) -> f64 {
    if name == "max_of" {
        larger(a, b)
    } else {
        smaller(a, b)
    }
}

/// As Go's `math.Max`: infinity before NaN, NaN before anything else.
fn larger(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// As Go's `math.Min`.
fn smaller(a: f64, b: f64) -> f64 {
    -larger(-a, -b)
}
