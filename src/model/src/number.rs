//! Go's number formats: `strconv.FormatFloat` and `strconv.ParseFloat` as Prometheus uses them.

mod parse;

pub use parse::parse_float;

/// Formats as Go's `FormatFloat(v, 'g', -1, 64)`: the shortest digits that read back, with an
/// exponent below 1e-4 and from 1e6 on. `NaN`, `+Inf`, `-Inf`.
#[must_use]
pub fn format_general(value: f64) -> String {
    match decimal_exponent(value) {
        Some(exponent) if !(-4..6).contains(&exponent) => format_exponent(value),
        _ => format_plain(value),
    }
}

/// Formats as Go's `FormatFloat(v, 'f', -1, 64)`: the shortest digits that read back, never an
/// exponent.
#[must_use]
pub fn format_plain(value: f64) -> String {
    let mut out = String::new();
    write_plain(value, &mut out);
    out
}

/// Formats as the HTTP API does: plain unless `|v| < 1e-6` or `|v| >= 1e21`, else with an exponent
/// of at least two digits. Source: upstream `util/jsonutil` `MarshalFloat`.
pub fn write_api(value: f64, out: &mut String) {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) && value.is_finite() {
        out.push_str(&format_exponent(value));
    } else {
        write_plain(value, out);
    }
}

/// Formats as Go's `FormatFloat(v, 'e', -1, 64)`: `1e+00`, `-1.5e-07`.
#[must_use]
pub fn format_exponent(value: f64) -> String {
    let Some(decimal) = Decimal::of(value) else {
        return format_plain(value);
    };
    let mut out = String::new();
    push_sign(value, &mut out);
    let (first, rest) = decimal.digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out.push_str(if decimal.exponent < 0 { "e-" } else { "e+" });
    write_digits(u64::from(decimal.exponent.unsigned_abs()), 2, &mut out);
    out
}

/// The shortest decimal that reads back as a float; of two as short ones the nearer one, and of two
/// as near ones that with an even last digit, as in Go.
struct Decimal {
    /// At least one digit; no zeros in front of others or behind.
    digits: String,
    /// Of the first digit.
    exponent: i32,
}

impl Decimal {
    /// `None` for what is not finite. Signs are left out.
    fn of(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let zeros = all.len() - digits.len();
        let shift = i32::try_from(whole.len()).ok()? - 1 - i32::try_from(zeros).ok()?;
        let digits = digits.trim_end_matches('0');
        Some(if digits.is_empty() {
            Self {
                digits: "0".to_owned(),
                exponent: 0,
            }
        } else {
            Self {
                digits: digits.to_owned(),
                exponent: exponent.parse::<i32>().ok()? + shift,
            }
        })
    }

    /// Appends it without exponent.
    fn write_plain(&self, out: &mut String) {
        let zeros = |count: i32, out: &mut String| {
            out.extend((0..count).map(|_| '0'));
        };
        let digits = self.digits.as_str();
        let behind_point =
            usize::try_from(self.exponent + 1).map(|whole| digits.split_at_checked(whole));
        match behind_point {
            Err(_) => {
                out.push_str("0.");
                zeros(-1 - self.exponent, out);
                out.push_str(digits);
            }
            Ok(Some((whole, fraction))) => {
                out.push_str(whole);
                if !fraction.is_empty() {
                    out.push('.');
                    out.push_str(fraction);
                }
            }
            Ok(None) => {
                out.push_str(digits);
                let written = i32::try_from(digits.len()).unwrap_or(i32::MAX);
                zeros(self.exponent + 1 - written, out);
            }
        }
    }
}

fn push_sign(value: f64, out: &mut String) {
    if value.is_sign_negative() {
        out.push('-');
    }
}

/// Appends the digits of a number, at least `width` of them, which may be up to 4.
pub(crate) fn write_digits(number: u64, width: usize, out: &mut String) {
    const ZEROS: &str = "0000";
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(number);
    out.push_str(&ZEROS[..width.saturating_sub(digits.len()).min(ZEROS.len())]);
    out.push_str(digits);
}

/// Writes numbers of at most 15 digits, four of them behind the point: most that are measured.
/// `false` for any other. No two decimals of so few digits are the same float, so that the one found
/// is the shortest form.
fn write_short(value: f64, out: &mut String) -> bool {
    const DECIMALS: usize = 4;
    const SCALE: f64 = 1e4;
    const LARGEST: f64 = 1e11;
    let scaled = (value.abs() * SCALE).round();
    // NaN is not below.
    let is_short = scaled < LARGEST * SCALE && scaled / SCALE == value.abs();
    if !is_short {
        return false;
    }
    push_sign(value, out);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number from 0 to 1e15"
    )]
    let scaled = scaled as u64;
    write_digits(scaled / 10_000, 1, out);
    if !scaled.is_multiple_of(10_000) {
        out.push('.');
        write_digits(scaled % 10_000, DECIMALS, out);
        out.truncate(out.trim_end_matches('0').len());
    }
    true
}

