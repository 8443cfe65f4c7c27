//! Parts of dates, in UTC.

use super::{Implementation, Table};
use crate::calendar::CivilTime;

pub(super) const TABLE: Table = &[
    ("day_of_month", Implementation::Date(|time| time.day)),
    ("day_of_week", Implementation::Date(|time| time.day_of_week)),
    ("day_of_year", Implementation::Date(|time| time.day_of_year)),
    (
        "days_in_month",
        Implementation::Date(CivilTime::days_in_month),
    ),
    ("hour", Implementation::Date(|time| time.hour)),
    ("minute", Implementation::Date(|time| time.minute)),
    ("month", Implementation::Date(|time| time.month)),
    ("year", Implementation::Date(|time| time.year)),
];
