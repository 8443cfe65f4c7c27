//! Points in time and closed ranges of them, in milliseconds.

use std::fmt;

use crate::duration::PromDuration;

/// Milliseconds since the Unix epoch; negative values are legal in PromQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest representable instant.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest representable instant.
    pub const MAX: Self = Self(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Wraps milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Converts seconds since the epoch, rounded to the nearest millisecond, halves away from zero
    /// as Go's `math.Round`. `None` when the result does not fit or the input is NaN.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        PromDuration::from_seconds(seconds).map(|since_epoch| Self(since_epoch.as_millis()))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch; exact to the millisecond for every date in use.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "as upstream: float64(ts) / 1000"
    )]
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// `self + duration`, `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, duration: PromDuration) -> Option<Self> {
        match self.0.checked_add(duration.as_millis()) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }

    /// `self + duration`, clamped to the representable range.
    #[must_use]
    pub const fn saturating_add(self, duration: PromDuration) -> Self {
        Self(self.0.saturating_add(duration.as_millis()))
    }

    /// `self - duration`, clamped to the representable range.
    #[must_use]
    pub const fn saturating_sub(self, duration: PromDuration) -> Self {
        Self(self.0.saturating_sub(duration.as_millis()))
    }

    /// The time from `earlier` to `self`, clamped to the representable range.
    #[must_use]
    pub const fn since(self, earlier: Self) -> PromDuration {
        PromDuration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Timestamp {
    /// Appends what [`fmt::Display`] gives, without going through a formatter.
    pub fn write_seconds(self, out: &mut String) {
        if self.0 < 0 {
            out.push('-');
        }
        let (seconds, millis) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        crate::number::write_digits(seconds, 1, out);
        if millis > 0 {
            out.push('.');
            crate::number::write_digits(millis, 3, out);
        }
    }
}

impl fmt::Display for Timestamp {
    /// Whole seconds, with three decimals when there are milliseconds: the form of the HTTP API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (seconds, millis) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        if millis == 0 {
            write!(f, "{sign}{seconds}")
        } else {
            write!(f, "{sign}{seconds}.{millis:03}")
        }
    }
}

/// A closed range of time: both ends belong to it. Empty when `start > end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// First instant inside.
    pub start: Timestamp,
    /// Last instant inside.
    pub end: Timestamp,
}

impl TimeRange {
    /// Every instant.
    pub const ALL: Self = Self {
        start: Timestamp::MIN,
        end: Timestamp::MAX,
    };

    /// The range from `start` to `end`, both inside.
    #[must_use]
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at <= self.end
    }

    /// Whether the two ranges share an instant.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_the_http_api_does() {
        let shown = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(shown(0), "0");
        assert_eq!(shown(1_050), "1.050");
        assert_eq!(shown(1_100), "1.100");
        assert_eq!(shown(-1), "-0.001");
        assert_eq!(shown(i64::MIN), "-9223372036854775.808");
    }

    #[test]
    fn seconds_round_half_away_from_zero() {
        let millis = |seconds| Timestamp::from_seconds(seconds).map(Timestamp::as_millis);
        assert_eq!(millis(1.0005), Some(1001));
        assert_eq!(millis(-1.0005), Some(-1001));
        assert_eq!(millis(f64::NAN), None);
        assert_eq!(millis(1e300), None);
    }
}
