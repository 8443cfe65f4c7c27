//! Records of the log: commits and seals. Each starts with its version and a checksum of the rest.
//! The byte format is written down in `docs/formats/log.md`.

mod extras;

use crate::error::TsdbError;
use crate::rows::{Row, Rows};
use crate::varint;

const VERSION: u8 = 1;
/// Of commits with histograms or start timestamps, which stand behind what version 1 has.
const VERSION_WITH_EXTRAS: u8 = 2;
/// Of commits with samples out of order, whose extras say so.
const VERSION_WITH_LATE: u8 = 3;
/// Of seals of samples that came out of order.
const VERSION_LATE_SEAL: u8 = 2;
const HEADER_BYTES: usize = 5;
/// Larger records are not written, so that a damaged length cannot ask for all memory.
const MAX_RECORD_BYTES: usize = 1 << 30;
/// A value that is not a whole number: its eight bytes follow.
const RAW_VALUE: u64 = 1;
/// Whole numbers below this magnitude are doubles without rounding, and fit a tagged varint.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Writes the rows of a commit, given as the blocks of its requests.
pub(crate) fn encode_commit<'a>(blocks: impl Iterator<Item = &'a Rows> + Clone) -> Vec<u8> {
    let rows: usize = blocks.clone().map(Rows::len).sum();
    let mut payload = Vec::with_capacity(rows * 8 + 16);
    varint::put(&mut payload, rows as u64);
    let all = || blocks.clone().flatten();
    let mut previous = 0_i64;
    for row in all() {
        varint::put_signed(&mut payload, i64::from(row.series) - previous);
        previous = i64::from(row.series);
    }
    let mut previous = 0_i64;
    for row in all() {
        varint::put_signed(&mut payload, row.timestamp_ms.wrapping_sub(previous));
        previous = row.timestamp_ms;
    }
    for row in all() {
        put_value(&mut payload, row.value);
    }
    if blocks.clone().any(Rows::has_extras) {
        let is_late = blocks.clone().any(Rows::has_late);
        extras::encode(blocks, &mut payload);
        let version = if is_late {
            VERSION_WITH_LATE
        } else {
            VERSION_WITH_EXTRAS
        };
        return seal_payload(version, &payload);
    }
    seal_payload(VERSION, &payload)
}

/// Reads [`encode_commit`].
pub(crate) fn decode_commit(record: &[u8]) -> Result<Rows, TsdbError> {
    let (version, payload) = open_payload(record, "commit", VERSION_WITH_LATE)?;
    decode_payload(version, &payload)
}

/// Reads of [`encode_commit`] which series have samples in order, and when: the rows have no more.
pub(crate) fn decode_order(record: &[u8]) -> Result<Vec<Row>, TsdbError> {
    let (version, payload) = open_payload(record, "commit", VERSION_WITH_LATE)?;
    if version == VERSION_WITH_LATE {
        let rows = decode_payload(version, &payload)?;
        let is_late = |row: &&Row| rows.extra(row).is_some_and(|extra| extra.out_of_order);
        let in_order = rows.iter().filter(|row| !is_late(row));
        let bare = in_order.map(|row| Row::float(row.series, row.timestamp_ms, 0.0));
        return Ok(bare.collect());
    }
    decode_times(&mut payload.as_slice())
        .ok_or_else(|| TsdbError::corrupt("commit", "columns end early"))
}

fn decode_payload(version: u8, mut bytes: &[u8]) -> Result<Rows, TsdbError> {
    let rows =
        decode_rows(&mut bytes).ok_or_else(|| TsdbError::corrupt("commit", "columns end early"))?;
    let rows = match version {
        VERSION_WITH_EXTRAS | VERSION_WITH_LATE => extras::decode(&mut bytes, rows)?,
        _ => Rows::of(rows),
    };
    if bytes.is_empty() {
        Ok(rows)
    } else {
        Err(TsdbError::corrupt("commit", "bytes follow its columns"))
    }
}

