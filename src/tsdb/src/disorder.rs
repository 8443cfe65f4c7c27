//! Which series have chunks that came out of order, by partition: only their chunks can overlap,
//! all others are read without a look at it.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use roaring::RoaringBitmap;

use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;

/// One bitmap of series for each partition that has any.
#[derive(Debug, Default)]
pub(crate) struct Disorder {
    partitions: RwLock<BTreeMap<Partition, RoaringBitmap>>,
}

impl Disorder {
    /// Marks series, before their chunks are written.
    pub(crate) fn mark(&self, marks: impl Iterator<Item = (Partition, u32)>) {
        let mut partitions = self.partitions.write();
        for (partition, series) in marks {
            partitions.entry(partition).or_default().insert(series);
        }
    }

    /// The series of a partition.
    pub(crate) fn of(&self, partition: Partition) -> RoaringBitmap {
        let partitions = self.partitions.read();
        partitions.get(&partition).cloned().unwrap_or_default()
    }

    /// Whether a series is marked in a partition.
    pub(crate) fn contains(&self, partition: Partition, series: u32) -> bool {
        let partitions = self.partitions.read();
        let marked = partitions.get(&partition);
        marked.is_some_and(|marked| marked.contains(series))
    }

    /// Forgets a partition.
    pub(crate) fn drop_partition(&self, partition: Partition) {
        self.partitions.write().remove(&partition);
    }

    fn restore(&self, partition: Partition, series: RoaringBitmap) {
        self.partitions.write().insert(partition, series);
    }
}

impl Engine {
    /// Reads what was stored.
    pub(crate) fn read_disorder(&self) -> Result<(), TsdbError> {
        let mut scan = self.kv.scan(kv::Family::Index, None);
        scan.seek(keys::DISORDER_PREFIX);
        while let Some((key, bytes)) = scan.current()? {
            let Some(partition) = keys::disorder_partition(key) else {
                break;
            };
            let series = RoaringBitmap::deserialize_from(bytes)
                .map_err(|error| TsdbError::corrupt("disorder bitmap", error.to_string()))?;
            self.disorder.restore(partition, series);
            scan.advance();
        }
        Ok(())
    }

    /// Adds the bitmaps of `partitions` to a batch.
    pub(crate) fn put_disorder<'a>(
        &self,
        batch: &mut kv::Batch<'_>,
        partitions: impl Iterator<Item = &'a Partition>,
    ) -> Result<(), TsdbError> {
        for partition in partitions {
            let series = self.disorder.of(*partition);
            let mut bytes = Vec::with_capacity(series.serialized_size());
            series
                .serialize_into(&mut bytes)
                .map_err(|error| TsdbError::corrupt("disorder bitmap", error.to_string()))?;
            batch.put(kv::Family::Index, &keys::disorder(*partition), &bytes);
        }
        Ok(())
    }
}
