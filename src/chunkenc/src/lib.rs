//! Chunk codecs: bytes in, columns of samples out, bit for bit.
//!
//! A sealed chunk holds the samples of one series over some time, all of one [`ChunkKind`].
//! [`header`] reads its kind, count and time range alone. Floats: [`encode`] writes them,
//! [`decode`] and [`decode_range`] read them; the two columns have functions of their own, for
//! timestamps that several series share. Native histograms: [`encode_histograms`] writes them, a
//! [`HistogramChunk`] reads them. While samples still arrive they are kept in an [`OpenChunk`] or
//! in [`OpenHistograms`]. At rest the floats of a day become one [`LargeChunk`].
//!
//! Values are stored as integers wherever that is exact: `12.34` becomes 1234 with exponent 2,
//! and the integers are packed by frame of reference with patched exceptions. What has no short
//! decimal form is packed as float bits or XORed. Every bit of every sample comes back: negative
//! zero, the payload of each NaN, the stale marker. The bytes are described in
//! `docs/formats/chunk.md`; the first byte is their version.
//!
//! Decoders take any bytes: they return an error, never panic, and never reserve more than
//! [`MAX_SAMPLES`] entries per column, and [`MAX_CHUNK_PARTS`] for the buckets of all histograms.

mod bits;
mod chunk;
mod decimal;
mod error;
mod histogram;
mod integers;
mod large;
mod open;
mod open_histograms;
mod packed;
mod patches;
mod starts;
mod timestamps;
mod values;
mod varint;
mod xor;

pub use chunk::{
    ChunkHeader, ChunkKind, SampleTimes, TimeBounds, decode, decode_range, decode_with_starts,
    encode, encode_with_starts, header,
};
pub use error::{DecodeError, EncodeError};
pub use histogram::{
    HistogramChunk, MAX_CHUNK_PARTS, encode_histograms, put_histogram, take_histogram,
};
pub use large::{
    LargeChunk, LargeColumns, LargeHeader, LargeSamples, MAX_LARGE_SAMPLES, StreamRef, encode_large,
};
pub use open::{MAX_OPEN_SAMPLES, OPEN_CHUNK_SAMPLES, OpenChunk};
pub use open_histograms::{OpenHistogram, OpenHistograms};
pub use starts::OpenStarts;
pub use timestamps::{decode_timestamps, encode_timestamps};
pub use values::{decode_values, encode_values, encode_values_as_xor};

/// Most samples in one chunk.
pub const MAX_SAMPLES: usize = 65_535;

const fn check_length(count: usize) -> Result<(), EncodeError> {
    match count {
        0 => Err(EncodeError::Empty),
        1..=MAX_SAMPLES => Ok(()),
        _ => Err(EncodeError::TooManySamples { count }),
    }
}

const fn check_count(count: usize) -> Result<(), DecodeError> {
    match count {
        1..=MAX_SAMPLES => Ok(()),
        _ => Err(DecodeError::BadCount(count as u64)),
    }
}
