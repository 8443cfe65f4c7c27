//! Makes connections: name to addresses, addresses to a socket.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why no connection was made. The texts are those of Go's `net.OpError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The URL has no host.
    #[error("http: no Host in request URL")]
    NoHost,
    /// The name has no address.
    #[error("dial tcp: lookup {host}: no such host")]
    Lookup {
        /// The name.
        host: String,
    },
    /// The host did not answer.
    #[error("dial tcp {address}: i/o timeout")]
    Timeout {
        /// The first address tried.
        address: SocketAddr,
    },
    /// The host refused, or cannot be reached.
    #[error("dial tcp {address}: connect: {reason}")]
    Connect {
        /// The first address tried.
        address: SocketAddr,
        /// The operating system's reason.
        reason: String,
    },
}

/// Connects over TCP within a time limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialer {
    pub(crate) timeout: Duration,
}

impl tower::Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(dial(uri, self.timeout))
    }
}

async fn dial(uri: Uri, timeout: Duration) -> Result<TokioIo<TcpStream>, DialError> {
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or(DialError::NoHost)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let deadline = tokio::time::Instant::now() + timeout;
    let no_address = || DialError::Lookup {
        host: host.to_owned(),
    };
    let lookup = tokio::net::lookup_host((host, port));
    let Ok(Ok(addresses)) = tokio::time::timeout_at(deadline, lookup).await else {
        return Err(no_address());
    };
    // As in Go, the first address explains a failure of all.
    let mut first_error = None;
    for address in addresses {
        let error = match tokio::time::timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without it small requests wait for acknowledgements; failure costs only time.
                let _slower = stream.set_nodelay(true);
                return Ok(TokioIo::new(stream));
            }
            Ok(Err(error)) => DialError::Connect {
                address,
                reason: os_text(&error),
            },
            Err(_) => DialError::Timeout { address },
        };
        first_error.get_or_insert(error);
    }
    Err(first_error.unwrap_or_else(no_address))
}

/// The operating system's text as Go prints it: lower case, without the number.
pub(crate) fn os_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
