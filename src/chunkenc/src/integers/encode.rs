//! Planning and writing a column of integers.

use super::Transform;
use crate::bits::BLOCK;
use crate::packed::{self, BlockPlan, plan_block};
use crate::varint::{put_varint, put_zigzag};

/// Blocks looked at to choose the transform of a long column.
const SAMPLED_BLOCKS: usize = 3;

/// Whether distances from a straight line are worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Values: they follow no clock.
    Free,
    /// Timestamps: scrapes jitter around a fixed interval.
    Clocked,
}

/// A column as it will be written.
#[derive(Debug)]
pub(crate) struct Column {
    first: i64,
    divisor: u64,
    pub(crate) transform: Transform,
    /// `(integer - first) / divisor`.
    offsets: Vec<i64>,
    /// How the first block will be written.
    first_block: BlockPlan,
}

impl Column {
    /// Plans a column of at least one integer. Takes the integers to reuse their buffer.
    pub(crate) fn plan(integers: Vec<i64>, shape: Shape) -> Self {
        let mut offsets = integers;
        let first = offsets.first().copied().unwrap_or(0);
        if let Some(transform) = constant(&offsets) {
            return Self {
                first,
                divisor: 1,
                transform,
                offsets,
                first_block: BlockPlan::default(),
            };
        }
        let divisor = common_divisor(&offsets);
        subtract_and_divide(&mut offsets, first, divisor);
        let Candidate {
            transform,
            first_block,
            ..
        } = choose(&offsets, shape);
        Self {
            first,
            divisor,
            transform,
            offsets,
            first_block,
        }
    }

    /// The column's bits of its tag byte.
    pub(crate) const fn tag(&self) -> u8 {
        self.transform.tag()
            | if self.divisor > 1 {
                Transform::TAG_DIVISOR
            } else {
                0
            }
    }

    /// Appends everything behind the tag.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_zigzag(self.first, out);
        self.encode_tail(out);
    }

    /// Appends everything behind the first integer.
    pub(crate) fn encode_tail(&self, out: &mut Vec<u8>) {
        if self.divisor > 1 {
            put_varint(self.divisor, out);
        }
        if let Some(parameter) = self.transform.parameter() {
            put_zigzag(parameter, out);
        }
        if self.transform.is_constant() {
            return;
        }
        let mut residuals = [0i64; BLOCK];
        let mut start = self.transform.implied();
        let mut first_block = Some(self.first_block);
        while start < self.offsets.len() {
            let block = fill(&self.offsets, self.transform, start, &mut residuals);
            let plan = first_block.take().unwrap_or_else(|| plan_block(block));
            packed::encode_block(block, &plan, out);
            start += BLOCK;
        }
    }

    /// The first integer.
    pub(crate) const fn first(&self) -> i64 {
        self.first
    }
}

/// The transform of a column that needs no blocks at all.
fn constant(integers: &[i64]) -> Option<Transform> {
    let [first, second, ..] = *integers else {
        return Some(Transform::Constant);
    };
    let step = second.wrapping_sub(first);
    let even = integers
        .windows(2)
        .all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    match (even, step) {
        (false, _) => None,
        (true, 0) => Some(Transform::Constant),
        (true, _) => Some(Transform::ConstantDelta { step }),
    }
}

/// The greatest divisor of all distances from the first integer; 1 when distances do not fit.
fn common_divisor(integers: &[i64]) -> u64 {
    let first = integers.first().copied().unwrap_or(0);
    let mut divisor = 0u64;
    for &integer in integers {
        let Some(distance) = integer.checked_sub(first) else {
            return 1;
        };
        let distance = distance.unsigned_abs();
        let multiple = match divisor {
            0 => distance == 0,
            // Divisors are mostly powers of two (pages, sectors): a mask is cheaper than `%`.
            _ if divisor.is_power_of_two() => distance & (divisor - 1) == 0,
            _ => distance.is_multiple_of(divisor),
        };
        if !multiple {
            divisor = greatest_common_divisor(divisor, distance);
            if divisor == 1 {
                return 1;
            }
        }
    }
    divisor.max(1)
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Replaces every integer by `(integer - first) / divisor`. The division is exact, so a shift
/// and a multiplication with the inverse of the odd part modulo 2^64 do it.
fn subtract_and_divide(integers: &mut [i64], first: i64, divisor: u64) {
    if divisor <= 1 {
        for integer in integers {
            *integer = integer.wrapping_sub(first);
        }
        return;
    }
    let shift = divisor.trailing_zeros();
    let odd = divisor >> shift;
    // Newton's iteration: every step doubles the count of right bits, from 3 to 96.
    let mut inverse = odd;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
    }
    for integer in integers {
        let shifted = integer.wrapping_sub(first) >> shift;
        *integer = shifted.cast_unsigned().wrapping_mul(inverse).cast_signed();
    }
}

