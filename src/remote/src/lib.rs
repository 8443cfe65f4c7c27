//! Remote write, receiving side: which requests are taken, and the decoder that turns a request's
//! body into borrowed columns without copying labels. Knows nothing of HTTP servers and engines.

mod exemplars;
mod histogram;
pub mod labels;
mod metadata;
pub mod negotiate;
pub mod wire;
pub mod write;

pub use negotiate::{UnsupportedMedia, check_media};
pub use write::{DecodeError, WriteDecoder};

/// Largest body that a receiver reads, before and after decompression, in bytes. Source: upstream's
/// limit of 32 MiB on remote-write requests.
pub const MAX_BODY_BYTES: usize = 32 << 20;
