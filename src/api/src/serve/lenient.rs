//! A connection whose request targets may hold raw `"`, `<`, `{` and the like, as Go's server takes
//! them: `curl -g 'localhost:9090/api/v1/query?query=up{job="x"}'`. It fails when its client reads
//! nothing of an answer for too long: answers hold memory that others wait for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::request_line::RequestLines;

/// Bytes of request heads that are read at one time.
const HEAD_BYTES: usize = 4096;

/// Bytes of a body that are read at one time.
const BODY_BYTES: usize = 64 << 10;

/// Encodes request targets on their way in. Holds at most what one read of a head gives.
#[derive(Debug)]
pub(super) struct LenientStream<S> {
    inner: S,
    lines: RequestLines,
    /// Encoded bytes, of which those before `taken` were handed on.
    encoded: Vec<u8>,
    taken: usize,
    /// Longest wait for the client to read on.
    most_stalled: Duration,
    /// Runs while the client reads nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> LenientStream<S> {
    pub(super) fn new(inner: S, most_stalled: Duration) -> Self {
        Self {
            inner,
            lines: RequestLines::new(),
            encoded: Vec::new(),
            taken: 0,
            most_stalled,
            stalled: None,
        }
    }

    /// Gives up a write that has made no progress for too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let most = self.most_stalled;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn hand_on(&mut self, out: &mut ReadBuf<'_>) {
        let left = &self.encoded[self.taken..];
        let count = left.len().min(out.remaining());
        out.put_slice(&left[..count]);
        self.taken += count;
        if self.taken == self.encoded.len() {
            self.encoded.clear();
            self.taken = 0;
        }
    }
}

impl<S: AsyncRead + Unpin> LenientStream<S> {
    /// Reads bytes that stay as they are, straight to where they are wanted.
    fn poll_verbatim(
        &mut self,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = usize::try_from(self.lines.verbatim()).unwrap_or(usize::MAX);
        let most = most.min(out.remaining()).min(BODY_BYTES);
        let mut part = ReadBuf::new(out.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut part))?;
        let count = part.filled().len();
        out.advance(count);
        self.lines.skip(u64::try_from(count).unwrap_or(u64::MAX));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LenientStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.encoded.is_empty() {
            if this.lines.verbatim() > 0 {
                return this.poll_verbatim(context, out);
            }
            let mut head = [0; HEAD_BYTES];
            let mut head = ReadBuf::new(&mut head);
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut head))?;
            this.lines.encode(head.filled(), &mut this.encoded);
        }
        this.hand_on(out);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LenientStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        this.bounded(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(context);
        this.bounded(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, slices);
        this.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (mut client, server) = duplex(4);
        let mut stream = LenientStream::new(server, MINUTE);
        let writing = async {
            for expected in [true, true, false] {
                let written = stream.write_all(b"12345").await;
                assert_eq!(written.is_ok(), expected, "{written:?}");
            }
        };
        // Slow, but it reads.
        let reading = async {
            for _ in 0..8 {
                sleep(MINUTE / 2).await;
                client.read_u8().await.unwrap();
            }
        };
        tokio::join!(writing, reading);
    }

    /// What arrives when the sender's pieces and the receiver's buffer have these sizes.
    async fn arrives(input: &[u8], piece: usize, buffer: usize) -> Vec<u8> {
        let (mut client, server) = duplex(piece);
        let mut stream = LenientStream::new(server, MINUTE);
        let sending = async {
            client.write_all(input).await.unwrap();
            drop(client);
        };
        let receiving = async {
            let (mut all, mut part) = (Vec::new(), vec![0; buffer]);
            loop {
                match stream.read(&mut part).await.unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&part[..count]),
                }
            }
        };
        tokio::join!(sending, receiving).1
    }

    #[tokio::test]
    async fn sizes_of_reads_do_not_matter() {
        let body = "{}".repeat(5000);
        let send = |brace: &str| {
            format!(
                "POST /{brace} HTTP/1.1\r\nContent-Length: 10000\r\n\r\n{body}GET /{brace} HTTP/1.1\r\n\r\n"
            )
        };
        for piece in [1, 7, 4096, 1 << 20] {
            for buffer in [1, 3, 1 << 20] {
                let got = arrives(send("{").as_bytes(), piece, buffer).await;
                assert!(got == send("%7B").as_bytes(), "{piece} {buffer}");
            }
        }
    }
}
