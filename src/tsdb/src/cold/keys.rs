//! Keys of family `Cold`, and of the records that say which of them count. Numbers are big-endian.
//!
//! Every rewrite of a partition writes below a version of its own, so that an unfinished one is
//! never taken for the one that counts.

use model::Timestamp;

use crate::partition::Partition;

const RECORD: u8 = b'c';
const STREAM: u8 = 0;
const CHUNK: u8 = 1;

/// Length of a chunk's key.
pub(crate) const CHUNK_KEY_BYTES: usize = 21;
/// Length of that part of a chunk's key that names partition, version, metric and series.
pub(crate) const CHUNK_SERIES_BYTES: usize = 17;
/// Where a chunk's key has metric, series and start, in the order in which small chunks have them.
pub(crate) const CHUNK_PLACE: std::ops::Range<usize> = 9..21;

/// Family `Index`: the version of a partition that counts.
pub(crate) fn record(partition: Partition) -> [u8; 5] {
    let mut key = [RECORD; 5];
    key[1..].copy_from_slice(&partition.to_bytes());
    key
}

/// Family `Index`: first key of all records.
pub(crate) const RECORD_PREFIX: &[u8] = &[RECORD];

/// Reads [`record`].
pub(crate) fn record_partition(key: &[u8]) -> Option<Partition> {
    match key.split_first() {
        Some((&RECORD, rest)) => rest.try_into().ok().map(Partition::from_bytes),
        _ => None,
    }
}

/// First key of a version of a partition. All its keys lie below that of the next version.
pub(crate) fn version(partition: Partition, version: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&partition.to_bytes());
    key[4..].copy_from_slice(&version.to_be_bytes());
    key
}

/// Reads the partition and the version of any key.
pub(crate) fn version_of(key: &[u8]) -> Option<(Partition, u32)> {
    let (partition, rest) = key.split_first_chunk::<4>()?;
    let version = rest.first_chunk::<4>()?;
    Some((
        Partition::from_bytes(*partition),
        u32::from_be_bytes(*version),
    ))
}

/// A stream of timestamps that chunks of the same version share.
pub(crate) fn stream(partition: Partition, number: u32, id: u32) -> [u8; 13] {
    let mut key = [STREAM; 13];
    key[..8].copy_from_slice(&version(partition, number));
    key[9..].copy_from_slice(&id.to_be_bytes());
    key
}

/// The first key of all chunks of a version.
pub(crate) fn chunks(partition: Partition, number: u32) -> [u8; 9] {
    let mut key = [CHUNK; 9];
    key[..8].copy_from_slice(&version(partition, number));
    key
}

/// The prefix of all chunks of a series.
pub(crate) fn chunk_series(
    partition: Partition,
    number: u32,
    (metric, series): (u32, u32),
) -> [u8; CHUNK_SERIES_BYTES] {
    let mut key = [0; CHUNK_SERIES_BYTES];
    key[..9].copy_from_slice(&chunks(partition, number));
    key[9..13].copy_from_slice(&metric.to_be_bytes());
    key[13..].copy_from_slice(&series.to_be_bytes());
    key
}

/// A chunk. Chunks of one series in one version never begin together.
pub(crate) fn chunk(
    partition: Partition,
    number: u32,
    series: (u32, u32),
    start: Timestamp,
) -> [u8; CHUNK_KEY_BYTES] {
    let mut key = [0; CHUNK_KEY_BYTES];
    key[..CHUNK_SERIES_BYTES].copy_from_slice(&chunk_series(partition, number, series));
    let offset = start.as_millis().saturating_sub(partition.start_ms());
    let offset = u32::try_from(offset.max(0)).unwrap_or(u32::MAX);
    key[CHUNK_SERIES_BYTES..].copy_from_slice(&offset.to_be_bytes());
    key
}
