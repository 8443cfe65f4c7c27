//! Writes the files of a rewritten partition.

use std::path::{Path, PathBuf};

use chunkenc::{LargeSamples, SampleTimes, encode_large};
use model::{Timestamp, ValueSummary};

use super::samples::{Run, RunValues};
use super::times::StreamTable;
use crate::cold::keys;
use crate::error::TsdbError;
use crate::partition::Partition;

/// A file ends behind so many bytes.
const FILE_BYTES: u64 = 64 << 20;

/// Writes large chunks in the order of their keys.
pub(crate) struct PartitionWriter<'a> {
    kv: &'a kv::Kv,
    folder: &'a Path,
    partition: Partition,
    version: u32,
    streams: StreamTable,
    open: Option<kv::TableWriter<'a>>,
    tables: Vec<PathBuf>,
    bytes: Vec<u8>,
    pub(crate) samples: u64,
    pub(crate) chunks: u64,
}

impl<'a> PartitionWriter<'a> {
    pub(crate) fn new(
        kv: &'a kv::Kv,
        folder: &'a Path,
        (partition, version): (Partition, u32),
    ) -> Self {
        Self {
            kv,
            folder,
            partition,
            version,
            streams: StreamTable::default(),
            open: None,
            tables: Vec::new(),
            bytes: Vec::new(),
            samples: 0,
            chunks: 0,
        }
    }

    /// Writes a chunk of a series, by metric and number.
    pub(crate) fn put(&mut self, series: (u32, u32), run: &Run) -> Result<(), TsdbError> {
        let Some(first) = run.timestamps.first() else {
            return Ok(());
        };
        let start = Timestamp::from_millis(*first);
        let key = keys::chunk(self.partition, self.version, series, start);
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.encode(run, &mut bytes)?;
        let written = self.put_bytes(&key, &bytes);
        self.bytes = bytes;
        written?;
        self.samples += run.len() as u64;
        self.chunks += 1;
        Ok(())
    }

    fn encode(&mut self, run: &Run, out: &mut Vec<u8>) -> Result<(), TsdbError> {
        let times = SampleTimes {
            timestamps: &run.timestamps,
            start_timestamps: &run.starts,
        };
        let encoded = match &run.values {
            RunValues::Floats(values) => {
                let samples = LargeSamples {
                    times,
                    stream: self.streams.place(&run.timestamps)?,
                    values,
                    facts: ValueSummary::of(values),
                };
                encode_large(&samples, out)
            }
            RunValues::Histograms(histograms) => {
                chunkenc::encode_histograms(times, histograms, out)
            }
        };
        encoded.map_err(|error| TsdbError::corrupt("chunk to be rewritten", error.to_string()))
    }

    fn put_bytes(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), TsdbError> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.size_bytes() >= FILE_BYTES)
            && let Some(full) = self.open.take()
        {
            self.tables.push(full.finish()?);
        }
        let writer = match &mut self.open {
            Some(open) => open,
            None => {
                let path = self.next_path();
                self.open.insert(self.kv.table_writer(&path)?)
            }
        };
        Ok(writer.put(key, bytes)?)
    }

    fn next_path(&self) -> PathBuf {
        self.folder.join(format!("{}.sst", self.tables.len()))
    }

    /// Ends the files, writes that of the streams, and returns all.
    pub(crate) fn finish(&mut self) -> Result<Vec<PathBuf>, TsdbError> {
        if let Some(open) = self.open.take() {
            self.tables.push(open.finish()?);
        }
        let mut writer = None;
        for (id, stream) in self.streams.iter() {
            let key = keys::stream(self.partition, self.version, id);
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(self.kv.table_writer(&self.next_path())?),
            };
            writer.put(&key, stream)?;
        }
        if let Some(writer) = writer {
            self.tables.push(writer.finish()?);
        }
        Ok(std::mem::take(&mut self.tables))
    }
}