fn write_plain(value: f64, out: &mut String) {
    if write_short(value, out) {
        return;
    }
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        write_shortest(value, out);
    }
}

/// Writes a finite number as Go's 'f', -1: the shortest form that reads back, without exponent.
fn write_shortest(value: f64, out: &mut String) {
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value);
    if !shortest.contains('e') {
        out.push_str(shortest.strip_suffix(".0").unwrap_or(shortest));
    } else if let Some(decimal) = Decimal::of(value) {
        push_sign(value, out);
        decimal.write_plain(out);
    }
}

fn decimal_exponent(value: f64) -> Option<i32> {
    Decimal::of(value).map(|decimal| decimal.exponent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_numbers_are_written_as_all_others() {
        let mut noise = 1_u64;
        for _ in 0..20_000 {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let random = (noise >> 33) as f64;
            for value in [
                random,
                random / 100.0,
                -random / 8.0,
                random * 1e-4,
                random / 3.0,
            ] {
                for scale in [1.0, 1e-3, 1e5, 1e9] {
                    let value = value * scale;
                    let mut out = String::new();
                    write_plain(value, &mut out);
                    let mut other = String::new();
                    write_shortest(value, &mut other);
                    assert_eq!(out, other);
                }
            }
        }
        for value in [
            0.0,
            -0.0,
            1e11,
            99_999_999_999.999_9,
            123.4567,
            0.00005,
            1e15,
            1.5,
        ] {
            let mut out = String::new();
            write_plain(value, &mut out);
            let mut other = String::new();
            write_shortest(value, &mut other);
            assert_eq!(out, other);
        }
    }

    proptest! {
        /// As short as Display, which differs in the last digit of what lies halfway, and it reads
        /// back.
        #[test]
        fn plain_is_the_shortest_form(bits: u64, digits in 0_i64..1 << 60, decimals in -20_i32..=30) {
            #[expect(clippy::cast_precision_loss, reason = "any number will do")]
            let decimal = digits as f64 / 10_f64.powi(decimals);
            for value in [f64::from_bits(bits), decimal, -decimal] {
                if value.is_finite() {
                    for text in [format_plain(value), format_exponent(value), format_general(value)] {
                        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
                    }
                    prop_assert_eq!(format_plain(value).len(), format!("{value}").len());
                }
            }
        }
    }

    #[test]
    fn formats_as_go() {
        let api = |value| {
            let mut out = String::new();
            write_api(value, &mut out);
            out
        };
        for (value, general, plain, on_api, exponent) in [
            (0.0, "0", "0", "0", "0e+00"),
            (-0.0, "-0", "-0", "-0", "-0e+00"),
            (1.0, "1", "1", "1", "1e+00"),
            (0.1, "0.1", "0.1", "0.1", "1e-01"),
            (1e-4, "0.0001", "0.0001", "0.0001", "1e-04"),
            (1e-5, "1e-05", "0.00001", "0.00001", "1e-05"),
            (1e-7, "1e-07", "0.0000001", "1e-07", "1e-07"),
            (1e6, "1e+06", "1000000", "1000000", "1e+06"),
            (
                999_999.5,
                "999999.5",
                "999999.5",
                "999999.5",
                "9.999995e+05",
            ),
            (
                123_456_789.0,
                "1.23456789e+08",
                "123456789",
                "123456789",
                "1.23456789e+08",
            ),
            (1e21, "1e+21", "1000000000000000000000", "1e+21", "1e+21"),
            (-2.5e100, "-2.5e+100", "", "-2.5e+100", "-2.5e+100"),
            // Halfway between two as short forms: the even digit.
            (
                770_397_614_852_768.2,
                "7.703976148527682e+14",
                "770397614852768.2",
                "770397614852768.2",
                "7.703976148527682e+14",
            ),
            (
                770_397_614_852_768.8,
                "7.703976148527688e+14",
                "770397614852768.8",
                "770397614852768.8",
                "7.703976148527688e+14",
            ),
            (f64::NAN, "NaN", "NaN", "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf", "-Inf", "-Inf"),
        ] {
            assert_eq!(format_general(value), general);
            if !plain.is_empty() {
                assert_eq!(format_plain(value), plain);
            }
            assert_eq!(api(value), on_api);
            assert_eq!(format_exponent(value), exponent);
        }
    }
}
