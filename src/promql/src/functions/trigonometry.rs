//! Trigonometric functions and the conversions of angles.

use std::f64::consts::PI;

use super::{Implementation, Table};

pub(super) const TABLE: Table = &[
    ("acos", Implementation::Map(f64::acos)),
    ("acosh", Implementation::Map(f64::acosh)),
    ("asin", Implementation::Map(f64::asin)),
    ("asinh", Implementation::Map(f64::asinh)),
    ("atan", Implementation::Map(f64::atan)),
    ("atanh", Implementation::Map(f64::atanh)),
    ("cos", Implementation::Map(f64::cos)),
    ("cosh", Implementation::Map(f64::cosh)),
    ("deg", Implementation::Map(|value| value * 180.0 / PI)),
    ("rad", Implementation::Map(|value| value * PI / 180.0)),
    ("sin", Implementation::Map(f64::sin)),
    ("sinh", Implementation::Map(f64::sinh)),
    ("tan", Implementation::Map(f64::tan)),
    ("tanh", Implementation::Map(f64::tanh)),
];
