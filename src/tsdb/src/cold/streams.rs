//! Shared streams of timestamps: their stored form, and those that a selection has read.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{ColdView, keys};
use crate::error::TsdbError;
use crate::partition::Partition;
use crate::varint;

/// Timestamps that a selection keeps: 16 MiB of them.
const MAX_CACHED_TIMESTAMPS: usize = 2 << 20;

/// Partition, version and number of a stream.
type StreamKey = (Partition, u32, u32);

/// Streams that a selection has read: most series of a target need the same one.
#[derive(Debug, Default)]
pub(crate) struct StreamCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    streams: HashMap<StreamKey, Arc<[i64]>>,
    timestamps: usize,
}

impl StreamCache {
    /// A stream of the version that `view` shows.
    pub(crate) fn get(
        &self,
        view: &mut ColdView<'_>,
        partition: Partition,
        id: u32,
    ) -> Result<Arc<[i64]>, TsdbError> {
        let key = (partition, view.version, id);
        if let Some(stream) = self.inner.lock().streams.get(&key) {
            return Ok(Arc::clone(stream));
        }
        let stream: Arc<[i64]> = view.stream(partition, id)?.into();
        let mut inner = self.inner.lock();
        // Series come metric by metric, and each metric needs all targets again: a part that stays
        // is worth more than a whole that is driven out before it is needed.
        if inner.timestamps < MAX_CACHED_TIMESTAMPS
            && inner.streams.insert(key, Arc::clone(&stream)).is_none()
        {
            inner.timestamps += stream.len();
        }
        Ok(stream)
    }
}

impl ColdView<'_> {
    /// Reads a stream.
    pub(crate) fn stream(&mut self, partition: Partition, id: u32) -> Result<Vec<i64>, TsdbError> {
        let wanted = keys::stream(partition, self.version, id);
        self.streams.seek(&wanted);
        match self.streams.current()? {
            Some((key, bytes)) if key == wanted => decode_stream(bytes),
            _ => Err(TsdbError::corrupt("timestamp stream", "it is missing")),
        }
    }
}

/// Writes a stream: count, and timestamp column.
pub(crate) fn encode_stream(timestamps: &[i64], out: &mut Vec<u8>) -> Result<(), TsdbError> {
    varint::put(out, timestamps.len() as u64);
    chunkenc::encode_timestamps(timestamps, out)
        .map_err(|error| TsdbError::corrupt("timestamp stream", error.to_string()))
}

/// Reads [`encode_stream`].
pub(crate) fn decode_stream(mut bytes: &[u8]) -> Result<Vec<i64>, TsdbError> {
    let corrupt = |reason: String| TsdbError::corrupt("timestamp stream", reason);
    let count = varint::take(&mut bytes)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| corrupt("it has no count".to_owned()))?;
    let mut timestamps = Vec::new();
    let taken = chunkenc::decode_timestamps(bytes, count, &mut timestamps)
        .map_err(|error| corrupt(error.to_string()))?;
    if taken < bytes.len() {
        return Err(corrupt("bytes follow it".to_owned()));
    }
    Ok(timestamps)
}
