//! Numbers of the text formats: Go's floats without the forms that came with Go 1.13.

use crate::entry::MetricKind;
use crate::error::{Excerpt, NumberError};

/// Parses a sample value. Source: upstream `model/textparse`, `parseFloat`.
pub(crate) fn parse_value(text: &[u8]) -> Result<f64, NumberError> {
    if text.iter().any(|byte| matches!(byte, b'p' | b'P' | b'_')) {
        return Err(NumberError::UnsupportedCharacter);
    }
    let syntax = || NumberError::FloatSyntax(Excerpt::new(text));
    let text_utf8 = std::str::from_utf8(text).map_err(|_| syntax())?;
    let plain = text
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    if !plain {
        return model::number::parse_float(text_utf8).ok_or_else(syntax);
    }
    // For digits, signs, points and exponents std and Go agree, but for overflow.
    match text_utf8.parse::<f64>() {
        Ok(value) if value.is_infinite() => Err(NumberError::FloatRange(Excerpt::new(text))),
        Ok(value) => Ok(value),
        Err(_) => Err(syntax()),
    }
}

/// Parses a timestamp that the lexer knows to be digits.
pub(crate) fn parse_timestamp(digits: &[u8]) -> Result<i64, NumberError> {
    let mut millis: i64 = 0;
    for digit in digits {
        millis = millis
            .checked_mul(10)
            .and_then(|shifted| shifted.checked_add(i64::from(digit - b'0')))
            .ok_or_else(|| NumberError::IntegerRange(Excerpt::new(digits)))?;
    }
    Ok(millis)
}

/// The float form of a bucket bound or quantile; `None` where the value stays as it is.
pub(crate) fn normalized_float(kind: MetricKind, label: &str, value: &str) -> Option<String> {
    let is_bound = match kind {
        MetricKind::Histogram => label == "le",
        MetricKind::Summary => label == "quantile",
        _ => false,
    };
    if !is_bound {
        return None;
    }
    let mut text = model::number::format_general(model::number::parse_float(value)?);
    if text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        text.push_str(".0");
    }
    (text != value).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_go() {
        for (text, want) in [
            ("0", Ok(0.0)),
            ("1.", Ok(1.0)),
            (".5", Ok(0.5)),
            ("+2.5E3", Ok(2500.0)),
            ("-1e-2", Ok(-0.01)),
            ("Inf", Ok(f64::INFINITY)),
            ("-infinity", Ok(f64::NEG_INFINITY)),
            (
                ".",
                Err("strconv.ParseFloat: parsing \".\": invalid syntax"),
            ),
            (
                "1e",
                Err("strconv.ParseFloat: parsing \"1e\": invalid syntax"),
            ),
            (
                "yes",
                Err("strconv.ParseFloat: parsing \"yes\": invalid syntax"),
            ),
            (
                "0x10",
                Err("strconv.ParseFloat: parsing \"0x10\": invalid syntax"),
            ),
            (
                "1e400",
                Err("strconv.ParseFloat: parsing \"1e400\": value out of range"),
            ),
            ("7_0", Err("unsupported character in float")),
            ("0x2p1", Err("unsupported character in float")),
        ] {
            let parsed = parse_value(text.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(parsed, want.map_err(str::to_owned), "{text}");
        }
        let nan = parse_value(b"NaN").map(f64::to_bits);
        assert_eq!(nan, Ok(model::sample::NORMAL_NAN_BITS));
    }

    #[test]
    fn bounds_take_the_float_form() {
        for (kind, label, value, want) in [
            (MetricKind::Histogram, "le", "10", Some("10.0")),
            (MetricKind::Histogram, "le", "-3", Some("-3.0")),
            (MetricKind::Histogram, "le", "0.250", Some("0.25")),
            (MetricKind::Histogram, "le", "1000000", Some("1e+06")),
            (MetricKind::Histogram, "le", "inf", Some("+Inf")),
            (MetricKind::Histogram, "le", "+Inf", None),
            (MetricKind::Histogram, "le", "2.0", None),
            (MetricKind::Histogram, "le", "high", None),
            (MetricKind::Histogram, "quantile", "1", None),
            (MetricKind::Summary, "quantile", "1", Some("1.0")),
            (MetricKind::Unknown, "le", "1", None),
        ] {
            assert_eq!(
                normalized_float(kind, label, value).as_deref(),
                want,
                "{label}={value}"
            );
        }
    }
}
