//! Facts about the values of a chunk, in front of them. They come back as they were computed.

use model::ValueSummary;

use crate::DecodeError;
use crate::varint::{Reader, put_double, put_varint};

/// Set where there are facts at all.
const KNOWN: u8 = 0x01;
const MONOTONE: u8 = 0x02;
const HAS_SUM: u8 = 0x04;
/// A count of stale markers follows.
const HAS_STALE: u8 = 0x08;
/// The last value, the smallest, the largest have the bits of the first.
const LAST_IS_FIRST: u8 = 0x10;
const MIN_IS_FIRST: u8 = 0x20;
const MAX_IS_FIRST: u8 = 0x40;
/// The largest value has the bits of the last.
const MAX_IS_LAST: u8 = 0x80;

/// Appends the facts about a chunk of `samples` values.
pub(super) fn encode(facts: Option<&ValueSummary>, samples: usize, out: &mut Vec<u8>) {
    let Some(facts) = facts else {
        out.push(0);
        return;
    };
    let stale = (samples as u64).saturating_sub(u64::from(facts.count));
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
    let flags = [
        (true, KNOWN),
        (facts.is_monotone, MONOTONE),
        (facts.exact_sum.is_some(), HAS_SUM),
        (stale > 0, HAS_STALE),
        (same(facts.last, facts.first), LAST_IS_FIRST),
        (same(facts.min, facts.first), MIN_IS_FIRST),
        (same(facts.max, facts.first), MAX_IS_FIRST),
        (same(facts.max, facts.last), MAX_IS_LAST),
    ];
    let set = flags.iter().filter(|(is_set, _)| *is_set);
    let flags = set.fold(0, |flags, (_, flag)| flags | flag);
    out.push(flags);
    if stale > 0 {
        put_varint(stale, out);
    }
    put_double(facts.first, out);
    if flags & LAST_IS_FIRST == 0 {
        put_double(facts.last, out);
    }
    if flags & MIN_IS_FIRST == 0 {
        put_double(facts.min, out);
    }
    if flags & (MAX_IS_FIRST | MAX_IS_LAST) == 0 {
        put_double(facts.max, out);
    }
    if let Some(sum) = facts.exact_sum {
        put_double(sum, out);
    }
}

/// Reads [`encode`].
pub(super) fn decode(
    reader: &mut Reader<'_>,
    samples: usize,
) -> Result<Option<ValueSummary>, DecodeError> {
    let flags = reader.byte()?;
    if flags & KNOWN == 0 {
        return match flags {
            0 => Ok(None),
            _ => Err(DecodeError::Corrupt("unknown flags of facts")),
        };
    }
    let stale = if flags & HAS_STALE == 0 {
        0
    } else {
        reader.varint()?
    };
    let count = (samples as u64)
        .checked_sub(stale)
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| *count > 0)
        .ok_or(DecodeError::Corrupt("more stale markers than samples"))?;
    let first = reader.double()?;
    let mut or_first = |flag: u8| {
        if flags & flag == 0 {
            reader.double()
        } else {
            Ok(first)
        }
    };
    let last = or_first(LAST_IS_FIRST)?;
    let min = or_first(MIN_IS_FIRST)?;
    let max = match flags & (MAX_IS_FIRST | MAX_IS_LAST) {
        MAX_IS_LAST => last,
        _ => or_first(MAX_IS_FIRST)?,
    };
    let exact_sum = match flags & HAS_SUM {
        0 => None,
        _ => Some(reader.double()?),
    };
    Ok(Some(ValueSummary {
        count,
        min,
        max,
        first,
        last,
        exact_sum,
        is_monotone: flags & MONOTONE != 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_bit_for_bit() {
        let doubles = [0.0, -0.0, 1.5, -7.0, f64::NAN, f64::INFINITY, 9e15];
        for number in 0..doubles.len().pow(4) {
            let pick = |place: u32| doubles[number / doubles.len().pow(place) % doubles.len()];
            let facts = ValueSummary {
                count: 5,
                min: pick(0),
                max: pick(1),
                first: pick(2),
                last: pick(3),
                exact_sum: (number % 2 == 0).then_some(pick(1)),
                is_monotone: number % 3 == 0,
            };
            let samples = 5 + number % 3;
            let mut bytes = Vec::new();
            encode(Some(&facts), samples, &mut bytes);
            let mut reader = Reader::new(&bytes);
            let back = decode(&mut reader, samples).unwrap().unwrap();
            assert!(reader.rest().is_empty());
            let bits = |facts: ValueSummary| {
                let ValueSummary {
                    min,
                    max,
                    first,
                    last,
                    exact_sum,
                    ..
                } = facts;
                let doubles = [min, max, first, last].map(f64::to_bits);
                (
                    facts.count,
                    doubles,
                    exact_sum.map(f64::to_bits),
                    facts.is_monotone,
                )
            };
            assert_eq!(bits(back), bits(facts));
        }
    }

    #[test]
    fn impossible_facts_are_refused() {
        for bytes in [&[2][..], &[9, 3, 0], &[9, 0x80], &[1]] {
            assert!(decode(&mut Reader::new(bytes), 3).is_err(), "{bytes:?}");
        }
    }
}
