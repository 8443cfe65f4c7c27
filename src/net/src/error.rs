//! Why a request failed, in the words of Go's `net/http`: they end up in `lastError` of targets.

use model::quote::quoted;

use crate::dial::DialError;

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No answer came.
    #[error("Get {}: {reason}", quoted(url))]
    Request {
        /// What was asked for: the last redirect's target.
        url: String,
        /// Why no answer came.
        reason: RequestError,
    },
    /// An answer came, and its body did not arrive in full.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The text is no URL.
    #[error("invalid URL")]
    InvalidUrl,
    /// Only `http` is spoken.
    #[error("unsupported protocol scheme {}", quoted(.0))]
    UnsupportedScheme(String),
    /// No connection was made.
    #[error(transparent)]
    Dial(DialError),
    /// The time for the whole request was over.
    #[error("context deadline exceeded")]
    Deadline,
    /// Every answer was a redirect.
    #[error("stopped after {0} redirects")]
    TooManyRedirects(usize),
    /// The redirect leads nowhere.
    #[error("failed to parse Location header {}", quoted(.0))]
    BadLocation(String),
    /// The server closed the connection without an answer.
    #[error("EOF")]
    Closed,
    /// The connection broke.
    #[error("{0}")]
    Connection(String),
}

/// Why a body did not arrive in full.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is as long as the limit, or longer.
    #[error("body size limit exceeded")]
    TooLarge,
    /// The time for the whole request was over.
    #[error("context deadline exceeded")]
    Deadline,
    /// The server closed the connection in the middle.
    #[error("unexpected EOF")]
    Truncated,
    /// The connection broke.
    #[error("{0}")]
    Connection(String),
    /// The compressed bytes do not decode.
    #[error("gzip: {}", crate::dial::os_text(.0))]
    Gzip(std::io::Error),
}
