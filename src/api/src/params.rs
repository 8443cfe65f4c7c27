//! Values of parameters: times, durations, limits, selectors, in upstream's forms and with its
//! error texts.

mod label_name;
mod time;

use model::quote::quoted;
use model::{Matcher, PromDuration, TimeRange, Timestamp};

pub(crate) use label_name::unescape_label_name;
pub(crate) use time::{format_rfc3339, format_rfc3339_millis, parse_time};

use crate::envelope::ApiError;
use crate::form::Form;

/// The earliest time of an API range, and its default start. Source: upstream `MinTime`.
pub(crate) const MIN_TIME: Timestamp = Timestamp::from_millis(-9_223_309_901_257_974_000);

/// The latest time of an API range, and its default end. Source: upstream `MaxTime`.
pub(crate) const MAX_TIME: Timestamp = Timestamp::from_millis(9_223_309_901_257_974_999);

/// A time, or `default` where the parameter is absent.
pub(crate) fn time_or(form: &Form, name: &str, default: Timestamp) -> Result<Timestamp, ApiError> {
    match form.get(name) {
        "" => Ok(default),
        text => parse_time(text).ok_or_else(|| {
            let cause = format!("Invalid time value for '{name}': {}", no_timestamp(text));
            ApiError::parameter(name, cause)
        }),
    }
}

/// A time that has to be there.
pub(crate) fn required_time(form: &Form, name: &str) -> Result<Timestamp, ApiError> {
    let text = form.get(name);
    parse_time(text).ok_or_else(|| ApiError::parameter(name, no_timestamp(text)))
}

fn no_timestamp(text: &str) -> String {
    format!("cannot parse {} to a valid timestamp", quoted(text))
}

/// `start` and `end`, by default all time.
pub(crate) fn time_range(form: &Form) -> Result<TimeRange, ApiError> {
    let start = time_or(form, "start", MIN_TIME)?;
    Ok(TimeRange::new(start, time_or(form, "end", MAX_TIME)?))
}

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("cannot parse {} to a valid duration", quoted(.0))]
    Invalid(String),
    #[error("cannot parse {} to a valid duration. It overflows int64", quoted(.0))]
    Overflow(String),
}

/// Parses seconds or `1h30m`. Parts of a millisecond are cut off.
pub(crate) fn parse_duration(text: &str) -> Result<PromDuration, DurationError> {
    let Some(seconds) = model::number::parse_float(text) else {
        return PromDuration::parse(text).map_err(|_| DurationError::Invalid(text.to_owned()));
    };
    // Upstream counts nanoseconds in an int64.
    if seconds.abs() > 9_223_372_036.854_775 {
        return Err(DurationError::Overflow(text.to_owned()));
    }
    let millis = (seconds * 1e9 / 1e6).trunc() / 1000.0;
    // NaN converts to the most negative number in Go, which every caller refuses as too small.
    Ok(PromDuration::from_seconds(millis).unwrap_or(PromDuration::from_millis(i64::MIN)))
}

/// `limit`; `None` where there is none.
pub(crate) fn limit(form: &Form) -> Result<Option<usize>, ApiError> {
    let text = form.get("limit");
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<i64>().map_err(|error| {
        let cause = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        ApiError::parameter(
            "limit",
            format!("strconv.Atoi: parsing {}: {cause}", quoted(text)),
        )
    })?;
    let number = usize::try_from(number)
        .map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))?;
    Ok(Some(number).filter(|limit| *limit > 0))
}

/// All `match[]` selectors. The error is the bare cause: endpoints differ in how they frame it.
pub(crate) fn matcher_sets(form: &Form) -> Result<Vec<Vec<Matcher>>, String> {
    form.all("match[]").map(matcher_set).collect()
}

fn matcher_set(selector: &str) -> Result<Vec<Matcher>, String> {
    let matchers = promql_syntax::parse_metric_selector(selector).map_err(|e| e.to_string())?;
    if !promql_syntax::has_non_empty_matcher(&matchers) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(matchers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_durations_as_upstream() {
        for (text, want) in [
            ("15", Ok(15_000)),
            ("0.25", Ok(250)),
            ("0.0019", Ok(1)),
            ("-1.5", Ok(-1500)),
            ("1h30m", Ok(5_400_000)),
            ("NaN", Ok(i64::MIN)),
            ("x", Err("cannot parse \"x\" to a valid duration")),
            ("", Err("cannot parse \"\" to a valid duration")),
            (
                "1e30",
                Err("cannot parse \"1e30\" to a valid duration. It overflows int64"),
            ),
            (
                "Inf",
                Err("cannot parse \"Inf\" to a valid duration. It overflows int64"),
            ),
        ] {
            let got = parse_duration(text)
                .map(PromDuration::as_millis)
                .map_err(|e| e.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }
}