fn decode_rows(bytes: &mut &[u8]) -> Option<Vec<Row>> {
    let mut rows = decode_times(bytes)?;
    for row in &mut rows {
        row.value = take_value(bytes)?;
    }
    Some(rows)
}

/// Reads the columns of series and times.
fn decode_times(bytes: &mut &[u8]) -> Option<Vec<Row>> {
    let count = usize::try_from(varint::take(bytes)?).ok()?;
    // Every row takes at least three bytes.
    if count > bytes.len() {
        return None;
    }
    let mut rows = Vec::with_capacity(count);
    let mut series = 0_i64;
    for _ in 0..count {
        series = series.checked_add(varint::take_signed(bytes)?)?;
        rows.push(Row::float(u32::try_from(series).ok()?, 0, 0.0));
    }
    let mut timestamp_ms = 0_i64;
    for row in &mut rows {
        timestamp_ms = timestamp_ms.wrapping_add(varint::take_signed(bytes)?);
        row.timestamp_ms = timestamp_ms;
    }
    Some(rows)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the magnitude is checked first"
)]
#[expect(clippy::cast_precision_loss, reason = "compared bit by bit afterwards")]
fn put_value(out: &mut Vec<u8>, value: f64) {
    if value.abs() < MAX_WHOLE {
        let whole = value as i64;
        if (whole as f64).to_bits() == value.to_bits() {
            varint::put(out, varint::zigzag(whole) << 1);
            return;
        }
    }
    varint::put(out, RAW_VALUE);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

#[expect(
    clippy::cast_precision_loss,
    reason = "written only when no bit is lost"
)]
fn take_value(bytes: &mut &[u8]) -> Option<f64> {
    let tagged = varint::take(bytes)?;
    if tagged & RAW_VALUE == 0 {
        return Some(varint::unzigzag(tagged >> 1) as f64);
    }
    let (raw, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(f64::from_bits(u64::from_le_bytes(*raw)))
}

/// Writes which series were sealed and through which time. `sealed` is in order of ids.
pub(crate) fn encode_seal(sealed: &[(u32, i64)]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(sealed.len() * 6 + 8);
    varint::put(&mut payload, sealed.len() as u64);
    let (mut previous_id, mut previous_ms) = (0_i64, 0_i64);
    for (id, through_ms) in sealed {
        varint::put_signed(&mut payload, i64::from(*id) - previous_id);
        varint::put_signed(&mut payload, through_ms.wrapping_sub(previous_ms));
        (previous_id, previous_ms) = (i64::from(*id), *through_ms);
    }
    seal_payload(VERSION, &payload)
}

/// Writes which samples that came out of order were sealed, with their times in milliseconds.
/// `sealed` is in order of ids, and times are.
pub(crate) fn encode_late_seal(sealed: &[(u32, Vec<i64>)]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(sealed.len() * 64 + 8);
    varint::put(&mut payload, sealed.len() as u64);
    let (mut previous_id, mut previous_ms) = (0_i64, 0_i64);
    for (id, times) in sealed {
        varint::put_signed(&mut payload, i64::from(*id) - previous_id);
        previous_id = i64::from(*id);
        varint::put(&mut payload, times.len() as u64);
        for at_ms in times {
            varint::put_signed(&mut payload, at_ms.wrapping_sub(previous_ms));
            previous_ms = *at_ms;
        }
    }
    seal_payload(VERSION_LATE_SEAL, &payload)
}

/// What a seal record says is in chunks.
#[derive(Debug, PartialEq)]
pub(crate) enum Seal {
    /// For each series all through a time.
    Through(Vec<(u32, i64)>),
    /// Samples that came out of order.
    Late(Vec<(u32, i64)>),
}

/// Reads [`encode_seal`] and [`encode_late_seal`].
pub(crate) fn decode_seal(record: &[u8]) -> Result<Seal, TsdbError> {
    let (version, payload) = open_payload(record, "seal record", VERSION_LATE_SEAL)?;
    let mut bytes = payload.as_slice();
    let seal = match version {
        VERSION_LATE_SEAL => decode_late(&mut bytes).map(Seal::Late),
        _ => decode_sealed(&mut bytes).map(Seal::Through),
    };
    seal.ok_or_else(|| TsdbError::corrupt("seal record", "it ends early"))
}

fn decode_late(bytes: &mut &[u8]) -> Option<Vec<(u32, i64)>> {
    let count = varint::take(bytes)?;
    let mut sealed = Vec::new();
    let (mut id, mut at_ms) = (0_i64, 0_i64);
    for _ in 0..count {
        id = id.checked_add(varint::take_signed(bytes)?)?;
        let series = u32::try_from(id).ok()?;
        for _ in 0..varint::take(bytes)? {
            at_ms = at_ms.wrapping_add(varint::take_signed(bytes)?);
            sealed.push((series, at_ms));
        }
    }
    bytes.is_empty().then_some(sealed)
}

fn decode_sealed(bytes: &mut &[u8]) -> Option<Vec<(u32, i64)>> {
    let count = usize::try_from(varint::take(bytes)?).ok()?;
    if count > bytes.len() {
        return None;
    }
    let mut sealed = Vec::with_capacity(count);
    let (mut id, mut through_ms) = (0_i64, 0_i64);
    for _ in 0..count {
        id = id.checked_add(varint::take_signed(bytes)?)?;
        through_ms = through_ms.wrapping_add(varint::take_signed(bytes)?);
        sealed.push((u32::try_from(id).ok()?, through_ms));
    }
    bytes.is_empty().then_some(sealed)
}

/// Frames a tombstone, which does not belong to the log.
pub(crate) fn encode_tombstone(payload: &[u8]) -> Vec<u8> {
    seal_payload(VERSION, payload)
}

/// Reads [`encode_tombstone`].
pub(crate) fn decode_tombstone(record: &[u8]) -> Result<Vec<u8>, TsdbError> {
    let (_, payload) = open_payload(record, "tombstone", VERSION)?;
    Ok(payload)
}

fn seal_payload(version: u8, payload: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::compress_prepend_size(payload);
    let mut record = Vec::with_capacity(HEADER_BYTES + compressed.len());
    record.push(version);
    record.extend_from_slice(&crc32c::crc32c(&compressed).to_le_bytes());
    record.extend_from_slice(&compressed);
    record
}

/// How many bytes a record says to have uncompressed; 0 if it ends before it says so.
pub(crate) fn payload_bytes(record: &[u8]) -> usize {
    let size = record
        .get(HEADER_BYTES..)
        .and_then(|rest| rest.first_chunk());
    let size = size.map_or(0, |size| u32::from_le_bytes(*size));
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// The version, at most `newest`, and the payload of a record.
fn open_payload(record: &[u8], object: &str, newest: u8) -> Result<(u8, Vec<u8>), TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt(object, reason);
    let (version, rest) = record.split_first().ok_or_else(|| corrupt("it is empty"))?;
    if !(VERSION..=newest).contains(version) {
        return Err(corrupt(&format!("unknown version {version}")));
    }
    let (checksum, compressed) = rest
        .split_first_chunk::<4>()
        .ok_or_else(|| corrupt("it ends in its header"))?;
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(compressed) {
        return Err(corrupt("checksum mismatch"));
    }
    let (size, _) = lz4_flex::block::uncompressed_size(compressed)
        .map_err(|error| corrupt(&error.to_string()))?;
    if size > MAX_RECORD_BYTES {
        return Err(corrupt("it is too large"));
    }
    let payload = lz4_flex::decompress_size_prepended(compressed)
        .map_err(|error| corrupt(&error.to_string()))?;
    Ok((*version, payload))
}

#[cfg(test)]
mod tests;