/// A transform and what its blocks would take.
struct Candidate {
    transform: Transform,
    first_block: BlockPlan,
    cost_bits: usize,
}

impl Candidate {
    /// Estimates the size of the blocks. Of a long column only some are looked at.
    fn new(offsets: &[i64], transform: Transform) -> Self {
        let mut residuals = [0i64; BLOCK];
        let blocks = (offsets.len() - 1).div_ceil(BLOCK);
        let stride = blocks.div_ceil(SAMPLED_BLOCKS).max(1);
        let mut plan_at = |block: usize| {
            let start = transform.implied() + block * BLOCK;
            plan_block(fill(offsets, transform, start, &mut residuals))
        };
        let first_block = plan_at(0);
        let others = (stride..blocks)
            .step_by(stride)
            .map(|block| plan_at(block).cost_bits);
        let cost_bits = first_block.cost_bits + others.sum::<usize>();
        Self {
            transform,
            first_block,
            cost_bits,
        }
    }
}

fn choose(offsets: &[i64], shape: Shape) -> Candidate {
    let first_delta = offsets.get(1).copied().unwrap_or(0);
    let base = match shape {
        Shape::Free => Transform::Raw,
        Shape::Clocked => Transform::Line {
            slope: slope(offsets),
        },
    };
    let delta = Candidate::new(offsets, Transform::Delta);
    let base = Candidate::new(offsets, base);
    // A column whose deltas are no smaller than its distances is noise, and the deltas of deltas
    // of noise are wider still.
    if base.cost_bits <= delta.cost_bits {
        return base;
    }
    let second = Candidate::new(offsets, Transform::DeltaOfDelta { first_delta });
    if second.cost_bits < delta.cost_bits {
        second
    } else {
        delta
    }
}

fn slope(offsets: &[i64]) -> i64 {
    let last = offsets.last().copied().unwrap_or(0);
    let steps = offsets.len().saturating_sub(1).max(1) as i64;
    let half = steps / 2;
    last.saturating_add(if last < 0 { -half } else { half }) / steps
}

/// Writes the residuals of the integers from `start` on, up to one block of them.
fn fill<'a>(
    offsets: &[i64],
    transform: Transform,
    start: usize,
    residuals: &'a mut [i64; BLOCK],
) -> &'a [i64] {
    let end = offsets.len().min(start + BLOCK);
    let count = end.saturating_sub(start);
    let behind = |lag: usize| &offsets[start - lag..end - lag];
    let out = &mut residuals[..count];
    if count == 0 {
        return out;
    }
    match transform {
        Transform::Delta => {
            for ((out, &a), &b) in out.iter_mut().zip(behind(0)).zip(behind(1)) {
                *out = a.wrapping_sub(b);
            }
        }
        Transform::DeltaOfDelta { .. } => {
            let lagged = behind(1).iter().zip(behind(2));
            for ((out, &a), (&b, &c)) in out.iter_mut().zip(behind(0)).zip(lagged) {
                *out = a.wrapping_sub(b).wrapping_sub(b.wrapping_sub(c));
            }
        }
        Transform::Line { slope } => {
            for ((out, &a), at) in out.iter_mut().zip(behind(0)).zip(start as i64..) {
                *out = a.wrapping_sub(slope.wrapping_mul(at));
            }
        }
        Transform::Constant | Transform::ConstantDelta { .. } | Transform::Raw => {
            out.copy_from_slice(behind(0));
        }
    }
    out
}
