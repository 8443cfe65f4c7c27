//! One block of integers: frame of reference, bit packing, patched exceptions.
//!
//! Every value is written as its distance from a reference, in just as many bits as most values
//! need. The few that need more, above or below the reference, get the rest of their bits in a
//! list behind the block's head. All arithmetic wraps, so any integers can stand in a block.

use crate::DecodeError;
use crate::bits::{self, BLOCK, Unpacker, bit_length};
use crate::varint::{Reader, put_zigzag, zigzag};

/// Set in a block's first byte when a list of exceptions follows; the low bits are the width.
const HAS_EXCEPTIONS: u8 = 0x80;
/// An exception costs at least a position and one byte of high bits.
const EXCEPTION_MIN_BITS: usize = 16;

/// How a block will be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BlockPlan {
    reference: i64,
    width: u32,
    exceptions: usize,
    /// Estimated size in bits, without the fixed part of the head.
    pub(crate) cost_bits: usize,
}

impl BlockPlan {
    fn fits(&self, residual: i64) -> bool {
        bit_length(self.distance(residual)) <= self.width
    }

    fn distance(&self, residual: i64) -> u64 {
        residual.wrapping_sub(self.reference).cast_unsigned()
    }

    /// The bits of an exception above the packed ones, with their sign.
    fn high_bits(&self, residual: i64) -> i64 {
        residual.wrapping_sub(self.reference) >> self.width
    }
}

/// Counts of values by the bits they need, seen from one reference.
struct Histogram {
    counts: [u8; 65],
}

impl Histogram {
    const fn new() -> Self {
        Self { counts: [0; 65] }
    }

    #[inline(always)]
    fn add(&mut self, value: u64) {
        if let Some(count) = self.counts.get_mut(bit_length(value) as usize) {
            *count += 1;
        }
    }

    /// The width of least cost as (width, exceptions, cost), if it is below `limit`.
    fn best_width(&self, values: usize, limit: usize) -> Option<(u32, usize, usize)> {
        let mut best = None;
        let (mut limit, mut above, mut longest) = (limit, 0usize, None);
        for (width, &count) in (0..u64::BITS + 1).zip(&self.counts).rev() {
            // Below a length that no value has, every width is better than this one.
            if count == 0 && width > 0 {
                continue;
            }
            let longest = *longest.get_or_insert(width);
            let high_bytes = (longest - width + 1).div_ceil(7) as usize;
            let list = if above == 0 {
                0
            } else {
                8 + above * 8 * (1 + high_bytes)
            };
            let cost = values * width as usize + list;
            if cost < limit {
                limit = cost;
                best = Some((width, above, cost));
            }
            above += usize::from(count);
            if above * EXCEPTION_MIN_BITS >= limit {
                break;
            }
        }
        best
    }
}

