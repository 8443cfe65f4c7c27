//! The rewrite of a partition: its small chunks, and what an earlier rewrite made, become large
//! chunks in files that RocksDB takes as they are.
//!
//! At every instant one record decides what counts. Until it is written, the new files are leftovers
//! that the next opening removes; the batch that writes it deletes the small chunks. Chunks that
//! are sealed into the partition meanwhile are put back by the same batch, and are read beside the
//! large ones until the next rewrite.

mod metrics;
mod pace;
mod samples;
mod times;
mod worker;
mod write;

use std::path::PathBuf;

use chunkenc::LargeChunk;
use model::Timestamp;

pub(crate) use metrics::RewriteMetrics;
pub(crate) use pace::{Pace, Unpaced};

use crate::cold::{
    ColdPartition, ColdView, PartitionView, RewriteTurn, encode_record, keys as cold_keys,
};
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;
use crate::tombstones::Deleted;
use crate::work::Work;
use samples::{Precedence, Run, SeriesSamples};
use write::PartitionWriter;

/// Folder of files that are being written, inside the engine's.
const STAGING_FOLDER: &str = "rewrite";

/// What a rewrite has done when it gets here. A test may end it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RewriteStep {
    /// The files are written.
    Written,
    /// RocksDB has them.
    Ingested,
    /// They count.
    Committed,
    /// The version before is gone.
    OldRemoved,
}

#[cfg(test)]
impl RewriteStep {
    pub(crate) const ALL: [Self; 4] = [
        Self::Written,
        Self::Ingested,
        Self::Committed,
        Self::OldRemoved,
    ];
}

impl Engine {
    /// Rewrites a partition. Does nothing while another rewrite runs, or deletes are cleaned up.
    pub(crate) fn rewrite(
        &self,
        partition: Partition,
        pace: &mut dyn Pace,
    ) -> Result<(), TsdbError> {
        match self.cold.try_turn() {
            Some(turn) => self.rewrite_in_turn(&turn, partition, pace),
            None => Ok(()),
        }
    }

    /// Rewrites a partition without its deleted samples.
    pub(crate) fn rewrite_in_turn(
        &self,
        _turn: &RewriteTurn<'_>,
        partition: Partition,
        pace: &mut dyn Pace,
    ) -> Result<(), TsdbError> {
        let (version, view) = {
            // Between two rounds of sealing: what is sealed later is told to the rewrite.
            let _upkeep = self.upkeep.lock();
            let Some(version) = self.cold.begin(partition) else {
                return Ok(());
            };
            (version, self.whole_view(partition))
        };
        let _work = Work::begin("rewriting");
        let timer = std::time::Instant::now();
        let result = self.rewrite_to(partition, version, (view, pace));
        if let Err(error) = &result {
            self.cold.abandon();
            self.remove_unfinished(partition, version, error);
        }
        self.rewrite_metrics.note(timer.elapsed(), result.is_ok());
        result
    }

