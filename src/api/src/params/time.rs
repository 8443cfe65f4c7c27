//! Points in time as text: float seconds and RFC 3339.

use model::Timestamp;

use super::{MAX_TIME, MIN_TIME};

/// What upstream prints for its own bounds, which its parser then has to know.
const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";

/// Parses float seconds or RFC 3339 with up to nine decimals.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    if let Some(seconds) = model::number::parse_float(text) {
        return from_seconds(seconds);
    }
    match text {
        MIN_TIME_TEXT => Some(MIN_TIME),
        MAX_TIME_TEXT => Some(MAX_TIME),
        _ if is_rfc3339(text) => {
            let parsed: jiff::Timestamp = text.parse().ok()?;
            Some(Timestamp::from_millis(floor_millis(parsed)))
        }
        _ => None,
    }
}

/// Splits first and rounds the fraction alone, as upstream does: adding the two loses no bits.
fn from_seconds(seconds: f64) -> Option<Timestamp> {
    let whole = Timestamp::from_seconds(seconds.trunc())?.as_millis();
    let rest = Timestamp::from_seconds((seconds.fract() * 1000.0).round() / 1000.0)?.as_millis();
    whole.checked_add(rest).map(Timestamp::from_millis)
}

/// Whether the text has the layout `2006-01-02T15:04:05.999999999Z07:00`, whose digits jiff checks.
fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((date, rest)) = bytes.split_at_checked(19) else {
        return false;
    };
    let date_fits = date
        .iter()
        .zip(b"0000-00-00T00:00:00")
        .all(|(byte, layout)| match layout {
            b'0' => byte.is_ascii_digit(),
            separator => byte == separator,
        });
    // Go knows no leap seconds.
    if !date_fits || &date[17..] == b"60" {
        return false;
    }
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 || digits > 9 {
                return false;
            }
            &fraction[digits..]
        }
        zone => zone,
    };
    match zone {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn floor_millis(at: jiff::Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// Formats as RFC 3339 in UTC, with milliseconds where there are any. Times beyond year 9999 are
/// clamped.
pub(crate) fn format_rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => at.to_string(),
        Err(_) if at < Timestamp::EPOCH => jiff::Timestamp::MIN.to_string(),
        Err(_) => jiff::Timestamp::MAX.to_string(),
    }
}

/// The same with three decimals always, as logs have it.
pub(crate) fn format_rfc3339_millis(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(at) => format!("{at:.3}"),
        Err(_) => format_rfc3339(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_times_as_upstream() {
        for (text, want) in [
            ("0", Some(0)),
            ("1.05", Some(1_050)),
            ("1795443666.6215", Some(1_795_443_666_622)),
            ("-1.0005", Some(-1_000)),
            ("1e3", Some(1_000_000)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            (
                "2015-07-01T20:10:51.123456789+02:00",
                Some(1_435_774_251_123),
            ),
            ("2015-07-01T20:10:51-00:30", Some(1_435_783_251_000)),
            ("1969-12-31T23:59:59.9995Z", Some(-1)),
            (MIN_TIME_TEXT, Some(MIN_TIME.as_millis())),
            (MAX_TIME_TEXT, Some(MAX_TIME.as_millis())),
            ("", None),
            ("x", None),
            ("NaN", None),
            ("Inf", None),
            ("1e30", None),
            ("2015-07-01", None),
            ("2015-07-01 20:10:51Z", None),
            ("2015-07-01t20:10:51z", None),
            ("2015-07-01T20:10:51", None),
            ("2015-07-01T20:10:60Z", None),
            ("2015-02-30T20:10:51Z", None),
            ("2015-07-01T20:10:51.Z", None),
            ("2015-07-01T20:10:51+0200", None),
            ("2015-07-01T20:10:51Z[UTC]", None),
        ] {
            assert_eq!(parse_time(text).map(Timestamp::as_millis), want, "{text}");
        }
    }

    #[test]
    fn formats_times_as_go_does() {
        for (millis, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_435_781_451_780, "2015-07-01T20:10:51.78Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format_rfc3339(Timestamp::from_millis(millis)), want);
        }
        assert!(format_rfc3339(Timestamp::MAX).starts_with("9999-12-30"));
    }
}
