//! Start timestamps of a `load`: a line `metric@st -1m -1mx2 -30s-1mx3 _ *` before the line of
//! samples. Source: upstream `promqltest/test.go`, `parseSTSequence`.

use model::PromDuration;

/// More offsets than this in one line are taken for a slip of the pen.
const MAX_OFFSETS: usize = 1_000_000;

/// How far each sample's start timestamp lies behind it, usually less than nothing. `None` for `_`.
#[derive(Clone, Debug, Default)]
pub(super) struct StartOffsets(Vec<Option<PromDuration>>);

impl StartOffsets {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<PromDuration> {
        self.0.get(index).copied().flatten()
    }

    /// The offsets again and again.
    pub(super) fn get_repeated(&self, index: usize) -> Option<PromDuration> {
        self.get(index.checked_rem(self.len())?)
    }
}

/// Reads the offsets behind `@st`.
pub(super) fn parse_start_offsets(text: &str) -> Result<StartOffsets, String> {
    let mut offsets: Vec<Option<PromDuration>> = Vec::new();
    for item in text.split_whitespace() {
        let invalid = || format!("invalid start timestamps {item:?}");
        let (values, repetitions) = match item.split_once('x') {
            Some((values, count)) => (values, Some(count.parse::<usize>().map_err(|_| invalid())?)),
            None => (item, None),
        };
        if repetitions.is_some_and(|count| count > MAX_OFFSETS - offsets.len().min(MAX_OFFSETS)) {
            return Err(format!("more than {MAX_OFFSETS} start timestamps"));
        }
        let count = repetitions.unwrap_or(0);
        match values {
            "_" => offsets.extend((0..repetitions.unwrap_or(1)).map(|_| None)),
            "*" => {
                let last = offsets.iter().rev().flatten().next().copied();
                let last = last.unwrap_or(PromDuration::from_millis(0));
                offsets.extend((0..=count).map(|_| Some(last)));
            }
            _ => {
                let (first, change) = parse_steps(values).ok_or_else(invalid)?;
                if change.is_some() && repetitions.is_none() {
                    return Err(invalid());
                }
                let mut offset_ms = first;
                for _ in 0..=count {
                    offsets.push(Some(PromDuration::from_millis(offset_ms)));
                    offset_ms = offset_ms.saturating_add(change.unwrap_or(0));
                }
            }
        }
    }
    Ok(StartOffsets(offsets))
}

/// Reads `-30s` or `-30s-1m` as milliseconds.
fn parse_steps(text: &str) -> Option<(i64, Option<i64>)> {
    let sign_behind_first = text
        .char_indices()
        .skip(1)
        .find(|(_, c)| matches!(c, '+' | '-'));
    match sign_behind_first {
        Some((position, _)) => {
            let (first, change) = text.split_at(position);
            Some((parse_offset(first)?, Some(parse_offset(change)?)))
        }
        None => Some((parse_offset(text)?, None)),
    }
}

fn parse_offset(text: &str) -> Option<i64> {
    let (is_negative, duration) = match text.strip_prefix('-') {
        Some(duration) => (true, duration),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let millis = PromDuration::parse(duration).ok()?.as_millis();
    Some(if is_negative { -millis } else { millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (text, want) in [
            ("", Some(vec![])),
            ("_ _x2", Some(vec![None, None, None])),
            ("-1m 0 +5ms", Some(vec![Some(-60_000), Some(0), Some(5)])),
            ("-1mx1 *x1", Some(vec![Some(-60_000); 4])),
            ("*", Some(vec![Some(0)])),
            (
                "-30s-1mx2",
                Some(vec![Some(-30_000), Some(-90_000), Some(-150_000)]),
            ),
            ("-0ms+1sx1", Some(vec![Some(0), Some(1_000)])),
            ("-30s-1m", None),
            ("soon", None),
            ("1mx", None),
            ("1mx2000000", None),
        ] {
            let got = parse_start_offsets(text).ok().map(|offsets| {
                (0..offsets.len())
                    .map(|index| offsets.get(index).map(PromDuration::as_millis))
                    .collect::<Vec<_>>()
            });
            assert_eq!(got, want, "{text}");
        }
    }
}
