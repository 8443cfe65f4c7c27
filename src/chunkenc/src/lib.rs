//! Chunk codecs: bytes in, columns of samples out, bit for bit.
//!
//! A sealed chunk holds the float samples of one series over some time: [`encode`] writes it,
//! [`decode`] and [`decode_range`] read it, [`header`] reads its count and time range alone. The
//! two columns have functions of their own, for timestamps that several series share. While
//! samples still arrive they are kept in an [`OpenChunk`].
//!
//! Values are stored as integers wherever that is exact: `12.34` becomes 1234 with exponent 2,
//! and the integers are packed by frame of reference with patched exceptions. What has no short
//! decimal form is packed as float bits or XORed. Every bit of every sample comes back: negative
//! zero, the payload of each NaN, the stale marker. The bytes are described in
//! `docs/formats/chunk.md`; the first byte is their version.
//!
//! Decoders take any bytes: they return an error, never panic, and never reserve more than
//! [`MAX_SAMPLES`] entries per column.

mod bits;
mod chunk;
mod decimal;
mod error;
mod integers;
mod open;
mod packed;
mod patches;
mod timestamps;
mod values;
mod varint;
mod xor;

pub use chunk::{ChunkHeader, TimeBounds, decode, decode_range, encode, header};
pub use error::{DecodeError, EncodeError};
pub use open::{OPEN_CHUNK_SAMPLES, OpenChunk};
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
