//! The part of a commit record that holds histograms, start timestamps, and which rows came out
//! of order.

use crate::error::TsdbError;
use crate::rows::{Extra, Row, Rows};
use crate::varint;

/// Bit of an extra's kind: a histogram follows.
const HISTOGRAM: u8 = 1;
/// Bit of an extra's kind: the row came out of order.
const LATE: u8 = 2;

/// Writes which rows have an extra, and those.
pub(super) fn encode<'a>(blocks: impl Iterator<Item = &'a Rows> + Clone, out: &mut Vec<u8>) {
    let extras = || {
        let rows = blocks
            .clone()
            .flat_map(|block| block.iter().map(move |row| block.extra(row)));
        (0_u64..)
            .zip(rows)
            .filter_map(|(at, extra)| Some((at, extra?)))
    };
    varint::put(out, extras().count() as u64);
    let mut next = 0;
    for (at, _) in extras() {
        varint::put(out, at - next);
        next = at + 1;
    }
    let mut previous = 0_i64;
    for (_, extra) in extras() {
        varint::put_signed(out, extra.start_timestamp_ms.wrapping_sub(previous));
        previous = extra.start_timestamp_ms;
    }
    for (_, extra) in extras() {
        let late = if extra.out_of_order { LATE } else { 0 };
        let Some(histogram) = &extra.histogram else {
            out.push(late);
            continue;
        };
        out.push(HISTOGRAM | late);
        if let Err(error) = chunkenc::put_histogram(histogram, out) {
            // Only size is refused, and that was checked on acceptance. The record stays whole.
            tracing::error!(%error, "the log refused a histogram");
            out.pop();
            out.push(late);
        }
    }
}

/// Reads [`encode`].
pub(super) fn decode(bytes: &mut &[u8], rows: Vec<Row>) -> Result<Rows, TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt("commit", reason);
    let early = || corrupt("extras end early");
    let count = varint::take(bytes)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(early)?;
    if count > rows.len() {
        return Err(corrupt("it has more extras than rows"));
    }
    let mut rows = Rows::of(rows);
    let mut next = 0_usize;
    for position in 0..count {
        let gap = varint::take(bytes).and_then(|gap| usize::try_from(gap).ok());
        let at = gap
            .and_then(|gap| next.checked_add(gap))
            .ok_or_else(early)?;
        let row = rows.rows_mut().get_mut(at);
        row.ok_or_else(|| corrupt("an extra is of no row"))?
            .set_extra(position);
        next = at + 1;
    }
    let mut start_timestamp_ms = 0_i64;
    let mut extras = Vec::with_capacity(count);
    for _ in 0..count {
        let difference = varint::take_signed(bytes).ok_or_else(early)?;
        start_timestamp_ms = start_timestamp_ms.wrapping_add(difference);
        extras.push(Extra {
            start_timestamp_ms,
            ..Extra::default()
        });
    }
    for extra in &mut extras {
        let (kind, rest) = bytes.split_first().ok_or_else(early)?;
        *bytes = rest;
        if kind & !(HISTOGRAM | LATE) != 0 {
            return Err(corrupt("an extra is of an unknown kind"));
        }
        extra.out_of_order = kind & LATE != 0;
        if kind & HISTOGRAM != 0 {
            let (histogram, taken) = chunkenc::take_histogram(bytes)
                .map_err(|error| corrupt(&format!("histogram: {error}")))?;
            extra.histogram = Some(histogram);
            *bytes = bytes.get(taken..).unwrap_or_default();
        }
    }
    rows.set_extras(extras);
    Ok(rows)
}
