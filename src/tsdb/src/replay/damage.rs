//! Reading around damage while the engine is opened.

use roaring::RoaringBitmap;

use super::log_damage;
use crate::catalog::SeriesEntry;
use crate::cold::keys as cold_keys;
use crate::commit::decode_series;
use crate::db::Engine;
use crate::error::TsdbError;
use crate::keys;
use crate::partition::Partition;

/// Neighbouring keys tried behind an unreadable one: more than blocks of the store hold.
const MAX_PROBES: u32 = 1 << 16;
/// Neighbouring numbers tried behind an unreadable record.
const MAX_NUMBERS: u64 = 1 << 12;
/// Families whose keys begin with a partition.
const PARTITIONED: &[kv::Family] = &[kv::Family::Chunks, kv::Family::Cold];

/// Rows to step over before a seek is cheaper.
const STEPS_BEFORE_SEEK: u32 = 8;

impl Engine {
    /// Visits all series whose rows are readable, but for some that have stopped.
    pub(crate) fn walk_series(
        &self,
        stopped: &RoaringBitmap,
        mut visit: impl FnMut(u32, SeriesEntry),
    ) {
        let mut scan = self.kv.scan(kv::Family::Series, None);
        scan.seek(&keys::series(0));
        let mut next = 0_u32;
        let mut probes = 0;
        loop {
            match scan.current() {
                Ok(None) => break,
                Ok(Some((key, row))) => {
                    let id = key.try_into().map(u32::from_be_bytes);
                    let Ok(id) = id else {
                        break;
                    };
                    if probes > 0 {
                        tracing::error!(
                            from = next,
                            below = id,
                            "series with ids in this range are lost"
                        );
                        probes = 0;
                    }
                    if stopped.contains(id) {
                        next = skip_stopped(&mut scan, id, stopped);
                        continue;
                    }
                    match decode_series(row) {
                        Ok(entry) => visit(id, entry),
                        Err(error) => {
                            log_damage(&error, "a series is unreadable and lost");
                            self.catalog.reserve_ids(id.saturating_add(1));
                        }
                    }
                    next = id.saturating_add(1);
                    scan.advance();
                }
                Err(error) => {
                    if probes == 0 {
                        log_damage(&TsdbError::from(error), "rows of series are unreadable");
                    }
                    probes += 1;
                    if probes > MAX_PROBES {
                        tracing::error!(from = next, "series with ids from here on are lost");
                        break;
                    }
                    scan.seek(&keys::series(next.saturating_add(probes)));
                }
            }
        }
        if probes > 0 {
            self.catalog.reserve_ids(next.saturating_add(probes));
        }
    }

    /// Visits the stored tombstones around those that are unreadable, and logs `damaged` if there are
    /// any.
    pub(crate) fn walk_tombstones(&self, damaged: &'static str, mut visit: impl FnMut(u64, &[u8])) {
        let family = kv::Family::Index;
        let mut scan = self.kv.scan(family, None);
        scan.seek(&keys::tombstone(0));
        let (mut next, mut probes) = (0_u64, 0);
        while probes < MAX_NUMBERS {
            match scan.current() {
                Ok(Some((found, record))) => {
                    let Some(number) = keys::tombstone_number(found) else {
                        break;
                    };
                    visit(number, record);
                    next = number.saturating_add(1);
                    scan.advance();
                }
                Ok(None) => break,
                Err(error) => {
                    if probes == 0 {
                        log_damage(&TsdbError::from(error), damaged);
                    }
                    probes += 1;
                    // A damaged block hides from a cursor also what newer files have among its keys.
                    if let Ok(Some(record)) = self.kv.get(family, &keys::tombstone(next)) {
                        visit(next, &record);
                    }
                    next = next.saturating_add(1);
                    scan.seek(&keys::tombstone(next));
                }
            }
        }
    }

    /// Partitions that have chunks, as far as their keys are readable; where they are not, those
    /// around.
    pub(super) fn stored_partitions(&self) -> Vec<Partition> {
        let mut partitions = Vec::new();
        for family in PARTITIONED {
            let mut scan = self.kv.scan(*family, None);
            let (mut from, mut probes) = (0_u32, 0);
            loop {
                scan.seek(&from.to_be_bytes());
                let found = match scan.current() {
                    Ok(Some((key, _))) => key.first_chunk::<4>().copied(),
                    Ok(None) => break,
                    Err(_) if probes < MAX_PROBES && from > 0 => {
                        probes += 1;
                        Some(from.to_be_bytes())
                    }
                    Err(_) if from == 0 => {
                        // The first block: begin at 1970.
                        from = 1 << 31;
                        continue;
                    }
                    Err(_) => break,
                };
                let Some(found) = found else {
                    break;
                };
                partitions.push(Partition::from_bytes(found));
                let Some(behind) = u32::from_be_bytes(found).checked_add(1) else {
                    break;
                };
                from = behind;
            }
        }
        partitions.sort_unstable();
        partitions.dedup();
        partitions
    }

    /// Takes the newest version of each rewritten partition for the one that counts.
    pub(super) fn adopt_cold(&self) {
        let mut cold = self.cold.write();
        let mut scan = self.kv.scan(kv::Family::Cold, None);
        scan.seek(&[]);
        loop {
            let (partition, version) = match scan.current() {
                Ok(None) => break,
                Ok(Some((key, _))) => match cold_keys::version_of(key) {
                    Some(found) => found,
                    None => break,
                },
                Err(error) => {
                    log_damage(
                        &TsdbError::from(error),
                        "rewritten partitions are unreadable",
                    );
                    break;
                }
            };
            cold.adopt(partition, version);
            match version.checked_add(1) {
                Some(next) => scan.seek(&cold_keys::version(partition, next)),
                None => scan.seek(&partition.below()),
            }
        }
    }

    /// Number of the first commit that is readable.
    pub(super) fn first_commit(&self) -> u64 {
        let mut scan = self.kv.scan(kv::Family::Log, None);
        scan.seek(&keys::commit(0));
        match scan.current() {
            Ok(Some((key, _))) => keys::commit_number(key).unwrap_or(1),
            Ok(None) | Err(_) => 1,
        }
    }
}

/// Moves behind the row of a stopped series, and behind all that follow without a gap. Returns the
/// next id.
fn skip_stopped(scan: &mut kv::Scan<'_>, id: u32, stopped: &RoaringBitmap) -> u32 {
    let next = (id..u32::MAX).find(|id| !stopped.contains(*id));
    let next = next.unwrap_or(u32::MAX);
    if next - id <= STEPS_BEFORE_SEEK {
        scan.advance();
        return id.saturating_add(1);
    }
    scan.seek(&keys::series(next));
    next
}
