//! Reads files in the framing of RocksDB's logs (`*.log`, `MANIFEST-*`) and finds what is damaged.
//!
//! RocksDB drops damaged records of its write-ahead log without telling its caller which. Source of
//! the framing: upstream `db/log_format.h`: blocks of 32 KiB, in them fragments of a masked CRC32C,
//! a length, a type, and the payload.

use std::io::{self, Read};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Fragments of recycled files carry the number of their log.
const RECYCLABLE_HEADER_BYTES: usize = 11;
/// `kRecyclableFullType` to `kRecyclableLastType`, `kRecyclableUserDefinedTimestampSizeType`,
/// `kRecyclePredecessorWALInfoType`.
const RECYCLABLE_TYPES: [u8; 6] = [5, 6, 7, 8, 11, 131];

/// A part of a file that RocksDB drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where it begins, in bytes from the start of the file.
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// It is a record that ends with the file before it is whole: what a stop in the middle of a
    /// write leaves behind.
    pub(crate) is_torn_end: bool,
}

/// What a fragment is in its record.
enum Part {
    Whole,
    First,
    Middle,
    Last,
    /// Of no record.
    Other,
}

/// Finds all damage in a log.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn check(mut file: impl Read) -> io::Result<Vec<Damage>> {
    let mut walk = Walk::default();
    let mut block = vec![0; BLOCK_BYTES];
    let mut offset = 0;
    loop {
        let length = fill(&mut file, &mut block)?;
        let is_last = length < BLOCK_BYTES;
        walk.block(&block[..length], offset, is_last);
        offset += length as u64;
        if is_last {
            walk.end(offset);
            return Ok(walk.found);
        }
    }
}

