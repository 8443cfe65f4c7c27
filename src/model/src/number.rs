//! Go's number formats: `strconv.FormatFloat` and `strconv.ParseFloat` as Prometheus uses them.

use std::fmt::Write as _;

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
    if !value.is_finite() {
        return format_plain(value);
    }
    let shortest = format!("{value:e}");
    match shortest.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(negative) => ('-', negative),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => shortest,
    }
}

/// Appends the digits of a number, at least `width` of them.
pub(crate) fn write_digits(mut number: u64, width: usize, out: &mut String) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    while number > 0 || digits.len() - first < width {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    out.extend(digits[first..].iter().map(|digit| char::from(*digit)));
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
    if value.is_sign_negative() {
        out.push('-');
    }
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
        // Display of f64 is the shortest form that reads back, without exponent, as Go's 'f', -1.
        let _infallible = write!(out, "{value}");
    }
}

fn decimal_exponent(value: f64) -> Option<i32> {
    if !value.is_finite() || value == 0.0 {
        return None;
    }
    format!("{value:e}")
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
}

/// Parses as Go's `ParseFloat(text, 64)`: decimal, hexadecimal with `p` exponent, `inf`,
/// `infinity` and `nan` in any case; `_` between digits and after `0x`. `None` for everything else
/// and for finite texts that overflow.
#[must_use]
pub fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    let mut lower = unsigned.to_ascii_lowercase();
    if lower.contains('_') {
        if !underscores_separate_digits(&lower) {
            return None;
        }
        lower.retain(|c| c != '_');
    }
    match lower.as_str() {
        "inf" | "infinity" => {
            return Some(if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            });
        }
        "nan" if unsigned.len() == text.len() => return Some(crate::sample::normal_nan()),
        _ => {}
    }
    let magnitude = match lower.strip_prefix("0x") {
        Some(hex) => parse_hex(hex)?,
        None if lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            lower.parse::<f64>().ok()?
        }
        None => return None,
    };
    if magnitude.is_infinite() {
        return None;
    }
    Some(if negative { -magnitude } else { magnitude })
}

/// Whether each `_` stands between two digits, or between `0x` and a digit.
fn underscores_separate_digits(number: &str) -> bool {
    let hexadecimal = number.starts_with("0x");
    let is_digit = |c: char| {
        if hexadecimal {
            c.is_ascii_hexdigit()
        } else {
            c.is_ascii_digit()
        }
    };
    let mut previous = None;
    let mut chars = number.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after_prefix = hexadecimal && at == 2;
        if c == '_'
            && !((after_prefix || previous.is_some_and(is_digit))
                && chars.peek().is_some_and(|(_, next)| is_digit(*next)))
        {
            return false;
        }
        previous = Some(c);
    }
    true
}

/// Parses the part after `0x`, which must have a binary exponent, e.g. `1.8p3`.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa_text, exponent_text) = text.split_once('p')?;
    let mut exponent: i64 = exponent_text.parse().ok()?;
    let (mut mantissa, mut sticky, mut digits, mut after_point) = (0_u64, false, 0, false);
    for c in mantissa_text.chars() {
        match c {
            '.' if !after_point => after_point = true,
            c => {
                let digit = u64::from(c.to_digit(16)?);
                digits += 1;
                if mantissa >> 60 == 0 {
                    mantissa = mantissa << 4 | digit;
                    exponent -= if after_point { 4 } else { 0 };
                } else {
                    sticky |= digit != 0;
                    exponent += if after_point { 0 } else { 4 };
                }
            }
        }
    }
    if digits == 0 {
        return None;
    }
    Some(scale_by_power_of_two(
        mantissa | u64::from(sticky),
        exponent,
    ))
}

/// `mantissa · 2^exponent`, rounded once to the nearest double, ties to even.
fn scale_by_power_of_two(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let bits = i64::from(64 - mantissa.leading_zeros());
    let top = exponent.saturating_add(bits);
    if top > 1024 {
        return f64::INFINITY;
    }
    if top < -1075 {
        return 0.0;
    }
    // Bits that the result can hold: 53, fewer for subnormal numbers.
    let kept = (top + 1074).clamp(0, 53);
    let dropped = bits - kept;
    let rounded = if dropped <= 0 {
        u128::from(mantissa)
    } else {
        round_half_even(u128::from(mantissa), dropped)
    };
    let scale = exponent + dropped.max(0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "at most 54 bits with a zero low bit remain"
    )]
    let value = rounded as f64;
    // Two exact steps, since 2^scale alone may be subnormal or too large.
    let half = i32::try_from(scale / 2).unwrap_or(0);
    let rest = i32::try_from(scale - scale / 2).unwrap_or(0);
    value * 2_f64.powi(half) * 2_f64.powi(rest)
}

fn round_half_even(mantissa: u128, dropped: i64) -> u128 {
    let quotient = mantissa >> dropped;
    let remainder = mantissa & ((1 << dropped) - 1);
    let half = 1_u128 << (dropped - 1);
    let up = remainder > half || (remainder == half && quotient & 1 == 1);
    quotient + u128::from(up)
}

#[cfg(test)]
mod tests {
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
                    assert_eq!(out, value.to_string());
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
            assert_eq!(out, format!("{value}"));
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

    #[test]
    fn parses_as_go() {
        for (text, want) in [
            ("1", Some(1.0)),
            ("+1.5e3", Some(1500.0)),
            ("-.5", Some(-0.5)),
            ("5.", Some(5.0)),
            ("INF", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x1p4", Some(16.0)),
            ("0X1.8P1", Some(3.0)),
            ("0x1_0p0", Some(16.0)),
            ("0x0.0000000000001p-1022", Some(f64::from_bits(1))),
            ("0x1p-1075", Some(0.0)),
            ("0x1.8p-1075", Some(f64::from_bits(1))),
            ("0x1.fffffffffffff8p1023", None),
            ("0x1.fffffffffffff7p1023", Some(f64::MAX)),
            ("0x1.00000000000008p0", Some(1.0)),
            ("0x1.000000000000080001p0", Some(1.0 + f64::EPSILON)),
            ("1e400", None),
            ("0x10", None),
            ("", None),
            ("+", None),
            (".", None),
            ("1_000", Some(1000.0)),
            ("1__000", None),
            ("_1", None),
            ("1_", None),
            ("1_e3", None),
            ("1e1_0", Some(1e10)),
            ("0x_1p0", Some(1.0)),
            ("0x1_p0", None),
            ("1e", None),
            ("+nan", None),
            ("infinit", None),
            (" 1", None),
            ("0xp1", None),
        ] {
            assert_eq!(parse_float(text), want, "{text}");
        }
        let nan = parse_float("nAn").map(f64::to_bits);
        assert_eq!(nan, Some(crate::sample::NORMAL_NAN_BITS));
    }
}
