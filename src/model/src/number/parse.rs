//! Reads numbers as Go does.

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