/// Chooses reference and width for at most [`BLOCK`] residuals from three histograms of bit
/// lengths: seen from the least value (outliers above), from the greatest (outliers below, as
/// counter resets are) and from the middle (both, as an outlier makes in a column of deltas).
pub(crate) fn plan_block(residuals: &[i64]) -> BlockPlan {
    debug_assert!(residuals.len() <= BLOCK);
    if residuals.is_empty() {
        return BlockPlan::default();
    }
    let (least, greatest) = residuals
        .iter()
        .fold((i64::MAX, i64::MIN), |(least, greatest), &r| {
            (least.min(r), greatest.max(r))
        });
    let range = greatest.wrapping_sub(least).cast_unsigned();
    let width = bit_length(range);
    let count = residuals.len();
    let mut plan = BlockPlan {
        reference: least,
        width,
        exceptions: 0,
        cost_bits: count * width as usize,
    };
    if residuals.is_empty() {
        return BlockPlan {
            reference: 0,
            width: 0,
            exceptions: 0,
            cost_bits: 0,
        };
    }
    if plan.cost_bits <= EXCEPTION_MIN_BITS {
        return plan;
    }
    let middle = middle(residuals);
    let (mut low, mut high, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
    for &residual in residuals {
        low.add(residual.wrapping_sub(least).cast_unsigned());
        high.add(greatest.wrapping_sub(residual).cast_unsigned());
        both.add(zigzag(residual.wrapping_sub(middle)));
    }
    let full = plan.cost_bits;
    if let Some((width, exceptions, cost_bits)) = low.best_width(count, full) {
        plan = BlockPlan {
            reference: least,
            width,
            exceptions,
            cost_bits,
        };
    }
    if let Some((width, exceptions, cost_bits)) = high.best_width(count, plan.cost_bits) {
        let reference = greatest.wrapping_sub(bits::mask(width).cast_signed());
        plan = BlockPlan {
            reference,
            width,
            exceptions,
            cost_bits,
        };
    }
    if let Some((width, exceptions, cost_bits)) = both.best_width(count, plan.cost_bits) {
        let half = if width == 0 { 0 } else { 1i64 << (width - 1) };
        plan = BlockPlan {
            reference: middle.wrapping_sub(half),
            width,
            exceptions,
            cost_bits,
        };
    }
    if plan.exceptions > 0 {
        tighten(plan, residuals)
    } else {
        plan
    }
}

/// The median of five values spread over the block.
fn middle(residuals: &[i64]) -> i64 {
    let last = residuals.len() - 1;
    let mut sample = [0, 1, 2, 3, 4].map(|quarter| residuals[last * quarter / 4]);
    sample.sort_unstable();
    sample[2]
}

/// Moves the reference up to the least value that fits, and drops bits that are then unused.
fn tighten(plan: BlockPlan, residuals: &[i64]) -> BlockPlan {
    let (mut least, mut greatest, mut fitting) = (u64::MAX, 0, 0);
    for &residual in residuals.iter().filter(|&&residual| plan.fits(residual)) {
        let distance = plan.distance(residual);
        least = least.min(distance);
        greatest = greatest.max(distance);
        fitting += 1;
    }
    if fitting == 0 {
        return plan;
    }
    BlockPlan {
        reference: plan.reference.wrapping_add(least.cast_signed()),
        width: bit_length(greatest - least),
        exceptions: residuals.len() - fitting,
        cost_bits: plan.cost_bits,
    }
}

/// Appends one block as `plan_block` planned it.
pub(crate) fn encode_block(residuals: &[i64], plan: &BlockPlan, out: &mut Vec<u8>) {
    // The width is at most 64 and the count at most 128, so both fit their bytes.
    let width = (plan.width & 0x7f) as u8;
    if plan.exceptions == 0 {
        out.push(width);
        put_zigzag(plan.reference, out);
    } else {
        out.push(width | HAS_EXCEPTIONS);
        put_zigzag(plan.reference, out);
        encode_exceptions(residuals, plan, out);
    }
    bits::pack(
        residuals.iter().map(|&residual| plan.distance(residual)),
        plan.width,
        out,
    );
}

fn encode_exceptions(residuals: &[i64], plan: &BlockPlan, out: &mut Vec<u8>) {
    let count_at = out.len();
    out.push(0);
    for (position, &residual) in (0u8..).zip(residuals) {
        if !plan.fits(residual) {
            out.push(position);
            out[count_at] += 1;
        }
    }
    for &residual in residuals.iter().filter(|&&residual| !plan.fits(residual)) {
        put_zigzag(plan.high_bits(residual), out);
    }
}

/// Reads one block of `count` values, at most [`BLOCK`], to the front of `out`.
pub(crate) fn decode_block(
    reader: &mut Reader<'_>,
    count: usize,
    unpacker: &mut Unpacker,
    out: &mut [u64; BLOCK],
) -> Result<(), DecodeError> {
    let head = reader.byte()?;
    let width = u32::from(head & !HAS_EXCEPTIONS);
    if width > u64::BITS {
        return Err(DecodeError::Corrupt("bit width over 64"));
    }
    let reference = reader.zigzag()?.cast_unsigned();
    let mut exceptions = if head & HAS_EXCEPTIONS == 0 {
        Exceptions {
            positions: &[],
            high_bits: reader.clone(),
        }
    } else {
        let exceptions = usize::from(reader.byte()?);
        let positions = reader.take(exceptions)?;
        let high_bits = reader.clone();
        for _ in 0..exceptions {
            reader.varint()?;
        }
        Exceptions {
            positions,
            high_bits,
        }
    };
    let width_usize = width as usize;
    let packed = reader.take(bits::packed_length(count, width_usize))?;
    unpacker.unpack(packed, width_usize, out);
    exceptions.apply(count, width, out)?;
    for value in out.iter_mut() {
        *value = value.wrapping_add(reference);
    }
    Ok(())
}

struct Exceptions<'a> {
    positions: &'a [u8],
    high_bits: Reader<'a>,
}

impl Exceptions<'_> {
    fn apply(
        &mut self,
        count: usize,
        width: u32,
        out: &mut [u64; BLOCK],
    ) -> Result<(), DecodeError> {
        for &position in self.positions {
            let high = self.high_bits.zigzag()?.cast_unsigned();
            let slot = out
                .get_mut(..count)
                .and_then(|used| used.get_mut(usize::from(position)));
            let slot = slot.ok_or(DecodeError::Corrupt("exception outside its block"))?;
            *slot |= high.checked_shl(width).unwrap_or(0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(residuals: &[i64], most_bytes: usize) {
        let plan = plan_block(residuals);
        let mut bytes = Vec::new();
        encode_block(residuals, &plan, &mut bytes);
        let mut out = [0; BLOCK];
        let mut reader = Reader::new(&bytes);
        decode_block(&mut reader, residuals.len(), &mut Unpacker::new(), &mut out).unwrap();
        let decoded: Vec<i64> = out[..residuals.len()]
            .iter()
            .map(|v| v.cast_signed())
            .collect();
        assert_eq!(decoded, residuals);
        assert!(reader.rest().is_empty());
        assert!(bytes.len() <= most_bytes, "{} bytes, {plan:?}", bytes.len());
    }

    #[test]
    fn constant_blocks_are_two_bytes() {
        check(&[5; 128], 2);
        check(&[-3], 2);
    }

    #[test]
    fn outliers_above_below_and_on_both_sides_do_not_widen_the_block() {
        for outliers in [vec![1 << 40], vec![-(1 << 40)], vec![1 << 40, -(1 << 40)]] {
            let mut residuals: Vec<i64> = (0..128).map(|i| 1000 + i % 8).collect();
            for (i, outlier) in outliers.iter().enumerate() {
                residuals[20 + i] = *outlier;
            }
            check(&residuals, 3 + 128 * 3 / 8 + 1 + 8 * outliers.len());
        }
    }

    #[test]
    fn extremes_round_trip() {
        check(&[i64::MIN, i64::MAX, 0, -1, 1], 60);
        check(&[i64::MIN; 100], 12);
        let mut residuals = vec![0; 128];
        residuals[0] = i64::MIN;
        residuals[127] = i64::MAX;
        check(&residuals, 3 + 2 * 11);
    }

    #[test]
    fn exceptions_outside_the_block_are_refused() {
        let bytes = [HAS_EXCEPTIONS, 0, 1, 5, 2];
        let mut out = [0; BLOCK];
        let result = decode_block(&mut Reader::new(&bytes), 5, &mut Unpacker::new(), &mut out);
        assert_eq!(
            result,
            Err(DecodeError::Corrupt("exception outside its block"))
        );
    }
}
