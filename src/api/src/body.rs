//! Reads request bodies up to a limit.

use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

/// Buffers that are kept for later bodies: as many as are read at once by usual numbers of senders.
const MAX_SPARE: usize = 16;
/// Buffers that grew beyond are not kept. Senders make requests of some 100 KiB.
const MAX_SPARE_BYTES: usize = 1 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than allowed; reading stopped there.
    TooLarge,
    /// The client went away or broke the protocol.
    Broken,
}

/// Reads a whole body of at most `limit` bytes. A body in one piece is not copied.
pub(crate) async fn read_limited(body: Body, limit: usize) -> Result<Bytes, BodyError> {
    Ok(match gather(body, limit, Vec::new).await? {
        Gathered::Piece(bytes) => bytes,
        Gathered::Pieces(bytes) => Bytes::from(bytes),
    })
}

/// Buffers of bodies that were read, to be filled again.
#[derive(Debug, Default)]
pub(crate) struct BodyPool {
    spare: Mutex<Vec<Vec<u8>>>,
}

/// A body; dropped, it gives its buffer back.
#[derive(Debug)]
pub(crate) struct RequestBody {
    body: Gathered,
    pool: Arc<BodyPool>,
}

/// A body as it came.
#[derive(Debug)]
enum Gathered {
    Piece(Bytes),
    Pieces(Vec<u8>),
}

impl BodyPool {
    /// As [`read_limited`], into a buffer of the pool.
    pub(crate) async fn read(
        self: &Arc<Self>,
        body: Body,
        limit: usize,
    ) -> Result<RequestBody, BodyError> {
        let spare = || self.spare.lock().pop().unwrap_or_default();
        Ok(RequestBody {
            body: gather(body, limit, spare).await?,
            pool: Arc::clone(self),
        })
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE && (1..=MAX_SPARE_BYTES).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }
}

impl RequestBody {
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.body {
            Gathered::Piece(bytes) => bytes,
            Gathered::Pieces(bytes) => bytes,
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Gathered::Pieces(buffer) = &mut self.body {
            self.pool.give_back(std::mem::take(buffer));
        }
    }
}

/// Reads a body; `buffer` gives an empty one if it comes in pieces.
async fn gather(
    mut body: Body,
    limit: usize,
    buffer: impl FnOnce() -> Vec<u8>,
) -> Result<Gathered, BodyError> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyError::TooLarge);
    }
    let mut first = Bytes::new();
    while let Some(data) = next_piece(&mut body).await? {
        if data.len() > limit.saturating_sub(first.len()) {
            return Err(BodyError::TooLarge);
        }
        if first.is_empty() {
            first = data;
            continue;
        }
        let mut all = buffer();
        all.reserve(announced.max(first.len() + data.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&data);
        while let Some(data) = next_piece(&mut body).await? {
            if data.len() > limit - all.len() {
                return Err(BodyError::TooLarge);
            }
            all.extend_from_slice(&data);
        }
        return Ok(Gathered::Pieces(all));
    }
    Ok(Gathered::Piece(first))
}

/// The next data of a body; `None` at its end.
async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
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

    #[tokio::test]
    async fn buffers_are_used_again() {
        let pool = Arc::new(BodyPool::default());
        let one = pool.read(Body::from("abcd"), 4).await.unwrap();
        assert_eq!(one.bytes(), b"abcd");
        drop(one);
        assert!(
            pool.spare.lock().is_empty(),
            "a body in one piece has no buffer"
        );
        let several = pool.read(pieces(&["abc", "", "de"]), 5).await.unwrap();
        assert_eq!(several.bytes(), b"abcde");
        let buffer = several.bytes().as_ptr();
        drop(several);
        let again = pool.read(pieces(&["f", "g"]), 5).await.unwrap();
        assert_eq!(again.bytes(), b"fg");
        assert_eq!(again.bytes().as_ptr(), buffer);
        drop(again);
        let too_large = pool.read(pieces(&["abc", "d", "ef"]), 5).await;
        assert_eq!(too_large.unwrap_err(), BodyError::TooLarge);
        pool.give_back(Vec::with_capacity(MAX_SPARE_BYTES + 1));
        assert!(pool.spare.lock().is_empty());
        for _ in 0..2 * MAX_SPARE {
            pool.give_back(Vec::with_capacity(1));
        }
        assert_eq!(pool.spare.lock().len(), MAX_SPARE);
    }
}
