//! Reads request bodies up to a limit.

use axum::body::{Body, HttpBody as _};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed; reading stopped there.
    TooLarge,
    /// The client went away or broke the protocol.
    Broken,
}

/// Reads a whole body of at most `limit` bytes. A body in one piece is not copied.
pub(crate) async fn read_limited(mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
            continue;
        };
        if data.len() > limit - all.len().max(first.len()) {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                all.reserve(first.len() + data.len() + announced.min(limit));
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(*piece))
            .collect();
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn reads_up_to_the_limit() {
        assert_eq!(read_limited(Body::empty(), 0).await, Ok(Bytes::new()));
        assert_eq!(
            read_limited(Body::from("abcd"), 4).await,
            Ok(Bytes::from("abcd"))
        );
        assert_eq!(
            read_limited(Body::from("abcde"), 4).await,
            Err(BodyError::TooLarge)
        );
        let whole = read_limited(pieces(&["ab", "", "cd"]), 4).await;
        assert_eq!(whole, Ok(Bytes::from("abcd")));
        assert_eq!(
            read_limited(pieces(&["ab", "cde"]), 4).await,
            Err(BodyError::TooLarge)
        );
        assert_eq!(
            read_limited(pieces(&["abcde"]), 4).await,
            Err(BodyError::TooLarge)
        );
    }
}
