//! Parts of dates, counted day by day from 1970.

use crate::reference::{Outcome, ReferenceError};

/// Dates outside of these years are too far to count.
const FARTHEST_SECONDS: f64 = 100_000_000_000.0;

pub(super) fn is_known(name: &str) -> bool {
    matches!(
        name,
        "minute"
            | "hour"
            | "day_of_week"
            | "day_of_month"
            | "day_of_year"
            | "days_in_month"
            | "month"
            | "year"
    )
}

/// A part of the date that is `seconds` after 1970, in UTC.
pub(super) fn part(name: &str, seconds: f64) -> Outcome<f64> {
    if !seconds.is_finite() || seconds.abs() > FARTHEST_SECONDS {
        return Err(ReferenceError::Undetermined("dates of no sensible number"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked above; upstream truncates"
    )]
    let seconds = seconds as i64;
    let (mut day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let weekday = (day + 4).rem_euclid(7);
    let mut year = 1970;
    while day < 0 {
        year -= 1;
        day += days_in_year(year);
    }
    while day >= days_in_year(year) {
        day -= days_in_year(year);
        year += 1;
    }
    let day_of_year = day + 1;
    let mut month = 1;
    while day >= days_in_month(year, month) {
        day -= days_in_month(year, month);
        month += 1;
    }
    Ok(match name {
        "minute" => of_day / 60 % 60,
        "hour" => of_day / 3_600,
        "day_of_week" => weekday,
        "day_of_month" => day + 1,
        "day_of_year" => day_of_year,
        "days_in_month" => days_in_month(year, month),
        "month" => month,
        _ => year,
    } as f64)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
