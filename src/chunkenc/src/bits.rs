//! Fixed-width bit packing of up to [`BLOCK`] integers, lowest bits first.
//!
//! The stream is plain: value `i` of width `w` occupies the bits from `i·w`, counted from the
//! least significant bit of the first byte. Unpacking works on eight values at a time with the
//! width as a constant, so that every byte offset, shift and mask is known at compile time.

/// Values per block.
pub(crate) const BLOCK: usize = 128;
/// Bytes that one group of eight values may touch: 64 for the widest values, and one unaligned
/// word behind them.
const WINDOW: usize = 72;
/// Bytes of the widest block and one window of slack.
const PADDED: usize = BLOCK * 8 + WINDOW;

/// Bits needed to write `value`; 0 for zero.
pub(crate) const fn bit_length(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// The lowest `width` bits set, for widths of 0 to 64.
pub(crate) const fn mask(width: u32) -> u64 {
    match u64::MAX.checked_shr(u64::BITS - width) {
        Some(bits) => bits,
        None => 0,
    }
}

/// Bytes that `count` values of `width` bits take.
pub(crate) const fn packed_length(count: usize, width: usize) -> usize {
    (count * width).div_ceil(8)
}

/// Appends the low `width` bits of every value. Higher bits are ignored.
pub(crate) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mask = mask(width);
    let mut word = 0u64;
    let mut filled = 0u32;
    for value in values {
        let value = value & mask;
        word |= value << filled;
        filled += width;
        if filled >= u64::BITS {
            out.extend_from_slice(&word.to_le_bytes());
            filled -= u64::BITS;
            word = value.checked_shr(width - filled).unwrap_or(0);
        }
    }
    let bytes = word.to_le_bytes();
    out.extend(bytes.iter().take(filled.div_ceil(8) as usize));
}

/// Unpacks blocks. Keeps a copy of the packed bytes with slack behind them, so that the loops
/// read whole words without asking where the input ends.
#[derive(Debug)]
pub(crate) struct Unpacker {
    packed: [u8; PADDED],
}

impl Unpacker {
    pub(crate) const fn new() -> Self {
        Self {
            packed: [0; PADDED],
        }
    }

    /// Writes the `width`-bit values in `packed` to the front of `out`. Entries behind the last
    /// value are left with arbitrary content. A width above 64 writes nothing.
    pub(crate) fn unpack(&mut self, packed: &[u8], width: usize, out: &mut [u64; BLOCK]) {
        let Some(copy) = self.packed.get_mut(..packed.len()) else {
            return;
        };
        copy.copy_from_slice(packed);
        let groups = packed.len().div_ceil(width.max(1));
        macro_rules! dispatch {
            ($($w:literal)*) => {
                match width {
                    0 => out.fill(0),
                    $($w => unpack_groups::<$w>(&self.packed, groups, out),)*
                    _ => {}
                }
            };
        }
        dispatch!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29
            30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57
            58 59 60 61 62 63 64);
    }
}

fn unpack_groups<const WIDTH: usize>(packed: &[u8; PADDED], groups: usize, out: &mut [u64; BLOCK]) {
    let (eights, _) = out.as_chunks_mut::<8>();
    let mut rest = packed.as_slice();
    for eight in eights.iter_mut().take(groups) {
        let Some(window) = rest.first_chunk::<WINDOW>() else {
            return;
        };
        *eight = unpack_eight::<WIDTH>(window);
        rest = rest.split_at(WIDTH.min(rest.len())).1;
    }
}

#[inline(always)]
fn unpack_eight<const WIDTH: usize>(window: &[u8; WINDOW]) -> [u64; 8] {
    let mask = u64::MAX >> (64 - WIDTH);
    let mut eight = [0u64; 8];
    let mut i = 0;
    while i < 8 {
        let byte = i * WIDTH / 8;
        let shift = i * WIDTH % 8;
        let mut value = word_at(window, byte) >> shift;
        if shift + WIDTH > 64 {
            value |= u64::from(window[byte + 8]) << (64 - shift);
        }
        eight[i] = value & mask;
        i += 1;
    }
    eight
}

#[inline(always)]
fn word_at(window: &[u8; WINDOW], at: usize) -> u64 {
    match window.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_count_round_trips() {
        let mut unpacker = Unpacker::new();
        for width in 0..=64u32 {
            for count in [1usize, 2, 7, 8, 9, 63, 64, 65, 119, 127, 128] {
                let values: Vec<u64> = (0..count as u64)
                    .map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask(width))
                    .collect();
                let mut bytes = Vec::new();
                pack(values.iter().copied(), width, &mut bytes);
                assert_eq!(bytes.len(), packed_length(count, width as usize));
                let mut out = [7u64; BLOCK];
                unpacker.unpack(&bytes, width as usize, &mut out);
                assert_eq!(&out[..count], &values[..], "width {width}, count {count}");
            }
        }
    }

    #[test]
    fn high_bits_do_not_leak_into_neighbours() {
        let mut bytes = Vec::new();
        pack([u64::MAX, 0, u64::MAX].into_iter(), 3, &mut bytes);
        assert_eq!(bytes, [0b1100_0111, 0b1]);
    }

    #[test]
    fn bit_lengths_and_masks_agree() {
        assert_eq!(bit_length(0), 0);
        for width in 0..=64 {
            assert_eq!(bit_length(mask(width)), width);
        }
    }
}
