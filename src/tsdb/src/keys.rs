//! Keys of the engine's families. Numbers are big-endian, so that bytes sort as they do.

use model::Timestamp;

use crate::partition::Partition;

/// Family `Meta`: version of everything the engine stores.
pub(crate) const META_FORMAT: &[u8] = b"format";
/// Family `Meta`: number of the first commit whose samples are not all in chunks.
pub(crate) const META_REPLAY_FROM: &[u8] = b"replay-from";
/// Family `Meta`: first series id never given out.
pub(crate) const META_NEXT_SERIES: &[u8] = b"next-series";
/// Family `Meta`: newest time of all samples, in milliseconds.
pub(crate) const META_NEWEST_TIME: &[u8] = b"newest-time";

/// Family `Meta`: start of the hash of labels.
pub(crate) const META_LABELS_SEED: &[u8] = b"labels-seed";

const COMMIT: u8 = b'c';
const SEAL: u8 = b's';
const PRESENCE: u8 = b'p';
const DISORDER: u8 = b'o';
const TOMBSTONE: u8 = b't';

/// Family `Log`: a commit.
pub(crate) fn commit(number: u64) -> [u8; 9] {
    numbered(COMMIT, number)
}

/// Reads [`commit`].
pub(crate) fn commit_number(key: &[u8]) -> Option<u64> {
    match key.split_first() {
        Some((&COMMIT, rest)) => rest.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// Family `Log`: what was sealed while commits up to `bound` could hold its samples.
pub(crate) fn seal(bound: u64, sequence: u64) -> [u8; 17] {
    let mut key = [0; 17];
    key[..9].copy_from_slice(&numbered(SEAL, bound));
    key[9..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// Reads [`seal`].
pub(crate) fn seal_sequence(key: &[u8]) -> Option<u64> {
    match key.split_first() {
        Some((&SEAL, rest)) => rest.get(8..)?.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

/// Reads the bound of [`seal`].
pub(crate) fn seal_bound_of(key: &[u8]) -> Option<u64> {
    match key.split_first() {
        Some((&SEAL, rest)) => rest.first_chunk().copied().map(u64::from_be_bytes),
        _ => None,
    }
}

/// Family `Log`: first key of all seal records, and of those from `bound` on.
pub(crate) fn seal_bound(bound: u64) -> [u8; 9] {
    numbered(SEAL, bound)
}

/// Family `Series`: a series id.
pub(crate) fn series(id: u32) -> [u8; 4] {
    id.to_be_bytes()
}

/// Family `State`: what keys of a namespace begin with.
pub(crate) fn state_namespace(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// Family `Index`: which series have chunks in a partition.
pub(crate) fn presence(partition: Partition) -> [u8; 5] {
    of_partition(PRESENCE, partition)
}

/// Family `Index`: first key of all presence bitmaps.
pub(crate) const PRESENCE_PREFIX: &[u8] = &[PRESENCE];

/// Reads [`presence`].
pub(crate) fn presence_partition(key: &[u8]) -> Option<Partition> {
    partition_of(PRESENCE, key)
}

/// Family `Index`: which series have chunks in a partition that came out of order.
pub(crate) fn disorder(partition: Partition) -> [u8; 5] {
    of_partition(DISORDER, partition)
}

/// Family `Index`: first key of all disorder bitmaps.
pub(crate) const DISORDER_PREFIX: &[u8] = &[DISORDER];

/// Reads [`disorder`].
pub(crate) fn disorder_partition(key: &[u8]) -> Option<Partition> {
    partition_of(DISORDER, key)
}

/// Family `Index`: deleted ranges of some series.
pub(crate) fn tombstone(number: u64) -> [u8; 9] {
    numbered(TOMBSTONE, number)
}

/// Reads [`tombstone`].
pub(crate) fn tombstone_number(key: &[u8]) -> Option<u64> {
    match key.split_first() {
        Some((&TOMBSTONE, rest)) => rest.try_into().ok().map(u64::from_be_bytes),
        _ => None,
    }
}

fn of_partition(kind: u8, partition: Partition) -> [u8; 5] {
    let mut key = [kind; 5];
    key[1..].copy_from_slice(&partition.to_bytes());
    key
}

fn partition_of(kind: u8, key: &[u8]) -> Option<Partition> {
    match key.split_first() {
        Some((first, rest)) if *first == kind => rest.try_into().ok().map(Partition::from_bytes),
        _ => None,
    }
}

fn numbered(kind: u8, number: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Length of a chunk's key.
pub(crate) const CHUNK_KEY_BYTES: usize = 17;
/// Length of that part of a chunk's key that names partition, metric and series.
pub(crate) const CHUNK_SERIES_BYTES: usize = 12;
/// Sequence of chunks that never overlap each other.
pub(crate) const IN_ORDER: u8 = 0;
/// Sequence of chunks of samples that came out of order: they may overlap all others.
pub(crate) const OUT_OF_ORDER: u8 = 1;

/// Where a chunk's key has metric, series and start.
pub(crate) const CHUNK_PLACE: std::ops::Range<usize> = 4..16;

/// Family `Chunks`: partition, metric, series, start within the partition, sequence. Neighbours
/// are the chunks of one series, then the series of one metric.
pub(crate) fn chunk(
    partition: Partition,
    (metric, series): (u32, u32),
    start: Timestamp,
    sequence: u8,
) -> [u8; CHUNK_KEY_BYTES] {
    let mut key = [0; CHUNK_KEY_BYTES];
    key[..CHUNK_SERIES_BYTES].copy_from_slice(&chunk_series(partition, (metric, series)));
    let offset = start.as_millis().saturating_sub(partition.start_ms());
    let offset = u32::try_from(offset.max(0)).unwrap_or(u32::MAX);
    key[12..16].copy_from_slice(&offset.to_be_bytes());
    key[16] = sequence;
    key
}

/// The sequence in a chunk's key.
pub(crate) fn chunk_sequence(key: &[u8]) -> u8 {
    key.last().copied().unwrap_or(IN_ORDER)
}

/// Whether a chunk may overlap others of its series.
pub(crate) fn is_out_of_order(key: &[u8]) -> bool {
    chunk_sequence(key) != IN_ORDER
}

/// Family `Chunks`: the prefix of all chunks of a series in a partition.
pub(crate) fn chunk_series(
    partition: Partition,
    (metric, series): (u32, u32),
) -> [u8; CHUNK_SERIES_BYTES] {
    let mut key = [0; CHUNK_SERIES_BYTES];
    key[..4].copy_from_slice(&partition.to_bytes());
    key[4..8].copy_from_slice(&metric.to_be_bytes());
    key[8..].copy_from_slice(&series.to_be_bytes());
    key
}

const SEGMENT: u8 = b's';

/// Family `Index`: first key of all segments.
pub(crate) const SEGMENT_PREFIX: &[u8] = &[SEGMENT];

/// Family `Index`: behind all segments.
pub(crate) const BEHIND_SEGMENTS: &[u8] = &[SEGMENT + 1];

/// The rows of a segment: see `docs/formats/index.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentRow<'a> {
    /// All series.
    Series,
    /// The series that have a label.
    Present(&'a str),
    /// The values of a label.
    Values(&'a str),
}

/// Family `Index`: a row of a segment.
pub(crate) fn segment(number: u32, row: SegmentRow<'_>) -> Vec<u8> {
    let (kind, name) = match row {
        SegmentRow::Series => (0, ""),
        SegmentRow::Present(name) => (1, name),
        SegmentRow::Values(name) => (2, name),
    };
    let mut key = vec![SEGMENT];
    key.extend_from_slice(&number.to_be_bytes());
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The number of a segment's row.
pub(crate) fn segment_number(key: &[u8]) -> Option<u32> {
    match key.split_first() {
        Some((&SEGMENT, rest)) => rest.get(..4)?.try_into().ok().map(u32::from_be_bytes),
        _ => None,
    }
}

/// The label of a [`SegmentRow::Present`] of a segment.
pub(crate) fn segment_present_name(number: u32, key: &[u8]) -> Option<&str> {
    let name = key.strip_prefix(&*segment(number, SegmentRow::Present("")))?;
    std::str::from_utf8(name).ok()
}

/// From the first key of a segment to the first one behind it.
pub(crate) fn segment_bounds(number: u32) -> (Vec<u8>, Vec<u8>) {
    let bound = |number: u32| [&[SEGMENT], &number.to_be_bytes()[..]].concat();
    let below = number.checked_add(1).map_or(vec![SEGMENT + 1], bound);
    (bound(number), below)
}

/// Family `Stopped`: at or before all hashes.
pub(crate) const FIRST_STOPPED: &[u8] = &[0];
/// Family `Stopped`: behind all hashes.
pub(crate) const BEHIND_STOPPED: &[u8] = &[u8::MAX; 17];

/// Family `Stopped`: ids of stopped series, by the hash of their labels.
pub(crate) fn stopped(hash: u128) -> [u8; 16] {
    hash.to_be_bytes()
}
