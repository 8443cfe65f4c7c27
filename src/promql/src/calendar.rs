//! Dates in UTC from seconds since the epoch, for the date functions. Proleptic Gregorian, no leap
//! seconds, no I/O.

use std::fmt;

const SECONDS_PER_DAY: i64 = 86_400;

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CivilTime {
    /// Year, may be negative.
    pub(crate) year: i64,
    /// Month from 1 to 12.
    pub(crate) month: i64,
    /// Day of the month from 1.
    pub(crate) day: i64,
    /// Day of the year from 1.
    pub(crate) day_of_year: i64,
    /// Day of the week, Sunday is 0.
    pub(crate) day_of_week: i64,
    /// Hour from 0 to 23.
    pub(crate) hour: i64,
    /// Minute from 0 to 59.
    pub(crate) minute: i64,
    /// Second from 0 to 59.
    pub(crate) second: i64,
}

impl CivilTime {
    /// The date of an instant. Days are counted in years that start in March, so that the leap day
    /// comes last; 400 such years always have 146 097 days.
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let in_day = seconds.rem_euclid(SECONDS_PER_DAY);
        // Days since 0000-03-01; 1970-01-01 is day 719 468.
        let from_march = days + 719_468;
        let era = from_march.div_euclid(146_097);
        let day_of_era = from_march.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year =
            day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day_of_year = if month <= 2 {
            day_of_march_year - 305
        } else {
            day_of_march_year + 60 + i64::from(is_leap(year))
        };
        Self {
            year,
            month,
            day,
            day_of_year,
            day_of_week: (days + 4).rem_euclid(7),
            hour: in_day / 3_600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
        }
    }

    /// How many days the month has.
    pub(crate) fn days_in_month(&self) -> i64 {
        match self.month {
            2 => 28 + i64::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

impl fmt::Display for CivilTime {
    /// RFC 3339, as `2016-02-29T23:59:59Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text, day_of_year, day_of_week) in [
            (0, "1970-01-01T00:00:00Z", 1, 4),
            (1_136_239_445, "2006-01-02T22:04:05Z", 2, 1),
            (1_456_790_399, "2016-02-29T23:59:59Z", 60, 1),
            (1_456_790_400, "2016-03-01T00:00:00Z", 61, 2),
            (1_483_228_799, "2016-12-31T23:59:59Z", 366, 6),
            (1_672_493_820, "2022-12-31T13:37:00Z", 365, 6),
            (-1, "1969-12-31T23:59:59Z", 365, 3),
            (-2_203_977_600, "1900-02-28T00:00:00Z", 59, 3),
        ] {
            let time = CivilTime::from_seconds(seconds);
            assert_eq!(time.to_string(), text);
            assert_eq!(
                (time.day_of_year, time.day_of_week),
                (day_of_year, day_of_week),
                "{text}"
            );
        }
    }

    #[test]
    fn days_follow_each_other_over_four_centuries() {
        let mut previous = CivilTime::from_seconds(-SECONDS_PER_DAY);
        for day in 0..146_097 {
            let today = CivilTime::from_seconds(day * SECONDS_PER_DAY);
            let want = if previous.day < previous.days_in_month() {
                (
                    previous.year,
                    previous.month,
                    previous.day + 1,
                    previous.day_of_year + 1,
                )
            } else if previous.month < 12 {
                (
                    previous.year,
                    previous.month + 1,
                    1,
                    previous.day_of_year + 1,
                )
            } else {
                (previous.year + 1, 1, 1, 1)
            };
            assert_eq!(
                (today.year, today.month, today.day, today.day_of_year),
                want
            );
            previous = today;
        }
    }
}
