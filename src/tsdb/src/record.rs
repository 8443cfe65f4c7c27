//! Records of the log: commits and seals. Each starts with its version and a checksum of the rest.
//! The byte format is written down in `docs/formats/log.md`.

use crate::error::TsdbError;
use crate::varint;

/// One sample of a commit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) series: u32,
    pub(crate) timestamp_ms: i64,
    pub(crate) value: f64,
}

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;
/// Larger records are not written, so that a damaged length cannot ask for all memory.
const MAX_RECORD_BYTES: usize = 1 << 30;
/// A value that is not a whole number: its eight bytes follow.
const RAW_VALUE: u64 = 1;
/// Whole numbers below this magnitude are doubles without rounding, and fit a tagged varint.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Writes the rows of a commit, given as the blocks of its requests.
pub(crate) fn encode_commit<'a>(blocks: impl Iterator<Item = &'a [Row]> + Clone) -> Vec<u8> {
    let rows: usize = blocks.clone().map(<[Row]>::len).sum();
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
    seal_payload(&payload)
}

/// Reads [`encode_commit`].
pub(crate) fn decode_commit(record: &[u8]) -> Result<Vec<Row>, TsdbError> {
    let payload = open_payload(record, "commit")?;
    let mut bytes = payload.as_slice();
    decode_rows(&mut bytes).ok_or_else(|| TsdbError::corrupt("commit", "columns end early"))
}

fn decode_rows(bytes: &mut &[u8]) -> Option<Vec<Row>> {
    let count = usize::try_from(varint::take(bytes)?).ok()?;
    // Every row takes at least three bytes.
    if count > bytes.len() {
        return None;
    }
    let mut rows = Vec::with_capacity(count);
    let mut series = 0_i64;
    for _ in 0..count {
        series = series.checked_add(varint::take_signed(bytes)?)?;
        rows.push(Row {
            series: u32::try_from(series).ok()?,
            timestamp_ms: 0,
            value: 0.0,
        });
    }
    let mut timestamp_ms = 0_i64;
    for row in &mut rows {
        timestamp_ms = timestamp_ms.wrapping_add(varint::take_signed(bytes)?);
        row.timestamp_ms = timestamp_ms;
    }
    for row in &mut rows {
        row.value = take_value(bytes)?;
    }
    bytes.is_empty().then_some(rows)
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
    seal_payload(&payload)
}

/// Reads [`encode_seal`].
pub(crate) fn decode_seal(record: &[u8]) -> Result<Vec<(u32, i64)>, TsdbError> {
    let payload = open_payload(record, "seal record")?;
    let mut bytes = payload.as_slice();
    decode_sealed(&mut bytes).ok_or_else(|| TsdbError::corrupt("seal record", "it ends early"))
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

fn seal_payload(payload: &[u8]) -> Vec<u8> {
    let compressed = lz4_flex::compress_prepend_size(payload);
    let mut record = Vec::with_capacity(HEADER_BYTES + compressed.len());
    record.push(VERSION);
    record.extend_from_slice(&crc32c::crc32c(&compressed).to_le_bytes());
    record.extend_from_slice(&compressed);
    record
}

fn open_payload(record: &[u8], object: &str) -> Result<Vec<u8>, TsdbError> {
    let corrupt = |reason: &str| TsdbError::corrupt(object, reason);
    let (version, rest) = record.split_first().ok_or_else(|| corrupt("it is empty"))?;
    if *version != VERSION {
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
    lz4_flex::decompress_size_prepended(compressed).map_err(|error| corrupt(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            any::<i32>().prop_map(f64::from),
            Just(-0.0),
            Just(MAX_WHOLE),
            Just(-MAX_WHOLE + 1.0),
        ]
    }

    proptest! {
        #[test]
        fn commits_round_trip(
            rows in prop::collection::vec((any::<u32>(), any::<i64>(), any_value()), 0..50),
        ) {
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|(series, timestamp_ms, value)| Row { series, timestamp_ms, value })
                .collect();
            let record = encode_commit(rows.chunks(7));
            let back = decode_commit(&record).unwrap();
            prop_assert_eq!(rows.len(), back.len());
            for (row, read) in rows.iter().zip(&back) {
                prop_assert_eq!((row.series, row.timestamp_ms), (read.series, read.timestamp_ms));
                prop_assert_eq!(row.value.to_bits(), read.value.to_bits());
            }
        }

        #[test]
        fn seals_round_trip(sealed in prop::collection::vec((any::<u32>(), any::<i64>()), 0..50)) {
            prop_assert_eq!(decode_seal(&encode_seal(&sealed)).unwrap(), sealed);
        }

        #[test]
        fn damage_is_an_error(at in 0_usize..100, flip in 1_u8..=255) {
            let rows = [Row { series: 3, timestamp_ms: 1_000, value: 0.1 }; 20];
            let mut record = encode_commit(rows.chunks(20));
            let at = at % record.len();
            record[at] ^= flip;
            prop_assert!(decode_commit(&record).is_err());
            prop_assert!(decode_commit(&record[..at]).is_err());
        }

        #[test]
        fn columns_of_any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_rows(&mut bytes.as_slice());
            let _ = decode_sealed(&mut bytes.as_slice());
            prop_assert!(decode_commit(&bytes).is_err() || bytes.len() > HEADER_BYTES);
        }
    }
}
