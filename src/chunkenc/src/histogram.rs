//! Sealed chunks of native histograms, and one histogram on its own.
//!
//! What neighbours have in common, their layout, is written once per run of equal ones. Counts
//! become one column per bucket over the run: integers of absolute counts, or values as in chunks
//! of floats. Every bit of every histogram comes back, whether it makes sense or not.

mod decode;
mod encode;
mod layout;
mod single;

pub use decode::HistogramChunk;
pub use encode::encode_histograms;
pub use layout::MAX_CHUNK_PARTS;
pub(crate) use layout::same_layout;
pub use single::{put_histogram, take_histogram};
pub(crate) use single::{put_single, read_single};

use model::CounterResetHint;

/// A counter-reset hint as a number of the stored formats.
pub(crate) const fn hint_number(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::CounterReset => 1,
        CounterResetHint::NotCounterReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

/// Reads [`hint_number`] from its two bits.
pub(crate) const fn hint_of(bits: u8) -> CounterResetHint {
    match bits & 3 {
        0 => CounterResetHint::Unknown,
        1 => CounterResetHint::CounterReset,
        2 => CounterResetHint::NotCounterReset,
        _ => CounterResetHint::Gauge,
    }
}

/// Absolute counts from the differences between neighbouring buckets. Wraps.
pub(crate) fn absolute(deltas: &[i64]) -> impl Iterator<Item = i64> {
    deltas.iter().scan(0_i64, |count, delta| {
        *count = count.wrapping_add(*delta);
        Some(*count)
    })
}

/// The inverse of [`absolute`].
pub(crate) fn deltas(counts: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut previous = 0_i64;
    counts
        .map(|count| {
            let delta = count.wrapping_sub(previous);
            previous = count;
            delta
        })
        .collect()
}