    fn rewrite_to(
        &self,
        partition: Partition,
        version: u32,
        (view, pace): (PartitionView<'_>, &mut dyn Pace),
    ) -> Result<(), TsdbError> {
        let folder = self.staging_folder();
        self.remove_staged()?;
        std::fs::create_dir_all(&folder).map_err(|source| TsdbError::Folder {
            path: folder.clone(),
            source,
        })?;
        let mut writer = PartitionWriter::new(&self.kv, &folder, (partition, version));
        let deleted = self.tombstones.load();
        copy((partition, &deleted), view, &mut writer, pace)?;
        let tables = writer.finish()?;
        self.reached(RewriteStep::Written)?;
        if !tables.is_empty() {
            self.kv.ingest(&tables)?;
        }
        self.reached(RewriteStep::Ingested)?;
        let cold = ColdPartition {
            version,
            samples: writer.samples,
            chunks: writer.chunks,
        };
        let before = self.switch(partition, cold)?;
        self.reached(RewriteStep::Committed)?;
        if let Some(before) = before {
            self.remove_version(partition, before.version)?;
        }
        self.reached(RewriteStep::OldRemoved)?;
        let below = partition.below();
        self.kv
            .compact_range(kv::Family::Chunks, &partition.to_bytes(), &below);
        self.remove_staged()
    }

    /// Makes a new version count in place of the small chunks and of the version before, which is
    /// returned: one batch on disk, one instant for readers.
    fn switch(
        &self,
        partition: Partition,
        cold: ColdPartition,
    ) -> Result<Option<ColdPartition>, TsdbError> {
        let _upkeep = self.upkeep.lock();
        let mut state = self.cold.write();
        let running = state.take_running().filter(|running| !running.is_void);
        let Some(running) = running else {
            // The partition is gone, or still grows.
            return Err(TsdbError::RewriteVoid);
        };
        let mut batch = self.kv.batch();
        let below = partition.below();
        batch.delete_range(kv::Family::Chunks, &partition.to_bytes(), &below);
        for (key, bytes) in &running.late {
            batch.put(kv::Family::Chunks, key, bytes);
        }
        let key = cold_keys::record(partition);
        batch.put(kv::Family::Index, &key, &encode_record(&cold));
        self.kv.write(batch)?;
        let before = state.get(partition);
        state.insert(partition, cold);
        state.note_rewritten(partition, self.clock.now());
        drop(state);
        // The version before is removed at once, and must not be what a power failure goes back to.
        self.kv.sync()?;
        Ok(before)
    }

    /// Frees what a rewrite has left that came to nothing. An engine that closes leaves that to the
    /// next opening, which does it in any case.
    fn remove_unfinished(&self, partition: Partition, version: u32, error: &TsdbError) {
        let counts = |cold: ColdPartition| cold.version == version;
        if matches!(error, TsdbError::Stopped) || self.cold.get(partition).is_some_and(counts) {
            return;
        }
        let removed = self
            .remove_version(partition, version)
            .and_then(|()| self.remove_staged());
        if let Err(error) = removed {
            tracing::warn!(error = %base::report(&error), "a rewrite that failed left files behind");
        }
    }

    fn staging_folder(&self) -> PathBuf {
        self.options.path.join(STAGING_FOLDER)
    }

    /// Removes files that were written and not taken.
    pub(crate) fn remove_staged(&self) -> Result<(), TsdbError> {
        let path = self.staging_folder();
        match std::fs::remove_dir_all(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(TsdbError::Folder { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests end a rewrite here"
    )]
    const fn reached(&self, _step: RewriteStep) -> Result<(), TsdbError> {
        Ok(())
    }

    #[cfg(test)]
    fn reached(&self, step: RewriteStep) -> Result<(), TsdbError> {
        if *self.rewrite_fault.lock() == Some(step) {
            return Err(TsdbError::Stopped);
        }
        Ok(())
    }
}

/// Copies all samples of a partition that are not deleted, series by series.
fn copy(
    (partition, deleted): (Partition, &Deleted),
    view: PartitionView<'_>,
    writer: &mut PartitionWriter<'_>,
    pace: &mut dyn Pace,
) -> Result<(), TsdbError> {
    let PartitionView {
        mut small,
        mut cold,
    } = view;
    small.seek(&partition.to_bytes());
    if let Some(ColdView {
        version, chunks, ..
    }) = &mut cold
    {
        chunks.seek(&cold_keys::chunks(partition, *version));
    }
    let mut current = None;
    let mut samples = SeriesSamples::default();
    loop {
        let next = next_chunk(&small, cold.as_ref())?;
        let next_series = next.as_ref().map(|(place, _)| place.series());
        if next_series != current
            && let Some(series) = current
        {
            while let Some(run) = samples.take(None) {
                pace.pause_after(run.len())?;
                put_kept(writer, series, run, deleted)?;
            }
        }
        current = next_series;
        let (Some((place, source)), Some(series)) = (next, current) else {
            return Ok(());
        };
        let begins = place.start_ms(partition);
        while let Some(run) = samples.take(Some(begins)) {
            pace.pause_after(run.len())?;
            put_kept(writer, series, run, deleted)?;
        }
        match (source, &mut cold) {
            (Source::Cold, Some(cold)) => {
                samples.push(read_cold(partition, cold)?, Precedence::Added);
                cold.chunks.advance();
            }
            _ => {
                if let Some((_, bytes)) = small.current()? {
                    samples.push(Run::of_small(bytes)?, Precedence::Earlier);
                }
                small.advance();
            }
        }
    }
}

/// Writes those samples of a series that are not deleted.
fn put_kept(
    writer: &mut PartitionWriter<'_>,
    series: (u32, u32),
    mut run: Run,
    deleted: &Deleted,
) -> Result<(), TsdbError> {
    if let Some(intervals) = deleted.of(series.1) {
        run.retain(|at_ms| !intervals.contains(at_ms));
    }
    match run.len() {
        0 => Ok(()),
        _ => writer.put(series, &run),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Small,
    Cold,
}

/// Metric, series and start of a chunk as keys have them: they sort as the chunks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place([u8; 12]);

impl Place {
    fn of(key: &[u8], range: std::ops::Range<usize>) -> Result<Self, TsdbError> {
        let place = key.get(range).and_then(|place| place.try_into().ok());
        place
            .map(Self)
            .ok_or_else(|| TsdbError::corrupt("chunk key", "it is too short"))
    }

    fn number(&self, from: usize) -> u32 {
        let bytes = self.0.get(from..).and_then(<[u8]>::first_chunk);
        bytes.copied().map_or(0, u32::from_be_bytes)
    }

    fn series(&self) -> (u32, u32) {
        (self.number(0), self.number(4))
    }

    fn start_ms(&self, partition: Partition) -> i64 {
        partition.start_ms() + i64::from(self.number(8))
    }
}

/// Which chunk comes next: the one that begins first, of two the one that was rewritten before.
fn next_chunk(
    small: &kv::Scan<'_>,
    cold: Option<&ColdView<'_>>,
) -> Result<Option<(Place, Source)>, TsdbError> {
    let of_small = small.current()?;
    let small = of_small
        .map(|(key, _)| Place::of(key, keys::CHUNK_PLACE))
        .transpose()?;
    let of_cold = cold
        .map(|cold| cold.chunks.current())
        .transpose()?
        .flatten();
    let cold = of_cold
        .map(|(key, _)| Place::of(key, cold_keys::CHUNK_PLACE))
        .transpose()?;
    Ok(match (small, cold) {
        (Some(small), Some(cold)) if small < cold => Some((small, Source::Small)),
        (_, Some(cold)) => Some((cold, Source::Cold)),
        (Some(small), None) => Some((small, Source::Small)),
        (None, None) => None,
    })
}

fn read_cold(partition: Partition, cold: &mut ColdView<'_>) -> Result<Run, TsdbError> {
    let corrupt =
        |error: chunkenc::DecodeError| TsdbError::corrupt("large chunk", error.to_string());
    let stream = match cold.chunks.current()? {
        Some((_, bytes)) if LargeChunk::is_large(bytes) => {
            LargeChunk::read(bytes).map_err(corrupt)?.header().stream
        }
        Some((_, bytes)) => return Run::of_small(bytes),
        None => return Err(TsdbError::corrupt("large chunk", "it is missing")),
    };
    let stream = match stream {
        Some(stream) => cold.stream(partition, stream.id)?,
        None => Vec::new(),
    };
    match cold.chunks.current()? {
        Some((_, bytes)) => Run::of_large(&LargeChunk::read(bytes).map_err(corrupt)?, &stream),
        None => Err(TsdbError::corrupt("large chunk", "it is missing")),
    }
}

impl Engine {
    /// Rewrites every partition that has small chunks, the present one too.
    pub(crate) fn rewrite_all(&self, pace: &mut dyn Pace) -> Result<(), TsdbError> {
        for partition in self.partitions() {
            if self.has_small_chunks(partition)? {
                self.rewrite(partition, pace)?;
            }
        }
        Ok(())
    }

    /// Rewrites the oldest partition that is due, if any is.
    pub(crate) fn rewrite_due(&self, now: Timestamp, pace: &mut dyn Pace) -> Result<(), TsdbError> {
        for partition in self.partitions() {
            if self.is_due(partition, now) && self.has_small_chunks(partition)? {
                tracing::info!(start = %partition.range().start, "rewriting a past partition");
                return self.rewrite(partition, pace);
            }
        }
        Ok(())
    }

    fn partitions(&self) -> Vec<Partition> {
        let index = self.index.read();
        let partitions = index.partitions(model::TimeRange::ALL);
        partitions.map(|(partition, _)| partition).collect()
    }
}