fn fill(file: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match file.read(&mut block[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[derive(Default)]
struct Walk {
    found: Vec<Damage>,
    /// Where the record begins whose last fragment is still to come.
    open: Option<u64>,
}

impl Walk {
    fn block(&mut self, block: &[u8], offset: u64, is_last: bool) {
        let mut at = 0;
        while let Some(header) = block.get(at..at + HEADER_BYTES) {
            let here = offset + at as u64;
            let (length, kind) = (u16::from_le_bytes([header[4], header[5]]), header[6]);
            if kind == 0 && length == 0 {
                // Room that was laid out ahead: zeros to the end of the block.
                if block[at..].iter().any(|byte| *byte != 0) {
                    self.damaged(here, block.len() - at, false);
                }
                return;
            }
            let header_bytes = if RECYCLABLE_TYPES.contains(&kind) {
                RECYCLABLE_HEADER_BYTES
            } else {
                HEADER_BYTES
            };
            let end = at + header_bytes + usize::from(length);
            let Some(fragment) = block.get(at..end) else {
                // A length that reaches beyond its block is wrong, one beyond the file may be right.
                let is_torn = is_last && offset_in_block_fits(end);
                self.damaged(here, block.len() - at, is_torn);
                return;
            };
            let stored = u32::from_le_bytes([fragment[0], fragment[1], fragment[2], fragment[3]]);
            if stored != masked(crc32c::crc32c(&fragment[6..])) {
                self.damaged(here, block.len() - at, false);
                return;
            }
            self.fragment(part(kind), here);
            at = end;
        }
        if is_last && block[at..].iter().any(|byte| *byte != 0) {
            self.damaged(offset + at as u64, block.len() - at, true);
        }
    }

    fn fragment(&mut self, part: Part, at: u64) {
        match part {
            Part::First => {
                self.close(at);
                self.open = Some(at);
            }
            Part::Whole => self.close(at),
            // Without a beginning it belongs to a record that was damaged before, and reported.
            Part::Middle | Part::Other => {}
            Part::Last => self.open = None,
        }
    }

    /// A record begins: one that is open before it lacks its end.
    fn close(&mut self, at: u64) {
        if let Some(start) = self.open.take() {
            self.found.push(Damage {
                offset: start,
                bytes: at - start,
                is_torn_end: false,
            });
        }
    }

    fn damaged(&mut self, at: u64, bytes: usize, is_torn_end: bool) {
        let start = self.open.take().unwrap_or(at);
        self.found.push(Damage {
            offset: start,
            bytes: at - start + bytes as u64,
            is_torn_end,
        });
    }

    fn end(&mut self, length: u64) {
        if let Some(start) = self.open.take() {
            self.found.push(Damage {
                offset: start,
                bytes: length - start,
                is_torn_end: true,
            });
        }
    }
}

const fn offset_in_block_fits(end: usize) -> bool {
    end <= BLOCK_BYTES
}

const fn part(kind: u8) -> Part {
    match kind {
        1 | 5 => Part::Whole,
        2 | 6 => Part::First,
        3 | 7 => Part::Middle,
        4 | 8 => Part::Last,
        _ => Part::Other,
    }
}

/// Source: upstream `util/crc32c.h`.
const fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of these lengths, as RocksDB lays them out.
    fn log(lengths: &[usize]) -> Vec<u8> {
        let mut file: Vec<u8> = Vec::new();
        for length in lengths {
            let (mut left, mut first) = (*length, true);
            loop {
                let room = BLOCK_BYTES - file.len() % BLOCK_BYTES;
                if room < HEADER_BYTES {
                    file.resize(file.len() + room, 0);
                    continue;
                }
                let here = left.min(room - HEADER_BYTES);
                let kind = match (first, here == left) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    (false, true) => 4,
                };
                let payload = (0..=250_u8).cycle().take(here);
                let payload: Vec<u8> = payload.collect();
                let checked = [&[kind][..], &payload].concat();
                file.extend(masked(crc32c::crc32c(&checked)).to_le_bytes());
                file.extend(u16::try_from(here).unwrap().to_le_bytes());
                file.extend(checked);
                (left, first) = (left - here, false);
                if left == 0 {
                    break;
                }
            }
        }
        file
    }

    const LENGTHS: &[usize] = &[10, 40_000, 0, 300, 70_000, 32_754, 5, 1000];

    #[test]
    fn whole_logs_have_no_damage() {
        assert_eq!(check(&log(LENGTHS)[..]).unwrap(), []);
        assert_eq!(check(&[][..]).unwrap(), []);
        // Room laid out ahead.
        let mut padded = log(LENGTHS);
        padded.resize(padded.len() + 100_000, 0);
        assert_eq!(check(&padded[..]).unwrap(), []);
    }

    #[test]
    fn a_cut_at_any_byte_is_a_torn_end_or_none() {
        let whole = log(LENGTHS);
        let ends: Vec<usize> = (0..=LENGTHS.len())
            .map(|n| log(&LENGTHS[..n]).len())
            .collect();
        for cut in (0..whole.len()).step_by(13).chain(ends.iter().copied()) {
            let found = check(&whole[..cut]).unwrap();
            let at_end = ends.contains(&cut);
            let only_filler = found.is_empty();
            assert!(
                found.iter().all(|damage| damage.is_torn_end),
                "{cut}: {found:?}"
            );
            // The zeros at the end of a block belong to no record.
            let in_filler = ends
                .iter()
                .any(|end| *end < cut && cut - end < HEADER_BYTES);
            assert!(at_end == only_filler || in_filler, "{cut}: {found:?}");
            assert!(found.len() <= 1, "{cut}: {found:?}");
        }
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let whole = log(LENGTHS);
        let fillers: Vec<usize> = (0..=LENGTHS.len())
            .map(|n| log(&LENGTHS[..n]).len())
            .collect();
        for at in (0..whole.len()).step_by(11) {
            let mut file = whole.clone();
            file[at] ^= 0x41;
            let found = check(&file[..]).unwrap();
            let in_filler = BLOCK_BYTES - at % BLOCK_BYTES < HEADER_BYTES
                && fillers
                    .iter()
                    .any(|end| *end <= at && at - end < HEADER_BYTES);
            assert!(!found.is_empty() || in_filler, "{at}");
        }
    }
}
