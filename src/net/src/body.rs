//! Bodies of answers: read in full under a limit, decoded when asked.

use std::io::Read as _;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::error::BodyError;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

/// A body as it came over the wire.
#[derive(Clone, Debug)]
pub struct Body {
    bytes: Bytes,
    encoding: Encoding,
}

impl Body {
    pub(crate) fn new(bytes: Bytes, encoding: Encoding) -> Self {
        Self { bytes, encoding }
    }

    /// Bytes that came over the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The content, decompressed. Bodies of `limit_bytes` or more are refused, as upstream does.
    /// CPU-bound: call it off the async runtime.
    ///
    /// # Errors
    /// The body is too large, or its compression is broken.
    pub fn decode(self, limit_bytes: Option<u64>) -> Result<Bytes, BodyError> {
        let limit = limit_bytes.unwrap_or(u64::MAX);
        let content = match self.encoding {
            Encoding::Identity => self.bytes,
            Encoding::Gzip => {
                let mut content = Vec::with_capacity(self.bytes.len().saturating_mul(4));
                let mut decoder =
                    flate2::bufread::MultiGzDecoder::new(self.bytes.as_ref()).take(limit);
                decoder
                    .read_to_end(&mut content)
                    .map_err(|error| match error.kind() {
                        std::io::ErrorKind::UnexpectedEof => BodyError::Truncated,
                        _ => BodyError::Gzip(error),
                    })?;
                Bytes::from(content)
            }
        };
        if is_at_least(content.len(), limit) {
            Err(BodyError::TooLarge)
        } else {
            Ok(content)
        }
    }
}

impl From<Bytes> for Body {
    /// A body that is not compressed.
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, Encoding::Identity)
    }
}

/// Reads a body; stops as soon as it is as long as the limit. A compressed body that is too long
/// would be too long after decompression as well.
pub(crate) async fn read(mut body: Incoming, limit_bytes: Option<u64>) -> Result<Bytes, BodyError> {
    let limit = limit_bytes.unwrap_or(u64::MAX);
    let mut first: Option<Bytes> = None;
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else {
            continue;
        };
        let length = content.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
        if is_at_least(length, limit) {
            return Err(BodyError::TooLarge);
        }
        // Small bodies come in one piece, which is not copied.
        match first.take() {
            None if content.is_empty() => first = Some(data),
            earlier => {
                content.extend_from_slice(&earlier.unwrap_or_default());
                content.extend_from_slice(&data);
            }
        }
    }
    let content = first.unwrap_or_else(|| content.freeze());
    if is_at_least(content.len(), limit) {
        Err(BodyError::TooLarge)
    } else {
        Ok(content)
    }
}

fn is_at_least(length: usize, limit: u64) -> bool {
    u64::try_from(length).unwrap_or(u64::MAX) >= limit
}

fn broken(error: &hyper::Error) -> BodyError {
    match crate::client::source::<std::io::Error>(error) {
        Some(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            BodyError::Connection(format!("read: {}", crate::dial::os_text(error)))
        }
        _ => BodyError::Truncated,
    }
}
