//! Durations as queries and configuration write them: signed milliseconds, `1h30m`.

use std::fmt;

/// A signed duration in milliseconds. Never used for waiting: that is `std::time::Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(i64);

/// Why a text is no duration. The texts are those of upstream's `model.ParseDuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// Nothing was given.
    #[error("empty duration string")]
    Empty,
    /// The text does not follow the grammar.
    #[error("not a valid duration string: {}", crate::quote::quoted(.0))]
    Invalid(String),
    /// The value does not fit upstream's 64-bit nanoseconds.
    #[error("duration out of range")]
    OutOfRange,
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Upstream counts nanoseconds in an `int64`; longer durations are refused there.
const MAX_MILLIS: i64 = i64::MAX / 1_000_000;

impl PromDuration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Wraps milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Wraps whole seconds, clamped to the representable range.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Converts seconds, rounded to the nearest millisecond, halves away from zero. `None` when the
    /// result does not fit or the input is NaN.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        // The bound is exact: 2^63 is a double, i64::MAX is not.
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&millis) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the range was checked above"
        )]
        Some(Self(millis as i64))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "as upstream: milliseconds / 1000 in float64"
    )]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The same length of time for waiting; negative durations become zero.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// Parses `1h30m`: whole numbers with the units y, w, d, h, m, s, ms, each at most once and in
    /// this order, or a bare `0`. Source: upstream `model.ParseDuration`.
    ///
    /// # Errors
    /// The text is empty, off the grammar, or longer than 2^63 nanoseconds.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        match text {
            "" => return Err(DurationError::Empty),
            "0" => return Ok(Self::ZERO),
            _ => {}
        }
        let invalid = || DurationError::Invalid(text.to_owned());
        let mut rest = text;
        let mut millis: i64 = 0;
        let mut next_unit = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..]
                .bytes()
                .take_while(u8::is_ascii_alphabetic)
                .count();
            let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
            let position = UNITS[next_unit..]
                .iter()
                .position(|(name, _)| *name == unit)
                .filter(|_| digits > 0)
                .ok_or_else(invalid)?;
            let unit_millis = UNITS[next_unit + position].1;
            next_unit += position + 1;
            let count: i64 = number.parse().map_err(|_| DurationError::OutOfRange)?;
            millis = count
                .checked_mul(unit_millis)
                .and_then(|part| millis.checked_add(part))
                .filter(|sum| *sum <= MAX_MILLIS)
                .ok_or(DurationError::OutOfRange)?;
            rest = &rest[digits + letters..];
        }
        Ok(Self(millis))
    }
}

impl fmt::Display for PromDuration {
    /// The shortest form that parses back: `1h30m`, `0s`, `-5m`. Years and weeks appear only where
    /// nothing remains, as in upstream's `Duration.String`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (unit, unit_millis) in UNITS {
            let unit_millis = unit_millis.unsigned_abs();
            let only_if_exact = matches!(unit, "y" | "w");
            if only_if_exact && !rest.is_multiple_of(unit_millis) {
                continue;
            }
            let count = rest / unit_millis;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest -= count * unit_millis;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, millis, printed) in [
            ("0", 0, "0s"),
            ("0w", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("3s", 3000, "3s"),
            ("5m", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("4d", 345_600_000, "4d"),
            ("4d1h", 349_200_000, "4d1h"),
            ("14d", 1_209_600_000, "2w"),
            ("10y", 315_360_000_000, "10y"),
            ("1h30m", 5_400_000, "1h30m"),
            ("3h4m5s6ms", 11_045_006, "3h4m5s6ms"),
        ] {
            let parsed = PromDuration::parse(text).unwrap();
            assert_eq!(parsed.as_millis(), millis, "{text}");
            assert_eq!(parsed.to_string(), printed, "{text}");
            assert_eq!(PromDuration::parse(printed).unwrap(), parsed, "{text}");
        }
        assert_eq!(PromDuration::from_millis(-300_000).to_string(), "-5m");
    }

    #[test]
    fn refuses_what_upstream_refuses() {
        for (text, message) in [
            ("", "empty duration string"),
            ("1", "not a valid duration string: \"1\""),
            ("1y1m1d", "not a valid duration string: \"1y1m1d\""),
            ("-1w", "not a valid duration string: \"-1w\""),
            ("1.5d", "not a valid duration string: \"1.5d\""),
            ("d", "not a valid duration string: \"d\""),
            ("1s1s", "not a valid duration string: \"1s1s\""),
            ("294y", "duration out of range"),
            ("99999999999999999999s", "duration out of range"),
        ] {
            assert_eq!(PromDuration::parse(text).unwrap_err().to_string(), message);
        }
    }
}
