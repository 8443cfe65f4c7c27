//! Finds timestamps that a stream of the same rewrite has already, so that chunks share them.

use std::collections::HashMap;

use chunkenc::StreamRef;

use crate::cold::{decode_stream, encode_stream};
use crate::error::TsdbError;

/// Shorter columns stand in their chunks.
const MIN_STREAM_SAMPLES: usize = 32;
/// Memory for the stored form of streams; beyond it, new timestamps stand in their chunks.
const MAX_STREAM_BYTES: usize = 64 << 20;
/// Streams kept decoded, to compare with.
const DECODED_STREAMS: usize = 128;
/// Streams that are compared with a column that no stream equals.
const MAX_CANDIDATES: usize = 4;

/// The streams of one rewrite.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    /// Stored forms, by number.
    streams: Vec<Stream>,
    bytes: Vec<u8>,
    by_content: HashMap<u64, Vec<u32>>,
    by_first: HashMap<i64, Vec<u32>>,
    by_last: HashMap<i64, Vec<u32>>,
    /// The places of a cache: number and timestamps.
    decoded: Vec<(u32, Vec<i64>)>,
}

#[derive(Debug)]
struct Stream {
    bytes: std::ops::Range<usize>,
    count: usize,
}

impl StreamTable {
    /// Where the timestamps of a chunk can be found; `None` if they have to stand inside.
    pub(crate) fn place(&mut self, timestamps: &[i64]) -> Result<Option<StreamRef>, TsdbError> {
        if timestamps.len() < MIN_STREAM_SAMPLES || is_regular(timestamps) {
            return Ok(None);
        }
        let content = content_hash(timestamps);
        let same = self.by_content.get(&content).cloned().unwrap_or_default();
        for id in same {
            if self.decoded(id)? == timestamps {
                return Ok(Some(StreamRef { id, start: 0 }));
            }
        }
        if let Some(part) = self.part(timestamps)? {
            return Ok(Some(part));
        }
        if self.bytes.len() >= MAX_STREAM_BYTES {
            return Ok(None);
        }
        self.add(timestamps, content)
    }

    /// A longer stream that begins or ends as the column does, and has it.
    fn part(&mut self, timestamps: &[i64]) -> Result<Option<StreamRef>, TsdbError> {
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else {
            return Ok(None);
        };
        let newest = |ids: Option<&Vec<u32>>| -> Vec<u32> {
            ids.into_iter()
                .flatten()
                .rev()
                .take(MAX_CANDIDATES)
                .copied()
                .collect()
        };
        let (beginning, ending) = (
            newest(self.by_first.get(first)),
            newest(self.by_last.get(last)),
        );
        for id in beginning {
            if self.decoded(id)?.starts_with(timestamps) {
                return Ok(Some(StreamRef { id, start: 0 }));
            }
        }
        for id in ending {
            let stream = self.decoded(id)?;
            if stream.ends_with(timestamps) {
                let start = u32::try_from(stream.len() - timestamps.len()).ok();
                return Ok(start.map(|start| StreamRef { id, start }));
            }
        }
        Ok(None)
    }

    fn add(&mut self, timestamps: &[i64], content: u64) -> Result<Option<StreamRef>, TsdbError> {
        let Ok(id) = u32::try_from(self.streams.len()) else {
            return Ok(None);
        };
        let begin = self.bytes.len();
        encode_stream(timestamps, &mut self.bytes)?;
        self.streams.push(Stream {
            bytes: begin..self.bytes.len(),
            count: timestamps.len(),
        });
        self.by_content.entry(content).or_default().push(id);
        if let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) {
            self.by_first.entry(*first).or_default().push(id);
            self.by_last.entry(*last).or_default().push(id);
        }
        self.keep(id, timestamps.to_vec());
        Ok(Some(StreamRef { id, start: 0 }))
    }

    fn decoded(&mut self, id: u32) -> Result<&[i64], TsdbError> {
        let place = id as usize % DECODED_STREAMS;
        if self.decoded.get(place).is_none_or(|(kept, _)| *kept != id) {
            let missing = || TsdbError::corrupt("timestamp stream", "it is missing");
            let stream = self.streams.get(id as usize).ok_or_else(missing)?;
            let bytes = self.bytes.get(stream.bytes.clone()).ok_or_else(missing)?;
            let timestamps = decode_stream(bytes)?;
            debug_assert_eq!(timestamps.len(), stream.count);
            self.keep(id, timestamps);
        }
        Ok(self
            .decoded
            .get(place)
            .map_or(&[], |(_, timestamps)| timestamps))
    }

    fn keep(&mut self, id: u32, timestamps: Vec<i64>) {
        let place = id as usize % DECODED_STREAMS;
        if self.decoded.len() <= place {
            self.decoded
                .resize_with(place + 1, || (u32::MAX, Vec::new()));
        }
        self.decoded[place] = (id, timestamps);
    }

    /// Numbers and stored forms of all streams, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (0..).zip(
            self.streams
                .iter()
                .map(|stream| &self.bytes[stream.bytes.clone()]),
        )
    }
}

/// Whether all distances are the same: such a column takes a few bytes wherever it stands.
fn is_regular(timestamps: &[i64]) -> bool {
    let [first, second, ..] = *timestamps else {
        return true;
    };
    let step = second.wrapping_sub(first);
    timestamps
        .windows(2)
        .all(|pair| pair[1].wrapping_sub(pair[0]) == step)
}

/// Finds candidates only: what is found is compared.
fn content_hash(timestamps: &[i64]) -> u64 {
    let length = timestamps.len() as u64;
    timestamps.iter().fold(length, |hash, at| {
        (hash.rotate_left(23) ^ at.cast_unsigned()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jittered(seed: i64) -> Vec<i64> {
        (0..500)
            .map(|k| seed + k * 15_000 + (k * k * 7 + seed) % 5)
            .collect()
    }

    #[test]
    fn equal_columns_and_ends_of_them_share_a_stream() {
        let mut table = StreamTable::default();
        let (one, other) = (jittered(0), jittered(3));
        let at = |id, start| Some(StreamRef { id, start });
        for (timestamps, want) in [
            (&one[..], at(0, 0)),
            (&other, at(1, 0)),
            (&one, at(0, 0)),
            (&one[..100], at(0, 0)),
            (&one[450..], at(0, 450)),
            (&other[400..], at(1, 400)),
            // From the middle: a stream of its own, which others share again.
            (&one[100..200], at(2, 0)),
            (&one[100..200], at(2, 0)),
            (&one[..10], None),
        ] {
            assert_eq!(table.place(timestamps).unwrap(), want);
        }
        let regular: Vec<i64> = (0..500).map(|k| k * 15_000).collect();
        assert_eq!(table.place(&regular).unwrap(), None);
        let stored: Vec<Vec<i64>> = table
            .iter()
            .map(|(_, bytes)| decode_stream(bytes).unwrap())
            .collect();
        assert_eq!(stored, [one.clone(), other, one[100..200].to_vec()]);
    }

    #[test]
    fn streams_that_fell_out_of_the_cache_are_found() {
        let mut table = StreamTable::default();
        let count = u32::try_from(DECODED_STREAMS).unwrap() * 2;
        for round in 0..2 {
            for id in 0..count {
                let place = table.place(&jittered(i64::from(id) * 1000)).unwrap();
                assert_eq!(place, Some(StreamRef { id, start: 0 }), "round {round}");
            }
        }
    }
}
